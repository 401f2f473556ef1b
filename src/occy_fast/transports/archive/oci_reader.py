"""OCI archives: an image layout inside a tar.  (image-spec, "Image Layout"; skopeo's `oci-archive:`)"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from occy_fast.errors import BadArchive, BadManifest, UnsupportedFormat
from occy_fast.image.place import Place, located
from occy_fast.spec.limits import Limits
from occy_fast.spec.manifest import Index
from occy_fast.transports.archive.foreign import foreign_archive
from occy_fast.transports.layout.directory import (
    INDEX_FILE,
    blob_name,
    check_layout_file,
    check_layout_size,
    without_layout_file,
)
from occy_fast.transports.layout.source import layout_contents

if TYPE_CHECKING:
    from occy_fast.image.blob import Address
    from occy_fast.image.image import Contents
    from occy_fast.spec.digest import Digest
    from occy_fast.transports.archive.members import CleanNames
    from occy_fast.transports.locator import Locator


class OciArchiveReader:
    """Reads images from an archive's members, wherever those are."""

    def __init__(self, locator: Locator, limits: Limits) -> None:
        """Read what *locator* selects; its text goes into messages."""
        self.locator = locator.text
        self._wanted, self._limits = locator, limits

    def read(self, members: CleanNames) -> Contents:
        """Read the selected images: documents, and the first bytes of each layer.

        Raises NotFound, UnsupportedFormat, AmbiguousReference, IntegrityError, LimitError, OSError.
        """
        where = f"{self.locator}: oci-layout"
        layout = members.find("oci-layout", follow=False)
        region = members.find("index.json", follow=False)
        if layout is None and region is None:
            raise self._foreign(members)
        if layout is not None:
            with located(Place("oci-layout"), where):
                check_layout_size(layout.size, where)
                check_layout_file(layout.read(), where, self._limits)
        where = f"{self.locator}: index.json"
        if region is None:
            raise BadManifest(where, "the layout has none").about(INDEX_FILE)
        limits = self._limits
        with located(INDEX_FILE, where):
            limits.check_document("manifest", region.size, where)
            index = Index.parse(region.read(), where, limits)

        def find(digest: Digest) -> Address | None:
            for name in ("blobs", f"blobs/{digest.algorithm}"):
                if name in members:                  # which knows no directories: what is below is out of reach
                    error = BadArchive(f"{self.locator}: {name}", "a directory is expected")
                    raise error.about(Place("member", name=name))
            return members.find(blob_name(digest))

        contents = layout_contents(index, find, self._wanted, "oci-archive", limits)
        return contents if layout is not None else replace(contents, warnings=(without_layout_file(self.locator),))

    def _foreign(self, members: CleanNames) -> UnsupportedFormat:
        """Say what an archive without oci-layout is."""
        path = self._wanted.path
        if "manifest.json" in members:
            return UnsupportedFormat(self.locator, "what docker save writes", f"docker-archive:{path} reads it")
        return foreign_archive(members, self._wanted)
