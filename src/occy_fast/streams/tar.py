"""Read the entries of a tar as values, on top of the scan kernel."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from occy_fast.errors import TarError, TarHeaderError, TarTruncated
from occy_fast.kernels import tar_scan
from occy_fast.kernels.tar_records import TarFormat, TarRecord, merge_records
from occy_fast.spec.limits import LIMITS, Limits

WINDOW = 1 << 20
# A region read for its headers alone: one header and the next ones where contents are small.
HEADER_WINDOW = 1 << 14
NO_END = "it stops without an end of archive (a block of zeros)"
"""What TarTruncated says where Go's reader, and all that is built on it, sees nothing wrong."""

XATTR_PREFIX = b"SCHILY.xattr."


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tar, names as the bytes that stand there.  (POSIX pax, "ustar Interchange Format")

    Attributes:
        name: never normalised; see is_local.
        type: the typeflag, one byte; a header from before ustar has become b"0" or b"5".
        size: logical size, holes included; what the header claims, even for a type without content.
        mtime, atime, ctime: nanoseconds since the epoch; None where the tar has none.
        pax: the entry's own PAX records, sorted by key; None without a PAX header. A global header is an entry
            (type b"g") and applies to nothing.
        start: offset in the tar of the first header that belongs to the entry.
        header_offset: offset of the entry's own header.
        data_offset: offset of its stored content.
        stored: bytes stored there, without padding.
        sparse: stored regions (offset, length) of a sparse file; None for any other.
    """

    name: bytes
    type: bytes
    size: int
    mode: int
    uid: int
    gid: int
    uname: bytes
    gname: bytes
    mtime: int | None
    atime: int | None
    ctime: int | None
    linkname: bytes
    devmajor: int
    devminor: int
    format: TarFormat
    pax: tuple[tuple[bytes, bytes], ...] | None
    start: int
    header_offset: int
    data_offset: int
    stored: int
    sparse: tuple[tuple[int, int], ...] | None

    @property
    def is_file(self) -> bool:
        """Tell whether the entry has content of its own: a plain, contiguous or sparse file."""
        return self.type in (b"0", b"7", b"S")

    @property
    def is_directory(self) -> bool:
        return self.type == b"5"

    @property
    def is_link(self) -> bool:
        """Tell whether it is a hard or symbolic link to linkname."""
        return self.type in (b"1", b"2")

    @property
    def xattrs(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return its extended attributes, sorted by name; one of empty value is none, as in Go."""
        records = self.pax or ()
        return tuple(
            (key[len(XATTR_PREFIX) :], value) for key, value in records if value and key.startswith(XATTR_PREFIX)
        )

    @property
    def is_local(self) -> bool:
        """Tell whether the name stays below the directory it is taken from; see the function."""
        return is_local(self.name)


def is_local(name: bytes) -> bool:
    """Tell whether *name* stays below the directory it is taken from: not empty, not absolute, not up and out.

    Links are not looked at.
    """
    if not name or name.startswith(b"/"):
        return False
    depth = 0
    for part in name.split(b"/"):
        if part == b"..":
            depth -= 1
        elif part not in (b"", b"."):
            depth += 1
        if depth < 0:
            return False
    return True


def entry_of(record: TarRecord) -> Entry:
    """Return a scanned record as a value, its PAX records parsed."""
    pax = None
    if record.pax is not None:
        pax = tuple(sorted(merge_records(tar_scan.parse_records(record.pax)).items()))
    return Entry(
        name=record.name,
        type=record.type,
        size=record.size,
        mode=record.mode,
        uid=record.uid,
        gid=record.gid,
        uname=record.uname,
        gname=record.gname,
        mtime=record.mtime,
        atime=record.atime,
        ctime=record.ctime,
        linkname=record.linkname,
        devmajor=record.devmajor,
        devminor=record.devminor,
        format=record.format,
        pax=pax,
        start=record.start,
        header_offset=record.header_offset,
        data_offset=record.data_offset,
        stored=record.stored,
        sparse=record.sparse,
    )


def new_scan(strict: bool, limits: Limits, *, keep: bool = True) -> tar_scan.TarScan:
    """Begin a scan within *limits*; without *keep* it makes no records."""
    return tar_scan.TarScan(
        strict=strict,
        keep=keep,
        max_extension=limits.tar_extension,
        max_sparse_map=limits.tar_sparse_map,
        max_extensions=limits.tar_extension_count,
    )


