"""Archives that go to standard output: whole or not at all, whatever stands there."""

from __future__ import annotations

import errno
import os
import pty
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from occy_fast.errors import OutputError, UsageError
from occy_fast.files.spool import StreamedFile
from support.image_builders import make_image
from support.opening import open_destination
from support.publishing import publication, write


@contextmanager
def standard_output(fd: int) -> Iterator[None]:
    """Put *fd* in the place of standard output."""
    before = os.dup(1)
    os.dup2(fd, 1)
    try:
        yield
    finally:
        os.dup2(before, 1)
        os.close(before)


def write_image(destination: str) -> None:
    image = make_image("a", "b", size=70_000)
    with open_destination(destination).stage() as stage:
        for blob in image.blobs:
            write(stage, blob)
        stage.publish(publication(image))


@pytest.fixture
def expected(tmp_path: Path) -> bytes:
    """Return what is written to a file."""
    write_image(f"docker-archive:{tmp_path}/expected.tar")
    return (tmp_path / "expected.tar").read_bytes()


def test_a_pipe_gets_what_a_file_gets(expected: bytes) -> None:
    reading, writing = os.pipe()
    found: list[bytes] = []

    def read() -> None:
        with open(reading, "rb") as file:
            found.append(file.read())

    reader = threading.Thread(target=read)
    reader.start()
    with standard_output(writing):
        os.close(writing)
        write_image("docker-archive:-")
    reader.join()
    assert found == [expected]


def test_a_pipe_that_does_not_wait(expected: bytes) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    found: list[bytes] = []

    def read() -> None:
        with open(reading, "rb") as file:
            found.append(file.read())

    reader = threading.Timer(0.05, read)
    reader.start()
    with standard_output(writing):
        os.close(writing)
        write_image("docker-archive:-")
    reader.join()
    assert found == [expected]


@pytest.mark.parametrize("flags", [os.O_TRUNC, os.O_APPEND])
def test_a_file_is_written_where_it_stands(tmp_path: Path, expected: bytes, flags: int) -> None:
    (tmp_path / "out").write_bytes(b"before")
    fd = os.open(tmp_path / "out", os.O_WRONLY | flags)
    with standard_output(fd):
        write_image("docker-archive:-")
    os.close(fd)
    assert (tmp_path / "out").read_bytes() == (b"before" if flags == os.O_APPEND else b"") + expected


def test_nothing_is_written_before_it_is_whole(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    with standard_output(fd), open_destination("docker-archive:-").stage() as stage:
        write(stage, make_image("a").blobs[0])
    os.close(fd)
    assert (tmp_path / "out").read_bytes() == b""


def test_nothing_has_a_name_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with open(os.devnull, "wb") as nowhere, standard_output(nowhere.fileno()), StreamedFile() as file:
        os.write(file.fd, b"x")
        assert os.listdir(tmp_path) == []


def test_a_reader_that_has_left() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with standard_output(writing):
        os.close(writing)
        with pytest.raises(OutputError) as caught:
            write_image("docker-archive:-")
    assert caught.value.errno == errno.EPIPE


def test_a_terminal_is_refused() -> None:
    main, terminal = pty.openpty()
    with standard_output(terminal), pytest.raises(UsageError, match="terminal"):
        write_image("docker-archive:-")
    os.close(main)
    os.close(terminal)


def test_standard_output_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(OutputError) as caught:
        write_image("docker-archive:-")
    assert caught.value.errno == errno.EBADF


def test_no_place_for_the_file_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    with open(os.devnull, "wb") as nowhere, standard_output(nowhere.fileno()), pytest.raises(OutputError) as caught:
        write_image("docker-archive:-")
    assert caught.value.errno == errno.ENOENT
