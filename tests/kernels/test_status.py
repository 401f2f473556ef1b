"""Status codes and what they become."""

from __future__ import annotations

import errno
import pickle
import re
from pathlib import Path

import pytest

from occy_fast import errors
from occy_fast.kernels.status import Status, raise_status

HEADER = Path(__file__).resolve().parents[2] / "ext" / "status.h"


def raised(status: int, *, allowed: int = 0, value: int = 0, where: str = "") -> BaseException:
    """Return what *status* raises."""
    with pytest.raises(BaseException) as caught:
        raise_status(status, 77, allowed, value, where)
    return caught.value


def test_codes_are_those_of_the_header() -> None:
    found = re.findall(r"^\s*OCCY_(\w+) = (\d+)", HEADER.read_text(), re.MULTILINE)
    assert {name: int(code) for name, code in found} == {code.name: int(code) for code in Status}


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (Status.CORRUPT, errors.CorruptStream, "x: the stream breaks its format at byte 77"),
        (Status.TRUNCATED, errors.CorruptStream, "x: the stream ends early at byte 77"),
        (Status.TRAILING, errors.CorruptStream, "x: bytes follow the end of the stream at byte 77"),
        (Status.CHECKSUM, errors.CorruptStream, "x: a stored checksum or length does not match the content at byte 77"),
        (Status.WINDOW, errors.WindowTooLarge, "x: zstd window: 9 exceeds the limit of 5"),
        (
            Status.DICTIONARY,
            errors.CorruptStream,
            "x: a frame needs a dictionary, which nothing that stands alone can have at byte 77",
        ),
        (Status.HEADER_LIMIT, errors.CorruptStream, "x: a header goes on behind 5 bytes at byte 77"),
        (Status.BOMB, errors.DecompressionBomb, "x: decompressed size: 9 exceeds the limit of 5"),
        (Status.RATIO, errors.DecompressionBomb, "x: decompression ratio: 9 exceeds the limit of 5"),
        (Status.TAR_HEADER, errors.TarHeaderError, "x: a header field cannot be at byte 77 of the tar"),
        (Status.TAR_CHECKSUM, errors.TarChecksumError, "x: a header's checksum does not hold at byte 77 of the tar"),
        (Status.TAR_PAX, errors.TarPaxError, "x: a PAX record is malformed at byte 77 of the tar"),
        (Status.TAR_TRUNCATED, errors.TarTruncated, "x: the tar ends early at byte 77 of the tar"),
        (Status.TAR_FORMAT, errors.TarFormatError, "x: the bytes are no tar that is read here at byte 77 of the tar"),
        (Status.TAR_AMBIGUOUS, errors.TarAmbiguous, "x: readers disagree about this entry at byte 77 of the tar"),
        (Status.TAR_LIMIT, errors.TarLimitError, "x: tar header: 9 exceeds the limit of 5 at byte 77 of the tar"),
        (Status.CANCELLED, errors.Cancelled, "x: cancelled"),
        (Status.SHORT_READ, errors.SizeMismatch, "x: expected 5 bytes, found 9"),
    ],
)
def test_a_code_becomes_one_exception(status: Status, kind: type[errors.OccyError], text: str) -> None:
    error = raised(status, allowed=5, value=9, where="x")
    assert type(error) is kind
    assert str(error) == text
    assert str(pickle.loads(pickle.dumps(error))) == text


def test_errno_survives() -> None:
    write = raised(Status.WRITE, value=errno.ENOSPC, where="out")
    assert isinstance(write, errors.OutputError)
    assert write.errno == errno.ENOSPC
    for status in (Status.READ,):
        error = raised(status, value=errno.EIO)
        assert isinstance(error, OSError)
        assert error.errno == errno.EIO


def test_memory_and_our_mistakes() -> None:
    assert type(raised(Status.NO_MEMORY)) is MemoryError
    assert type(raised(Status.ENCODER)) is AssertionError
    assert type(raised(Status.OK)) is AssertionError


def test_every_code_raises() -> None:
    for status in Status:
        raised(status)
