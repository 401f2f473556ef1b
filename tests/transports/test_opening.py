"""Which transport a locator means, and what it refuses before anything is opened."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from occy_fast.errors import BadReference, InputError, NotFound, UnsupportedFormat, UsageError
from occy_fast.transports.archive.streamed import StreamedArchive
from occy_fast.transports.locator import STREAM, parse_locator
from support.image_builders import docker_archive, make_image, oci_archive, oci_layout
from support.opening import open_destination, open_source


@pytest.mark.parametrize("text", ["docker-archive:-", "oci-archive:-", "-"])
def test_standard_input_is_a_source(text: str) -> None:
    assert parse_locator(text).path == STREAM
    with open_source(text) as source:
        assert isinstance(source, StreamedArchive)


@pytest.mark.parametrize("text", ["oci:-", "oci:-:app"])
def test_layouts_go_through_no_pipe(text: str) -> None:
    with pytest.raises(UsageError, match="pipe"):
        open_source(text)


@pytest.mark.parametrize("ref", ["../x", "-x", "a b", "a\nb", "/x", "x/", "a//b", ".", "ü"])
def test_refs_to_be_written_keep_to_the_grammar(tmp_path: Path, ref: str) -> None:
    for transport in ("oci", "oci-archive"):
        with pytest.raises(BadReference):
            open_destination(f"{transport}:{tmp_path}/out:{ref}")


@pytest.mark.parametrize("ref", ["1", "latest", "a/b:1", "localhost:5000/x:1", "v1.2.3-rc--1+x", "a@b"])
def test_refs_that_can_be_written(tmp_path: Path, ref: str) -> None:
    for transport in ("oci", "oci-archive"):
        assert open_destination(f"{transport}:{tmp_path}/out:{ref}").reference == ref


def test_a_destination_names_its_transport_and_no_index(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no transport"):
        open_destination(str(tmp_path / "out.tar"))
    with pytest.raises(UsageError, match="no index"):
        open_destination(f"oci:{tmp_path}/out:@0")
    assert os.listdir(tmp_path) == []


def test_paths_are_detected(tmp_path: Path) -> None:
    image = make_image("a")
    docker_archive(tmp_path / "a.tar", [image])
    docker_archive(tmp_path / "both.tar", [image], "D")
    oci_layout(tmp_path / "layout", [image])
    oci_archive(tmp_path / "oci.tar", tmp_path / "layout")
    oci_archive(tmp_path / "dots.tar", tmp_path / "layout", prefix="./")
    os.symlink("a.tar", tmp_path / "link")
    (tmp_path / "other").mkdir()
    kinds = {
        "a.tar": "docker-archive",
        "both.tar": "docker-archive",
        "layout": "oci",
        "link": "docker-archive",
        "oci.tar": "oci-archive",
        "dots.tar": "oci-archive",
    }
    for name, kind in kinds.items():
        with open_source(str(tmp_path / name)) as source:
            contents = source.read()
        assert contents.kind == kind
        with contents.images[0].root.layers[0].blob.open() as region:
            assert region.read() == image.tars[0]
    with pytest.raises(UnsupportedFormat, match="without oci-layout"):
        open_source(str(tmp_path / "other"))
    with pytest.raises(NotFound):
        open_source(str(tmp_path / "none"))


def test_an_image_named_behind_a_mere_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    docker_archive(tmp_path / "a.tar", [make_image()])
    oci_layout(tmp_path / "o", [make_image()], ["app"])
    with pytest.raises(NotFound) as caught:
        open_source("a.tar:app:1")
    assert caught.value.remedy is not None
    assert "docker-archive:a.tar:app:1 (or oci-archive:a.tar:app:1)" in caught.value.remedy
    with pytest.raises(UsageError, match="oci:o:app names an image in o"):
        open_source("o:app")
    with pytest.raises(NotFound) as caught:
        open_source("./b.tar:app:1")
    assert caught.value.remedy is None


def test_a_layout_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "lstat", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        open_source(str(tmp_path))
