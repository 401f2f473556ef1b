"""Check whether an image keeps the promises of its specification, as far as its documents show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
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
from occy_fast.image.graph import walk
from occy_fast.image.image import Image, Layer, Node, Opaque
from occy_fast.spec.config import ImageConfig
from occy_fast.spec.limits import Limits
from occy_fast.spec.media_type import describe

MOST_LAYERS_OF_DOCKER: Final = 125
"""What Docker's storage stacks at most."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with an image.

    Attributes:
        severity: ``error`` if the image breaks its specification, ``warning`` if some consumer refuses or misreads it.
        where: the place, as precisely as it is known.
        error: what may be raised for it, None where a warning is all; it does not count when findings are compared.
    """

    severity: str
    where: str
    problem: str
    error: OccyError | None = field(default=None, compare=False)


def validate(image: Node, where: str, limits: Limits) -> tuple[Finding, ...]:
    """Return all that is wrong with an image, or with every image of an index; no blob is opened.

    Args:
        where: the name under which the image is known, for the findings.
    """
    found: list[Finding] = []
    try:
        for node in walk(image, where, limits):
            if isinstance(node, Image):
                found += _image(node, _place(where, node) if node is not image else where, limits.layer_count)
            elif isinstance(node, Opaque):
                digest = node.descriptor.digest
                if node.blob is not None:
                    found += _blob(node.blob, (), f"{where} {digest}".strip())
                    continue
                problem = f"{digest} is in the index, but not in the source"
                found.append(_warning(where, problem, MissingBlob(where, digest)))
    except LimitError as error:
        found.append(_error(error))
    return tuple(found)


def _image(image: Image, where: str, most_layers: int) -> Iterator[Finding]:
    count = len(image.layers)
    if count > most_layers:
        yield _error(LimitError(where, "number of layers", most_layers, count))
    yield from _blob(image.config_blob, (), f"{where} config".strip())
    called, digest = image.config_file_digest, image.config_blob.digest
    if called is not None and digest is not None and called != digest:
        problem = f"its name says {called}, and it is {digest}: it was edited, or is damaged"
        yield _warning(f"{where} config".strip(), problem, DigestMismatch(f"{where} config".strip(), called, digest))
    for number, layer in enumerate(image.layers, 1):  # as plans and answers count them
        yield from _layer(layer, image.artifact, f"{where} layer {number}".strip())
    if image.artifact:
        return
    if count == 0:
        yield _warning(where, "the image has no layers")
    elif MOST_LAYERS_OF_DOCKER < count <= most_layers:
        yield _warning(where, f"{count} layers, and Docker stacks {MOST_LAYERS_OF_DOCKER}")
    if image.config is not None:
        yield from _config(image, image.config, f"{where} config".strip())


def _config(image: Image, config: ImageConfig, where: str) -> Iterator[Finding]:
    layers, diff_ids = len(image.layers), len(config.diff_ids)
    if diff_ids != layers:
        yield _error(LayerCountMismatch(where, layers, diff_ids), f"{layers} layers, {diff_ids} diff_ids")
    made = sum(not entry.empty_layer for entry in config.history)
    if config.history and made != diff_ids:
        problem = f"the history tells of {made} layers, and there are {diff_ids} diff_ids"
        yield _warning(where, problem, LayerCountMismatch(where, diff_ids, made))
    if config.rootfs_type != "layers":
        yield _warning(where, f"rootfs type is '{config.rootfs_type}', and consumers know 'layers' only")
    for name, value in (("os", config.os), ("architecture", config.architecture)):
        if not value:
            yield _warning(where, f"no {name}")
    named = image.descriptor.platform if image.descriptor is not None else None
    if named is not None and config.os and config.architecture and not config.platform.matches(named):
        yield _warning(where, f"the config is for {config.platform}, and the index says {named}")
    for entry in config.env:
        if "=" not in entry[1:]:
            yield _warning(where, f"environment entry '{entry}' is not of the form name=value")


def _layer(layer: Layer, artifact: bool, where: str) -> Iterator[Finding]:
    yield from _blob(layer.blob, layer.urls, where)
    if artifact:
        return
    described = describe(layer.media_type)
    if described is None or described.kind not in ("layer", "foreign_layer") or layer.encrypted:
        error = UnsupportedMediaType(where, layer.described_type)
        yield _warning(where, error.describe(), error)
    elif described.codec != layer.encoding.codec:
        conflict = MediaTypeConflict(where, described.codec, layer.encoding.codec)
        yield _warning(where, f"media type {layer.media_type}, and the bytes are {layer.encoding.codec}", conflict)


def _blob(blob: Blob, urls: tuple[str, ...], where: str) -> Iterator[Finding]:
    if blob.address is None:
        digest = blob.digest if blob.digest is not None else "without digest"
        yield _error(ForeignLayerRefused(where, digest, urls) if urls else MissingBlob(where, digest))
    elif blob.address.size != blob.size:
        yield _error(SizeMismatch(where, blob.size, blob.address.size))


def _place(where: str, image: Image) -> str:
    name = image.platform if image.platform is not None else image.digest
    return f"{where} {name}".strip()


def _error(error: OccyError, problem: str | None = None) -> Finding:
    return Finding("error", error.where, problem or error.describe(), error)


def _warning(where: str, problem: str, error: OccyError | None = None) -> Finding:
    return Finding("warning", where, problem, error)
