"""Say in an index which of its images have zstd layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from occy_fast.spec.manifest import Index
    from occy_fast.transforms.base import Document

ZSTD_ANNOTATION = "io.github.containers.compression.zstd"
"""By it podman and skopeo choose an image without reading manifests; `skopeo copy --all` would add it, and change the
digest of the index."""


@dataclass(frozen=True, slots=True)
class ZstdMarks:
    """Annotate the entries of an index whose images have zstd layers, and no others; *said* has (position, has)."""

    said: tuple[tuple[int, bool], ...]

    def touches_index(self, index: Index, positions: tuple[int, ...]) -> bool:
        """Tell whether edit_index would change anything, of an index of which the entries at *positions* are left."""
        return any(
            (dict(index.manifests[positions[position]].annotations).get(ZSTD_ANNOTATION) == "true") != has
            for position, has in self.said
        )

    def edit_manifest(self, document: Document) -> None:
        """Leave a manifest alone: its layers say what they are."""

    def edit_index(self, document: Document) -> None:
        """Set and remove the annotations."""
        for position, has in self.said:
            entry = document["manifests"][position]
            annotations = entry.get("annotations") or {}
            if has:
                entry["annotations"] = {**annotations, ZSTD_ANNOTATION: "true"}
            elif ZSTD_ANNOTATION in annotations:
                del annotations[ZSTD_ANNOTATION]
                if not annotations:
                    del entry["annotations"]
