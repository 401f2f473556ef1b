"""An archive in a regular file, whatever makes images of its members."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from occy_fast.closing import Closing
from occy_fast.errors import LimitError, TarError, UnsupportedFormat, read_errors
from occy_fast.image.blob import FileRegion, identity_of
from occy_fast.image.loader_view import LoaderView
from occy_fast.streams.sniff import SNIFF_SIZE
from occy_fast.streams.tar import scan_region
from occy_fast.transports.archive.members import MemberTable
from occy_fast.transports.archive.readers import archive_reader, check_foreign
from occy_fast.transports.archive.view import broken_view, loader_view
from occy_fast.transports.layout.foreign import directory_refused

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.image.image import Contents
    from occy_fast.transports.locator import Locator

_BEFORE = 64 << 10                                   # bytes in front of a fault that show whose it is


class ArchiveFile(Closing):
    """Reads images from an archive in a regular file, whose headers are scanned once, when somebody first asks."""

    is_stream: Final = False

    def __init__(self, locator: Locator, call: Call, *, lenient: bool = False) -> None:
        """Open the file; the arguments are DockerArchiveReader's. Raises MissingFile, InputError, UnsupportedFormat."""
        self.locator = locator.text
        self._wanted, self._call, self._lenient = locator, call, lenient
        self._fd = -1
        with read_errors(locator.text, locator.path):
            self._fd = os.open(locator.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                status = os.fstat(self._fd)
            except OSError:
                self.close()
                raise
        if not stat.S_ISREG(status.st_mode):
            self.close()
            if stat.S_ISDIR(status.st_mode):
                raise directory_refused(locator.path, locator.text, "a directory where an archive is expected")
            raise UnsupportedFormat(locator.text, "a pipe or device", "save it to a file first")
        self._size = status.st_size
        self._inode = identity_of(status)
        self._path = os.path.realpath(locator.path)
        self._members: MemberTable | None = None

    def read(self) -> Contents:
        """Read the selected images: headers, documents, and the first bytes of each layer.

        Raises NotFound, InputError, UnsupportedFormat, AmbiguousReference, IntegrityError, PathError, LimitError,
        BadReference.
        """
        if not self._size:
            raise UnsupportedFormat(self.locator, "an empty file", "look at what was to write it")
        with read_errors(self.locator, self._path):
            names = self._scan().clean_names()
            return archive_reader(self._wanted, names, self._call, lenient=self._lenient).read(names)

    def loader_view(self) -> LoaderView:
        """Return how a loader meets the archive, whatever is wrong with it. Raises as view.loader_view does."""
        if not self._size:
            return LoaderView("empty")
        with read_errors(self.locator, self._path):
            try:
                names = self._scan().loader_names()
            except LimitError:
                raise
            except (TarError, UnsupportedFormat) as error:
                return broken_view(error, "none")
            return loader_view(names, self._wanted, "none", self._call.limits)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _scan(self) -> MemberTable:
        """Return the members, and see that the archive has an end. Raises TarError, UnsupportedFormat, LimitError."""
        if self._members is not None:
            return self._members
        limits = self._call.limits
        members = MemberTable(self.locator, limits, self._region)
        try:
            for entry in scan_region(self._fd, 0, self._size, whole=True, where=self.locator, limits=limits):
                members.add(entry)
        except TarError as error:
            start = max(0, error.offset - _BEFORE)
            before = os.pread(self._fd, error.offset - start, start)
            check_foreign(os.pread(self._fd, SNIFF_SIZE, 0), self.locator, error, before)
            raise
        self._members = members
        return members

    def _region(self, offset: int, size: int) -> FileRegion:
        return FileRegion(self._path, offset, size, self._inode)
