"""Archives that come by once show what they show in a file."""

from __future__ import annotations

import bz2
import lzma
import os
import pty
import tarfile
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import (
    BadArchive,
    Cancelled,
    ConfigTooLarge,
    CorruptStream,
    DuplicateEntry,
    NotFound,
    OccyError,
    TarTruncated,
    Unsupported,
    UnsupportedFormat,
    UsageError,
)
from occy_fast.image.blob import SAVE_FIRST, StreamedBytes
from occy_fast.image.image import Contents, Image
from occy_fast.transports.archive.streamed import StreamedArchive
from support.image_builders import Era, archive_members, docker_archive, dumps, encode, make_image, make_tar, sha256
from support.leaks import nothing_left, our_threads
from support.opening import open_source, open_stream
from support.piping import piped

WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: encode(data, "gzip"),
    "zstd": lambda data: encode(data, "zstd"),
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


def read(path: Path, selector: str = "") -> Contents:
    with open_source(f"docker-archive:{path}{selector}") as source:
        return source.read()


def images(contents: Contents) -> list[Image]:
    found = [named.root for named in contents.images]
    assert all(isinstance(image, Image) for image in found)
    return [image for image in found if isinstance(image, Image)]


def shown(path: Path, selector: str = "") -> object:
    """Return all that a source tells, or the error it raises; its locator aside."""
    try:
        return read(path, selector).images
    except OccyError as error:
        return type(error)


@pytest.mark.parametrize("era", ["B", "C", "D"])
@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_a_pipe_shows_what_a_file_shows(tmp_path: Path, era: Era, codec: str) -> None:
    built = [make_image("a", "b", codec=codec, names=["a:1", "a:2"]), make_image("b", codec=codec, names=["b:1"])]
    path = docker_archive(tmp_path / "a.tar", built, era)
    for selector in ("", ":a:2", ":@1", ":none:1"):
        with piped(tmp_path / "pipe", path.read_bytes()) as pipe:
            assert shown(pipe, selector) == shown(path, selector)


@pytest.mark.parametrize("codec", sorted(WHOLE))
def test_archives_compressed_as_a_whole(tmp_path: Path, codec: str) -> None:
    path = docker_archive(tmp_path / "a.tar", [make_image("a")])
    packed = tmp_path / "packed"
    packed.write_bytes(WHOLE[codec](path.read_bytes()))
    assert shown(packed) == shown(path)
    packed.write_bytes(packed.read_bytes()[:-1])
    with pytest.raises(CorruptStream):
        read(packed)


@pytest.mark.parametrize("name", ["manifest.json", "a/layer.tar", "missing"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("first", [True, False])
def test_links_before_and_behind_their_targets(tmp_path: Path, name: str, kind: bytes, first: bool) -> None:
    image = make_image("a")
    link = tarfile.TarInfo("linked/layer.tar")
    link.type, link.linkname = kind, f"../{name}" if kind == tarfile.SYMTYPE else name
    config = f"{sha256(image.config)}.json"
    manifest = dumps([{"Config": config, "RepoTags": None, "Layers": [link.name]}])
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        if first:
            tar.addfile(link)
        for member, data in ((config, image.config), ("a/layer.tar", image.tars[0]), ("manifest.json", manifest)):
            header = tarfile.TarInfo(member)
            header.size = len(data)
            tar.addfile(header, BytesIO(data))
        if not first:
            tar.addfile(link)
    (tmp_path / "a.tar").write_bytes(out.getvalue())
    with piped(tmp_path / "pipe", out.getvalue()) as pipe:
        found = shown(pipe)
    assert found == shown(tmp_path / "a.tar")
    if name == "missing":
        assert found is BadArchive


def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    members = archive_members([make_image("a")])
    twice = [member for member in members if member[0] == "manifest.json"]
    with piped(tmp_path / "pipe", make_tar(members + twice)) as pipe, pytest.raises(DuplicateEntry):
        read(pipe)


def test_a_config_beyond_the_limit(tmp_path: Path) -> None:
    image = make_image("a", config_changes={"padding": "x" * (4 << 20)})
    path = docker_archive(tmp_path / "a.tar", [image])
    with piped(tmp_path / "pipe", path.read_bytes()) as pipe, pytest.raises(ConfigTooLarge):
        read(pipe)


def test_what_has_passed_cannot_be_opened(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "a.tar", [make_image("a")])
    with piped(tmp_path / "pipe", path.read_bytes()) as pipe:
        (image,) = images(read(pipe))
    address = image.layers[0].blob.address
    assert isinstance(address, StreamedBytes)
    for attempt in (address.open, address.read, image.layers[0].blob.open):
        with pytest.raises(Unsupported) as caught:
            attempt()
        assert caught.value.remedy == SAVE_FIRST


def test_nothing_came(tmp_path: Path) -> None:
    with piped(tmp_path / "pipe", b"") as pipe, pytest.raises(TarTruncated, match="nothing came"):
        read(pipe)


def test_other_tars(tmp_path: Path) -> None:
    with piped(tmp_path / "pipe", make_tar([("etc/passwd", b"root")])) as pipe, pytest.raises(UnsupportedFormat):
        read(pipe)


def test_nothing_is_opened_before_the_pass(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with open_source(str(tmp_path / "pipe")) as source:
        assert isinstance(source, StreamedArchive)
    with open_stream(f"docker-archive:{tmp_path}/none") as source, pytest.raises(NotFound):
        source.read()


def test_a_silent_pipe_can_be_left(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    cancel = threading.Event()
    cancel.set()
    with open_stream(str(tmp_path / "pipe"), cancel=cancel) as source, pytest.raises(Cancelled):
        next(source.blobs())


def test_standard_input_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with open_source("-") as source, pytest.raises(NotFound, match="standard input"):
        source.read()


def test_a_terminal_is_no_archive() -> None:
    main, terminal = pty.openpty()
    before = os.dup(0)
    os.dup2(terminal, 0)
    try:
        with open_source("docker-archive:-") as source, pytest.raises(UsageError, match="terminal"):
            source.read()
    finally:
        os.dup2(before, 0)
        for fd in (before, main, terminal):
            os.close(fd)


def test_an_error_that_is_kept_keeps_no_thread_and_no_descriptor(tmp_path: Path) -> None:
    """What reads ahead is over with the call, or it would read from whatever file got the pipe's number."""
    with nothing_left(), piped(tmp_path / "pipe", os.urandom(600_000)) as pipe:
        with pytest.raises(OccyError) as kept:
            occy_fast.convert(f"docker-archive:{pipe}", f"oci:{tmp_path}/out")
        assert kept.value.__traceback__ is not None
        assert not our_threads()
