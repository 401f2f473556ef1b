"""A tar that comes by once, compared with one that lies still."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import CorruptStream, TarError, TarTruncated
from occy_fast.spec.limits import LIMITS
from occy_fast.streams.tar import NO_END
from occy_fast.streams.tar_stream import TarStream
from support.image_builders import make_tar
from support.tar_reading import read_entries

names = st.text("abc/", min_size=1, max_size=150).filter(lambda name: name.strip("/"))
members = st.lists(st.tuples(names, st.binary(max_size=2000)), max_size=5)
formats = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def buffers(raw: bytes, size: int) -> Iterator[memoryview]:
    """Hand out *raw* in one buffer that is used again and again."""
    room = bytearray(size)
    for at in range(0, len(raw), size):
        piece = raw[at : at + size]
        room[: len(piece)] = piece
        yield memoryview(room)[: len(piece)]


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    tar_format = draw(formats)
    contents = draw(members)
    if tar_format == tarfile.USTAR_FORMAT:
        contents = [(name[:90], data) for name, data in contents]
    return make_tar(contents, tar_format)


@given(tars(), st.integers(1, 3000), st.data())
def test_entries_and_contents(raw: bytes, size: int, data: st.DataObject) -> None:
    stream = TarStream(buffers(raw, size), where="t", limits=LIMITS)
    expected = list(read_entries([raw]))
    found = []
    for entry in stream.entries():
        found.append(entry)
        content = raw[entry.data_offset : entry.data_offset + entry.stored]
        if data.draw(st.booleans()):
            head = data.draw(st.integers(0, 600))
            assert stream.peek(entry, head) == content[:head]
        match data.draw(st.sampled_from(["all", "some", "none"])):
            case "all":
                assert b"".join(map(bytes, stream.content(entry))) == content
            case "some":
                assert content.startswith(bytes(next(stream.content(entry), b"")))
    assert found == expected


@given(tars(), st.integers(1, 3000), st.booleans(), st.data())
def test_cuts_are_the_errors_they_are_at_rest(raw: bytes, size: int, reads: bool, data: st.DataObject) -> None:
    raw = raw[: data.draw(st.integers(0, len(raw)))]

    def pass_by() -> None:
        stream = TarStream(buffers(raw, size), where="here", limits=LIMITS)
        for entry in stream.entries():
            if reads:
                stream.peek(entry, 512)
                list(stream.content(entry))

    assert error_of(pass_by) == error_of(lambda: list(read_entries([raw], where="here")))


def error_of(action: Callable[[], object]) -> tuple[type[TarError], tuple[object, ...]] | None:
    try:
        action()
    except TarError as error:
        return type(error), error.args
    return None


def test_what_follows_the_end_is_read_and_ignored() -> None:
    read = []

    def all_of_it() -> Iterator[bytes]:
        for piece in (make_tar([("a", b"1")]), make_tar([("b", b"2")]), b"anything"):
            read.append(piece)
            yield piece

    assert [entry.name for entry in TarStream(all_of_it(), where="t", limits=LIMITS).entries()] == [b"a"]
    assert len(read) == 3


@given(tars(), st.integers(1, 3000), st.booleans(), st.data())
def test_a_whole_tar_ends_in_zeros(raw: bytes, size: int, to_end: bool, data: st.DataObject) -> None:
    end = 0
    for entry in read_entries([raw]):
        end = -(-(entry.data_offset + entry.stored) // 512) * 512
    cut = data.draw(st.integers(0, (len(raw) - end) // 512)) * 512 + end
    stream = TarStream(buffers(raw[:cut], size), where="here", to_end=to_end, whole=True, limits=LIMITS)
    error = error_of(lambda: list(stream.entries()))
    assert error == (None if cut > end else (TarTruncated, ("here", end, NO_END)))


def test_a_broken_source_stays_broken() -> None:
    """What one reader saw go wrong, the other may not take for an end."""

    def broken() -> Iterator[bytes]:
        yield make_tar([("a", bytes(5000))])[:2000]
        raise CorruptStream("there", 7, "torn")

    stream = TarStream(broken(), where="here", limits=LIMITS)
    entries = stream.entries()
    entry = next(entries)
    with pytest.raises(CorruptStream):
        list(stream.content(entry))
    with pytest.raises(CorruptStream):
        next(entries)


def test_a_cut_seen_by_a_contents_reader_is_seen_again() -> None:
    stream = TarStream(iter([make_tar([("a", bytes(5000))])[:2000]]), where="here", limits=LIMITS)
    entries = stream.entries()
    entry = next(entries)
    with pytest.raises(TarTruncated, match="here"):
        list(stream.content(entry))
    with pytest.raises(TarTruncated, match="here"):
        next(entries)


def test_sparse_files_have_what_is_stored() -> None:
    header = tarfile.TarInfo("s")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        header.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "4096"}
        body = b"1\n0\n3\n".ljust(512, b"\0") + b"abc"
        header.size = len(body)
        tar.addfile(header, io.BytesIO(body))
    stream = TarStream([out.getvalue()], where="t", limits=LIMITS)
    for entry in stream.entries():
        assert b"".join(map(bytes, stream.content(entry))) == b"abc"
