from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from occy_fast.streams.pipe import ROOMS, read_descriptor
from support.leaks import nothing_left, our_threads


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        with suppress(OSError):                          # the test has closed it
            os.close(fd)


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("length", [0, 1, 4095, 4096, 4097, 50_000])
def test_pieces_are_whole_but_for_the_last(pipe: tuple[int, int], length: int) -> None:
    raw = os.urandom(length)

    def write() -> None:
        for at in range(0, length, 1000):                # in pieces of another size
            os.write(pipe[1], raw[at : at + 1000])
            time.sleep(0.001)                            # the reader finds less than a piece
        os.close(pipe[1])

    writer = in_background(write)
    pieces = [bytes(piece) for piece in read_descriptor(pipe[0], 4096)]
    writer.join()
    assert b"".join(pieces) == raw
    assert [len(piece) for piece in pieces[:-1]] == [4096] * (len(pieces) - 1)


def test_it_reads_ahead_while_a_piece_is_looked_at(pipe: tuple[int, int]) -> None:
    """A writer that writes more than a pipe holds is through before the second piece is asked for."""
    pieces = read_descriptor(pipe[0], 1 << 20)

    def write() -> None:
        for _ in range(ROOMS + 1):                       # the pipe holds one
            left = memoryview(bytes(1 << 20))
            while left:
                left = left[os.write(pipe[1], left) :]
        os.close(pipe[1])

    writer = in_background(write)
    next(pieces)
    writer.join(timeout=30)
    assert not writer.is_alive()
    pieces.close()


def test_a_reader_that_waits_for_a_silent_writer_is_stopped(pipe: tuple[int, int]) -> None:
    with nothing_left():
        pieces = read_descriptor(pipe[0], 4)
        os.write(pipe[1], b"1234")
        assert bytes(next(pieces)) == b"1234"
        assert our_threads()
        pieces.close()


def test_a_cancelled_caller_gets_no_more(pipe: tuple[int, int]) -> None:
    cancel = threading.Event()
    timer = threading.Timer(0.05, cancel.set)
    timer.start()
    assert list(read_descriptor(pipe[0], 4, cancel.is_set)) == []
    timer.join()


def test_a_descriptor_that_does_not_wait_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[0], False)

    def write() -> None:
        os.write(pipe[1], b"late")
        os.close(pipe[1])

    timer = threading.Timer(0.05, write)
    timer.start()
    assert [bytes(piece) for piece in read_descriptor(pipe[0], 16)] == [b"late"]
    timer.join()


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        assert [len(piece) for piece in read_descriptor(fd, 4096)] == [4096, 4096, 1808]
    finally:
        os.close(fd)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError):
            list(read_descriptor(fd, 16))
    finally:
        os.close(fd)
