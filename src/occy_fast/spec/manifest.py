"""Manifest and Index, decoded beside their raw bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeVar, cast

import msgspec

from occy_fast.errors import BadDescriptor, BadManifest, MediaTypeConflict, UnsupportedFormat, UnsupportedMediaType
from occy_fast.spec.descriptor import (
    Annotations,
    Descriptor,
    DescriptorShape,
    check_descriptor_spelling,
    check_spelling,
    plain_words,
    sorted_pairs,
)
from occy_fast.spec.digest import Digest
from occy_fast.spec.json import parse_again, parse_json
from occy_fast.spec.limits import Limits
from occy_fast.spec.media_type import (
    DOCKER_CONFIG,
    DOCKER_SCHEMA1,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    OCTETS,
    describe,
    is_layer,
    is_media_type,
)

Shape = TypeVar("Shape", bound="_DocumentShape")

_INSIDE_DESCRIPTOR: Final = re.compile(r" at \$\.(?:config|subject|(?:layers|manifests)\[[0-9.]+\])")


@dataclass(frozen=True, slots=True)
class _Document:
    """What manifests and indexes have in common.

    Attributes:
        raw: the bytes received; the digest is theirs.
        media_type: what the document says it is, else what names it, else the OCI type.
    """

    raw: bytes = field(repr=False)
    media_type: str
    annotations: Annotations = field(default=(), kw_only=True)
    subject: Descriptor | None = field(default=None, kw_only=True)
    artifact_type: str | None = field(default=None, kw_only=True)

    @property
    def digest(self) -> Digest:
        """The SHA-256 digest of the raw bytes."""
        return Digest.sha256(self.raw)

    @property
    def family(self) -> str:
        """``oci`` or ``docker``."""
        described = describe(self.media_type)
        return described.family if described is not None else "oci"

    def document(self) -> dict[str, Any]:
        """Return the JSON object afresh, unknown fields and key order included, to be edited."""
        return cast("dict[str, Any]", parse_again(self.raw))


@dataclass(frozen=True, slots=True)
class Manifest(_Document):
    """An image or artifact manifest: an OCI one, or Docker's schema 2.  (image-spec, "OCI Image Manifest")"""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    @staticmethod
    def parse(raw: bytes, where: str, limits: Limits, media_type: str | None = None) -> Manifest:
        """Read a manifest; *media_type* is what the descriptor or the registry calls it.

        Raises:
            MediaTypeConflict: it is something else, or could be taken for it.
            BadManifest, BadDescriptor, BadDigest, BadJSON, DuplicateKey, ManifestTooLarge: it breaks the specification.
            DigestMismatch, SizeMismatch: an embedded blob is not what it is said to be.
            UnsupportedFormat: Docker's schema 1.
        """
        shape, media_type = _parse(raw, where, limits, media_type, _ManifestShape)
        config, layers = shape.config.value(f"{where} $.config"), _values(shape.layers, where, "layers")
        return Manifest(bytes(raw), media_type, config, layers, **_common(shape, where))

    @property
    def artifact(self) -> bool:
        """Whether it holds something other than a root filesystem in layers."""
        configs = (OCI_CONFIG, DOCKER_CONFIG, OCTETS) if self.family == "docker" else (OCI_CONFIG, DOCKER_CONFIG)
        # OCTETS: the config's type in manifests that Docker 1.10 pushed
        return self.config.media_type not in configs or not all(is_layer(layer.media_type) for layer in self.layers)


@dataclass(frozen=True, slots=True)
class Index(_Document):
    """An image index, or Docker's manifest list.  (image-spec, "OCI Image Index")"""

    manifests: tuple[Descriptor, ...]

    @staticmethod
    def parse(raw: bytes, where: str, limits: Limits, media_type: str | None = None) -> Index:
        """Read an index; otherwise as `Manifest.parse`."""
        shape, media_type = _parse(raw, where, limits, media_type, _IndexShape)
        return Index(bytes(raw), media_type, _values(shape.manifests, where, "manifests"), **_common(shape, where))


