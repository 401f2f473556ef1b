"""Descriptor: what names a blob."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.platform import Platform

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
            from base64 import b64encode

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
