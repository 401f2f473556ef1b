"""What manifest.json and the index.json beside it list, as one set of images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from occy_fast.image.graph import leaves
from occy_fast.image.image import Image, ImageIndex, NamedImage

if TYPE_CHECKING:
    from occy_fast.errors import BadReference, OccyError
    from occy_fast.image.image import Node
    from occy_fast.spec.digest import Digest

BLOB_NAME = re.compile(r"blobs/(sha256)/([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class SavedImage:
    """One image that an archive lists, or why it cannot be read.

    Attributes:
        names: as the archive has them, in full form.
        named: the image; None where *error* says what is wrong with it.
        wrong_name: a name that is no reference, of which nothing is left in *names*.
        repeats: it stands in the index of an image before, and under its names.
    """

    names: tuple[str, ...]
    named: NamedImage | None = None
    error: OccyError | None = None
    wrong_name: BadReference | None = None
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One entry of index.json: what it calls an image, and the image; None where *error* says why not."""

    names: tuple[str, ...]
    ref: str | None
    root: Node | None
    error: OccyError | None = None


def united(listed: Sequence[SavedImage], entries: Sequence[StoredEntry]) -> list[SavedImage]:
    """Return the images of manifest.json in its order, each with what index.json has around it, and then the others.

    What is listed may be one platform of an index, whose other platforms and attestations belong to it. Docker 26 and
    later leave an image without a name out of index.json, and anybody may leave one out of manifest.json.
    """
    found: list[SavedImage] = []
    used: set[int] = set()
    known: dict[tuple[int, tuple[str, ...]], int] = {}
    for at, saved in enumerate(listed):
        image = saved.named.root if saved.named is not None else None
        places = [] if not isinstance(image, Image) else [
            place for place, entry in enumerate(entries) if entry.root is not None and _holds(entry.root, image)
        ]
        used.update(places)
        if not isinstance(image, Image) or image.manifest is None or not places:
            found.append(_at(saved, at))                 # of another manifest than index.json's, if of any
            continue
        same = [place for place in places if set(entries[place].names) & set(saved.names)] or places
        root = entries[same[0]].root
        names = tuple(dict.fromkeys([*saved.names, *(name for place in same for name in entries[place].names)]))
        repeats = isinstance(root, ImageIndex) and known.setdefault((same[0], names), at) != at
        assert root is not None, "an entry that holds the image"
        named = NamedImage(root, names, listed=image.digest)
        found.append(_at(replace(saved, names=names, named=named, repeats=repeats), at))
    return [*found, *_others(entries, used, len(listed))]


def _others(entries: Sequence[StoredEntry], used: set[int], first: int) -> Iterator[SavedImage]:
    """Yield what index.json alone has, behind the *first* images."""
    left = (entry for place, entry in enumerate(entries) if place not in used)
    for at, entry in enumerate(left, first):
        ref = None if entry.names else entry.ref
        named = None if entry.root is None else NamedImage(entry.root, entry.names, ref)
        yield _at(SavedImage(entry.names, named, entry.error), at)


def _at(saved: SavedImage, position: int) -> SavedImage:
    if saved.named is None:
        return saved
    return replace(saved, named=replace(saved.named, position=position, wrong_name=saved.wrong_name))


def _holds(root: Node, image: Image) -> bool:
    """Tell whether *image* is what an entry names, or of its index.

    Docker 25.0.0 stores manifests whose layers are in random order, and where they disagree manifest.json is right; the
    other one is no image of its own.
    """
    config = image.config_blob.digest
    return any(isinstance(leaf, Image) and leaf.config_blob.digest == config for leaf in leaves(root))


def consistent(
    entries: Sequence[StoredEntry], names: tuple[str, ...], config: Digest, layers: Sequence[tuple[Digest | None, int]]
) -> Image | None:
    """Find the stored image with this config and these *layers* (digest, size), rather under one of these names."""
    found = [
        (entry.names, leaf)
        for entry in entries
        if entry.root is not None
        for leaf in leaves(entry.root)
        if isinstance(leaf, Image) and leaf.config_blob.digest == config
        if [(layer.digest, layer.size) for layer in leaf.layers] == list(layers)
    ]
    found.sort(key=lambda pair: not set(pair[0]) & set(names))
    return found[0][1] if found else None