class _DocumentShape(msgspec.Struct, rename="camel"):
    kind: ClassVar[str]
    usual_type: ClassVar[str]

    schema_version: int
    media_type: str | None = None
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None
    subject: DescriptorShape | None = None


class _ManifestShape(_DocumentShape, kw_only=True, rename="camel"):
    kind = "manifest"
    usual_type = OCI_MANIFEST

    config: DescriptorShape
    layers: list[DescriptorShape] | None  # null is how Go writes an empty list


class _IndexShape(_DocumentShape, kw_only=True, rename="camel"):
    kind = "index"
    usual_type = OCI_INDEX

    manifests: list[DescriptorShape] | None


def _values(shapes: list[DescriptorShape] | None, where: str, key: str) -> tuple[Descriptor, ...]:
    return tuple(shape.value(f"{where} $.{key}[{number}]") for number, shape in enumerate(shapes or ()))


def _common(shape: _DocumentShape, where: str) -> dict[str, Any]:
    """Return the fields of `_Document` that are the document's own, as keywords."""
    return {
        "annotations": sorted_pairs(shape.annotations or {}),
        "subject": shape.subject.value(f"{where} $.subject") if shape.subject is not None else None,
        "artifact_type": shape.artifact_type or None,
    }


def _parse(
    raw: bytes, where: str, limits: Limits, media_type: str | None, shape: type[Shape]
) -> tuple[Shape, str]:
    """Return the fields and the media type of a document, once it can be nothing but what *shape* is for."""
    document = parse_json(raw, where, limits, "manifest")
    if not isinstance(document, dict):
        raise BadManifest(where, f"no JSON object, where the {shape.kind} should be")
    media_type = _agreed_type(document, shape, where, media_type)
    check_spelling(document, shape, where, BadManifest)
    for key in ("config", "subject"):
        check_descriptor_spelling(document.get(key), f"{where} $.{key}")
    for key in ("layers", "manifests"):
        entries = document.get(key)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            check_descriptor_spelling(entry, f"{where} $.{key}[{number}]")
    try:
        fields = msgspec.convert(document, shape)
    except msgspec.ValidationError as error:
        words = plain_words(error)
        raise (BadDescriptor if _INSIDE_DESCRIPTOR.search(words) else BadManifest)(where, words) from None
    if fields.schema_version != 2:
        raise BadManifest(where, f"schemaVersion is {fields.schema_version}, expected 2")
    if fields.artifact_type and not is_media_type(fields.artifact_type):
        raise BadManifest(where, f"artifactType '{fields.artifact_type}' is no media type")
    return fields, media_type


def _agreed_type(
    document: dict[str, Any], shape: type[_DocumentShape], where: str, media_type: str | None
) -> str:
    """Return the one media type on which the document, its form and the one who names it agree.  (CVE-2021-41190)"""
    keys = {key.casefold() for key in document}
    stated = document.get("mediaType") or None
    old = stated in DOCKER_SCHEMA1 or media_type in DOCKER_SCHEMA1
    if old or "fslayers" in keys or document.get("schemaVersion") == 1:
        raise UnsupportedFormat(where, "Docker image manifest schema 1", "pull and push it with Docker 1.10 or later")
    if stated is not None and not isinstance(stated, str):
        raise BadManifest(where, "mediaType is no string")
    if stated and media_type and stated != media_type:
        raise MediaTypeConflict(where, media_type, stated)
    agreed, kind = stated or media_type or shape.usual_type, shape.kind
    called = {"manifest": "a manifest", "index": "an index"}[kind]
    described = describe(agreed)
    if described is None:
        raise UnsupportedMediaType(where, agreed)
    if described.kind != kind:
        raise MediaTypeConflict(where, f"a media type of {called}", agreed)
    foreign = {"manifest": {"manifests"}, "index": {"config", "layers"}}[kind]
    if found := sorted(foreign & keys):
        raise MediaTypeConflict(where, f"the fields of {called}", f"{' and '.join(found)} as well")
    return agreed
