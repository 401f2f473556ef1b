"""Buffers that a thread fills while the one before is looked at, so that whoever writes a stream need not wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Final

ROOMS: Final = 8
"""Buffers of a reader; with 1 MiB each, more than a worker takes in the time it takes to wake up. 261 MB from a socket
became zstd:3 in 0.23 s with eight or sixteen, and in 0.27 s or more with two to four.  (2 cores of a Xeon, the least of
6 runs in turn)"""

_TICK: Final = 0.25                                  # seconds until a caller who waits is asked again


class ReadAhead:
    """Reads a stream ahead; its buffers are good until the next is asked for.

    The thread ends with the iteration, or with close.
    """

    def __init__(
        self, read_into: Callable[[memoryview], int], stop: Callable[[], object], size: int, rooms: int = ROOMS
    ) -> None:
        """Read by *read_into*, which returns 0 at the end.

        Args:
            stop: makes a *read_into* that waits return or raise.
            size: bytes of a buffer.
            rooms: buffers there are.
        """
        self._read_into, self._stop = read_into, stop
        self._free: queue.SimpleQueue[memoryview | None] = queue.SimpleQueue()
        self._filled: queue.SimpleQueue[tuple[memoryview, int] | BaseException | None] = queue.SimpleQueue()
        for _ in range(rooms):
            self._free.put(memoryview(bytearray(size)))
        self._thread = threading.Thread(target=self._fill, name="occy-fast read ahead", daemon=True)

    def buffers(self, cancelled: Callable[[], bool] | None = None) -> Iterator[memoryview]:
        """Yield what is read, until the end or until *cancelled*. Raises what reading raises."""
        self._thread.start()
        ended = False
        try:
            while not (cancelled is not None and cancelled()):
                try:
                    found = self._filled.get(timeout=None if cancelled is None else _TICK)
                except queue.Empty:
                    continue
                ended = not isinstance(found, tuple)
                if found is None:
                    return
                if isinstance(found, BaseException):
                    raise found
                room, size = found
                yield room[:size]
                self._free.put(room)
        finally:
            self._free.put(None)
            if not ended:
                self._stop()
            self._thread.join()

    def _fill(self) -> None:
        try:
            while (room := self._free.get()) is not None:
                if not (size := self._read_into(room)):
                    break
                self._filled.put((room, size))
        except BaseException as error:
            self._filled.put(error)
        else:
            self._filled.put(None)
