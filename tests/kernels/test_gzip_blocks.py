"""gzip_blocks: segments join into one member that anything can read."""

from __future__ import annotations

import gzip
import zlib
from importlib import import_module
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.kernels import crc

TWINS = [import_module(f"occy_fast.kernels.{side}.gzip_blocks") for side in ("native", "pure")]


@pytest.fixture(params=["native", "pure"])
def gzip_blocks(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(f"occy_fast.kernels.{request.param}.gzip_blocks")


def member(module: ModuleType, level: int, pieces: list[bytes]) -> bytes:
    encoder = module.GzipSegments(level)
    parts, total, length = [module.header()], 0, 0
    for piece in pieces:
        blocks, sum_of_piece = encoder.segment(piece)
        assert sum_of_piece == zlib.crc32(piece)
        parts.append(blocks)
        total = crc.crc32_combine(total, sum_of_piece, len(piece))
        length += len(piece)
    return b"".join([*parts, module.trailer(total, length)])


@pytest.mark.parametrize("level", [1, 2])
@given(pieces=st.lists(st.binary(max_size=5000) | st.just(b"abc" * 40_000) | st.just(bytes(1 << 20)), max_size=5))
def test_segments_are_one_member(level: int, pieces: list[bytes]) -> None:
    for module in TWINS:
        encoded = member(module, level, pieces)
        decoder = zlib.decompressobj(31)
        assert decoder.decompress(encoded) == b"".join(pieces)
        assert decoder.eof and not decoder.unused_data  # one member, nothing behind it


def test_random_bytes_are_stored(gzip_blocks: ModuleType) -> None:
    import random

    noise = random.Random(1).randbytes(gzip_blocks.PIECE)
    encoded = member(gzip_blocks, 1, [noise, noise])
    assert gzip.decompress(encoded) == noise + noise
    assert len(encoded) < 2 * len(noise) + 1000


def test_a_segment_depends_on_its_piece_alone(gzip_blocks: ModuleType) -> None:
    used, fresh = gzip_blocks.GzipSegments(1), gzip_blocks.GzipSegments(1)
    used.segment(b"something else entirely" * 999)
    piece = b"the same piece " * 9999
    assert used.segment(piece) == fresh.segment(piece)


def test_the_header_tells_nothing_that_changes(gzip_blocks: ModuleType) -> None:
    assert gzip_blocks.header() == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    assert gzip_blocks.trailer(0x01020304, (1 << 32) + 5) == b"\x03\0\x04\x03\x02\x01\x05\0\0\0"


@pytest.mark.parametrize("level", [0, 3, 9])
def test_other_levels_are_refused(gzip_blocks: ModuleType, level: int) -> None:
    with pytest.raises(ValueError, match="level: expected 1 or 2"):
        gzip_blocks.GzipSegments(level)


def test_a_longer_piece_is_refused(gzip_blocks: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"piece: expected at most 1048576 bytes, found 1048577"):
        gzip_blocks.GzipSegments(1).segment(bytes(gzip_blocks.PIECE + 1))
