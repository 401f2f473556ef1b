"""What a tar scan hands out, in its packed form, and the errors it ends with: the same for both twins."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum, IntFlag
from typing import NamedTuple, overload

from occy_fast.errors import (
    TarAmbiguous,
    TarChecksumError,
    TarError,
    TarFormatError,
    TarHeaderError,
    TarLimitError,
    TarPaxError,
    TarTruncated,
)

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


class Problem(IntEnum):
    """What can be wrong with a tar; the numbers are those of ext/tar_scan.h, enum occy_tar_problem."""

    NONE = 0
    CUT_HEADER = 1
    CUT_EXTENSION = 2
    CUT_SPARSE_MAP = 3
    CUT_CONTENT = 4
    NO_HEADER = 5
    CHECKSUM = 6
    LONE_ZERO_BLOCK = 7
    SIZE = 8
    MODE = 9
    UID = 10
    GID = 11
    MTIME = 12
    DEVICE = 13
    STAR_TIME = 14
    NEGATIVE_SIZE = 15
    RECORD_LENGTH = 16
    RECORD_END = 17
    RECORD_EQUALS = 18
    RECORD_KEY = 19
    RECORD_NUL = 20
    RECORD_SPARSE_ORDER = 21
    PAX_SIZE = 22
    PAX_UID = 23
    PAX_GID = 24
    PAX_TIME = 25
    PAX_SPARSE_SIZE = 26
    PAX_SPARSE_COUNT = 27
    PAX_SPARSE_NUMBER = 28
    SPARSE_DIALECT = 29
    SPARSE_SIZE = 30
    SPARSE_NUMBER = 31
    SPARSE_COUNT = 32
    SPARSE_PAST_ENTRY = 33
    SPARSE_WITHOUT_CONTENT = 34
    SPARSE_REGIONS = 35
    SPARSE_MISSING = 36
    SPARSE_UNREFERENCED = 37
    LIMIT_EXTENSION = 38
    LIMIT_SPARSE_MAP = 39
    LIMIT_EXTENSIONS = 40
    TWO_EXTENSIONS = 41
    TWO_NAMES = 42
    TWO_LINKNAMES = 43
    TWO_RECORDS = 44
    GLOBAL_RECORD = 45
    DROPPED_EXTENSION = 46
    SIZE_WITHOUT_CONTENT = 47
    GNU_PREFIX = 48
    USTAR_VERSION = 49
    SOLARIS_HEADER = 50
    NUMBER_TAIL = 51
    SPARSE_VERSION = 52
    PAX_NUMBER_SIGN = 53
    EMPTY_NAME = 54
    DANGLING_EXTENSION = 55
    GNU_TIMES = 56
    VOLUME_LABEL = 57
    NOT_UTF8 = 58
    EMPTY_RECORD = 59
    SIZE_BEFORE_NAME = 60
    CUT_PADDING = 61
    HIDDEN_BYTES = 62


# Problem → the error it is and the words for it. A limit's words are the limit's name.
PROBLEMS: dict[Problem, tuple[type[TarError], str]] = {
    Problem.CUT_HEADER: (TarTruncated, "the tar ends inside a header"),
    Problem.CUT_EXTENSION: (TarTruncated, "the tar ends inside an extension header"),
    Problem.CUT_SPARSE_MAP: (TarTruncated, "the tar ends inside a sparse map"),
    Problem.CUT_CONTENT: (TarTruncated, "the tar ends inside an entry's content"),
    Problem.NO_HEADER: (TarHeaderError, "expected a tar header, found other bytes"),
    Problem.CHECKSUM: (TarChecksumError, "the header's checksum does not match"),
    Problem.LONE_ZERO_BLOCK: (TarFormatError, "expected a second zero block, found other bytes"),
    Problem.SIZE: (TarHeaderError, "the header's size is no number"),
    Problem.MODE: (TarHeaderError, "the header's mode is no number"),
    Problem.UID: (TarHeaderError, "the header's uid is no number"),
    Problem.GID: (TarHeaderError, "the header's gid is no number"),
    Problem.MTIME: (TarHeaderError, "the header's mtime is no number"),
    Problem.DEVICE: (TarHeaderError, "the header's device is no number"),
    Problem.STAR_TIME: (TarHeaderError, "the header's atime or ctime is no number"),
    Problem.NEGATIVE_SIZE: (TarHeaderError, "the entry's size is negative"),
    Problem.RECORD_LENGTH: (TarPaxError, "a PAX record does not begin with its length"),
    Problem.RECORD_END: (TarPaxError, "a PAX record does not end with a newline"),
    Problem.RECORD_EQUALS: (TarPaxError, "a PAX record has no '='"),
    Problem.RECORD_KEY: (TarPaxError, "a PAX record has an empty key"),
    Problem.RECORD_NUL: (TarPaxError, "a PAX record has a NUL byte in its key or name"),
    Problem.RECORD_SPARSE_ORDER: (TarPaxError, "PAX records of a sparse map are out of order"),
    Problem.PAX_SIZE: (TarHeaderError, "the PAX size is no number"),
    Problem.PAX_UID: (TarPaxError, "the PAX uid is no number"),
    Problem.PAX_GID: (TarPaxError, "the PAX gid is no number"),
    Problem.PAX_TIME: (TarPaxError, "a PAX time is no number"),
    Problem.PAX_SPARSE_SIZE: (TarPaxError, "the PAX sparse size is no number"),
    Problem.PAX_SPARSE_COUNT: (TarPaxError, "the PAX sparse map has not as many regions as announced"),
    Problem.PAX_SPARSE_NUMBER: (TarPaxError, "the PAX sparse map holds what is no number"),
    Problem.SPARSE_DIALECT: (TarFormatError, "a sparse entry that is not GNU's"),
    Problem.SPARSE_SIZE: (TarHeaderError, "the sparse size is no number"),
    Problem.SPARSE_NUMBER: (TarHeaderError, "the sparse map holds what is no number"),
    Problem.SPARSE_COUNT: (TarHeaderError, "the sparse map does not begin with a count"),
    Problem.SPARSE_PAST_ENTRY: (TarTruncated, "the sparse map runs past the end of its entry"),
    Problem.SPARSE_WITHOUT_CONTENT: (TarHeaderError, "a sparse map on an entry without content"),
    Problem.SPARSE_REGIONS: (TarHeaderError, "the sparse regions overlap or leave the file"),
    Problem.SPARSE_MISSING: (TarHeaderError, "the sparse map refers to more content than is stored"),
    Problem.SPARSE_UNREFERENCED: (TarAmbiguous, "the sparse map refers to less content than is stored"),
    Problem.LIMIT_EXTENSION: (TarLimitError, "bytes in an extension header"),
    Problem.LIMIT_SPARSE_MAP: (TarLimitError, "bytes in a sparse map"),
    Problem.LIMIT_EXTENSIONS: (TarLimitError, "extension headers on one entry"),
    Problem.TWO_EXTENSIONS: (TarAmbiguous, "two extension headers of one kind on one entry"),
    Problem.TWO_NAMES: (TarAmbiguous, "a name from PAX and one from GNU"),
    Problem.TWO_LINKNAMES: (TarAmbiguous, "a link target from PAX and one from GNU"),
    Problem.TWO_RECORDS: (TarAmbiguous, "two PAX records of one key"),
    Problem.GLOBAL_RECORD: (TarAmbiguous, "a global PAX record that some readers apply to entries"),
    Problem.DROPPED_EXTENSION: (TarAmbiguous, "an extension header in front of a global one"),
    Problem.SIZE_WITHOUT_CONTENT: (TarAmbiguous, "a size on an entry whose type has no content"),
    Problem.GNU_PREFIX: (TarAmbiguous, "a name prefix in a GNU header"),
    Problem.USTAR_VERSION: (TarAmbiguous, "a ustar version other than 00"),
    Problem.SOLARIS_HEADER: (TarAmbiguous, "a Solaris extended header"),
    Problem.NUMBER_TAIL: (TarAmbiguous, "bytes behind the end of a number in the header"),
    Problem.SPARSE_VERSION: (TarAmbiguous, "PAX sparse records that some readers do not follow"),
    Problem.PAX_NUMBER_SIGN: (TarPaxError, "a PAX number has a sign"),
    Problem.EMPTY_NAME: (TarHeaderError, "an entry without a name"),
    Problem.DANGLING_EXTENSION: (TarFormatError, "an extension header without an entry"),
    Problem.GNU_TIMES: (TarAmbiguous, "times in a GNU header that some readers take for a name prefix"),
    Problem.VOLUME_LABEL: (TarAmbiguous, "a volume label that some readers take for an entry"),
    Problem.NOT_UTF8: (TarAmbiguous, "a PAX record that is no UTF-8, and does not say so"),
    Problem.EMPTY_RECORD: (TarAmbiguous, "an empty PAX record that some readers take for a value"),
    Problem.SIZE_BEFORE_NAME: (TarAmbiguous, "a PAX size in front of a GNU long name"),
    Problem.CUT_PADDING: (TarTruncated, "the tar ends inside the padding of an entry"),
    Problem.HIDDEN_BYTES: (TarAmbiguous, "bytes behind the end of the archive that some readers go on to read"),
}


def check_limits(max_extension: int, max_sparse_map: int, max_extensions: int) -> None:
    """Raise ValueError unless a scan can hold to these limits."""
    limits = {"max_extension": max_extension, "max_sparse_map": max_sparse_map, "max_extensions": max_extensions}
    for name, limit in limits.items():
        if not 0 <= limit < 2**31:
            raise ValueError(f"{name}: expected 0 to {2**31 - 1}, found {limit}")


def tar_error(problem: int, offset: int, allowed: int = 0, value: int = 0) -> TarError:
    """Return the error *problem* stands for, found at byte *offset*; *allowed* and *value* belong to limits."""
    kind, words = PROBLEMS[Problem(problem)]
    if kind is TarLimitError:
        return TarLimitError("", offset, words, allowed, value)
    return kind("", offset, words)


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
