"""Say in an index for which platform its images are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.spec.descriptor import platform_document

if TYPE_CHECKING:
    from occy_fast.spec.platform import Platform
    from occy_fast.transforms.base import Document


@dataclass(frozen=True, slots=True)
class Platforms:
    """Give entries of an index the platform that their configs have; *said* has (position, platform)."""

    said: tuple[tuple[int, Platform], ...]

    def edit_manifest(self, document: Document) -> None:
        """Leave a manifest alone: it has no platform."""

    def edit_index(self, document: Document) -> None:
        """Set the platforms."""
        for position, platform in self.said:
            document["manifests"][position]["platform"] = platform_document(platform)
