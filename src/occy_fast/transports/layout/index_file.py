"""The entries of index.json: what images are called there, and how new entries join those that are there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import Any

from occy_fast.errors import AmbiguousReference, BadReference
from occy_fast.image.publication import Publication, PublishedRoot
from occy_fast.spec.descriptor import IMAGE_NAME, REF_NAME, Descriptor, sorted_pairs
from occy_fast.spec.json import format_json
from occy_fast.spec.manifest import Index
from occy_fast.spec.media_type import OCI_INDEX
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


def merged_index(index: Index | None, publication: Publication) -> bytes:
    """Return index.json with the publication's entries added, or in the place of those of the same ref name.

    Everything else in *index* stays as it is. Raises AmbiguousReference where one of the publication's own entries
    would stand in the place of another.
    """
    new: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    document = new if index is None else index.document()
    entries = _Entries(document["manifests"] or ())  # null is how Go writes an empty list
    known: dict[str | None, str | None] = {_ref(entry): _name(entry) for entry in entries.all() if _ref(entry)}
    chosen = {root.ref for root in publication.roots}
    ours: dict[str, str] = {}
    for root in publication.roots:

        def is_taken(ref: str, names: tuple[str, ...] = root.names) -> bool:
            return ref in chosen or (ref in known and (known[ref] is None or known[ref] not in names))

        for descriptor in index_entries(root, is_taken):
            entry = descriptor.document()
            ref = _ref(entry)
            if ref is not None and ours.setdefault(ref, entry["digest"]) != entry["digest"]:
                candidates = (ours[ref], entry["digest"])
                raise AmbiguousReference("index.json", f"several images are called '{ref}'", candidates, "choose one")
            known[ref] = _name(entry)
            entries.put(entry)
    document["manifests"] = entries.all()
    return format_json(document)


class _Entries:
    """The entries of an index, found by what they are called; there may be thousands, and as many to be put."""

    def __init__(self, entries: Iterable[dict[str, Any]]) -> None:
        self._entries: list[dict[str, Any] | None] = list(entries)       # None: dropped
        self._places: dict[Hashable, list[int]] = {}
        for place, entry in enumerate(self.all()):
            self._places.setdefault(_called(entry), []).append(place)

    def all(self) -> list[dict[str, Any]]:
        return [entry for entry in self._entries if entry is not None]

    def put(self, entry: dict[str, Any]) -> None:
        """Put *entry* in the place of the first that is called the same, and drop the others; else at the end."""
        places = self._places.setdefault(_called(entry), [])
        if not places:
            places.append(len(self._entries))
            self._entries.append(entry)
        self._entries[places[0]] = entry
        for place in places[1:]:
            self._entries[place] = None
        del places[1:]


def _called(entry: dict[str, Any]) -> Hashable:
    """Return what an entry is told by: its ref name, or without one what it names, and for which platform."""
    ref = _ref(entry)
    return ref or (ref, entry["digest"], format_json(sorted((entry.get("platform") or {}).items())))


def _ref(entry: dict[str, Any]) -> str | None:
    return (entry.get("annotations") or {}).get(REF_NAME)


def _name(entry: dict[str, Any]) -> str | None:
    return (entry.get("annotations") or {}).get(IMAGE_NAME)
