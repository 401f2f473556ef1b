"""A docker-archive that is to be written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from occy_fast.planning.capabilities import Capabilities
from occy_fast.spec.digest import Digest
from occy_fast.transports.archive.docker20_stage import Docker20Stage
from occy_fast.transports.archive.stage import DockerArchiveStage
from occy_fast.transports.archive.standing import notes_on

if TYPE_CHECKING:
    from occy_fast.planning.goal import ArchiveLayout
    from occy_fast.transports.locator import Locator


class DockerArchiveDestination:
    """Writes images into a new archive, in place of whatever stands there."""

    def __init__(self, locator: Locator, layout: ArchiveLayout = "universal") -> None:
        self.locator = locator
        self.reference = locator.reference
        self._path = locator.path
        self._layout = layout

    def capabilities(self) -> Capabilities:
        universal = self._layout == "universal"
        return Capabilities(
            kind="docker-archive",
            read_by="load",
            encodings=frozenset({"none", "gzip"} if universal else {"none"}),
            families=frozenset({"oci", "docker"}),
            multi_platform=False,
            many_images=True,
            artifacts=False,
            referrers=False,
            keeps_manifest=universal,
            writes="one of unknown size",
            layer_types=False,
            names="reference",
        )

    def notes(self) -> tuple[str, ...]:
        """Say what is to be replaced, or is called what it is not. Raises Unsupported: no archive is there."""
        return notes_on(self._path, self.locator.text)

    def present(self, digests: Iterable[Digest]) -> dict[Digest, int]:  # noqa: ARG002
        """Find nothing: an archive is always written anew."""
        return {}

    def stage(self) -> DockerArchiveStage:
        """Begin a write. Raises OutputError, Unsupported."""
        if self._layout == "universal":
            return DockerArchiveStage(self._path, self.locator.text)

        return Docker20Stage(self._path, self.locator.text)
