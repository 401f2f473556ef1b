"""What manifest.json lists and what index.json names beside it, as one set of images.

Docker's containerd store saves both: manifest.json lists one platform of each image, index.json names whole indexes,
and an image without a name may be in either of them alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from occy_fast.errors import MissingBlob, NotFound
from occy_fast.image.attestation import digest_of, subject_of
from occy_fast.image.finding import Finding
from occy_fast.image.graph import leaves
from occy_fast.image.image import Image, ImageIndex, NamedImage, Node, Opaque, Unreadable
from occy_fast.image.place import Place, place_of

if TYPE_CHECKING:
    from occy_fast.errors import BadReference
    from occy_fast.image.blob import Address
    from occy_fast.spec.descriptor import Descriptor
    from occy_fast.spec.digest import Digest
    from occy_fast.transports.locator import Locator


class StoredLayer(NamedTuple):
    """A layer as manifest.json lists it: its digest, where the path says it, and its bytes."""

    digest: Digest | None
    address: Address


class ListedItem(NamedTuple):
    """An item of manifest.json."""

    node: Image | Unreadable
    names: tuple[str, ...] = ()
    wrong_names: tuple[BadReference, ...] = ()
    layers: tuple[StoredLayer, ...] = ()


class IndexEntry(NamedTuple):
    """An entry of index.json; *ref* is its ref name, and *names* are image references in full form."""

    node: Node
    descriptor: Descriptor
    names: tuple[str, ...] = ()
    ref: str | None = None


class Choice(NamedTuple):
    """The images that were asked for, and what is wrong beside them."""

    images: tuple[NamedImage, ...]
    warnings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Root:
    """What index.json names, once, under all its names.

    Attributes:
        items: the images of it that manifest.json lists, by position there.
        owners: the positions of those that belong to it rather than to another root.
    """

    node: Node
    names: list[str]
    ref: str | None
    items: dict[int, Image] = field(default_factory=dict)
    owners: list[int] = field(default_factory=list)

    @property
    def is_split(self) -> bool:
        """Tell whether it is an index of which manifest.json lists several images, each by itself."""
        return isinstance(self.node, ImageIndex) and len({digest_of(self.items[at]) for at in self.owners}) > 1


def united(items: Sequence[ListedItem], entries: Iterable[IndexEntry], where: str) -> Choice:
    """Put the items of manifest.json and the entries of index.json together; what only index.json has comes last.

    An item that is a child of an index stands for that index. Where the two disagree about an image, manifest.json is
    right: Docker 25.0.0 stores manifests whose layers are in random order.

    Args:
        where: the archive, for messages.
    """
    roots, warnings = _roots(entries, where)
    owned = _assign(items, roots)
    taken = {name for item in items for name in item.names}
    images = [_image_of(at, item, items, owned.get(at), roots) for at, item in enumerate(items)]
    alone = set().union(*(_config_digests(item.node) for at, item in enumerate(items) if at not in owned))
    for root in roots:
        if any(not root.is_split or _is_called_alike(at, root, items) for at in root.owners):
            continue
        if not root.items and set(root.names) <= taken and _config_digests(root.node) & alone:
            if isinstance(root.node, ImageIndex):
                problem = f"{root.node.digest} of index.json has other layers than manifest.json, which is right"
                warnings.append(Finding("warning", Place("index", name=str(root.node.digest)), problem, where))
            continue
        images.append(_beside(root, items, len(images)))
    return Choice(tuple(images), tuple(warnings))


def choose(images: Sequence[NamedImage], wanted: Locator) -> Choice:
    """Choose the images that a locator asks for, with what speaks of them; several may have the name that is wanted.

    Raises NotFound, and why it cannot be read where nothing that is wanted can.
    """
    chosen = _asked_for(images, wanted)
    if wanted.index is not None or wanted.reference is not None:
        digests = {digest_of(leaf) for named in chosen for leaf in (named.root, *leaves(named.root))} - {""}
        positions = {named.position for named in chosen}
        names = {name for named in chosen for name in named.names}
        for named in images:
            speaks = not named.names and subject_of(named.root) in digests
            is_same = isinstance(named.root, Unreadable) and bool(names & set(named.names))
            if named.position not in positions and (speaks or is_same):
                chosen.append(named)
    broken = [named.root for named in chosen if isinstance(named.root, Unreadable)]
    if broken and len(broken) == len(chosen):
        raise broken[0].error
    positions = {named.position for named in chosen}
    warnings = (_neighbour(named, wanted.text) for named in images if named.position not in positions)
    return Choice(tuple(chosen), tuple(warning for warning in warnings if warning is not None))


def _asked_for(images: Sequence[NamedImage], wanted: Locator) -> list[NamedImage]:
    if wanted.index is None and wanted.reference is None:
        return list(images)
    called = choose_names([named.names for named in images], wanted)
    by_name = wanted.reference is not None
    return [replace(images[at], names=names, wrong_names=()) if by_name else images[at] for at, names in called]


def choose_names(images: Sequence[tuple[str, ...]], wanted: Locator) -> list[tuple[int, tuple[str, ...]]]:
    """Return positions and names of the images that a locator asks for, of all that there are, by their names.

    Raises NotFound.
    """
    if wanted.index is not None:
        if wanted.index >= len(images):
            raise NotFound(wanted.text, f"image @{wanted.index} of {len(images)}")
        return [(wanted.index, images[wanted.index])]
    if wanted.reference is None:
        return list(enumerate(images))
    alone: tuple[str, ...] = (wanted.reference,)
    if found := [(at, alone) for at, names in enumerate(images) if wanted.reference in names]:
        return found
    offered = ", ".join(name for names in images for name in names) or "none has a name"
    raise NotFound(wanted.text, f"image '{wanted.reference}' (there are: {offered})")


def _neighbour(named: NamedImage, where: str) -> Finding | None:
    """Say what is wrong with an image that was not asked for."""
    node = named.root
    if not isinstance(node, Unreadable):
        return None
    called = ", ".join(named.names)
    number = f"@{named.position}" + (f" ({called})" if called else "")
    place = replace(place_of(node.error, where), image=named.position)
    told = ": ".join(filter(None, (node.error.where.removeprefix(where).lstrip(": "), node.error.describe())))
    problem = f"{number}, which was not asked for, cannot be read: {told}"
    return Finding("warning", place, problem, where, error=node.error)


def _roots(entries: Iterable[IndexEntry], where: str) -> tuple[list[_Root], list[Finding]]:
    """Return what index.json names, each once; what the archive does not have goes into the findings."""
    roots: dict[object, _Root] = {}
    warnings: dict[Digest, Finding] = {}
    for entry in entries:
        node, descriptor = entry.node, entry.descriptor
        if isinstance(node, Opaque) and (node.blob is None or node.blob.address is None):
            problem = f"{node.digest} is in index.json, but not in the archive"
            place, error = Place("blob", name=str(node.digest)), MissingBlob(where, node.digest)
            warnings[node.digest] = Finding("warning", place, problem, where, error=error)
            continue
        key = (descriptor.digest, descriptor.platform, descriptor.media_type, None if entry.names else entry.ref)
        root = roots.setdefault(key, _Root(node, [], None if entry.names else entry.ref))
        root.names += (name for name in entry.names if name not in root.names)
    return list(roots.values()), list(warnings.values())


def _assign(items: Sequence[ListedItem], roots: Sequence[_Root]) -> dict[int, _Root]:
    """Find for every item the root that it is in, rather one of its name, and of these an index."""
    by_config: dict[Digest | None, list[tuple[_Root, Image]]] = {}
    for root in roots:
        for leaf in leaves(root.node):
            if isinstance(leaf, Image):
                by_config.setdefault(leaf.config_blob.digest, []).append((root, leaf))
    owned: dict[int, _Root] = {}
    for at, item in enumerate(items):
        if not isinstance(item.node, Image):
            continue
        held = [pair for pair in by_config.get(item.node.config_blob.digest, ()) if _is_same(pair[1], item.layers)]
        for root, leaf in held:
            root.items.setdefault(at, leaf)
        if held:
            names = set(item.names)
            held.sort(key=lambda pair: (names.isdisjoint(pair[0].names), not isinstance(pair[0].node, ImageIndex)))
            owned[at] = held[0][0]
            owned[at].owners.append(at)
    return owned


def _is_same(image: Image, layers: tuple[StoredLayer, ...]) -> bool:
    """Tell whether an image has exactly these layers."""
    return len(image.layers) == len(layers) and all(
        have.size == listed.address.size
        and (have.digest == listed.digest if listed.digest is not None else have.blob.address == listed.address)
        for have, listed in zip(image.layers, layers, strict=True)
    )


def _image_of(
    at: int, item: ListedItem, items: Sequence[ListedItem], root: _Root | None, roots: Sequence[_Root]
) -> NamedImage:
    """Return an item as an image with all its names, or as the index that it stands for."""
    if root is None:
        return NamedImage(item.node, item.names, position=at, wrong_names=item.wrong_names)
    leaf = root.items[at]
    if root.is_split and not _is_called_alike(at, root, items):
        return NamedImage(leaf, item.names, position=at, wrong_names=item.wrong_names)
    elsewhere = {name for other in roots if other is not root and at in other.items for name in other.names}
    listed = {name for number, other in enumerate(items) if number != at for name in other.names}
    first = at == root.owners[0]
    own = [name for name in item.names if name not in elsewhere - set(root.names)]
    more = [name for name in root.names if name not in listed] if first else []
    names = tuple(dict.fromkeys((*own, *more)))
    ref = root.ref if not names else None
    default = leaf if isinstance(root.node, ImageIndex) else None
    return NamedImage(root.node, names, ref, at, default, wrong_names=item.wrong_names)


def _is_called_alike(at: int, root: _Root, items: Sequence[ListedItem]) -> bool:
    """Tell whether one of several images of an index is listed by the index's name, or that of all of them."""
    names = set(items[at].names)
    return bool(names & set(root.names)) or all(set(items[owner].names) == names for owner in root.owners)


def _beside(root: _Root, items: Sequence[ListedItem], position: int) -> NamedImage:
    """Return what no item stands for."""
    names = tuple(root.names)
    if not names and len(called := {items[at].names for at in root.items}) == 1:
        (names,) = called                            # each of its images is listed by the name of all
    defaults = {digest_of(leaf): leaf for leaf in root.items.values()}
    default = next(iter(defaults.values())) if len(defaults) == 1 and isinstance(root.node, ImageIndex) else None
    return NamedImage(root.node, names, None if names else root.ref, position, default, beside=True)


def _config_digests(node: Node) -> set[Digest | None]:
    return {leaf.config_blob.digest for leaf in leaves(node) if isinstance(leaf, Image)}
