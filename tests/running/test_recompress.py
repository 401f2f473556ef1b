"""recompress: one layer from and to everything that holds bytes."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import zstandard

import occy_fast
from occy_fast.errors import Cancelled, CorruptStream, DecompressionBomb, NotFound, OutputError, Unsupported, UsageError
from occy_fast.running.recompress import recompress

TAR = b"".join(hashlib.sha256(str(number % 900).encode()).digest() * 7 for number in range(9000))
DIFF_ID = hashlib.sha256(TAR).hexdigest()
SOURCES: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda tar: tar,
    "gzip": lambda tar: gzip.compress(tar, 6, mtime=5),
    "zstd": lambda tar: zstandard.compress(tar, 5),
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


def decoded(encoded: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(encoded)


def test_it_is_public() -> None:
    assert occy_fast.recompress is recompress


@pytest.mark.parametrize("codec", SOURCES)
def test_every_source_gives_the_same_layer(codec: str, tmp_path: Path) -> None:
    target = tmp_path / "layer"
    outcome = recompress(SOURCES[codec](TAR), target, "zstd:3", workers=2)
    assert decoded(target.read_bytes()) == TAR
    assert outcome.diff_id.hex == DIFF_ID
    assert outcome.digest.hex == hashlib.sha256(target.read_bytes()).hexdigest()
    assert (outcome.size_tar, outcome.size_out) == (len(TAR), target.stat().st_size)
    assert outcome.identity is not None and outcome.identity.level == 3
    assert outcome.digest == recompress(TAR, None, "zstd:3", workers=1).digest


@pytest.mark.parametrize("codec", SOURCES)
def test_sources(codec: str, tmp_path: Path) -> None:
    packed = SOURCES[codec](TAR)
    path = tmp_path / "in"
    path.write_bytes(b"before" + packed)
    (tmp_path / "whole").write_bytes(packed)
    expected = recompress(packed, None, "gzip:2").digest

    def digest(source: Any) -> Any:
        return recompress(source, None, "gzip:2").digest

    assert digest(tmp_path / "whole") == digest(str(tmp_path / "whole")) == expected
    assert digest(bytearray(packed)) == digest(memoryview(packed)) == expected
    assert digest(io.BytesIO(packed)) == expected
    with open(path, "rb", buffering=0) as file:
        file.seek(6)
        assert digest(file.fileno()) == expected
    reading, writing = os.pipe()
    feeder = threading.Thread(target=lambda: (os.write(writing, packed[:5]), _write_all(writing, packed[5:])))
    feeder.start()
    try:
        assert digest(reading) == expected
    finally:
        feeder.join()
        os.close(reading)


def _write_all(fd: int, content: bytes) -> None:
    with open(fd, "wb") as file:
        file.write(content)


def test_destinations(tmp_path: Path) -> None:
    recompress(TAR, tmp_path / "expected", "zstd")
    expected = (tmp_path / "expected").read_bytes()

    class Short(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(memoryview(data)[:777])

    for file in (io.BytesIO(), Short()):
        recompress(TAR, file, "zstd")
        assert file.getvalue() == expected
    with open(tmp_path / "out", "w+b", buffering=0) as out:
        out.write(b"head")
        outcome = recompress(TAR, out.fileno(), "zstd")
        assert out.tell() == 4 + outcome.size_out
        out.write(b"tail")
    assert (tmp_path / "out").read_bytes() == b"head" + expected + b"tail"
    reading, writing = os.pipe()
    taken: list[bytes] = []

    def take() -> None:
        with open(reading, "rb") as file:
            taken.append(file.read())

    drain = threading.Thread(target=take)
    drain.start()
    recompress(TAR, writing, "zstd")
    os.close(writing)
    drain.join()
    assert taken == [expected]


@pytest.mark.parametrize("codec", ["gzip", "zstd", "xz", "bzip2"])
def test_a_broken_source_leaves_the_old_layer(codec: str, tmp_path: Path) -> None:
    target = tmp_path / "layer"
    target.write_bytes(b"old")
    with pytest.raises(CorruptStream):
        recompress(SOURCES[codec](TAR)[:-3], target, "zstd")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["layer"]


def test_limits() -> None:
    assert recompress(TAR, None, "gzip", max_layer=len(TAR)).size_tar == len(TAR)
    with pytest.raises(DecompressionBomb):
        recompress(TAR, None, "gzip", max_layer=len(TAR) - 1)
    zeros = zstandard.compress(bytes(300 << 20))
    with pytest.raises(DecompressionBomb, match="ratio"):
        recompress(zeros, None, "none")
    assert recompress(zeros, None, "none", trusted=True).size_tar == 300 << 20


def test_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        recompress(tmp_path / "absent", None, "gzip")
    with pytest.raises(UsageError, match="is a directory"):
        recompress(tmp_path, None, "gzip")
    with pytest.raises(UsageError, match="is a directory"):
        recompress(TAR, tmp_path, "gzip")
    with pytest.raises(OutputError):
        recompress(TAR, tmp_path / "no" / "such", "gzip")
    with pytest.raises(Unsupported):
        recompress(TAR, None, "gzip:9")
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OutputError) as caught:
        recompress(TAR, full, "none")
    assert caught.value.path == "/dev/full"


def test_cancel() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    endless: BinaryIO = Endless()  # type: ignore[assignment]
    calls = iter([False, True])
    with pytest.raises(Cancelled):
        recompress(endless, None, "none", cancelled=lambda: next(calls), trusted=True)
