"""Time one layer through `recompress`, between files and between file objects; results are checked, times are not."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest
import zstandard

from benchmarks.corpus import layer_tar
from occy_fast import recompress

SIZE = 64 << 20
WORKERS = sorted({1, len(os.sched_getaffinity(0))})


@pytest.fixture(scope="module")
def tar() -> bytes:
    return layer_tar(SIZE)


@pytest.fixture(scope="module")
def sources(tar: bytes) -> dict[str, bytes]:
    """Return the layer as other programs encode it."""
    return {
        "none": tar,
        "gzip": gzip.compress(tar, 6, mtime=0),
        "zstd": zstandard.ZstdCompressor(level=3).compress(tar),
    }


def _unpacked(encoded: bytes, codec: str) -> bytes:
    if codec == "gzip":
        return gzip.decompress(encoded)
    if codec == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(encoded)
    return encoded


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("encoding", ["none", "gzip:1", "gzip:2", "zstd:1", "zstd:2", "zstd:3", "zstd:9"])
@pytest.mark.parametrize("source", ["none", "gzip", "zstd"])
def test_file_to_file(
    benchmark: Any, tmp_path: Path, tar: bytes, sources: dict[str, bytes], source: str, encoding: str, workers: int
) -> None:
    given, made = tmp_path / "given", tmp_path / "made"
    given.write_bytes(sources[source])
    benchmark.extra_info.update(bytes=len(tar))
    outcome = benchmark.pedantic(recompress, (given, made, encoding), {"workers": workers}, rounds=3, warmup_rounds=1)
    benchmark.extra_info.update(ratio=outcome.size_out / len(tar), tar_rate=len(tar) / benchmark.stats.stats.min / 1e6)
    assert str(outcome.diff_id) == f"sha256:{hashlib.sha256(tar).hexdigest()}"
    assert _unpacked(made.read_bytes(), encoding.partition(":")[0]) == tar


@pytest.mark.parametrize("encoding", ["gzip:1", "zstd:3"])
def test_file_objects(benchmark: Any, tar: bytes, encoding: str) -> None:
    """The same through Python objects that feed and drain the pass."""

    def run() -> tuple[Any, bytes]:
        made = io.BytesIO()
        return recompress(io.BytesIO(tar), made, encoding), made.getvalue()

    outcome, encoded = benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    benchmark.extra_info.update(bytes=len(tar), tar_rate=len(tar) / benchmark.stats.stats.min / 1e6)
    assert str(outcome.digest) == f"sha256:{hashlib.sha256(encoded).hexdigest()}"
    assert _unpacked(encoded, encoding.partition(":")[0]) == tar
