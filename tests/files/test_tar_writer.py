from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from occy_fast.files.tar_writer import TarOutput, padded, tar_header


@pytest.fixture
def fd(tmp_path: Path):
    fd = os.open(tmp_path / "out.tar", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def members(fd: int) -> list[tuple[str, bytes]]:
    raw = os.pread(fd, 1 << 20, 0)
    assert len(raw) == os.fstat(fd).st_size
    assert raw.endswith(bytes(1024))
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        found = [(member.name, b"/" if member.isdir() else tar.extractfile(member).read()) for member in tar]
        assert tar.offset == len(raw) - 1024           # nothing between the last member and the end
    return found


@pytest.mark.parametrize("size", [0, 1, 511, 512, 8**11 - 1, 8**11, 8**11 + 1, 2**62])
def test_header_is_read_back_by_tarfile(size: int) -> None:
    header = tarfile.TarInfo.frombuf(tar_header("blobs/sha256/" + "a" * 64, size), "ascii", "strict")
    assert (header.name, header.size) == ("blobs/sha256/" + "a" * 64, size)
    assert (header.mode, header.mtime, header.uid) == (0o644, 0, 0)
    assert header.type == tarfile.REGTYPE


def test_only_sizes_from_8_gib_are_binary() -> None:
    assert tar_header("a", 8**11 - 1)[124:136] == b"77777777777\0"
    assert tar_header("a", 8**11)[124] == 0x80


def test_directory_header() -> None:
    header = tarfile.TarInfo.frombuf(tar_header("blobs/", 0, directory=True), "ascii", "strict")
    assert header.isdir()
    assert header.mode == 0o755


def test_link_header() -> None:
    header = tarfile.TarInfo.frombuf(tar_header("b/layer.tar", 0, link="../a/layer.tar"), "ascii", "strict")
    assert header.issym()
    assert (header.name, header.linkname, header.mode, header.size) == ("b/layer.tar", "../a/layer.tar", 0o777, 0)


def test_members_get_other_names_and_those_without_are_dropped(fd: int) -> None:
    out = TarOutput(fd)
    for name in ("first", "second", "third", "second"):
        out.append(name, name.encode() * 200)
    out.rename({"second": "2", "third": "3"})
    out.close_gaps()
    out.append_link("l/ink", "../2")
    out.finish()
    raw = os.pread(fd, 1 << 20, 0)
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert [member.name for member in tar] == ["2", "3", "l/ink"]
        assert tar.extractfile("2").read() == tar.extractfile("l/ink").read() == b"second" * 200
    assert b"first" not in raw


def test_regions_are_written_in_any_order(fd: int) -> None:
    out = TarOutput(fd)
    first, second = out.reserve(700), out.reserve(512)
    os.pwrite(fd, b"b" * 512, second.body)
    out.keep(second, "second", 512)
    os.pwrite(fd, b"a" * 700, first.body)
    out.keep(first, "first", 700)
    out.append("third", b"")
    out.finish()
    assert members(fd) == [("first", b"a" * 700), ("second", b"b" * 512), ("third", b"")]


def test_a_growing_region_gets_its_size_when_kept(fd: int) -> None:
    out = TarOutput(fd)
    out.append_directory("d/")
    region = out.reserve(None)
    assert out.growing
    with pytest.raises(AssertionError):
        out.reserve(1)
    os.pwrite(fd, b"x" * 1000, region.body)
    out.keep(region, "grown", 1000)
    assert not out.growing
    out.finish()
    assert members(fd) == [("d", b"/"), ("grown", b"x" * 1000)]


def test_a_dropped_tail_is_cut_off(fd: int) -> None:
    out = TarOutput(fd)
    out.append("kept", b"k")
    region = out.reserve(None)
    os.pwrite(fd, b"x" * 5000, region.body)
    out.drop(region)
    assert os.fstat(fd).st_size == 1024
    out.append("next", b"n" * 3)
    out.finish()
    assert members(fd) == [("kept", b"k"), ("next", b"nnn")]


def test_padding_hides_what_was_written_before(fd: int) -> None:
    out = TarOutput(fd)
    region = out.reserve(None)
    os.pwrite(fd, b"x" * 5000, region.body)
    out.keep(region, "short", 5)
    out.finish()
    raw = os.pread(fd, 1 << 20, 0)
    assert raw[512:1024] == b"xxxxx" + bytes(507)
    assert len(raw) == 1024 + 1024


@pytest.mark.parametrize("dropped", [(0,), (1,), (0, 2), (0, 1, 2, 3), (3,), (2, 3)])
def test_gaps_are_closed(fd: int, dropped: tuple[int, ...]) -> None:
    out = TarOutput(fd)
    sizes = [3_000_000, 10, 0, 1500]
    regions = [out.reserve(size) for size in sizes]
    for number, (region, size) in enumerate(zip(regions, sizes, strict=True)):
        os.pwrite(fd, bytes([number + 1]) * size, region.body)
    for number, region in enumerate(regions):
        if number in dropped:
            out.drop(region)
        else:
            out.keep(region, str(number), sizes[number])
    out.close_gaps()
    out.append("last", b"!")
    out.finish()
    expected = [(str(n), bytes([n + 1]) * sizes[n]) for n in range(4) if n not in dropped]
    with tarfile.open(fileobj=io.BytesIO(os.pread(fd, 1 << 24, 0))) as tar:
        assert [(m.name, tar.extractfile(m).read()) for m in tar] == [*expected, ("last", b"!")]
    assert os.fstat(fd).st_size == sum(512 + padded(len(data)) for _, data in expected) + 1024 + 1024


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_equal_members_the_first_in_the_archive_stays(fd: int, order: tuple[int, int]) -> None:
    out = TarOutput(fd)
    regions = [out.reserve(600), out.reserve(600)]
    last = out.reserve(1)
    for region in (*regions, last):
        os.pwrite(fd, b"e" * region.size, region.body)
    for number in order:
        out.keep(regions[number], "equal", 600)
    out.keep(last, "last", 1)
    out.close_gaps()
    out.finish()
    assert members(fd) == [("equal", b"e" * 600), ("last", b"e")]


def test_large_sizes_are_sparse_and_readable(fd: int) -> None:
    size = 8**11 + 5
    out = TarOutput(fd)
    region = out.reserve(size)
    os.pwrite(fd, b"end", region.body + size - 3)
    out.keep(region, "huge", size)
    out.append("after", b"!")
    out.finish()
    with open(fd, "rb", closefd=False) as file, tarfile.open(fileobj=file) as tar:
        assert [(member.name, member.size) for member in tar] == [("huge", size), ("after", 1)]
