"""Digest, sum up and decode a layer that lies in memory, one core, both twins."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from functools import cache
from importlib import import_module
from typing import Any

import pytest
import zstandard
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.corpus import layer_tar

SIZE = 64 << 20
BUFFER = 1 << 19

SHA256 = [
    (side, variant)
    for side in ("native", "pure")
    for variant in import_module(f"occy_fast.kernels.{side}.sha256").variants()
]


@cache
def layer() -> bytes:
    return layer_tar(SIZE)


@cache
def packed(codec: str) -> bytes:
    name, _, level = codec.partition(":")
    if name == "gzip":
        return gzip.compress(layer(), int(level), mtime=0)
    return zstandard.ZstdCompressor(level=int(level), write_checksum=True).compress(layer())


def speed(benchmark: BenchmarkFixture, size: int) -> None:
    benchmark.extra_info["MB/s"] = round(size / benchmark.stats.stats.min / 1e6)


@pytest.mark.parametrize(("side", "variant"), SHA256)
def test_sha256(benchmark: BenchmarkFixture, side: str, variant: str) -> None:
    kernel, content = import_module(f"occy_fast.kernels.{side}.sha256"), memoryview(layer())

    def digest() -> bytes:
        state = kernel.Sha256(variant=variant)
        for at in range(0, len(content), BUFFER):
            state.update(content[at : at + BUFFER])
        return state.digest()  # type: ignore[no-any-return]

    assert benchmark.pedantic(digest, rounds=7, warmup_rounds=1) == hashlib.sha256(content).digest()
    speed(benchmark, len(content))


@pytest.mark.parametrize("side", ["native", "pure"])
def test_crc32(benchmark: BenchmarkFixture, side: str) -> None:
    kernel, content = import_module(f"occy_fast.kernels.{side}.crc"), layer()
    assert benchmark.pedantic(kernel.crc32, (content,), rounds=7, warmup_rounds=1) == zlib.crc32(content)
    speed(benchmark, len(content))


@pytest.mark.parametrize("side", ["native", "pure"])
def test_crc32_combine(benchmark: BenchmarkFixture, side: str) -> None:
    kernel, content = import_module(f"occy_fast.kernels.{side}.crc"), layer()
    half = len(content) // 2
    parts = zlib.crc32(content[:half]), zlib.crc32(content[half:]), len(content) - half
    assert benchmark(kernel.crc32_combine, *parts) == zlib.crc32(content)


def decoded(decoder: Any, raw: bytes, target: bytearray) -> int:
    """Decode *raw* into *target* again and again, and return the CRC-32 of it all."""
    source, at, crc = memoryview(raw), 0, 0
    while True:
        consumed, produced = decoder.feed(source[at : at + BUFFER], target)
        crc = zlib.crc32(memoryview(target)[:produced], crc)
        at += consumed
        if produced < len(target) and at == len(source):
            decoder.finish()
            return crc


def decoded_unseen(decoder: Any, raw: bytes, target: bytearray) -> int:
    """Decode *raw*, and return how much came out."""
    source, at = memoryview(raw), 0
    while True:
        consumed, produced = decoder.feed(source[at : at + BUFFER], target)
        at += consumed
        if produced < len(target) and at == len(source):
            decoder.finish()
            return decoder.total_out  # type: ignore[no-any-return]


@pytest.mark.parametrize("codec", ["gzip:1", "gzip:6", "zstd:3"])
@pytest.mark.parametrize("side", ["native", "pure"])
def test_decode(benchmark: BenchmarkFixture, side: str, codec: str) -> None:
    name, make = ("inflate", "Inflate") if codec.startswith("gzip") else ("unzstd", "Unzstd")
    decoder, raw = getattr(import_module(f"occy_fast.kernels.{side}.{name}"), make), packed(codec)
    target = bytearray(BUFFER)
    assert decoded(decoder(), raw, target) == zlib.crc32(layer())
    assert benchmark.pedantic(lambda: decoded_unseen(decoder(), raw, target), rounds=5) == len(layer())
    speed(benchmark, len(layer()))
