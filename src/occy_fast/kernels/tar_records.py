"""What a tar scan hands out, in its packed form, the same for both twins."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntFlag
from typing import NamedTuple, overload

# ext/tar_scan.h, struct occy_tar_record: the machine's own byte order, no padding.
RECORD = struct.Struct("=13qQ6I3i4B")
REGION = struct.Struct("=qq")


class TarFormat(IntFlag):
    """The dialects an entry can belong to; none when it keeps to none exactly."""

    USTAR = 2
    PAX = 4
    GNU = 8


# What a record has besides its fields: ext/tar_scan.h, enum occy_tar_flag.
SPARSE, ATIME, CTIME, PAX, MTIME = 1, 2, 4, 8, 16


class TarRecord(NamedTuple):
    """One entry as the scan found it; names are the bytes that stand in the tar.

    A tuple, because a frozen dataclass takes several times as long to make.

    Attributes:
        start: offset of the first header that belongs to the entry, extension headers included.
        header_offset: offset of the entry's own header.
        data_offset: offset of its stored content; of the records themselves for a global header.
        size: logical size, holes included; for a type without content whatever its header claims.
        stored: bytes of content in the tar, without padding and sparse map.
        mtime, atime, ctime: nanoseconds since the epoch; None where the tar has none.
        pax: the body of the PAX header in front of it; None without one.
        sparse: regions (offset, length) that are stored, in order; None for a file that is not sparse.
    """

    start: int
    header_offset: int
    data_offset: int
    size: int
    stored: int
    mode: int
    uid: int
    gid: int
    mtime: int | None
    atime: int | None
    ctime: int | None
    devmajor: int
    devminor: int
    type: bytes
    format: TarFormat
    name: bytes
    linkname: bytes
    uname: bytes
    gname: bytes
    pax: bytes | None
    sparse: tuple[tuple[int, int], ...] | None


def pack_record(record: TarRecord, texts: bytearray) -> bytes:
    """Return *record* packed, its texts appended to *texts*: the inverse of unpack_record."""
    at = len(texts)
    pax = record.pax or b""
    texts += record.name + record.linkname + record.uname + record.gname + pax
    regions = record.sparse or ()
    for region in regions:
        texts += REGION.pack(*region)
    times = [divmod(time or 0, 10**9) for time in (record.mtime, record.atime, record.ctime)]
    flags = SPARSE if record.sparse is not None else 0
    flags |= PAX if record.pax is not None else 0
    flags |= MTIME if record.mtime is not None else 0
    flags |= ATIME if record.atime is not None else 0
    flags |= CTIME if record.ctime is not None else 0
    return RECORD.pack(
        record.start,
        record.header_offset,
        record.data_offset,
        record.size,
        record.stored,
        record.mode,
        record.uid,
        record.gid,
        *(seconds for seconds, _ in times),
        record.devmajor,
        record.devminor,
        at,
        len(record.name),
        len(record.linkname),
        len(record.uname),
        len(record.gname),
        len(pax),
        len(regions),
        *(fraction for _, fraction in times),
        record.type[0],
        record.format,
        flags,
        0,
    )


FORMATS = tuple(TarFormat(value) for value in range(16))
KINDS = tuple(bytes((value,)) for value in range(256))


def unpack_record(fields: tuple[int, ...], texts: bytes) -> TarRecord:
    """Return the record of which RECORD has unpacked *fields*."""
    at, name, linkname, uname, gname, pax, regions, mtime_ns, atime_ns, ctime_ns, kind, dialect, flags, _ = fields[13:]
    start, header_offset, data_offset, size, stored, mode, uid, gid, mtime, atime, ctime, devmajor, devminor = fields[
        :13
    ]
    linkname_at = at + name
    uname_at = linkname_at + linkname
    gname_at = uname_at + uname
    pax_at = gname_at + gname
    regions_at = pax_at + pax
    return TarRecord(
        start,
        header_offset,
        data_offset,
        size,
        stored,
        mode,
        uid,
        gid,
        mtime * 10**9 + mtime_ns if flags & MTIME else None,
        atime * 10**9 + atime_ns if flags & ATIME else None,
        ctime * 10**9 + ctime_ns if flags & CTIME else None,
        devmajor,
        devminor,
        KINDS[kind],
        FORMATS[dialect],
        texts[at:linkname_at],
        texts[linkname_at:uname_at],
        texts[uname_at:gname_at],
        texts[gname_at:pax_at],
        texts[pax_at:regions_at] if flags & PAX else None,
        tuple(REGION.iter_unpack(texts[regions_at : regions_at + 16 * regions])) if flags & SPARSE else None,
    )


class TarBatch(Sequence[TarRecord]):
    """The entries of one window, packed; each becomes a value when it is asked for.

    Attributes:
        records: RECORD after RECORD.
        texts: names, PAX bodies and sparse maps, as the records point to them.
    """

    __slots__ = ("records", "texts")

    def __init__(self, records: bytes, texts: bytes) -> None:
        self.records = records
        self.texts = texts

    def __len__(self) -> int:
        return len(self.records) // RECORD.size

    @overload
    def __getitem__(self, index: int) -> TarRecord: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TarRecord, ...]: ...
    def __getitem__(self, index: int | slice) -> TarRecord | tuple[TarRecord, ...]:
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(index)
        return unpack_record(RECORD.unpack_from(self.records, position * RECORD.size), self.texts)

    def __iter__(self) -> Iterator[TarRecord]:
        for fields in RECORD.iter_unpack(self.records):
            yield unpack_record(fields, self.texts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TarBatch):
            return NotImplemented
        return self.records == other.records and self.texts == other.texts

    def __hash__(self) -> int:
        return hash((self.records, self.texts))


def merge_records(records: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return PAX *records* as a mapping: the last of a key counts, numbers of a sparse map become GNU.sparse.map."""
    merged: dict[bytes, bytes] = {}
    numbers: list[bytes] = []
    for key, value in records:
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            numbers.append(value)
        else:
            merged[key] = value
    if numbers:
        merged[b"GNU.sparse.map"] = b",".join(numbers)
    return merged
