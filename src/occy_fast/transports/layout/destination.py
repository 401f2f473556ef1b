"""A layout directory that is to be written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from occy_fast.files.staged import open_directory
from occy_fast.planning.capabilities import Capabilities
from occy_fast.spec.encoding import READABLE
from occy_fast.transports.layout.directory import LayoutDirectory
from occy_fast.transports.layout.stage import OciLayoutStage

if TYPE_CHECKING:
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.limits import Limits
    from occy_fast.transports.locator import Locator


class OciLayoutDestination:
    """Writes images into a new or an existing layout."""

    def __init__(self, locator: Locator, limits: Limits) -> None:
        """Name the layout; what is in it already is read within *limits*."""
        self.locator, self._limits = locator, limits
        self.reference = locator.reference
        self._path = locator.path.rstrip("/") or "/"

    def capabilities(self) -> Capabilities:
        return Capabilities(
            kind="oci",
            read_by="pull",
            encodings=frozenset(READABLE),
            families=frozenset({"oci", "docker"}),
            multi_platform=True,
            many_images=True,
            artifacts=True,
            referrers=True,
            keeps_manifest=True,
            writes="any order",
            adopts=frozenset({"link", "reflink"}),
        )

    def notes(self) -> tuple[str, ...]:
        """Say nothing: images come beside those that are there."""
        return ()

    def present(self, digests: Iterable[Digest]) -> dict[Digest, int]:
        """Find blobs in the layout if there is one. Raises BadArchive."""
        try:
            fd = open_directory(self._path)
        except OSError:
            return {}
        layout = LayoutDirectory(fd, os.path.realpath(self._path), self.locator.text, self._limits)
        try:
            found = {digest: layout.find(digest) for digest in digests}
        finally:
            layout.close()
        return {digest: region.size for digest, region in found.items() if region is not None}

    def stage(self) -> OciLayoutStage:
        """Begin a write. Raises OutputError, and UnsupportedFormat for a directory that holds something else."""
        return OciLayoutStage(self._path, self.locator.text, self._limits)
