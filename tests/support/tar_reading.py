"""Entries and contents of a tar for tests: out of windows of any size, and as what extracts them would read them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from occy_fast.errors import TarError, TarHeaderError, TarTruncated
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.streams.tar import Entry, entry_of, new_scan

WINDOW = 1 << 20


def read_entries(
    windows: Iterable[bytes | bytearray | memoryview],
    *,
    strict: bool = False,
    where: str = "",
    limits: Limits = LIMITS,
) -> Iterator[Entry]:
    """Yield the entries of a tar that passes by in *windows* of any size.

    Args:
        windows: the whole tar, in order; a window may be reused once the next is asked for.
        strict: refuse what readers understand differently (TarAmbiguous).
        where: what errors call the tar.
    Raises:
        TarError: after the entries that come before the error; TarLimitError where a header exceeds *limits*.
    """
    scan = new_scan(strict, limits)
    try:
        for window in windows:
            for record in scan.feed(window):
                yield entry_of(record)
        scan.finish()
    except TarError as error:
        raise error.at(where) from None


def read_content(fd: int, offset: int, entry: Entry, *, window: int = WINDOW) -> Iterator[bytes]:
    """Yield the content of *entry* out of the tar at *offset* of *fd*, holes as zeros, in pieces of up to *window*.

    A sparse entry of a few hundred bytes may have content of any length: the caller sets the limit.

    Raises:
        TarTruncated: the file ends inside the content.
        TarHeaderError: after the content, where more is stored than the sparse map refers to.
    """
    at = offset + entry.data_offset
    end = 0
    regions = entry.sparse if entry.sparse is not None else ((0, entry.stored),)
    for begin, length in regions:
        yield from _zeros(begin - end, window)
        yield from _stored(fd, at, length, window, entry)
        at += length
        end = begin + length
    if entry.sparse is None:
        return
    yield from _zeros(entry.size - end, window)
    if at < offset + entry.data_offset + entry.stored:
        raise TarHeaderError("", entry.header_offset, "more content is stored than the sparse map refers to")


def _zeros(count: int, window: int) -> Iterator[bytes]:
    zeros = bytes(min(count, window))
    while count > 0:
        yield zeros[:count]
        count -= len(zeros)


def _stored(fd: int, at: int, count: int, window: int, entry: Entry) -> Iterator[bytes]:
    while count > 0:
        piece = os.pread(fd, min(count, window), at)
        if not piece:
            raise TarTruncated("", entry.data_offset, "the file ends inside an entry's content")
        yield piece
        at += len(piece)
        count -= len(piece)
