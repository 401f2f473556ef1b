"""An archive in a file is read where it is, and noticed when it changes."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from occy_fast import errors
from occy_fast.errors import (
    MissingBlob,
    NotFound,
    TarError,
    UnsupportedFormat,
)
from support.docker_archives import bytes_of, only_image, read
from support.image_builders import (
    archive_members,
    docker_archive,
    dumps,
    make_image,
    make_layer,
    make_tar,
)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_bytes(b"version 1\0" * 100)
    with pytest.raises((UnsupportedFormat, TarError)):
        read(tmp_path / "empty")
    with pytest.raises(TarError):
        read(tmp_path / "text")
    with pytest.raises(UnsupportedFormat, match="device"):
        read(Path("/dev/null"))
    with pytest.raises(UnsupportedFormat, match="directory"):
        read(tmp_path)
    with pytest.raises(NotFound):
        read(tmp_path / "none")


@pytest.mark.parametrize("era", ["B", "D"])
def test_no_truncation_goes_unseen(tmp_path: Path, era: str) -> None:
    """Every cut inside a member that is used is an error."""
    image = make_image("a", "b", size=600)
    raw = make_tar(archive_members([image], era))
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        last = tar.getmember("manifest.json")
    for cut in range(0, last.offset_data + last.size, 97):
        (tmp_path / "a.tar").write_bytes(raw[:cut])
        with pytest.raises((UnsupportedFormat, TarError, MissingBlob)):
            read(tmp_path / "a.tar")


def test_layers_are_not_read(tmp_path: Path) -> None:
    """A terabyte of layer is described as fast as a kilobyte."""
    image = make_image("a", names=())
    size = 1 << 40
    layer = tarfile.TarInfo("layer.tar")
    layer.size = size
    rest = [("c.json", image.config), ("manifest.json", dumps([{"Config": "c.json", "Layers": ["layer.tar"]}]))]
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(layer.tobuf(tarfile.GNU_FORMAT))
        file.seek(size, io.SEEK_CUR)
        file.write(make_tar(rest))
    assert only_image(read(tmp_path / "a.tar")).layers[0].size == size


def test_a_changed_archive_is_noticed(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "a.tar", [make_image("a")])
    image = only_image(read(path))
    with path.open("r+b") as file:
        file.seek(3000)
        file.write(hashlib.sha256(make_layer("x")).digest())
    os.utime(path, ns=(1, 1))
    with pytest.raises(errors.PlanStale):
        bytes_of(image.layers[0])
