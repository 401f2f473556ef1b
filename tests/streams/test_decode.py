"""Encodings that no kernel decodes, and streams of any encoding that nothing vouches for."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import CorruptStream, DecompressionBomb, LimitError
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.streams import decode as decode_module
from occy_fast.streams.decode import STEP, decode_foreign, decode_whole
from support.image_builders import encode

COMPRESS: dict[str, Any] = {"xz": lzma.compress, "bzip2": bz2.compress}
codecs = st.sampled_from(sorted(COMPRESS))


def pieces(stream: bytes, size: int) -> Iterator[bytes]:
    return (stream[at : at + size] for at in range(0, len(stream), size))


def decoded(codec: str, stream: bytes, size: int = 4096) -> bytes:
    return b"".join(decode_foreign(codec, pieces(stream, size), "here", LIMITS))


@given(codecs, st.lists(st.binary(max_size=2000), min_size=1, max_size=3), st.integers(1, 700))
def test_streams_behind_one_another(codec: str, parts: list[bytes], size: int) -> None:
    stream = b"".join(COMPRESS[codec](part) for part in parts)
    assert decoded(codec, stream, size) == b"".join(parts)


@given(codecs, st.binary(min_size=1, max_size=500), st.data())
def test_a_cut_at_any_byte(codec: str, tar: bytes, data: st.DataObject) -> None:
    stream = COMPRESS[codec](tar)
    cut = data.draw(st.integers(0, len(stream) - 1))
    with pytest.raises(CorruptStream) as caught:
        decoded(codec, stream[:cut], 64)
    assert caught.value.offset <= cut
    assert caught.value.where == "here"


@given(codecs, st.binary(max_size=500), st.binary(min_size=1, max_size=20))
def test_bytes_behind_a_stream(codec: str, tar: bytes, junk: bytes) -> None:
    stream = COMPRESS[codec](tar)
    if junk.strip(b"\0") or codec == "bzip2":
        with pytest.raises(CorruptStream):
            decoded(codec, stream + junk)


def test_padding_of_xz_streams() -> None:
    stream = lzma.compress(b"one")
    assert decoded("xz", stream + bytes(8)) == b"one"
    assert decoded("xz", stream + bytes(4) + lzma.compress(b"two") + bytes(4), 3) == b"onetwo"
    with pytest.raises(CorruptStream, match="padding"):
        decoded("xz", stream + bytes(3))
    with pytest.raises(CorruptStream, match="padding"):
        decoded("xz", stream + bytes(3) + stream)


@pytest.mark.parametrize("codec", sorted(COMPRESS))
def test_long_runs_come_in_steps(codec: str) -> None:
    stream = pieces(COMPRESS[codec](bytes(9 * STEP)), STEP)
    sizes = [len(piece) for piece in decode_foreign(codec, stream, "here", LIMITS)]
    assert sum(sizes) == 9 * STEP
    assert max(sizes) <= STEP


def test_a_decoder_that_asks_for_too_much_memory() -> None:
    modest = bytearray(lzma.compress(b"small"))
    assert decoded("xz", bytes(_with_dictionary(modest, 28))) == b"small"
    with pytest.raises(LimitError) as caught:
        decoded("xz", bytes(_with_dictionary(modest, 38)))
    assert (caught.value.limit, caught.value.settings) == ("memory of an xz decoder", ("xz_memory",))


whole = st.sampled_from(["none", "gzip", "zstd", "xz", "bzip2"])


def encoded(codec: str, data: bytes) -> bytes:
    return COMPRESS[codec](data) if codec in COMPRESS else encode(data, codec)


@given(whole, st.binary(max_size=5000), st.integers(1, 700))
def test_whole_streams(codec: str, content: bytes, size: int) -> None:
    assert b"".join(map(bytes, decode_whole(codec, pieces(encoded(codec, content), size), "here", LIMITS))) == content


@given(whole.filter(lambda codec: codec != "none"), st.binary(min_size=1, max_size=500), st.data())
def test_a_cut_of_a_whole_stream_at_any_byte(codec: str, content: bytes, data: st.DataObject) -> None:
    stream = encoded(codec, content)
    cut = data.draw(st.integers(0, len(stream) - 1))
    with pytest.raises(CorruptStream, match="here"):
        for _ in decode_whole(codec, pieces(stream[:cut], 64), "here", LIMITS):
            pass


@pytest.mark.parametrize("codec", ["gzip", "zstd", "xz", "bzip2"])
def test_nothing_vouches_for_a_bomb(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "RATIO_FLOOR", 3 * STEP)
    limits = Limits(ratio=10)
    stream = encoded(codec, bytes(4 * STEP))
    with pytest.raises(DecompressionBomb, match="ratio"):
        for _ in decode_whole(codec, pieces(stream, STEP), "here", limits):
            pass
    fair = encoded(codec, bytes(3 * STEP))
    assert sum(len(piece) for piece in decode_whole(codec, pieces(fair, STEP), "here", limits)) == 3 * STEP


def _with_dictionary(stream: bytearray, bits: int) -> bytearray:
    """Write another dictionary size into the block header, and its checksum.  (xz-file-format 5.3.1)"""
    start = 12
    size = (stream[start] + 1) * 4
    at = stream.index(b"\x21\x01", start) + 2
    stream[at] = bits
    stream[start + size - 4 : start + size] = zlib.crc32(stream[start : start + size - 4]).to_bytes(4, "little")
    return stream
