"""Map family × kind × encoding to media types and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from occy_fast.errors import UnsupportedMediaType
from occy_fast.spec.encoding import CODECS

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
OCTETS: Final = "application/octet-stream"
DOCKER_SCHEMA1: Final = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)

_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
_LAYERS: Final = {
    ("oci", "layer"): (_OCI_LAYER, "+"),
    ("oci", "foreign_layer"): (_OCI_FOREIGN, "+"),
    ("docker", "layer"): (_DOCKER_LAYER, "."),
    ("docker", "foreign_layer"): (_DOCKER_FOREIGN, "."),
}
"""Family and kind → the media type of a plain tar, and what stands between it and a codec's suffix."""

_TABLE: Final[dict[tuple[str, str, str], str]] = {
    ("oci", "index", "none"): OCI_INDEX,
    ("oci", "manifest", "none"): OCI_MANIFEST,
    ("oci", "config", "none"): OCI_CONFIG,
    ("docker", "index", "none"): DOCKER_INDEX,
    ("docker", "manifest", "none"): DOCKER_MANIFEST,
    ("docker", "config", "none"): DOCKER_CONFIG,
} | {
    (family, kind, codec.name): f"{plain}{separator}{codec.suffix}" if codec.suffix else plain
    for (family, kind), (plain, separator) in _LAYERS.items()
    for codec in CODECS.values()
    if codec.suffix is not None
}

# RFC 6838 §4.2, "Naming Requirements"; the same pattern as in the image-spec's schema.
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_GRAMMAR: Final = re.compile(f"{_NAME}/{_NAME}", re.ASCII)


@dataclass(frozen=True, slots=True)
class MediaType:
    """What a media type says: *family* ``oci`` or ``docker``, *kind*, and the *codec* of a layer."""

    family: str
    kind: str
    codec: str


_BACK: Final = {text: MediaType(*key) for key, text in _TABLE.items()}


def media_type(family: str, kind: str, codec: str = "none") -> str:
    """Return the media type of a *kind* of thing in a *family*.

    Raises:
        UnsupportedMediaType: the family has no word for it (xz and bzip2 layers, for instance).
    """
    try:
        return _TABLE[family, kind, codec]
    except KeyError:
        raise UnsupportedMediaType("", f"{family} {kind} as {codec}", "encode layers as none, gzip or zstd") from None


def docker_layer_type(codec: str) -> str:
    """Return Docker's media type of a layer in *codec*; where there is none, gzip's: containerd calls xz so."""
    return media_type("docker", "layer", "gzip" if CODECS[codec].suffix is None else codec)


def describe(text: str) -> MediaType | None:
    """Return what a media type says, or None if it is not in the table."""
    return _BACK.get(text)


def is_layer(text: str) -> bool:
    """Tell whether *text* names a layer: a tar in any encoding (``+brotli`` and ``+encrypted`` are layers, too)."""
    return layer_family(text) is not None


def layer_family(text: str) -> str | None:
    """Return the family whose layers begin as *text* does, whatever it says behind that; None for what is no layer."""
    if text.startswith((_OCI_LAYER, _OCI_FOREIGN)):
        return "oci"
    return "docker" if text.startswith((_DOCKER_LAYER, _DOCKER_FOREIGN)) else None


def is_media_type(text: str) -> bool:
    """Tell whether *text* has the form of a media type without parameters.  (RFC 6838 §4.2)"""
    return _GRAMMAR.fullmatch(text) is not None
