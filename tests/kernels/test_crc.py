"""crc: the CRC-32 of gzip, whole or joined."""

from __future__ import annotations

import zlib
from importlib import import_module
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

TWINS = [import_module(f"occy_fast.kernels.{side}.crc") for side in ("native", "pure")]
MIB = 1 << 20


@pytest.fixture(params=["native", "pure"])
def crc(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(f"occy_fast.kernels.{request.param}.crc")


def test_the_check_value(crc: ModuleType) -> None:
    assert crc.crc32(b"123456789") == 0xCBF43926
    assert crc.crc32(b"") == 0
    assert crc.crc32(b"", 0xCBF43926) == 0xCBF43926


@given(content=st.binary(max_size=3000), value=st.integers(0, 2**32 - 1))
def test_twins_agree_on_crcs(content: bytes, value: int) -> None:
    assert [module.crc32(content, value) for module in TWINS] == [zlib.crc32(content, value)] * 2


def test_every_length_and_alignment(crc: ModuleType) -> None:
    content = memoryview(bytes(i * 37 & 0xFF for i in range(700)))
    for start in (0, 1, 7, 15):
        for length in range(600):
            piece = content[start : start + length]
            assert crc.crc32(piece) == zlib.crc32(piece), (start, length)


# 0, 1, and the neighbours of a segment's length
@pytest.mark.parametrize("length", [0, 1, 2, 63, 64, MIB - 1, MIB, MIB + 1])
@pytest.mark.parametrize("before", [0, 1, 5000])
def test_joins(crc: ModuleType, before: int, length: int) -> None:
    first, second = b"\xa5" * before, bytes(range(256)) * (length // 256) + b"x" * (length % 256)
    joined = crc.crc32_combine(zlib.crc32(first), zlib.crc32(second), length)
    assert joined == zlib.crc32(first + second)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_twins_agree_on_joins(first: int, second: int, length: int) -> None:
    native, pure = (module.crc32_combine(first, second, length) for module in TWINS)
    assert native == pure


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**62), st.integers(0, 2**62))
def test_joins_past_4_gib_are_associative(crc_a: int, crc_b: int, length_b: int, length_c: int) -> None:
    crc_c = 0x12345678
    for module in TWINS:
        left = module.crc32_combine(module.crc32_combine(crc_a, crc_b, length_b), crc_c, length_c)
        right = module.crc32_combine(crc_a, module.crc32_combine(crc_b, crc_c, length_c), length_b + length_c)
        assert left == right
