"""Which transport a locator means, and what it refuses before anything is opened."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from occy_fast.errors import BadReference, InputError, NotFound, Unsupported, UnsupportedFormat, UsageError
from occy_fast.transports.archive.streamed import StreamedArchive
from occy_fast.transports.locator import STREAM, Locator
from occy_fast.transports.opening import TRANSPORTS, parse_locator
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
    with pytest.raises(UnsupportedFormat, match="it is empty"):
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oci:dir", ("oci", "dir", None, None)),
        ("oci:/a b/c:latest", ("oci", "/a b/c", "latest", None)),
        ("oci:dir:localhost:5000/a/b:1", ("oci", "dir", "localhost:5000/a/b:1", None)),
        ("oci:dir:@3", ("oci", "dir", None, 3)),
        ("docker-archive:a.tar", ("docker-archive", "a.tar", None, None)),
        ("docker-archive:a.tar:app:1", ("docker-archive", "a.tar", "docker.io/library/app:1", None)),
        ("docker-archive:a.tar:t5/app", ("docker-archive", "a.tar", "docker.io/t5/app:latest", None)),
        ("docker-archive:a.tar:localhost:5000/x/y:3", ("docker-archive", "a.tar", "localhost:5000/x/y:3", None)),
        ("docker-archive:a.tar:@0", ("docker-archive", "a.tar", None, 0)),
        ("oci-archive:a.tar", ("oci-archive", "a.tar", None, None)),
        ("oci-archive:a.tar:localhost:5000/a/b:1", ("oci-archive", "a.tar", "localhost:5000/a/b:1", None)),
        ("oci-archive:a.tar:@2", ("oci-archive", "a.tar", None, 2)),
        ("docker-daemon:app", ("docker-daemon", "", "docker.io/library/app:latest", None)),
        ("podman:localhost/x/app:1", ("podman", "", "localhost/x/app:1", None)),
        (f"docker-daemon:sha256:{'a' * 64}", ("docker-daemon", "", f"sha256:{'a' * 64}", None)),
        ("docker-daemon:", ("docker-daemon", "", None, None)),
        ("app.tar", ("", "app.tar", None, None)),
        ("./oci:x", ("", "./oci:x", None, None)),
        ("./a:b", ("", "./a:b", None, None)),
        ("/tmp/a:b", ("", "/tmp/a:b", None, None)),
        ("Upper:x", ("", "Upper:x", None, None)),
    ],
)
def test_locators(text: str, expected: tuple[object, ...]) -> None:
    assert parse_locator(text) == Locator(text, *expected)


@pytest.mark.parametrize(
    "text",
    ["", "a\0b", "oci:", "oci::ref", "oci:dir:", "oci:dir:@", "oci:dir:@-1", "oci:dir:@01", "oci:dir:@x", "x:y:z"],
)
def test_what_is_no_locator(text: str) -> None:
    with pytest.raises(UsageError):
        parse_locator(text)


@pytest.mark.parametrize("word", ["tar", "oic", "http", "c"])
def test_unknown_words_are_told_what_there_is(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_locator(f"{word}:x")
    assert all(name in str(caught.value) for name in TRANSPORTS)
    assert word in str(caught.value)
    assert "registry" not in str(caught.value)


@pytest.mark.parametrize("text", ["docker://host/x", "ostree:x@y"])
def test_transports_to_come_are_unsupported(text: str) -> None:
    with pytest.raises(Unsupported) as caught:
        parse_locator(text)
    assert all(name in str(caught.value) for name in TRANSPORTS)


def test_a_file_whose_name_looks_like_a_transport(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        parse_locator("tar:x")
    (tmp_path / "tar:x").write_bytes(b"")
    assert parse_locator("tar:x") == Locator("tar:x", "", "tar:x")


def test_a_relative_path_starts_in_the_directory_that_is_named(tmp_path: Path) -> None:
    located = parse_locator("oci:out:app", "/there")
    assert located == Locator("oci:out:app", "oci", "/there/out", "app")
    assert not located.is_relative
    for text in ("oci:/out", "-", "docker-archive:-", "docker-daemon:app", "/in.tar"):
        assert parse_locator(text, "/there") == parse_locator(text)
        assert not parse_locator(text).is_relative
    assert parse_locator("oci:out").is_relative
    (tmp_path / "tar:x").write_bytes(b"")
    assert parse_locator("tar:x", str(tmp_path)) == Locator("tar:x", "", f"{tmp_path}/tar:x")


@pytest.mark.parametrize("text", ["docker-archive:a:UPPER:1", "docker-archive:a:a:1:2", "docker-archive:a:../x"])
def test_bad_references(text: str) -> None:
    with pytest.raises(BadReference):
        parse_locator(text)


def test_an_archive_knows_no_digests() -> None:
    with pytest.raises(BadReference, match="digest"):
        parse_locator("docker-archive:a.tar:app@sha256:" + "a" * 64)


@pytest.mark.parametrize("name", ["UPPER", f"a@sha256:{'a' * 64}", f"sha256:{'a' * 64}"])
def test_what_a_daemon_cannot_be_told_to_call_an_image(name: str) -> None:
    with pytest.raises(BadReference):
        open_destination(f"docker-daemon:{name}")


def test_a_name_has_a_tag_or_a_digest() -> None:
    with pytest.raises(BadReference):
        parse_locator(f"docker-daemon:a:1@sha256:{'a' * 64}")
