"""Images of one name put together, so that a destination with one place for the name has all of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from occy_fast.errors import AmbiguousReference, BadReference
from occy_fast.image.attestation import digest_of, is_attestation, subject_of
from occy_fast.image.graph import walk
from occy_fast.image.image import Image, ImageIndex, NamedImage, Node
from occy_fast.planning.choices import choose_one, selector
from occy_fast.spec.descriptor import IMAGE_NAME, REF_NAME, Descriptor
from occy_fast.spec.json import format_json
from occy_fast.spec.limits import UNBOUNDED, check_written
from occy_fast.spec.manifest import Index
from occy_fast.spec.media_type import media_type
from occy_fast.spec.reference import parse_reference

if TYPE_CHECKING:
    from occy_fast.image.image import Contents
    from occy_fast.spec.limits import Limits
    from occy_fast.spec.platform import Platform

_Key = tuple[str, str]


_NAMELESS: _Key = ("", "")


def join(
    contents: Contents, platforms: Sequence[Platform] = (), *, refs: bool, limits: Limits, called: bool = False,
    destination: str,
) -> tuple[NamedImage, ...]:
    """Return what *contents* has, under each name one thing: images for different platforms become an index.

    What has one name and one digest is one thing already, and so is an index with an image that stands in it.

    Args:
        platforms: those that are asked for; empty for all.
        refs: a name at the destination is a layout's ref name; otherwise it is an image reference.
        limits: what the source was read with.
        destination: its locator, for the remedy.
        called: the destination gives a name, and what has none in a layout goes under it, as the platforms of one image
            stand there; what has none in an archive of Docker's was saved by its id, and is an image of its own.
    Raises:
        AmbiguousReference: one name stands for several images of the same platform, or of none that is known.
    """
    images = [_settled(named) if refs else named for named in contents.images]
    keys = [_keys(named, refs) for named in images]
    holders: dict[_Key, list[int]] = {}
    for at, own in enumerate(keys):
        for key in own:
            holders.setdefault(key, []).append(at)
    if called and not holders and contents.kind != "docker-archive":
        holders[_NAMELESS] = [at for at, named in enumerate(images) if subject_of(named.root) is None]
    kept: list[list[_Key]] = [[] for _ in images]
    made: dict[tuple[int, ...], NamedImage] = {}         # by the places of what each is made of
    for key, places in holders.items():
        group = [images[at] for at in places]
        same = key[0] != "ref" or len({named.names for named in group}) == 1
        node = _one_of([named.root for named in group], platforms, limits, contents.locator) if same else None
        if node is None and key == _NAMELESS:            # who asks for one name is told of all of them
            continue
        for at in places:
            keys[at] = keys[at] or [key]
        if node is None:
            raise _ambiguous(contents, key[1], group, platforms, destination)
        keeper = next((at for at in places if images[at].root is node), None)
        if keeper is not None:
            images[keeper] = _merged(images[keeper], group)
            kept[keeper].append(key)
            continue
        refs_of = {named.ref for named in group}
        ref = refs_of.pop() if len(refs_of) == 1 else None
        one = made.setdefault(tuple(places), _merged(NamedImage(node, (), ref), group))
        made[tuple(places)] = replace(one, names=(*one.names, *_names_of(key, group)))
    return tuple(_in_order(images, keys, kept, made))


def _merged(one: NamedImage, group: Sequence[NamedImage]) -> NamedImage:
    """Return what a name stands for, known to be what manifest.json lists of it, where that is a part of the group."""
    listed = [named for named in group if not named.beside]
    images = {digest_of(named.root): named.root for named in listed if isinstance(named.root, Image)}
    default = one.default
    if default is None and isinstance(one.root, ImageIndex) and len(listed) < len(group) and len(images) == 1:
        (default,) = images.values()
    return replace(one, default=default, beside=not listed)


def _in_order(
    images: Sequence[NamedImage],
    keys: Sequence[Sequence[_Key]],
    kept: Sequence[Sequence[_Key]],
    made: Mapping[tuple[int, ...], NamedImage],
) -> Iterator[NamedImage]:
    """Yield each index where the first of its images stood, and each other image under the names it keeps."""
    made_at: dict[int, list[NamedImage]] = {}
    for places, one in made.items():
        made_at.setdefault(places[0], []).append(one)
    nameless: set[Hashable] = set()
    for at, named in enumerate(images):
        yield from made_at.get(at, ())
        if kept[at]:
            names = tuple(name for kind, name in kept[at] if kind == "name")
            yield replace(named, names=names) if names else named
        elif not keys[at] and (identity := _identity(named.root)) not in nameless:
            nameless.add(identity)
            yield named


def _names_of(key: _Key, group: Sequence[NamedImage]) -> tuple[str, ...]:
    if key[0] == "ref":
        return group[0].names
    return (key[1],) if key != _NAMELESS else ()


def _settled(named: NamedImage) -> NamedImage:
    """Leave the ref name to the image's name where it is only that name's tag, as Docker and containerd write it."""
    try:
        tags = [parse_reference(name).tag for name in named.names]
    except BadReference:
        return named
    return replace(named, ref=None) if tags == [named.ref] else named


def _keys(named: NamedImage, refs: bool) -> list[_Key]:
    """Return what tells the image from others: at the destination, or in the source if it gets no name there."""
    if named.ref is not None and (refs or not named.names):
        return [("ref", named.ref)]
    return [("name", name) for name in dict.fromkeys(named.names)]


def _one_of(group: Sequence[Node], platforms: Sequence[Platform], limits: Limits, where: str) -> Node | None:
    """Return the one thing that a name stands for: one of *group*, or an index made of it; None if it is neither."""
    first: dict[Hashable, Node] = {}
    for node in group:
        first.setdefault(_identity(node), node)
    nodes = list(first.values())
    digests = {digest_of(node) for node in nodes}
    if len(nodes) == 1:
        return nodes[0]
    for node in nodes:
        if isinstance(node, ImageIndex) and digests <= {digest_of(inner) for inner in walk(node, where, limits)}:
            return node
    own = [node for node in nodes if subject_of(node) not in digests]
    wanted = []
    for node in own:
        if not isinstance(node, Image) or node.artifact or is_attestation(node) or not _is_told(node.platform):
            return None
        assert node.platform is not None
        if not platforms or any(node.platform.matches(platform) for platform in platforms):
            wanted.append(node.platform.normalized())
    return _index(nodes, where) if own and len(set(wanted)) == len(wanted) else None


def _is_told(platform: Platform | None) -> bool:
    return platform is not None and bool(platform.os and platform.architecture)


def _identity(node: Node) -> Hashable:
    """Return what two entries have in common that say the same: bytes, and what they say of them."""
    platform = node.platform if isinstance(node, Image) else node.descriptor.platform if node.descriptor else None
    told = platform.normalized() if platform is not None else None
    if isinstance(node, Image) and node.digest is None:
        return (node.config_blob.digest, *(layer.diff_id for layer in node.layers), told)
    return (digest_of(node), subject_of(node), told)


def _index(nodes: Sequence[Node], where: str) -> ImageIndex:
    """Make an index of *nodes*, in their order. Raises ManifestTooLarge, for what is *where*."""
    entries = [_entry(node) for node in nodes]
    docker = all(isinstance(node, Image) and node.manifest and node.manifest.family == "docker" for node in nodes)
    family = "docker" if docker else "oci"
    raw = format_json(
        {
            "schemaVersion": 2,
            "mediaType": media_type(family, "index"),
            "manifests": [entry.document() for entry in entries],
        }
    )
    children = tuple(
        replace(node, descriptor=entry) if node.descriptor is not None else node
        for node, entry in zip(nodes, entries, strict=True)
    )
    where = f"{where}: the index of one name"
    check_written("manifest", len(raw), where)
    return ImageIndex(Index.parse(raw, where, UNBOUNDED), None, children)


def _entry(node: Node) -> Descriptor:
    """Return what names *node* in an index; where it has no manifest yet, its config stands in for that."""
    descriptor = node.descriptor
    if descriptor is None:
        assert isinstance(node, Image)
        assert node.config_blob.digest is not None, "a config's digest is known wherever there is no manifest"
        descriptor = Descriptor(media_type("oci", "manifest"), node.config_blob.digest, node.config_blob.size)
    pairs = tuple(pair for pair in descriptor.annotations if pair[0] not in (REF_NAME, IMAGE_NAME))
    platform = node.platform if isinstance(node, Image) and _is_told(node.platform) else descriptor.platform
    return replace(descriptor, annotations=pairs, platform=platform)


def _ambiguous(
    contents: Contents, name: str, group: Sequence[NamedImage], platforms: Sequence[Platform], destination: str
) -> AmbiguousReference:
    told: list[Platform] = []
    for named in group:
        node = named.root
        if isinstance(node, Image) and not node.artifact and node.platform is not None and _is_told(node.platform):
            told.append(node.platform)
    alone = [one for one in told if sum(other.matches(one) for other in told) == 1]
    other = ""
    if alone and not platforms and len(told) == len(group):
        other = f", or name a platform that one image is for, as --platform {alone[0]} does"
    remedy = choose_one(contents, group[0], destination, other)
    candidates = tuple(selector(named, at) for at, named in enumerate(group))
    return AmbiguousReference(contents.locator, f"{len(group)} images are called '{name}'", candidates, remedy)
