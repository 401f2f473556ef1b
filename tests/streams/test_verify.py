from __future__ import annotations

import io
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import DigestMismatch, SizeMismatch
from occy_fast.spec.digest import Digest
from occy_fast.streams.verify import VerifiedReader


class Trickle(io.BytesIO):
    """A source that gives at most *step* bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self.step = step
        self.calls = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size > 0, "a source is never asked for all it has"
        self.calls += 1
        return super().read(min(size, self.step))


def reader(data: bytes, expected: bytes, size: int | None = None, step: int = 7) -> VerifiedReader:
    return VerifiedReader(Trickle(data, step), Digest.sha256(expected), len(expected) if size is None else size, "here")


@given(st.binary(max_size=100), st.integers(1, 101), st.lists(st.integers(1, 50), min_size=1))
def test_bytes_that_hold_pass(data: bytes, step: int, sizes: list[int]) -> None:
    source = reader(data, data, step=step)
    out = b""
    for size in sizes * 101:
        piece = source.read(size)
        assert piece is not None
        out += piece
        if not piece:
            break
    assert out == data
    assert source.read(10) == b""
    source.finish()


@given(st.binary(min_size=1, max_size=100), st.data())
def test_no_flipped_bit_passes(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data) * 8 - 1))
    wrong = bytearray(data)
    wrong[at // 8] ^= 1 << at % 8
    step = draw.draw(st.integers(1, 101))
    source = reader(bytes(wrong), data, step=step)
    received = 0
    with pytest.raises(DigestMismatch):
        while piece := source.read(10):
            received += len(piece)
    assert received < len(data), "the last byte is handed out only when all are proved"


@given(st.binary(min_size=1, max_size=100), st.data())
def test_no_cut_passes(data: bytes, draw: st.DataObject) -> None:
    cut = draw.draw(st.integers(0, len(data) - 1))
    with pytest.raises(SizeMismatch) as caught:
        reader(data[:cut], data).readall()
    assert (caught.value.where, caught.value.expected, caught.value.found) == ("here", len(data), cut)


@given(st.binary(max_size=100), st.binary(min_size=1, max_size=100), st.integers(1, 300))
def test_no_byte_too_many_passes(data: bytes, more: bytes, step: int) -> None:
    source = reader(data + more, data, step=step)
    with pytest.raises(SizeMismatch):
        source.readall()


def test_a_source_that_gives_more_than_it_is_asked_for() -> None:
    class Generous(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read()

    source = VerifiedReader(Generous(b"hello world"), Digest.sha256(b"hello"), 5, "here")
    with pytest.raises(SizeMismatch):
        source.finish()


def test_who_stops_at_the_size_has_proved_bytes_and_finish_proves_the_end() -> None:
    source = reader(b"hello!", b"hello")
    assert source.read(5) == b"hello"
    with pytest.raises(SizeMismatch):
        source.finish()


def test_a_failure_stays() -> None:
    source = reader(b"HELLO", b"hello")
    for _ in range(3):
        with pytest.raises(DigestMismatch):
            source.read(10)
        with pytest.raises(DigestMismatch):
            source.finish()


def test_no_bytes() -> None:
    assert reader(b"", b"").readall() == b""
    with pytest.raises(DigestMismatch):
        reader(b"", b"x", size=0).readall()
    with pytest.raises(SizeMismatch):
        reader(b"x", b"").readall()


def test_asked_for_nothing() -> None:
    source = reader(b"hello", b"hello")
    assert source.read(0) == b""
    assert source.readall() == b"hello"


def test_it_is_a_file_object() -> None:
    out = io.BytesIO()
    source = reader(b"hello" * 1000, b"hello" * 1000)
    assert source.readable()
    assert not source.writable()
    shutil.copyfileobj(io.BufferedReader(source), out)
    assert out.getvalue() == b"hello" * 1000


def test_other_algorithms() -> None:
    digest = Digest("sha512", "").of(b"hello")
    assert VerifiedReader(io.BytesIO(b"hello"), digest, 5).read(5) == b"hello"
    with pytest.raises(DigestMismatch):
        VerifiedReader(io.BytesIO(b"HELLO"), digest, 5).read(5)


def test_the_source_stays_open() -> None:
    inner = io.BytesIO(b"hello")
    with VerifiedReader(inner, Digest.sha256(b"hello"), 5) as source:
        source.finish()
    assert not inner.closed
