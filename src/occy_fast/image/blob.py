"""Blob: what names some bytes, and the address where they are; opening one."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from errno import ELOOP, ENOENT, ENOTDIR, ENXIO
from typing import Final

from occy_fast.closing import Closing
from occy_fast.errors import (
    BadArchive,
    DigestMismatch,
    InputError,
    MissingBlob,
    OccyError,
    PlanStale,
    SizeMismatch,
    Unsupported,
    is_shortage,
    read_errors,
    unreadable,
)
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.limits import DocumentLimit, Limits

Identity = tuple[int, int, int, int]
"""Device, inode, size and mtime in nanoseconds: what a file must still have when it is opened again."""

SAVE_FIRST: Final = "save it to a file first, and not compressed as a whole"
"""What helps wherever one pass over an archive is not enough."""

_PIECE: Final = 1 << 20


def identity_of(status: os.stat_result) -> Identity:
    """Return what tells a file from another and from its own later states."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True, slots=True)
class FileRegion:
    """An address: some bytes of a regular file.

    Attributes:
        inode: the file as it was when the region was found; None where no check is wanted.
        borrowed: a symbolic link led to it, so that it may be somebody else's: nothing becomes a hard link to it.
    """

    path: str
    offset: int
    size: int
    inode: Identity | None = None
    borrowed: bool = False

    def open(self) -> OpenRegion:
        """Open the file for reading; its last component is never followed as a symbolic link.

        Raises:
            PlanStale: it is gone, or another one.
            MissingFile: it is not there, and no check was wanted.
            InputError: it cannot be read.
            BadArchive: it is no regular file, or ends before the region does.
        """
        try:
            # O_NONBLOCK: a FIFO in the place of a file must not block; regular files ignore it
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (ENOENT, ENOTDIR) and self.inode is not None:
                raise PlanStale(self.path, "the file is gone") from error
            if error.errno in (ELOOP, ENXIO):
                raise BadArchive(self.path, "a link or socket, where a regular file should be") from error
            raise unreadable(error, self.path) from error
        try:
            with read_errors(self.path):
                status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise BadArchive(self.path, "no regular file")
            if self.inode is not None and identity_of(status) != self.inode:
                raise PlanStale(self.path, "the file has changed since it was read")
            if status.st_size < self.offset + self.size:
                raise BadArchive(self.path, f"ends at {status.st_size}, before byte {self.offset + self.size}")
        except BaseException:
            os.close(fd)
            raise
        return OpenRegion(fd, self.offset, self.size, self.path)

    def read(self) -> bytes:
        """Return the whole region."""
        with self.open() as region:
            return region.read()


