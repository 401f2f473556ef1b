"""Check whether an image keeps the promises of its specification, as far as its documents show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from occy_fast.errors import (
    DigestMismatch,
    ForeignLayerRefused,
    LayerCountMismatch,
    LimitError,
    MediaTypeConflict,
    MissingBlob,
    OccyError,
    SizeMismatch,
    UnsupportedMediaType,
)
from occy_fast.image.blob import Blob
from occy_fast.image.finding import Finding
from occy_fast.image.graph import child_place, walk
from occy_fast.image.image import Image, Layer, Node, Opaque, Unreadable
from occy_fast.image.place import WHOLE_IMAGE, Place
from occy_fast.spec.config import ImageConfig
from occy_fast.spec.limits import Limits
from occy_fast.spec.media_type import describe

MOST_LAYERS_OF_DOCKER: Final = 125
"""What Docker's storage stacks at most."""


def validate(root: Node, where: str, limits: Limits, within: Place = WHOLE_IMAGE) -> tuple[Finding, ...]:
    """Return all that is wrong with an image, or with every image of an index; no blob is opened.

    Args:
        where: the name under which the image is known, for the findings.
        within: its place, for theirs.
    """
    found: list[Finding] = []
    try:
        for node in walk(root, where, limits):
            if isinstance(node, Image):
                found += _image(node, where, within if node is root else child_place(within, node), limits)
            elif isinstance(node, Unreadable):
                error = node.error
                place = within if error.place is None else replace(error.place, image=within.image)
                found.append(Finding("error", place, error.describe(), error.where or where, error=error))
            elif isinstance(node, Opaque):
                place = replace(within, part="blob", name=str(node.digest))
                if node.blob is not None:
                    found += _blob(node.blob, (), where, place)
                    continue
                problem = f"{node.digest} is in the index, but not in the source"
                found.append(_warning(where, place, problem, MissingBlob(where, node.digest)))
    except LimitError as limit:
        found.append(_error(within.inside("index"), limit))
    return tuple(found)


def _image(image: Image, source: str, within: Place, limits: Limits) -> Iterator[Finding]:
    where, count, most = _called(source, within), len(image.layers), limits.layer_count
    if count > most:
        yield _error(within, LimitError(where, "number of layers", most, count, ("layer_count",)))
    config = within.inside("config")
    yield from _blob(image.config_blob, (), source, config)
    named, digest = image.config_file_digest, image.config_blob.digest
    if named is not None and digest is not None and named != digest:
        problem = f"its name says {named}, and it is {digest}: it was edited, or is damaged"
        error = DigestMismatch(_called(source, config), named, digest)
        yield _warning(error.where, config, problem, error)
    for number, layer in enumerate(image.layers, 1):  # as plans and answers count them
        yield from _layer(layer, image.artifact, source, within.inside("layer", number))
    if image.artifact:
        return
    if count == 0:
        yield _warning(where, within, "the image has no layers")
    elif MOST_LAYERS_OF_DOCKER < count <= most:
        yield _warning(where, within, f"{count} layers, and Docker stacks {MOST_LAYERS_OF_DOCKER}")
    if image.config is not None:
        yield from _config(image, image.config, _called(source, config), config)


def _config(image: Image, config: ImageConfig, where: str, place: Place) -> Iterator[Finding]:
    layers, diff_ids = len(image.layers), len(config.diff_ids)
    if diff_ids != layers:
        error = LayerCountMismatch(where, layers, diff_ids)
        yield _error(place, error, f"{layers} layers, {diff_ids} diff_ids")
    made = sum(not entry.empty_layer for entry in config.history)
    if config.history and made != diff_ids:
        problem = f"the history tells of {made} layers, and there are {diff_ids} diff_ids"
        yield _warning(where, place, problem, LayerCountMismatch(where, diff_ids, made))
    if config.rootfs_type != "layers":
        yield _warning(where, place, f"rootfs type is '{config.rootfs_type}', and consumers know 'layers' only")
    for name, value in (("os", config.os), ("architecture", config.architecture)):
        if not value:
            yield _warning(where, place, f"no {name}")
    named = image.descriptor.platform if image.descriptor is not None else None
    if named is not None and config.os and config.architecture and not config.platform.matches(named):
        yield _warning(where, place, f"the config is for {config.platform}, and the index says {named}")
    for entry in config.env:
        if "=" not in entry[1:]:
            yield _warning(where, place, f"environment entry '{entry}' is not of the form name=value")


def _layer(layer: Layer, artifact: bool, source: str, place: Place) -> Iterator[Finding]:
    yield from _blob(layer.blob, layer.urls, source, place)
    if artifact:
        return
    where, described = _called(source, place), describe(layer.media_type)
    if described is None or described.kind not in ("layer", "foreign_layer") or layer.encrypted:
        error = UnsupportedMediaType(where, layer.described_type)
        yield _warning(where, place, error.describe(), error)
    elif described.codec != layer.encoding.codec:
        problem = f"media type {layer.media_type}, and the bytes are {layer.encoding.codec}"
        conflict = MediaTypeConflict(where, described.codec, layer.encoding.codec)
        yield _warning(where, place, problem, conflict)


def _blob(blob: Blob, urls: tuple[str, ...], source: str, place: Place) -> Iterator[Finding]:
    where = _called(source, place)
    if blob.address is None:
        digest = blob.digest if blob.digest is not None else "without digest"
        yield _error(place, ForeignLayerRefused(where, digest, urls) if urls else MissingBlob(where, digest))
    elif blob.address.size != blob.size:
        yield _error(place, SizeMismatch(where, blob.size, blob.address.size))


def _called(source: str, place: Place) -> str:
    """Return what messages call a place: in them, *source* stands for the one of several images that it is."""
    text = place.platform if place.part == "image" else str(replace(place, image=None))
    return f"{source} {text}".strip()


def _error(place: Place, error: OccyError, problem: str | None = None) -> Finding:
    return Finding("error", place, problem or error.describe(), error.where, error=error)


def _warning(where: str, place: Place, problem: str, error: OccyError | None = None) -> Finding:
    return Finding("warning", place, problem, where, error=error)
