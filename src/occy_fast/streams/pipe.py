"""A descriptor read ahead, in whole buffers, by a reader that can be stopped while it waits."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Callable, Iterator
from contextlib import suppress

from occy_fast.streams.read_ahead import ReadAhead


def read_descriptor(fd: int, size: int, cancelled: Callable[[], bool] | None = None) -> Iterator[memoryview]:
    """Yield what comes out of *fd*, until its end or until *cancelled*; each piece is good until the next is asked for.

    A thread reads while a piece is looked at; it is gone when the iterator is exhausted or closed.

    Args:
        fd: a file or a pipe, which stays open; nothing else reads from it meanwhile.
        size: bytes of a piece; only the last is shorter.
    Raises:
        OSError: the descriptor cannot be read.
    """
    with suppress(OSError):                              # not a pipe, or as large as its owner's pipes may be together
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)
    wake = os.eventfd(0, os.EFD_CLOEXEC)
    try:
        yield from ReadAhead(_filler(fd, wake), lambda: os.eventfd_write(wake, 1), size).buffers(cancelled)
    finally:
        os.close(wake)


def _filler(fd: int, wake: int) -> Callable[[memoryview], int]:
    """Return what fills a buffer from *fd*, and reads nothing any more once *wake* was written to."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.register(wake, select.POLLIN)

    def fill(room: memoryview) -> int:
        filled = 0
        while filled < len(room):
            if any(ready == wake for ready, _ in poll.poll()):
                return 0
            try:
                size = os.readv(fd, [room[filled:]])
            except BlockingIOError:                      # another reader was faster
                continue
            if not size:
                break
            filled += size
        return filled

    return fill
