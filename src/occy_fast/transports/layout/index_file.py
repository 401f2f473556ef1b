"""How image references and OCI ref names stand beside one another in the annotations of index.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from occy_fast.errors import BadReference
from occy_fast.image.publication import PublishedRoot
from occy_fast.spec.descriptor import IMAGE_NAME, REF_NAME, Descriptor, sorted_pairs
from occy_fast.spec.reference import parse_reference


def names_of(descriptor: Descriptor) -> tuple[str, ...]:
    """Return the image references an index entry carries, in full form; what has no tag is none."""
    name = tagged_name(descriptor.annotation(IMAGE_NAME) or "", bare=True)
    return tuple(filter(None, [name or tagged_name(descriptor.annotation(REF_NAME) or "")]))


def tagged_name(text: str, *, bare: bool = False) -> str | None:
    """Return *text* in full form if it is a reference with a tag and no digest.

    A single word is a ref name and not an image, unless *bare*.
    """
    if not bare and ":" not in text:
        return None
    try:
        reference = parse_reference(text)
    except BadReference:
        return None
    if reference.digest is not None or (reference.tag is None and not bare):
        return None
    return reference.with_default_tag().full()


def index_entries(root: PublishedRoot, is_taken: Callable[[str], bool] | None = None) -> list[Descriptor]:
    """Make the index.json entries of *root*: one per name, or one.

    A name's ref name is its tag, as Docker writes it; the full name where the tag *is_taken*, so that a ref name stays
    unique in its layout. With None it is the tag in any case.
    """
    plain = tuple(pair for pair in root.root.descriptor.annotations if pair[0] not in (REF_NAME, IMAGE_NAME))
    unnamed = replace(root.root.descriptor, annotations=plain)
    if root.ref is not None:
        named = {REF_NAME: root.ref}
        if len(root.names) == 1:
            named[IMAGE_NAME] = root.names[0]
        return [_annotated(unnamed, named)]
    if not root.names:
        return [unnamed]
    refs: set[str] = set()
    entries = []
    for name in root.names:
        tag = parse_reference(name).tag or "latest"
        ref = name if is_taken is not None and (tag in refs or is_taken(tag)) else tag
        refs.add(ref)
        entries.append(_annotated(unnamed, {IMAGE_NAME: name, REF_NAME: ref}))
    return entries


def _annotated(descriptor: Descriptor, added: dict[str, str]) -> Descriptor:
    return replace(descriptor, annotations=sorted_pairs({**dict(descriptor.annotations), **added}))
