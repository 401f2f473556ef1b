"""What a tar scan refuses, the same for both twins: numbered problems, their errors, limits it cannot hold to."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

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


# Problem → the fields of Limits that allow more.
_SETTINGS: Final = {
    Problem.LIMIT_EXTENSION: ("tar_extension",),
    Problem.LIMIT_SPARSE_MAP: ("tar_sparse_map",),
    Problem.LIMIT_EXTENSIONS: ("tar_extension_count",),
}


def check_limits(max_extension: int, max_sparse_map: int, max_extensions: int, max_entries: int) -> None:
    """Raise ValueError unless a scan can hold to these limits."""
    limits = {
        "max_extension": max_extension,
        "max_sparse_map": max_sparse_map,
        "max_extensions": max_extensions,
        "max_entries": max_entries,
    }
    for name, limit in limits.items():
        if not 0 <= limit < 2**31:
            raise ValueError(f"{name}: expected 0 to {2**31 - 1}, found {limit}")


def tar_error(problem: int, offset: int, allowed: int = 0, value: int = 0) -> TarError:
    """Return the error *problem* stands for, found at byte *offset*; *allowed* and *value* belong to limits."""
    kind, words = PROBLEMS[Problem(problem)]
    if kind is TarLimitError:
        return TarLimitError("", offset, words, allowed, value, _SETTINGS[Problem(problem)])
    return kind("", offset, words)