def finish_scan(scan: tar_scan.TarScan, *, whole: bool) -> None:
    """Say that a tar is over; where it is to be *whole*, at least one zero block must stand behind the last entry.

    A tar that is cut between two entries would pass for a shorter one. POSIX asks for two zero blocks; Go and GNU tar
    take one. Raises TarError.
    """
    scan.finish()
    if whole and not scan.closed:
        raise TarTruncated("", scan.offset, NO_END)


def read_entries(
    windows: Iterable[bytes | bytearray | memoryview],
    *,
    strict: bool = False,
    where: str = "",
    limits: Limits = LIMITS,
) -> Iterator[Entry]:
    """Yield the entries of a tar that passes by in *windows* of any size.

    Args:
        windows: the whole tar, in order; a window may be reused once the next is asked for.
        strict: refuse what readers understand differently (TarAmbiguous).
        where: what errors call the tar.
    Raises:
        TarError: after the entries that come before the error; TarLimitError where a header exceeds *limits*.
    """
    scan = new_scan(strict, limits)
    try:
        for window in windows:
            for record in scan.feed(window):
                yield entry_of(record)
        scan.finish()
    except TarError as error:
        raise error.at(where) from None


def begins_tar(head: bytes) -> bool:
    """Tell whether the first block of *head* is a header or zeros; false where there is no whole block."""
    if len(head) < 512:
        return False
    try:
        new_scan(False, LIMITS, keep=False).feed(head[:512])
    except TarError:
        return False
    return True


def scan_region(
    fd: int,
    offset: int,
    size: int,
    *,
    strict: bool = False,
    whole: bool = False,
    where: str = "",
    limits: Limits = LIMITS,
    window: int = HEADER_WINDOW,
) -> Iterator[Entry]:
    """Yield the entries of the tar that is *size* bytes of *fd* from *offset* on, without reading contents.

    The file position is neither used nor moved. Offsets in the entries count from the begin of the tar; what follows
    the end of the archive is read for *strict* alone, which refuses what hides there.

    Args:
        whole: demand an end of archive; see finish_scan.
    Raises:
        TarError: after the entries that come before the error; TarTruncated also where the file ends before the region.
        OSError: the file cannot be read.
    """
    scan = new_scan(strict, limits)
    try:
        while scan.offset < size and (strict or not scan.ended):
            if skip := min(scan.skippable, size - scan.offset - 1):
                scan.skip(skip)
            # The last byte is read even where it need not be seen: a file may end before its region does.
            piece = os.pread(fd, min(window, size - scan.offset), offset + scan.offset)
            if not piece:
                raise TarTruncated("", scan.offset, "the file ends before the tar does")
            for record in scan.feed(piece):
                yield entry_of(record)
        finish_scan(scan, whole=whole)
    except TarError as error:
        raise error.at(where) from None


def read_content(fd: int, offset: int, entry: Entry, *, window: int = WINDOW) -> Iterator[bytes]:
    """Yield the content of *entry* out of the tar at *offset* of *fd*, holes as zeros, in pieces of up to *window*.

    A sparse entry of a few hundred bytes may have content of any length: the caller sets the limit.

    Raises:
        TarTruncated: the file ends inside the content.
        TarHeaderError: after the content, where more is stored than the sparse map refers to.
    """
    at = offset + entry.data_offset
    end = 0
    regions = entry.sparse if entry.sparse is not None else ((0, entry.stored),)
    for begin, length in regions:
        yield from _zeros(begin - end, window)
        yield from _stored(fd, at, length, window, entry)
        at += length
        end = begin + length
    if entry.sparse is None:
        return
    yield from _zeros(entry.size - end, window)
    if at < offset + entry.data_offset + entry.stored:
        raise TarHeaderError("", entry.header_offset, "more content is stored than the sparse map refers to")


def _zeros(count: int, window: int) -> Iterator[bytes]:
    zeros = bytes(min(count, window))
    while count > 0:
        yield zeros[:count]
        count -= len(zeros)


def _stored(fd: int, at: int, count: int, window: int, entry: Entry) -> Iterator[bytes]:
    while count > 0:
        piece = os.pread(fd, min(count, window), at)
        if not piece:
            raise TarTruncated("", entry.data_offset, "the file ends inside an entry's content")
        yield piece
        at += len(piece)
        count -= len(piece)
