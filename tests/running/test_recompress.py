"""recompress: one layer from and to everything that holds bytes."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import zstandard

import occy_fast
from occy_fast.context.progress import Progress
from occy_fast.errors import (
    Cancelled,
    CorruptStream,
    DecompressionBomb,
    InputError,
    MissingFile,
    OutputError,
    Unsupported,
    UsageError,
)
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
    with pytest.raises(MissingFile):
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


@pytest.mark.parametrize("codec", ["gzip", "xz"])
def test_a_pipe_by_its_path_is_read_to_its_end(tmp_path: Path, codec: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    packed = SOURCES[codec](TAR)

    def feed() -> None:
        time.sleep(0.1)                              # the reader is there first
        (tmp_path / "pipe").write_bytes(packed)

    feeder = threading.Thread(target=feed, daemon=True)          # nobody reads what it feeds if the test fails
    feeder.start()
    assert recompress(tmp_path / "pipe", None, "none").diff_id.hex == DIFF_ID
    feeder.join(10)


@pytest.mark.parametrize("kind", ["file above", "refused", "broken"])
def test_what_cannot_be_read_is_told_from_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "layer"
    path.write_bytes(lzma.compress(TAR))
    call, original = {"refused": "open", "broken": "pread"}.get(kind, ""), os.open

    def refuse(place: object, *arguments: Any, **more: Any) -> int:
        if call == "open" and place != path:
            return original(place, *arguments, **more)  # type: ignore[arg-type]
        raise OSError(errno.EIO, "Input/output error")

    if call:
        monkeypatch.setattr(os, call, refuse)
    expected = (MissingFile, "Not a directory") if kind == "file above" else (InputError, "Input/output error")
    with pytest.raises(expected[0], match=expected[1]):
        recompress(path / "below" if kind == "file above" else path, None, "gzip")


def test_only_a_file_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.symlink("layer", tmp_path / "link")
    with pytest.raises(Unsupported, match="regular file"):       # never a device of this machine: it could be replaced
        recompress(TAR, tmp_path / "pipe", "gzip")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    recompress(TAR, tmp_path / "link", "none")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "layer").read_bytes() == TAR


def test_the_limit_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCCY_FAST_MAX_LAYER", str(len(TAR) - 1))
    with pytest.raises(DecompressionBomb):
        recompress(TAR, None, "gzip")
    assert recompress(TAR, None, "gzip", max_layer=len(TAR)).size_tar == len(TAR)
    for wrong in (0, -1, 1 << 63):
        with pytest.raises(UsageError, match="layer limit"):
            recompress(TAR, None, "gzip", max_layer=wrong)


def test_cancel() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    endless: BinaryIO = Endless()  # type: ignore[assignment]
    cancel = threading.Event()
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        cancel.set()

    with pytest.raises(Cancelled):
        recompress(endless, None, "none", progress=watch, cancel=cancel, trusted=True)
    assert seen[0].phase == "layers"
    assert {state.kind for progress in seen for state in progress.layers} <= {"recode"}


@pytest.mark.parametrize("workers", [0, -1, 257])
def test_as_many_workers_as_no_pool_has(workers: int) -> None:
    with pytest.raises(UsageError, match=f"no pool has {workers} workers"):
        recompress(b"", bytearray().extend, "zstd:1", workers=workers)


class Raw(io.RawIOBase):
    """A raw stream that does not block, and is not ready."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes | None:
        return None

    def write(self, data: object) -> int | None:
        return None


def test_a_raw_stream_that_is_not_ready_is_no_end_and_takes_nothing() -> None:
    with pytest.raises(InputError, match="cannot be read"):
        recompress(Raw(), None, "gzip")  # type: ignore[arg-type]
    with pytest.raises(OutputError):
        recompress(TAR, Raw(), "gzip")  # type: ignore[arg-type]


def test_a_destination_that_is_no_descriptor_is_named() -> None:
    with pytest.raises(OutputError, match="descriptor 999"):
        recompress(TAR, 999, "gzip")
