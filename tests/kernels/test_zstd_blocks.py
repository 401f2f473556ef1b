"""zstd_blocks: pieces are one frame, whoever made which of them."""

from __future__ import annotations

import random
from importlib import import_module
from types import ModuleType

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

SIDES = ("native", "pure")
native = import_module("occy_fast.kernels.native.zstd_blocks")


@pytest.fixture(params=SIDES)
def zstd_blocks(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(f"occy_fast.kernels.{request.param}.zstd_blocks")


def frame(module: ModuleType, level: int, content: bytes, order: random.Random | None = None) -> bytes:
    """Cut *content* as the pass does, and compress the pieces in *order* by two encoders where that is allowed."""
    size = module.PIECE
    starts = range(0, len(content) + 1, size)
    encoders = [module.ZstdPieces(level) for _ in range(2 if module.JOBS else 1)]
    outputs: dict[int, bytes] = {}
    sequence = list(starts)
    if order is not None and module.JOBS:
        order.shuffle(sequence)
    for turn, start in enumerate(sequence):
        history = min(start, module.HISTORY)
        window = content[start - history : start + size]
        last = start + size > len(content)
        outputs[start] = encoders[turn % len(encoders)].piece(window, history, start == 0, last)
    encoders[0].add(content)
    return b"".join(outputs[start] for start in starts) + encoders[0].trailer()


def sample(size: int, seed: int) -> bytes:
    source = random.Random(seed)
    words = [source.randbytes(source.randrange(3, 40)) for _ in range(500)]
    made = bytearray()
    while len(made) < size:
        made += source.choice(words)
    return bytes(made[:size])


def decode(encoded: bytes) -> bytes:
    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 23).decompressobj()
    content = decoder.decompress(encoded)
    assert decoder.eof and not decoder.unused_data  # one frame, whole, its checksum verified
    return content


@pytest.mark.parametrize("level", [1, 2, 3, 6, 9, 13, 19])
def test_pieces_are_one_frame(zstd_blocks: ModuleType, level: int) -> None:
    content = sample(zstd_blocks.PIECE * (1 if level > 9 else 2) + 12345, level)
    assert decode(frame(zstd_blocks, level, content)) == content


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_the_last_piece_is_the_short_one(zstd_blocks: ModuleType, excess: int) -> None:
    content = sample(zstd_blocks.PIECE + excess, 7)
    assert decode(frame(zstd_blocks, 3, content)) == content


def test_nothing_is_a_frame_too(zstd_blocks: ModuleType) -> None:
    assert decode(frame(zstd_blocks, 3, b"")) == b""


@settings(max_examples=15)
@given(seed=st.integers(0, 1 << 30), level=st.sampled_from([1, 3, 5]))
def test_order_and_encoder_do_not_matter(seed: int, level: int) -> None:
    content = sample(5 * native.PIECE + seed % 1000, seed)
    assert frame(native, level, content, random.Random(seed)) == frame(native, level, content)


def test_history_that_looks_like_a_dictionary_is_not_one() -> None:
    # RFC 8878, section 5: a dictionary begins with this number; here it begins the history of the second piece
    magic = b"\x37\xa4\x30\xec"
    content = bytearray(sample(native.PIECE + 1000, 3))
    content[native.PIECE - native.HISTORY : native.PIECE - native.HISTORY + 4] = magic
    assert decode(frame(native, 3, bytes(content))) == content


def test_the_checksum_is_in_the_frame(zstd_blocks: ModuleType) -> None:
    encoded = frame(zstd_blocks, 3, b"some layer")
    assert zstandard.get_frame_parameters(encoded).has_checksum
    with pytest.raises(zstandard.ZstdError):
        zstandard.ZstdDecompressor().decompressobj().decompress(encoded[:-1] + bytes([encoded[-1] ^ 1]))


def test_windows_stay_within_what_readers_accept() -> None:
    content = sample(3 * native.PIECE, 4)
    for level in (3, 9, 19):
        assert zstandard.get_frame_parameters(frame(native, level, content[: native.PIECE])).window_size <= 8 << 20


def test_history_makes_it_smaller() -> None:
    content = sample(200_000, 5)
    piece = native.ZstdPieces(3)
    alone = piece.piece(content, 0, False, True)
    assert len(piece.piece(content + content, len(content), False, True)) < len(alone) / 10


@pytest.mark.parametrize("level", [-1, 0, 20])
def test_other_levels_are_refused(zstd_blocks: ModuleType, level: int) -> None:
    with pytest.raises(ValueError, match="level: expected 1 to 19"):
        zstd_blocks.ZstdPieces(level)


def test_larger_windows_are_refused(zstd_blocks: ModuleType) -> None:
    encoder = zstd_blocks.ZstdPieces(1)
    for window, history in ((bytes(zstd_blocks.PIECE + 1), 0), (b"x", 2), (bytes(zstd_blocks.HISTORY + 1),) * 2):
        with pytest.raises(ValueError, match="window: expected at most"):
            encoder.piece(window, history if isinstance(history, int) else len(history), True, True)
