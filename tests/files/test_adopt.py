from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from occy_fast.errors import PlanStale, SizeMismatch
from occy_fast.files.adopt import copy_region, link_region, reflink_region
from occy_fast.files.staged import StagedFile, open_directory
from occy_fast.image.blob import FileRegion


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    fd = open_directory(str(tmp_path))
    yield fd
    os.close(fd)


def region_of(path: Path, offset: int = 0, size: int | None = None) -> FileRegion:
    status = path.stat()
    inode = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return FileRegion(str(path), offset, status.st_size if size is None else size, inode)


@pytest.mark.parametrize("in_kernel", [True, False])
def test_a_region_is_copied(directory: int, tmp_path: Path, monkeypatch, in_kernel: bool) -> None:
    if not in_kernel:
        def refuse(*arguments: object) -> int:
            raise OSError(errno.EXDEV, "not here")

        monkeypatch.setattr(os, "copy_file_range", refuse)
    (tmp_path / "in").write_bytes(bytes(100) + b"x" * 3_000_000 + bytes(100))
    with StagedFile(directory, "out") as file:
        copy_region(region_of(tmp_path / "in", 100, 3_000_000), 3_000_000, file.fd, 512)
        assert os.pread(file.fd, 4_000_000, 0) == bytes(512) + b"x" * 3_000_000


def test_a_file_that_shrank_is_stale(directory: int, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x" * 1000)
    region = region_of(tmp_path / "in")
    os.truncate(tmp_path / "in", 500)
    with StagedFile(directory, "out") as file, pytest.raises(PlanStale):
        copy_region(region, 1000, file.fd, 0)


@pytest.mark.parametrize("how", ["copy", "reflink"])
def test_a_file_that_changes_while_it_is_copied_is_stale(
    directory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    (tmp_path / "in").write_bytes(b"x" * 1000)
    region = region_of(tmp_path / "in")

    def changing(*arguments: object) -> int:
        os.utime(tmp_path / "in", ns=(1, 1))
        return 1000

    monkeypatch.setattr(os, "copy_file_range", changing)
    monkeypatch.setattr(fcntl, "ioctl", changing)
    with StagedFile(directory, "out") as file, pytest.raises(PlanStale, match="while it was copied"):
        if how == "copy":
            copy_region(region, 1000, file.fd, 0)
        else:
            reflink_region(region, 1000, file.fd)


def test_only_whole_files_are_linked(directory: int, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x" * 1000)
    assert not link_region(region_of(tmp_path / "in", 10, 990), 990, "part", directory)
    assert link_region(region_of(tmp_path / "in"), 1000, "whole", directory)
    assert (tmp_path / "whole").stat().st_ino == (tmp_path / "in").stat().st_ino
    assert not (tmp_path / "part").exists()


def test_only_a_region_of_that_size_is_taken(directory: int, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x" * 1000)
    with pytest.raises(SizeMismatch):
        link_region(region_of(tmp_path / "in"), 999, "other", directory)
    assert os.listdir(tmp_path) == ["in"]
