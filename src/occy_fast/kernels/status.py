"""Translate kernel status codes into exceptions, for both twins."""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn

from occy_fast import errors


class Status(IntEnum):
    """What a kernel reports: the codes of ext/status.h."""

    OK = 0
    CORRUPT = 1
    TRUNCATED = 2
    TRAILING = 3
    CHECKSUM = 4
    WINDOW = 5
    DICTIONARY = 6
    HEADER_LIMIT = 7
    BOMB = 8
    RATIO = 9
    TAR_HEADER = 20
    TAR_CHECKSUM = 21
    TAR_PAX = 22
    TAR_TRUNCATED = 23
    TAR_FORMAT = 24
    TAR_AMBIGUOUS = 25
    TAR_LIMIT = 26
    NO_MEMORY = 40
    READ = 41
    WRITE = 42
    CANCELLED = 43
    SHORT_READ = 44
    ENCODER = 45


_STREAM_PROBLEMS = {
    Status.CORRUPT: "the stream breaks its format",
    Status.TRUNCATED: "the stream ends early",
    Status.TRAILING: "bytes follow the end of the stream",
    Status.CHECKSUM: "a stored checksum or length does not match the content",
    Status.DICTIONARY: "a frame needs a dictionary, which nothing that stands alone can have",
}

_TAR_PROBLEMS: dict[Status, tuple[type[errors.TarError], str]] = {
    Status.TAR_HEADER: (errors.TarHeaderError, "a header field cannot be"),
    Status.TAR_CHECKSUM: (errors.TarChecksumError, "a header's checksum does not hold"),
    Status.TAR_PAX: (errors.TarPaxError, "a PAX record is malformed"),
    Status.TAR_TRUNCATED: (errors.TarTruncated, "the tar ends early"),
    Status.TAR_FORMAT: (errors.TarFormatError, "the bytes are no tar that is read here"),
    Status.TAR_AMBIGUOUS: (errors.TarAmbiguous, "readers disagree about this entry"),
}

_TAR_LIMITS = ("tar_extension", "tar_sparse_map", "tar_extension_count")


def raise_status(status: int, offset: int, allowed: int = 0, value: int = 0, where: str = "") -> NoReturn:
    """Raise the exception that *status* stands for.

    Args:
        status: any code but OK.
        offset: where in the bytes: of the compressed stream, of the tar, or of the file.
        allowed: the limit that was exceeded; the size that was promised (SHORT_READ).
        value: what was found or claimed instead; errno (READ, WRITE).
        where: left empty by kernels; `OccyError.at` fills it.
    """
    code = Status(status)
    if problem := _STREAM_PROBLEMS.get(code):
        raise errors.CorruptStream(where, offset, problem)
    if tar := _TAR_PROBLEMS.get(code):
        raise tar[0](where, offset, tar[1])
    match code:
        case Status.WINDOW:
            raise errors.WindowTooLarge(where, "zstd window", allowed, value, ("zstd_window",))
        case Status.HEADER_LIMIT:
            raise errors.CorruptStream(where, offset, f"a header goes on behind {allowed} bytes")
        case Status.BOMB:
            raise errors.DecompressionBomb(where, "decompressed size", allowed, value, ("layer",))
        case Status.RATIO:
            raise errors.DecompressionBomb(where, "decompression ratio", allowed, value, ("ratio",))
        case Status.TAR_LIMIT:
            raise errors.TarLimitError(where, offset, "tar header", allowed, value, _TAR_LIMITS)
        case Status.NO_MEMORY:
            raise MemoryError
        case Status.READ:
            raise errors.unreadable(OSError(value, ""), where)
        case Status.WRITE:
            raise errors.unwritable(OSError(value, ""), where, f"write at byte {offset}")
        case Status.CANCELLED:
            raise errors.Cancelled(where)
        case Status.SHORT_READ:
            raise errors.SizeMismatch(where, allowed, value)
    raise AssertionError(f"kernel status {code.name} at byte {offset}")
