"""Descriptor: what names a blob."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from occy_fast.errors import BadDescriptor, BadManifest, DigestMismatch, SizeMismatch
from occy_fast.spec.digest import Digest
from occy_fast.spec.media_type import is_media_type
from occy_fast.spec.platform import Platform

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]*", re.ASCII)

REF_NAME: Final = "org.opencontainers.image.ref.name"
IMAGE_NAME: Final = "io.containerd.image.name"

Annotations = tuple[tuple[str, str], ...]


def sorted_pairs(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Annotations:
    """Return annotations as the sorted pairs that values hold."""
    return tuple(sorted(pairs.items() if isinstance(pairs, Mapping) else pairs))


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The name, size and type of a blob.  (image-spec, "OCI Content Descriptors")

    Attributes:
        annotations: pairs, sorted.
        data: the blob itself where the document carries it; its digest and size are verified when it is parsed.
    """

    media_type: str
    digest: Digest
    size: int
    annotations: Annotations = ()
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    artifact_type: str | None = None
    data: bytes | None = None

    def annotation(self, key: str) -> str | None:
        """Return an annotation's value, or None."""
        return next((value for name, value in self.annotations if name == key), None)

    def document(self) -> dict[str, Any]:
        """Return a fresh JSON object, keys in the order Docker and containerd write them."""
        fields: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.urls:
            fields["urls"] = list(self.urls)
        if self.annotations:
            fields["annotations"] = dict(self.annotations)
        if self.data is not None:
            fields["data"] = b64encode(self.data).decode("ascii")
        if self.platform is not None:
            fields["platform"] = platform_document(self.platform)
        if self.artifact_type is not None:
            fields["artifactType"] = self.artifact_type
        return fields


def platform_document(platform: Platform) -> dict[str, Any]:
    """Return a platform as the JSON object of a descriptor."""
    fields: dict[str, Any] = {"architecture": platform.architecture, "os": platform.os}
    if platform.os_version:
        fields["os.version"] = platform.os_version
    if platform.os_features:
        fields["os.features"] = list(platform.os_features)
    if platform.variant:
        fields["variant"] = platform.variant
    return fields


class PlatformShape(msgspec.Struct, rename={"os_version": "os.version", "os_features": "os.features"}):
    """The JSON fields of a platform, with the types they must have."""

    architecture: str
    os: str
    variant: str | None = None
    os_version: str | None = None
    os_features: list[str] | None = None

    def value(self) -> Platform:
        """Return the platform."""
        return Platform(
            self.os, self.architecture, self.variant or None, self.os_version or None, tuple(self.os_features or ())
        )


class DescriptorShape(msgspec.Struct, rename="camel"):
    """The JSON fields of a descriptor, with the types they must have."""

    media_type: str
    digest: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    annotations: dict[str, str] | None = None
    platform: PlatformShape | None = None
    urls: list[str] | None = None
    artifact_type: str | None = None
    data: bytes | None = None

    def value(self, where: str) -> Descriptor:
        """Return the descriptor, proved as far as that needs no other bytes.

        Raises:
            BadDigest: before anything else.
            BadDescriptor: a media type or URL is none.
            DigestMismatch, SizeMismatch: the embedded data is not what it is said to be.
        """
        digest = Digest.parse(self.digest, where)
        for media_type in (self.media_type, self.artifact_type or self.media_type):
            if not is_media_type(media_type):
                raise BadDescriptor(where, f"'{media_type}' is no media type")
        for url in self.urls or ():
            if not _URL.fullmatch(url):
                raise BadDescriptor(where, f"'{url}' is no URL")
        if self.data is not None:
            if (found := digest.of(self.data)) != digest:
                raise DigestMismatch(f"{where} data", digest, found)
            if len(self.data) != self.size:
                raise SizeMismatch(f"{where} data", self.size, len(self.data))
        return Descriptor(
            self.media_type,
            digest,
            self.size,
            sorted_pairs(self.annotations or {}),
            self.platform.value() if self.platform is not None else None,
            tuple(self.urls or ()),
            self.artifact_type or None,
            self.data,
        )


def check_descriptor_spelling(fields: object, where: str) -> None:
    """Refuse a descriptor with a field in another spelling, as `check_spelling` does."""
    check_spelling(fields, DescriptorShape, where, BadDescriptor)
    if isinstance(fields, dict):
        check_spelling(fields.get("platform"), PlatformShape, where, BadDescriptor)


def plain_words(error: msgspec.ValidationError) -> str:
    """Return msgspec's message without its markup."""
    return str(error).replace("`", "").replace(" - at ", " at ")


def check_spelling(
    fields: object, shape: type[msgspec.Struct], where: str, error: type[BadDescriptor | BadManifest]
) -> None:
    """Refuse a field that is spelled as in *shape* but for its case: Go reads it, and exact readers do not."""
    if not isinstance(fields, dict):
        return
    names = shape.__struct_encode_fields__
    if fields.keys() <= set(names):
        return
    known = {name.casefold(): name for name in names}
    for key in fields:
        name = known.get(key.casefold(), key)
        if name != key:
            raise error(where, f"key '{key}' stands where '{name}' is meant")