class OpenRegion(Closing):
    """A region whose file is open; reading leaves the file's own position alone.

    Use it as a context manager: leaving closes `fd`.
    """

    __slots__ = ("fd", "offset", "path", "size")

    def __init__(self, fd: int, offset: int, size: int, path: str = "") -> None:
        self.fd, self.offset, self.size, self.path = fd, offset, size, path

    def close(self) -> None:
        """Close the file; doing so twice is harmless."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """Return *length* bytes from *start* on, fewer only at the region's end.

        Raises:
            PlanStale: the file became shorter than the region.
            InputError: the system cannot read it.
        """
        end = self.size if length is None else min(self.size, start + length)
        pieces: list[bytes] = []
        while start < end:
            with read_errors(self.path):
                piece = os.pread(self.fd, min(_PIECE, end - start), self.offset + start)
            if not piece:
                raise PlanStale(self.path, "the file became shorter while it was read")
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class InlineBytes:
    """An address: the bytes themselves, where a document carries them."""

    data: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    def open(self) -> OpenRegion:
        """Open the bytes as an unnamed file in memory. Raises InputError."""
        with read_errors("bytes in a document"):
            fd = os.memfd_create("occy-fast", os.MFD_CLOEXEC)
        try:
            rest = memoryview(self.data)
            while rest:
                rest = rest[os.write(fd, rest) :]
        except BaseException:
            os.close(fd)
            raise
        return OpenRegion(fd, 0, len(self.data))

    def read(self) -> bytes:
        """Return the bytes."""
        return self.data


@dataclass(frozen=True, slots=True)
class StreamedBytes:
    """An address: bytes that were streamed and are gone; what was done with them, was done as they came.

    Attributes:
        place: the member of the archive that they were.
        head: the first of them.
    """

    place: str
    size: int
    head: bytes = field(repr=False)

    def open(self) -> OpenRegion:
        """Raise Unsupported."""
        raise Unsupported(self.place, "it came by once, and was not kept", SAVE_FIRST)

    def read(self) -> bytes:
        """Raise Unsupported."""
        raise Unsupported(self.place, "it came by once, and was not kept", SAVE_FIRST)


@dataclass(frozen=True, slots=True)
class UnreadableBytes:
    """An address: bytes that could not be read when they were looked at, and are not tried again.

    What was decided without their first bytes would be wrong, were they to be had a moment later.
    """

    size: int
    error: OccyError = field(repr=False, compare=False)

    def open(self) -> OpenRegion:
        """Raise InputError."""
        raise self.error

    def read(self) -> bytes:
        """Raise InputError."""
        raise self.error


Address = FileRegion | InlineBytes | StreamedBytes | UnreadableBytes


@dataclass(frozen=True, slots=True)
class Blob:
    """Some bytes that an image consists of.

    Attributes:
        digest: None where the source does not say (a compressed layer in a docker-archive).
        size: of the bytes as they are stored.
        address: where they are, None where the source does not have them; it does not count when blobs are compared.
    """

    digest: Digest | None
    size: int
    media_type: str
    address: Address | None = field(compare=False)

    @staticmethod
    def of(descriptor: Descriptor, address: Address | None) -> Blob:
        """Return the blob that *descriptor* names; data in the descriptor is its own address."""
        if descriptor.data is not None:
            address = InlineBytes(descriptor.data)
        return Blob(descriptor.digest, descriptor.size, descriptor.media_type, address)

    def open(self, where: str = "") -> OpenRegion:
        """Open the blob where it is, which messages call *where*.

        Raises:
            MissingBlob: the source does not have it.
            InputError: it cannot be read.
        """
        if self.address is None:
            raise MissingBlob(where, self.digest if self.digest is not None else "without digest")
        try:
            return self.address.open()
        except InputError as error:
            raise InputError(where or error.where, error.errno, error.path or error.where, error.remedy) from error


def read_head(address: Address, size: int) -> bytes:
    """Return the first *size* bytes of what is at an address, or all there are. Raises what opening it does."""
    if isinstance(address, StreamedBytes):
        return address.head[:size]
    if isinstance(address, InlineBytes):
        return address.data[:size]
    with address.open() as region:
        return region.read(0, size)


def find_head(address: Address, size: int) -> bytes:
    """Return as read_head does, and no bytes where they cannot be read: who needs them all tells why, and of what.

    Raises what opening it does, and InputError where this process has no descriptor left.
    """
    try:
        return read_head(address, size)
    except InputError as error:
        if is_shortage(error):
            raise
        return b""


def read_blob(blob: Blob, where: str, limits: Limits, kind: DocumentLimit) -> bytes:
    """Return the bytes of a blob that is a document, size and digest verified.

    Args:
        kind: which of the *limits* its size is held to.

    Raises:
        ManifestTooLarge, ConfigTooLarge: it is said to be larger than that; nothing was read.
        MissingBlob, SizeMismatch, DigestMismatch: it is absent, or not what its descriptor says.
    """
    limits.check_document(kind, blob.size, where, "blob size")
    if blob.address is not None and blob.address.size != blob.size:
        raise SizeMismatch(where, blob.size, blob.address.size)
    with blob.open(where) as region:
        data = region.read()
    if blob.digest is not None and (found := blob.digest.of(data)) != blob.digest:
        raise DigestMismatch(where, blob.digest, found)
    return data
