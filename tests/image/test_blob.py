from __future__ import annotations

import errno
import os
import pickle
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import (
    BadArchive,
    ConfigTooLarge,
    DigestMismatch,
    InputError,
    ManifestTooLarge,
    MissingBlob,
    MissingFile,
    PlanStale,
    SizeMismatch,
    Unsupported,
)
from occy_fast.image.blob import (
    Address,
    Blob,
    FileRegion,
    InlineBytes,
    OpenRegion,
    StreamedBytes,
    UnreadableBytes,
    identity_of,
    read_blob,
    read_head,
)
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.limits import LIMITS, Limits
from support.leaks import nothing_left

DATA = bytes(range(256)) * 20
HELLO = Digest.sha256(b"hello")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


def whole(path: Path) -> FileRegion:
    status = path.stat()
    return FileRegion(str(path), 0, status.st_size, identity_of(status))


def test_a_region_is_a_part(file: Path) -> None:
    region = FileRegion(str(file), 100, 1000, identity_of(file.stat()))
    with region.open() as opened:
        assert (opened.offset, opened.size) == (100, 1000)
        assert opened.read() == DATA[100:1100]
        assert opened.read(10, 20) == DATA[110:130]
        assert opened.read(990, 20) == DATA[1090:1100]
        assert opened.read(1000, 20) == opened.read(2000) == b""
        assert os.lseek(opened.fd, 0, os.SEEK_CUR) == 0
        assert not os.get_inheritable(opened.fd)
    assert region.read() == DATA[100:1100]


def test_an_empty_region(file: Path) -> None:
    assert FileRegion(str(file), len(DATA), 0).read() == b""


def test_inline() -> None:
    address = InlineBytes(b"hello")
    assert address.size == 5
    assert address.read() == b"hello"
    with address.open() as opened:
        assert (opened.offset, opened.size) == (0, 5)
        assert opened.read() == b"hello"
        assert os.pread(opened.fd, 10, opened.offset) == b"hello"
    with InlineBytes(b"").open() as opened:
        assert opened.read() == b""


def test_closing_closes(file: Path) -> None:
    for address in (whole(file), InlineBytes(b"x")):
        with nothing_left():
            with address.open() as opened:
                os.fstat(opened.fd)
            opened.close()


def test_a_large_region_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(3 << 20) + b"end")
    assert whole(path).read() == path.read_bytes()


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(DATA)
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.rename(path)


def grown(path: Path) -> None:
    times = path.stat()
    path.write_bytes(DATA + b"x")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def touched(path: Path) -> None:
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize("change", [replaced, grown, touched, os.unlink])
def test_a_file_that_changed(file: Path, change: Callable[[Path], None]) -> None:
    region = whole(file)
    change(file)
    with nothing_left(), pytest.raises(PlanStale) as caught:
        region.open()
    assert caught.value.where == str(file)


def test_a_file_may_change_where_no_check_is_wanted(file: Path) -> None:
    region = FileRegion(str(file), 0, 10)
    touched(file)
    assert region.read() == DATA[:10]
    file.unlink()
    with pytest.raises(MissingFile):
        region.open()


def test_a_file_that_shrinks_while_it_is_read(file: Path) -> None:
    with whole(file).open() as opened:
        os.truncate(file, 100)
        with pytest.raises(PlanStale, match="shorter"):
            opened.read()


def linked(path: Path) -> None:
    path.with_name("target").write_bytes(DATA)
    path.symlink_to("target")


