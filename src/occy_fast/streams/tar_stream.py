"""A tar that is streamed: its entries in order, the content of each in buffers, and nothing kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from occy_fast.errors import TarError
from occy_fast.spec.limits import Limits
from occy_fast.streams.decode import Buffer
from occy_fast.streams.tar import Entry, entry_of, finish_scan, new_scan

_BLOCK = 512


class TarStream:
    """Reads a tar from buffers of any size; a buffer may be reused once the next is asked for.

    What went wrong once is raised again by whoever asks on: the content's reader may be another one than the entries'.

    Attributes:
        head: the first block, or all there is of it; empty before it was asked for.
    """

    def __init__(
        self,
        buffers: Iterable[Buffer],
        *,
        where: str,
        limits: Limits,
        to_end: bool = True,
        whole: bool = False,
    ) -> None:
        """Read from *buffers*, the whole tar in order.

        Args:
            where: what errors call it.
            to_end: read what follows the archive's end as well, so that whoever writes it is not cut off.
            whole: demand an end of archive; see finish_scan.
        """
        self._buffers = iter(buffers)
        self._to_end, self._whole = to_end, whole
        self.head = b""
        self._where = where
        self._scan = new_scan(False, limits)
        self._rest = memoryview(b"")
        self._failure: Exception | None = None

    def entries(self) -> Iterator[Entry]:
        """Yield the entries; what a caller leaves of a content is passed over, and so is all behind the archive's end.

        Raises:
            TarError: after the entries that come before the error, and whatever the buffers raise.
        """
        try:
            while not self._scan.ended:
                self._pass_over_content()
                if not (block := self._take(_BLOCK)):
                    break
                self.head = self.head or block
                for record in self._scan.feed(block):
                    yield entry_of(record)
            while (self._to_end or not self._scan.ended) and self._more():
                self._rest = self._rest[:0]
            finish_scan(self._scan, whole=self._whole)
        except TarError as error:
            raise error.at(self._where) from None

    def peek(self, entry: Entry, size: int) -> bytes:
        """Return the first bytes of the content of *entry*, which was yielded last: *size*, or all there are.

        Raises:
            TarTruncated: the tar ends before them, and whatever the buffers raise.
        """
        size = min(size, entry.stored)
        while len(self._rest) < size:
            first = bytes(self._rest)
            self._rest = self._rest[:0]
            if not self._more():
                self._rest = memoryview(first)
                self._pass_over_content()
                self._finish()
            self._rest = memoryview(first + self._rest)
        return bytes(self._rest[:size])

    def content(self, entry: Entry) -> Iterator[memoryview]:
        """Yield what is stored for *entry*, which was yielded last, in buffers good until the next is asked for.

        Raises:
            TarTruncated: the tar ends inside it, and whatever the buffers raise.
        """
        left = entry.stored
        while left:
            if not self._more():
                self._finish()
            piece = self._rest[:left]
            self._scan.skip(len(piece))
            self._rest = self._rest[len(piece) :]
            left -= len(piece)
            yield piece

    def _pass_over_content(self) -> None:
        while (left := self._scan.skippable) and self._more():
            passed = min(left, len(self._rest))
            self._scan.skip(passed)
            self._rest = self._rest[passed:]

    def _take(self, size: int) -> bytes:
        """Return the next *size* bytes, fewer only at the end."""
        taken = b""
        while len(taken) < size and self._more():
            piece = bytes(self._rest[: size - len(taken)])
            self._rest = self._rest[len(piece) :]
            taken += piece
        return taken

    def _more(self) -> bool:
        """Tell whether there are bytes left, asking for the next buffer where it must."""
        if self._failure is not None:
            raise self._failure
        try:
            while not self._rest:
                self._rest = memoryview(next(self._buffers)).cast("B")
        except StopIteration:
            return False
        except Exception as failure:
            self._failure = failure
            raise
        return True

    def _finish(self) -> None:
        """Raise TarTruncated: the tar is over before its content is."""
        try:
            self._scan.finish()
        except TarError as error:
            raise error.at(self._where) from None
        raise AssertionError("the scan takes a content for whole that is not")
