"""Entries of tars as values, out of windows and out of files."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import TarAmbiguous, TarChecksumError, TarError, TarLimitError, TarTruncated
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.streams import tar as tar_module
from occy_fast.streams.tar import Entry, scan_region
from support import tar_strategies as build
from support.tar_reading import read_content, read_entries


@contextmanager
def opened(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("tar")
    try:
        os.write(fd, content)
        yield fd
    finally:
        os.close(fd)


def listed(entries: Iterator[Entry]) -> tuple[list[Entry], tuple[type[Exception], str] | None]:
    found = []
    try:
        for entry in entries:
            found.append(entry)
    except TarError as error:
        return found, (type(error), str(error))
    return found, None


TAR = (
    build.pax(
        (b"path", "dir/ä".encode()), (b"SCHILY.xattr.user.b", b"2\0"), (b"SCHILY.xattr.user.a", b""), (b"mtime", b"1.5")
    )
    + build.entry(b"a", b"first", uid=3, gid=4, uname=b"u", gname=b"g", mode=0o755)
    + build.header(b"dir/", kind=b"5")
    + build.header(b"link", kind=b"2", linkname=b"a")
    + build.entry(b"last", b"x" * 3000)
    + build.END
)


def test_an_entry_has_all_that_the_tar_says() -> None:
    first, directory, link, last = read_entries([TAR])
    assert first == Entry(
        name="dir/ä".encode(),
        type=b"0",
        size=5,
        mode=0o755,
        uid=3,
        gid=4,
        uname=b"u",
        gname=b"g",
        mtime=1_500_000_000,
        atime=None,
        ctime=None,
        linkname=b"",
        devmajor=0,
        devminor=0,
        format=first.format,
        pax=(
            (b"SCHILY.xattr.user.a", b""),
            (b"SCHILY.xattr.user.b", b"2\0"),
            (b"mtime", b"1.5"),
            (b"path", "dir/ä".encode()),
        ),
        start=0,
        header_offset=1024,
        data_offset=1536,
        stored=5,
        sparse=None,
    )
    assert (first.is_file, directory.is_directory, link.is_link, link.is_file) == (True, True, True, False)
    assert (link.linkname, last.size, last.pax) == (b"a", 3000, None)


def test_entries_are_values() -> None:
    entry = next(read_entries([TAR]))
    assert pickle.loads(pickle.dumps(entry)) == entry
    assert hash(entry) == hash(next(read_entries([TAR])))


@given(build.damaged_tars(), build.window_sizes, st.booleans())
def test_a_region_has_what_the_windows_have(tar: bytes, window: int, strict: bool) -> None:
    windows = (tar[at : at + window] for at in range(0, len(tar), window))
    with opened(b"before" + tar + b"behind") as fd:
        found = scan_region(fd, 6, len(tar), strict=strict, where="t", window=max(window, 7), limits=LIMITS)
        assert listed(found) == listed(read_entries(windows, strict=strict, where="t"))


@pytest.mark.parametrize("whole", [False, True])
def test_contents_are_not_read(monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    tar = build.entry(b"big", bytes(1 << 24)) + build.entry(b"next", b"x") + build.END
    asked: list[tuple[int, int]] = []

    def pread(fd: int, size: int, offset: int) -> bytes:
        asked.append((offset, size))
        return os.pread(fd, size, offset)

    with opened(tar) as fd:
        monkeypatch.setattr(tar_module, "os", type("os", (), {"pread": staticmethod(pread)}))
        found = scan_region(fd, 0, len(tar), whole=whole, where="t", limits=LIMITS)
        assert [entry.name for entry in found] == [b"big", b"next"]
    assert sum(size for _, size in asked) < 1 << 16


@pytest.mark.parametrize("zeros", [0, 1, 2, 20])
@pytest.mark.parametrize(
    "entries",
    [
        build.entry(b"a", b"x" * 512),
        build.entry(b"a", b"x" * 600),
        build.entry(b"a", bytes(2048)),
        build.entry(b"a", b"x") + build.header(b"b"),
        build.entry(b"a", b"x") + build.long_name(b"b" * 200),
        build.pax((b"comment", b"g"), kind=b"g"),
        b"",
    ],
)
def test_a_whole_tar_has_a_block_of_zeros_at_its_end(entries: bytes, zeros: int) -> None:
    tar = entries + bytes(512 * zeros)
    with opened(tar + b"behind") as fd:
        assert listed(scan_region(fd, 0, len(tar), where="", limits=LIMITS)) == listed(read_entries([tar]))
        found, error = listed(scan_region(fd, 0, len(tar), whole=True, where="t", limits=LIMITS))
    assert found == listed(read_entries([tar]))[0]
    if tar and not zeros:
        told = "t: it stops without an end of archive (a block of zeros) at byte"
        assert error == (TarTruncated, f"{told} {len(tar)} of the tar")
    elif tar:
        assert error is None


def test_errors_say_where_and_come_after_the_entries_before_them() -> None:
    found, error = listed(read_entries([build.header(b"a"), b"\1" + build.header(b"b")[1:]], where="layer.tar"))
    assert [entry.name for entry in found] == [b"a"]
    assert error == (TarChecksumError, "layer.tar: the header's checksum does not match at byte 512 of the tar")
    with pytest.raises(TarAmbiguous, match=r"^x\.tar: "):
        list(read_entries([build.long_name(b"a") * 2 + build.header()], strict=True, where="x.tar"))


def test_a_region_behind_the_end_of_its_file_is_truncated() -> None:
    tar = build.entry(b"a", b"x" * 600)
    with opened(tar) as fd:
        with pytest.raises(TarTruncated, match="the file ends before the tar does at byte 1536 of the tar"):
            list(scan_region(fd, 0, 4096, where="t", limits=LIMITS))
        with pytest.raises(TarTruncated, match="ends inside an entry's content"):
            list(scan_region(fd, 0, 1000, where="t", limits=LIMITS))
    with opened(tar[:700]) as fd, pytest.raises(TarTruncated, match="the file ends before the tar does"):
        list(scan_region(fd, 0, 1536, where="t", limits=LIMITS))


def test_limits_hold() -> None:
    tar = build.long_name(b"n" * 9) + build.header()
    with opened(tar) as fd:
        for limits in (Limits(tar_extension=10), Limits(tar_extension_count=1)):
            assert len(list(read_entries([tar], limits=limits))) == 1
            assert len(list(scan_region(fd, 0, len(tar), limits=limits, where="t"))) == 1
        for limits in (Limits(tar_extension=9), Limits(tar_extension_count=0)):
            with pytest.raises(TarLimitError):
                list(read_entries([tar], limits=limits))
            with pytest.raises(TarLimitError):
                list(scan_region(fd, 0, len(tar), limits=limits, where="t"))
    sparse = build.old_sparse(b"s", 99, [(i, 1) for i in range(5)], b"12345")
    assert len(list(read_entries([sparse], limits=Limits(tar_sparse_map=512)))) == 1
    with pytest.raises(TarLimitError):
        list(read_entries([sparse], limits=Limits(tar_sparse_map=511)))


def test_what_follows_the_end_of_the_archive_is_not_read() -> None:
    tar = build.entry(b"a") + build.END + b"trash" * 10000
    with opened(tar) as fd:
        assert [entry.name for entry in scan_region(fd, 0, len(tar) + 10**9, where="t", limits=LIMITS)] == [b"a"]


def test_strict_reading_looks_behind_the_end_of_the_archive() -> None:
    tar = build.entry(b"a") + build.END + bytes(100_000)
    with opened(tar) as fd:
        assert [entry.name for entry in scan_region(fd, 0, len(tar), strict=True, where="t", limits=LIMITS)] == [b"a"]
    with opened(tar + b"x") as fd, pytest.raises(TarAmbiguous, match=f"behind the end .* at byte {len(tar)} of"):
        list(scan_region(fd, 0, len(tar) + 1, strict=True, where="t", limits=LIMITS))


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0", "old"])
def test_content_has_its_holes(version: str) -> None:
    regions = [(0, 2), (10, 0), (600, 700), (5000, 1)]
    stored = b"ab" + b"c" * 700 + b"d"
    make = build.old_sparse if version == "old" else lambda *given: build.pax_sparse(version, *given)
    tar = build.header(b"before") + make(b"s", 6000, regions, stored) + build.END
    with opened(b"12345" + tar) as fd:
        entry = list(scan_region(fd, 5, len(tar), where="t", limits=LIMITS))[1]
        for window in (1, 64, 1 << 20):
            pieces = list(read_content(fd, 5, entry, window=window))
            assert max(map(len, pieces)) <= window
            assert b"".join(pieces) == b"ab" + bytes(598) + b"c" * 700 + bytes(3700) + b"d" + bytes(999)
