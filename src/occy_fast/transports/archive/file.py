"""An archive in a regular file, whatever makes images of its members."""

from __future__ import annotations

import os
import stat
from types import TracebackType
from typing import TYPE_CHECKING, Self

from occy_fast.errors import TarError, UnsupportedFormat, read_errors, unreadable
from occy_fast.image.blob import identity_of
from occy_fast.streams.sniff import SNIFF_SIZE
from occy_fast.transports.archive.members import ArchiveMembers
from occy_fast.transports.archive.readers import archive_reader, check_foreign

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.image.image import Contents
    from occy_fast.transports.locator import Locator


class ArchiveFile:
    """Reads images from an archive in a regular file."""

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
            directory = stat.S_ISDIR(status.st_mode)
            found = "a directory where an archive is expected" if directory else "a pipe or device"
            remedy = f"oci:{locator.path} reads a layout" if directory else "save it to a file first"
            raise UnsupportedFormat(locator.text, found, remedy)
        self._size = status.st_size
        self._inode = identity_of(status)
        self._path = os.path.realpath(locator.path)

    def read(self) -> Contents:
        """Read the selected images: headers, documents, and the first bytes of each layer.

        Raises NotFound, InputError, UnsupportedFormat, AmbiguousReference, IntegrityError, PathError, LimitError,
        BadReference.
        """
        if not self._size:
            raise UnsupportedFormat(self.locator, "an empty file", "look at what was to write it")
        try:
            members = self._scan()
            return archive_reader(self._wanted, members, self._call, lenient=self._lenient).read(members)
        except TarError as error:
            with read_errors(self.locator, self._path):
                head = os.pread(self._fd, SNIFF_SIZE, 0)
            check_foreign(head, self.locator, error)
            raise
        except OSError as error:
            raise unreadable(error, self.locator, self._path) from error

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _scan(self) -> ArchiveMembers:
        return ArchiveMembers(self._fd, self._size, self._path, self._inode, self.locator, self._call.limits)
