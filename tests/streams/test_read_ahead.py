from __future__ import annotations

import os
import socket
import threading

import pytest

from occy_fast.streams.read_ahead import ROOMS, ReadAhead
from support.leaks import nothing_left, our_threads


def reader(raw: bytes, size: int) -> tuple[ReadAhead, list[bool]]:
    """Return a reader of *raw*, and what tells that it was stopped."""
    left = [raw]
    stopped: list[bool] = []

    def read_into(room: memoryview) -> int:
        piece, left[0] = left[0][: len(room)], left[0][len(room) :]
        room[: len(piece)] = piece
        return len(piece)

    return ReadAhead(read_into, lambda: stopped.append(True), size), stopped


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("length", [0, 1, 999, 1000, 1001])
def test_everything_comes_in_order(length: int, size: int) -> None:
    raw = os.urandom(length)
    ahead, _ = reader(raw, size)
    assert b"".join(map(bytes, ahead.buffers())) == raw


def test_a_buffer_is_good_until_the_next_is_asked_for() -> None:
    raw = os.urandom(100 * ROOMS)
    ahead, _ = reader(raw, 10)
    for at, piece in enumerate(ahead.buffers()):
        assert bytes(piece) == raw[at * 10 : at * 10 + 10]


def test_what_reading_raises_comes_after_what_was_read() -> None:
    pieces = iter([b"a", b"b"])

    def read_into(room: memoryview) -> int:
        try:
            room[:1] = next(pieces)
        except StopIteration:
            raise ConnectionResetError from None
        return 1

    seen = []
    with pytest.raises(ConnectionResetError):
        for piece in ReadAhead(read_into, lambda: None, 4).buffers():
            seen.append(bytes(piece))
    assert seen == [b"a", b"b"]


def test_a_reader_that_waits_is_stopped() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ahead = ReadAhead(lambda room: ours.recv_into(room), lambda: ours.shutdown(socket.SHUT_RDWR), 16)
        theirs.sendall(b"first")
        with nothing_left():
            buffers = ahead.buffers()
            assert bytes(next(buffers)) == b"first"
            assert our_threads()
            buffers.close()


def test_cancelling_ends_a_wait() -> None:
    ours, theirs = socket.socketpair()
    cancel = threading.Event()
    with ours, theirs:
        ahead = ReadAhead(lambda room: ours.recv_into(room), lambda: ours.shutdown(socket.SHUT_RDWR), 16)
        timer = threading.Timer(0.05, cancel.set)
        timer.start()
        assert list(ahead.buffers(cancel.is_set)) == []
        timer.join()


def test_no_more_is_read_than_there_are_buffers_for() -> None:
    read = []

    def read_into(room: memoryview) -> int:
        read.append(1)
        return len(room)

    buffers = ReadAhead(read_into, lambda: None, 4).buffers()
    next(buffers)
    buffers.close()
    assert len(read) <= ROOMS
