"""An OCI layout inside a tar that is to be written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from occy_fast.planning.capabilities import Capabilities
from occy_fast.spec.encoding import READABLE
from occy_fast.transports.archive.stage import ArchiveStage
from occy_fast.transports.archive.standing import notes_on
from occy_fast.transports.layout.directory import LAYOUT_FILE
from occy_fast.transports.layout.index_file import merged_index

if TYPE_CHECKING:
    from occy_fast.image.publication import Publication
    from occy_fast.spec.digest import Digest
    from occy_fast.transports.locator import Locator


class OciArchiveStage(ArchiveStage):
    """An OCI archive under construction: always a new one."""

    holds = "an OCI archive"

    def closing_documents(self, publication: Publication) -> list[tuple[str, bytes]]:
        index = merged_index(None, publication)
        self.check_size("index.json", index, "manifest")
        return [("index.json", index), ("oci-layout", LAYOUT_FILE)]


class OciArchiveDestination:
    """Writes images into a new archive, in place of whatever stands there."""

    def __init__(self, locator: Locator) -> None:
        self.locator = locator
        self.reference = locator.reference
        self._path = locator.path

    def capabilities(self) -> Capabilities:
        return Capabilities(
            kind="oci-archive",
            read_by="load an OCI archive",
            encodings=frozenset(READABLE),
            families=frozenset({"oci", "docker"}),
            multi_platform=True,
            many_images=True,
            artifacts=True,
            referrers=True,
            keeps_manifest=True,
            writes="one of unknown size",
        )

    def notes(self) -> tuple[str, ...]:
        """Say what is to be replaced, or is called what it is not. Raises Unsupported: no archive is there."""
        return notes_on(self._path, self.locator.text)

    def present(self, digests: Iterable[Digest]) -> dict[Digest, int]:  # noqa: ARG002
        """Find nothing: an archive is always written anew."""
        return {}

    def stage(self) -> OciArchiveStage:
        """Begin a write. Raises OutputError, Unsupported."""
        return OciArchiveStage(self._path, self.locator.text)