def listened(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


@pytest.mark.parametrize("make", [linked, listened, os.mkfifo, os.mkdir, lambda path: path.symlink_to(path)])
def test_only_regular_files_are_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "x"
    make(path)
    with nothing_left(), pytest.raises(BadArchive):
        FileRegion(str(path), 0, 0).open()


@pytest.mark.parametrize("call", ["open", "pread"])
def test_a_file_that_cannot_be_read(file: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    region = whole(file)
    with nothing_left(), monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(InputError, match="cannot be read: Input/output error"):
            region.read()


def test_a_device_is_no_regular_file() -> None:
    with pytest.raises(BadArchive):
        FileRegion("/dev/zero", 0, 10).open()


def test_a_region_beyond_the_end(file: Path) -> None:
    with pytest.raises(BadArchive, match=str(len(DATA))):
        FileRegion(str(file), 1, len(DATA)).open()


def test_blobs_compare_by_what_they_are(file: Path) -> None:
    here, there = (Blob(HELLO, 5, "a/b", address) for address in (InlineBytes(b"hello"), whole(file)))
    assert here == there
    assert len({here, there}) == 1
    assert here != Blob(HELLO, 6, "a/b", here.address)
    assert pickle.loads(pickle.dumps(there)).address == there.address


def test_a_blob_of_a_descriptor(file: Path) -> None:
    plain = Descriptor("a/b", HELLO, 5)
    assert Blob.of(plain, whole(file)) == Blob(HELLO, 5, "a/b", None)
    assert Blob.of(plain, whole(file)).address == whole(file)
    assert Blob.of(Descriptor("a/b", HELLO, 5, data=b"hello"), None).address == InlineBytes(b"hello")


def test_read_blob() -> None:
    assert read_blob(Blob(HELLO, 5, "a/b", InlineBytes(b"hello")), "here", Limits(config=5), "config") == b"hello"
    assert read_blob(Blob(None, 5, "a/b", InlineBytes(b"hello")), "here", Limits(config=5), "config") == b"hello"
    big = Digest("sha512", HELLO.hex).of(b"hello")
    assert read_blob(Blob(big, 5, "a/b", InlineBytes(b"hello")), "here", LIMITS, "manifest") == b"hello"


@pytest.mark.parametrize(
    ("digest", "size", "address", "error"),
    [
        (HELLO, 5, InlineBytes(b"HELLO"), DigestMismatch),
        (HELLO, 4, InlineBytes(b"hello"), SizeMismatch),
        (HELLO, 6, InlineBytes(b"hello"), SizeMismatch),
        (None, 6, InlineBytes(b"hello"), SizeMismatch),
        (HELLO, 5, None, MissingBlob),
        (None, 5, None, MissingBlob),
        (HELLO, 11, InlineBytes(b"hello"), ManifestTooLarge),
        (HELLO, 1 << 40, None, ManifestTooLarge),
    ],
)
def test_read_blob_refuses(digest: Digest | None, size: int, address: Address | None, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        read_blob(Blob(digest, size, "a/b", address), "here", Limits(manifest=10), "manifest")
    assert getattr(caught.value, "where", None) == "here"


def test_read_blob_raises_the_limit_it_is_given() -> None:
    with pytest.raises(ConfigTooLarge) as caught:
        read_blob(Blob(HELLO, 5, "a/b", InlineBytes(b"hello")), "here", Limits(config=4), "config")
    assert (caught.value.allowed, caught.value.value, caught.value.settings) == (4, 5, ("config",))


def test_an_open_region_is_given_by_its_parts(file: Path) -> None:
    fd = os.open(file, os.O_RDONLY)
    with OpenRegion(fd, 5, 10) as opened:
        assert opened.read() == DATA[5:15]
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


@given(st.binary(max_size=100), st.integers(0, 120))
def test_the_head_of_what_is_somewhere(data: bytes, size: int) -> None:
    assert read_head(InlineBytes(data), size) == data[:size]
    assert read_head(StreamedBytes("member", 1000, data), size) == data[:size]


def test_looking_at_a_document_s_first_bytes_copies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    assert read_head(InlineBytes(b"hello"), 2) == b"he"


def test_bytes_that_have_passed() -> None:
    """They are gone, and no digest of theirs makes them the blob's: only what was done with them counts."""
    passed = StreamedBytes("member", 3, b"abc")
    assert pickle.loads(pickle.dumps(passed)) == passed
    blob = Blob(Digest.sha256(b"abc"), 3, "", passed)
    for attempt in (passed.open, passed.read, lambda: read_blob(blob, "here", LIMITS, "manifest")):
        with pytest.raises(Unsupported, match="came by once") as caught:
            attempt()
        assert caught.value.where == "member"
        assert caught.value.remedy


def test_what_could_not_be_read_is_not_tried_again() -> None:
    """Nobody knows its encoding: read a moment later, it would pass for a damaged tar."""
    address = UnreadableBytes(3, InputError("a.tar: layer", errno.EIO, "/a.tar"))
    blob = Blob(None, 3, "", address)
    assert pickle.loads(pickle.dumps(address)) == address
    for attempt in (address.read, lambda: blob.open("here"), lambda: read_head(address, 3)):
        with pytest.raises(InputError) as caught:
            attempt()
        assert caught.value.errno == errno.EIO
