"""What a wish can touch."""

from __future__ import annotations

from typing import Any, Protocol

Document = dict[str, Any]


class ManifestEdit(Protocol):
    """A wish that touches manifests and indexes, and neither config nor tar entries: hashable, picklable.

    Both methods change a fresh document in place; descriptors in it have their new digests by then.
    """

    def edit_manifest(self, document: Document) -> None:
        """Change the JSON object of a manifest."""

    def edit_index(self, document: Document) -> None:
        """Change the JSON object of an index; its descriptors say already what its children have become."""
