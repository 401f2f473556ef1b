"""What a caller does between open_destination and publish, for tests of transports."""

from __future__ import annotations

import os

from occy_fast.image.publication import Publication, PublishedImage, PublishedLayer, PublishedRoot
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.limits import LIMITS
from occy_fast.spec.manifest import Manifest
from occy_fast.spec.platform import Platform
from occy_fast.transports.base import Stage
from support.image_builders import BuiltImage, full_name


def write(stage: Stage, data: bytes, *, known: bool = True) -> Digest:
    """Write a blob through a Sink, as the engine does."""
    digest = Digest.sha256(data)
    sink = stage.open_blob(len(data) if known else None)
    for at in range(0, len(data), 1000):
        os.pwrite(sink.fd, data[at : at + 1000], sink.offset + at)
    sink.commit(digest, len(data))
    return digest


def published(image: BuiltImage) -> PublishedImage:
    """Return an image as it is published."""
    manifest = Manifest.parse(image.manifest, "built", LIMITS, image.manifest_type)
    layers = zip(manifest.layers, image.diff_ids, strict=True)
    return PublishedImage(
        Descriptor(image.manifest_type, manifest.digest, len(image.manifest)),
        image.manifest,
        manifest.config,
        image.config,
        tuple(PublishedLayer(layer, Digest.parse(diff_id)) for layer, diff_id in layers),
        Platform("linux", image.architecture),
    )


def publication(*images: BuiltImage) -> Publication:
    """Return images under their names."""
    return Publication(tuple(PublishedRoot(published(image), tuple(map(full_name, image.names))) for image in images))
