"""A destination that fills up: a named error, the old output as it was, nothing beside it."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from occy_fast import api
from occy_fast.errors import OutputError
from occy_fast.running import execute
from support.image_builders import archive_members, make_image, make_layer, make_tar, oci_layout
from support.outputs import tree
from support.piping import piped


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount 1 MiB of memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("place", ["oci:{}/out:app", "docker-archive:{}/out.tar:app:1"])
@pytest.mark.parametrize("encoding", ["none", None], ids=["recoded", "copied"])
@pytest.mark.parametrize("foreseen", [True, False])
def test_the_disk_fills_up(
    tmp_path: Path,
    small_disk: Path,
    place: str,
    encoding: str | None,
    foreseen: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = make_image("small")
    large = make_image("one", "two", codec="none" if encoding is None else "gzip", size=900_000)
    oci_layout(tmp_path / "small", [small], ["app"])
    oci_layout(tmp_path / "large", [large], ["app"])
    destination = place.format(small_disk)
    api.convert(f"oci:{tmp_path}/small:app", destination)
    before = {name: (small_disk / name).read_bytes() for name in tree(small_disk) if (small_disk / name).is_file()}
    if not foreseen:
        monkeypatch.setattr(execute, "free_space", lambda directory: None)
    with pytest.raises(OutputError) as caught:
        api.convert(f"oci:{tmp_path}/large:app", destination, encoding=encoding)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.exit_code == 1
    assert caught.value.path.startswith(str(small_disk))
    after = {name: (small_disk / name).read_bytes() for name in tree(small_disk) if (small_disk / name).is_file()}
    assert after == before
    api.convert(f"oci:{tmp_path}/small:app", destination)


def test_the_disk_fills_up_as_an_archive_comes_by(tmp_path: Path, small_disk: Path) -> None:
    """Also of what nothing will name: it cannot be told before it is too late."""
    members = [*archive_members([make_image("small")]), ("stray/layer.tar", make_layer("stray", 2_000_000))]
    with piped(tmp_path / "pipe", make_tar(members)) as pipe, pytest.raises(OutputError) as caught:
        api.convert(f"docker-archive:{pipe}", f"oci:{small_disk}/out")
    assert caught.value.errno == errno.ENOSPC
    assert tree(small_disk) == []
