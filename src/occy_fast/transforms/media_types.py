"""Say a manifest in the media types of another family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.errors import UnsupportedMediaType
from occy_fast.spec.media_type import describe, layer_family, media_type

if TYPE_CHECKING:
    from occy_fast.spec.manifest import Index, Manifest
    from occy_fast.transforms.base import Document


@dataclass(frozen=True, slots=True)
class MediaTypes:
    """Use one family's media types for a manifest, its config and its layers."""

    family: str

    def touches_manifest(self, manifest: Manifest) -> bool:
        """Tell whether edit_manifest would change anything. Raises what it would."""
        own = [manifest.media_type, *(layer.media_type for layer in manifest.layers)]
        wanted = [self._translate(text) for text in own]
        return wanted != own or manifest.config.media_type != media_type(self.family, "config")

    def touches_index(self, index: Index) -> bool:
        """Tell whether edit_index would change anything."""
        return self._translate(index.media_type) != index.media_type

    def edit_manifest(self, document: Document) -> None:
        """Rewrite every media type. Raises UnsupportedMediaType for one that the family has no word for."""
        _set_media_type(document, media_type(self.family, "manifest"))
        document["config"]["mediaType"] = media_type(self.family, "config")
        for descriptor in document["layers"] or ():  # null is how Go writes an empty list
            descriptor["mediaType"] = self._translate(descriptor["mediaType"])

    def edit_index(self, document: Document) -> None:
        """Rewrite the index's own media type; its descriptors carry their children's."""
        _set_media_type(document, media_type(self.family, "index"))

    def _translate(self, text: str) -> str:
        meaning = describe(text)
        if meaning is None and layer_family(text) == self.family:
            return text
        if meaning is None:
            raise UnsupportedMediaType("", text, f"it has no form in the format '{self.family}'")
        return text if meaning.family == self.family else media_type(self.family, meaning.kind, meaning.codec)


def _set_media_type(document: Document, text: str) -> None:
    """Set the document's media type, behind schemaVersion where it had none."""
    rest = {key: value for key, value in document.items() if key not in ("schemaVersion", "mediaType")}
    version = document["schemaVersion"]
    document.clear()
    document.update({"schemaVersion": version, "mediaType": text, **rest})
