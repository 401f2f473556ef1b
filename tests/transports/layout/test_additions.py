"""What a run has moved into a layout can be taken back, and nothing else goes with it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from occy_fast.errors import OutputError
from occy_fast.files.staged import open_directory
from occy_fast.spec.digest import Digest
from occy_fast.spec.limits import LIMITS
from occy_fast.transports.layout.additions import Additions, exists_at
from occy_fast.transports.layout.directory import LayoutDirectory

OLD, NEW = Digest.sha256(b"old"), Digest.sha256(b"new")


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    (tmp_path / "layout/blobs/sha256").mkdir(parents=True)
    (tmp_path / "layout/blobs/sha256" / OLD.hex).write_bytes(b"old")
    return tmp_path / "layout"


@pytest.fixture
def additions(layout: Path, tmp_path: Path) -> Iterator[Additions]:
    staging = tmp_path / "staging"
    (staging / "blobs/sha256").mkdir(parents=True)
    (staging / "oci-layout").write_bytes(b"{}")
    for digest in (OLD, NEW):
        (staging / "blobs/sha256" / digest.hex).write_bytes(b"moved")
    target = LayoutDirectory(open_directory(str(layout)), str(layout), "oci:layout", LIMITS)
    staging_fd = open_directory(str(staging))
    yield Additions(target, staging_fd, str(layout))
    os.close(staging_fd)
    target.close()


def names(layout: Path) -> set[str]:
    return {str(path.relative_to(layout)) for path in layout.rglob("*")}


def test_what_is_new_is_taken_back_and_what_was_there_stays(layout: Path, additions: Additions) -> None:
    before = names(layout)
    os.chmod(layout / "blobs/sha256" / OLD.hex, 0o640)
    additions.move_file("oci-layout")
    additions.move_blobs({OLD, NEW})
    assert names(layout) == before | {"oci-layout", f"blobs/sha256/{NEW.hex}"}
    replaced = layout / "blobs/sha256" / OLD.hex
    assert (replaced.read_bytes(), stat.S_IMODE(replaced.stat().st_mode)) == (b"moved", 0o640)
    additions.take_back()
    assert names(layout) == before


def test_directories_are_taken_back_too(layout: Path, additions: Additions) -> None:
    (layout / "blobs/sha256" / OLD.hex).unlink()
    (layout / "blobs/sha256").rmdir()
    (layout / "blobs").rmdir()
    additions.move_blobs({NEW})
    additions.take_back()
    assert names(layout) == set()


def test_what_cannot_be_replaced_is_named(layout: Path, additions: Additions) -> None:
    (layout / "oci-layout").mkdir()
    with pytest.raises(OutputError) as caught:
        additions.move_file("oci-layout")
    assert (caught.value.path, caught.value.operation) == (f"{layout}/oci-layout", "replace")


def test_a_link_that_leads_nowhere_is_there(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nothing")
    fd = open_directory(str(tmp_path))
    assert (exists_at("link", fd), exists_at("nothing", fd)) == (True, False)
    os.close(fd)
