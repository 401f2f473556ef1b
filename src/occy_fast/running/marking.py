"""The marks of what a source shows, as one target comes by them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from occy_fast.errors import BadReference
from occy_fast.image.blob import read_head
from occy_fast.image.graph import leaves
from occy_fast.image.image import Image
from occy_fast.spec.reference import parse_reference
from occy_fast.targets.marks import Mark, contents_marks, shape_marks

if TYPE_CHECKING:
    from occy_fast.image.image import Contents
    from occy_fast.image.shape import Shape
    from occy_fast.spec.digest import Digest
    from occy_fast.targets.target import Target
    from occy_fast.transports.locate import Locator

# What Go calls the machines whose kernels have other names for themselves.
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")


def marks_for(
    shape: Shape | None, contents: Contents | None, target: Target, skippable: frozenset[Digest]
) -> Iterator[Mark]:
    """Yield what *target* comes by: it reads manifest.json, or the manifests of the layout beside it, or both."""
    if shape is not None:
        yield from shape_marks(shape, host_architecture())
    reads_layout = shape is None or not shape.dual or target.cell("load.oci_archive").answer == "yes"
    if contents is not None and reads_layout:
        yield from contents_marks(contents, skippable)


def selected(shape: Shape | None, where: Locator) -> Shape | None:
    """Return the shape with those images of manifest.json alone that *where* selects."""
    if shape is None or not shape.images:
        return shape
    images = shape.images
    if where.index is not None:
        images = images[where.index : where.index + 1]
    elif where.reference is not None:
        images = tuple(image for image in images if any(_is_called(tag, where.reference) for tag in image.tags))
    return replace(shape, images=images)


def _is_called(tag: str, name: str) -> bool:
    try:
        return parse_reference(tag).with_default_tag().full() == name
    except BadReference:
        return False


def host_architecture() -> str:
    """Return what image configs call this machine's architecture."""
    machine = os.uname().machine
    return _GO_NAMES.get(machine, machine)


def images_in(contents: Contents) -> Iterator[tuple[str, Image]]:
    """Yield every image with what its places begin with, as contents_marks has it."""
    several = len(contents.images) > 1
    for position, named in enumerate(contents.images):
        within = f"@{position} " if several else ""
        root = named.image_or_index
        for leaf in leaves(root):
            if isinstance(leaf, Image):
                yield within if root is leaf else f"{within}{leaf.platform or leaf.digest} ", leaf


def skippable_layers(contents: Contents) -> frozenset[Digest]:
    """Return the zstd layers that begin with a frame that decoders skip."""
    found: set[Digest] = set()
    for _, image in images_in(contents):
        for layer in image.layers:
            address = layer.blob.address
            if layer.digest is None or address is None or layer.encoding.codec != "zstd":
                continue
            if _SKIPPABLE.match(read_head(address, 4)):
                found.add(layer.digest)
    return frozenset(found)
