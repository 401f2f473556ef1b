"""OCI archives: an image layout inside a tar.  (image-spec, "Image Layout"; skopeo's `oci-archive:`)"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from occy_fast.errors import BadArchive, BadManifest, ManifestTooLarge, UnsupportedFormat
from occy_fast.planning.capabilities import Capabilities
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.spec.manifest import Index
from occy_fast.transports.archive_stage import ArchiveStage, place_notes
from occy_fast.transports.documents import MANIFEST_LIMIT
from occy_fast.transports.layout_directory import LAYOUT_FILE, blob_name, check_layout_file, check_layout_size
from occy_fast.transports.layout_stage import merged_index
from occy_fast.transports.oci_layout import layout_contents
from occy_fast.transports.stream_output import stream_notes

if TYPE_CHECKING:
    from occy_fast.image.blob import Address, FileRegion
    from occy_fast.image.image import Contents
    from occy_fast.image.publication import Publication
    from occy_fast.spec.digest import Digest
    from occy_fast.transports.archive_members import Members
    from occy_fast.transports.locate import Locator


class OciArchiveReader:
    """Reads images from an archive's members, wherever those are."""

    def __init__(self, locator: Locator, limits: Limits = LIMITS) -> None:
        """Read what *locator* selects; its text goes into messages."""
        self.locator = locator.text
        self._wanted, self._limits = locator, limits

    def read(self, members: Members) -> Contents:
        """Read the selected images: documents, and the first bytes of each layer.

        Raises NotFound, UnsupportedFormat, AmbiguousReference, IntegrityError, LimitError, OSError.
        """
        where = f"{self.locator}: oci-layout"
        layout = members.find("oci-layout", follow=False)
        if layout is None:
            raise self._foreign(members)
        check_layout_size(layout.size, where)
        check_layout_file(layout.read(), where, self._limits)
        where = f"{self.locator}: index.json"
        region = members.find("index.json", follow=False)
        if region is None:
            raise BadManifest(self.locator, "the layout has no index.json")
        limits = self._limits
        if region.size > limits.manifest:
            raise ManifestTooLarge(where, "document size", limits.manifest, region.size)
        index = Index.parse(region.read(), where, None, limits.manifest, limits.json_depth)

        def find(digest: Digest) -> Address | None:
            for name in ("blobs", f"blobs/{digest.algorithm}"):
                if name in members:                  # which knows no directories: what is below is out of reach
                    raise BadArchive(f"{self.locator}: {name}", "a directory is expected")
            return members.find(blob_name(digest))

        return layout_contents(index, find, self._wanted, "oci-archive", limits)

    def _foreign(self, members: Members) -> UnsupportedFormat:
        """Say what an archive without oci-layout is."""
        path = self._wanted.path
        if "manifest.json" in members:
            return UnsupportedFormat(self.locator, "what docker save writes", f"docker-archive:{path} reads it")
        return UnsupportedFormat(self.locator, "an archive without oci-layout")


class OciArchiveStage(ArchiveStage):
    """An OCI archive under construction: always a new one."""

    holds = "an OCI archive"

    def closing(self, publication: Publication) -> list[tuple[str, bytes]]:
        index = merged_index(None, publication)
        self.check_size("index.json", index, MANIFEST_LIMIT)
        return [("index.json", index), ("oci-layout", LAYOUT_FILE)]


class OciArchiveDestination:
    """Writes images into a new archive, in place of whatever stands there."""

    def __init__(self, locator: Locator) -> None:
        self.locator = locator.text
        self.reference = locator.reference
        self._path = locator.path

    def capabilities(self) -> Capabilities:
        return Capabilities(
            encodings=frozenset({"none", "gzip", "zstd", "xz", "bzip2"}),
            families=frozenset({"oci", "docker"}),
            multi_platform=True,
            many_images=True,
            artifacts=True,
            referrers=True,
            keeps_manifest=True,
            concurrent_unknown=False,
            adopts=False,
            notes=(*stream_notes(self._path), *place_notes(self._path, self.locator)),
        )

    def present(self, digests: Iterable[Digest]) -> dict[Digest, FileRegion]:  # noqa: ARG002
        """Find nothing: an archive is always written anew."""
        return {}

    def stage(self) -> OciArchiveStage:
        """Begin a write. Raises OutputError, Unsupported."""
        return OciArchiveStage(self._path, self.locator)
