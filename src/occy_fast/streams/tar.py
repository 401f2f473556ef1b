"""Read the entries of a tar as values, on top of the scan kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from occy_fast.errors import TarError, TarTruncated
from occy_fast.kernels import tar_scan
from occy_fast.kernels.tar_records import TarFormat, TarRecord, merge_records
from occy_fast.spec.limits import LIMITS, Limits

# A region read for its headers alone: one header and the next ones where contents are small.
HEADER_WINDOW = 1 << 14
NO_END = "it stops without an end of archive (a block of zeros)"
"""What TarTruncated says where Go's reader, and all that is built on it, sees nothing wrong."""
FILE_TYPES: Final = (b"0", b"7", b"S")
"""The typeflags of what has content of its own: a plain, contiguous or sparse file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tar, names as the bytes that stand there.  (POSIX pax, "ustar Interchange Format")

    Attributes:
        name: never normalised: it may be absolute, or climb.
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
        """Tell whether the entry has content of its own."""
        return self.type in FILE_TYPES

    @property
    def is_directory(self) -> bool:
        return self.type == b"5"

    @property
    def is_link(self) -> bool:
        """Tell whether it is a hard or symbolic link to linkname."""
        return self.type in (b"1", b"2")


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


def new_scan(
    strict: bool, limits: Limits, *, keep: bool = True, list_entries: bool = False
) -> tar_scan.TarScan:
    """Begin a scan within *limits*; without *keep* it makes no records, with *list_entries* a list of all."""
    return tar_scan.TarScan(
        strict=strict,
        keep=keep,
        max_extension=limits.tar_extension,
        max_sparse_map=limits.tar_sparse_map,
        max_extensions=limits.tar_extension_count,
        max_entries=limits.entry_count if list_entries else 0,
    )


def finish_scan(scan: tar_scan.TarScan, *, whole: bool) -> None:
    """Say that a tar is over; where it is to be *whole*, at least one zero block must stand behind the last entry.

    A tar that is cut between two entries would pass for a shorter one. POSIX asks for two zero blocks; Go and GNU tar
    take one. Raises TarError.
    """
    scan.finish()
    if whole and not scan.closed:
        raise TarTruncated("", scan.offset, NO_END)


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
    where: str,
    limits: Limits,
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
