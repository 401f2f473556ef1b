"""Docker archives, read through the library."""

from __future__ import annotations

import os
from pathlib import Path

from occy_fast.image.blob import FileRegion
from occy_fast.image.image import Contents, Image, Layer
from support.opening import open_source


def read(path: Path, selector: str = "") -> Contents:
    with open_source(f"docker-archive:{path}{selector}") as source:
        return source.read()


def only_image(contents: Contents) -> Image:
    (named,) = contents.images
    assert isinstance(named.root, Image)
    return named.root


def bytes_of(layer: Layer) -> bytes:
    assert isinstance(layer.blob.address, FileRegion)
    with layer.blob.address.open() as region:
        return os.pread(region.fd, region.size, region.offset)
