"""An archive that is streamed: through a pipe, or out of a file that is compressed as a whole."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Final

from occy_fast.closing import Closing
from occy_fast.errors import MissingFile, NotFound, TarTruncated, UsageError, read_errors, unreadable
from occy_fast.image.loader_view import LoaderView
from occy_fast.streams.decode import decode_whole
from occy_fast.streams.pipe import read_descriptor
from occy_fast.streams.sniff import SNIFF_SIZE, sniff
from occy_fast.transports.archive.stream import ArchiveStream
from occy_fast.transports.archive.view import broken_view, loader_view
from occy_fast.transports.locator import STREAM, is_pipe

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.engine.layer_job import Proofs
    from occy_fast.errors import OccyError
    from occy_fast.image.image import Contents
    from occy_fast.spec.digest import Digest
    from occy_fast.streams.decode import Buffer
    from occy_fast.transports.base import StreamedBlob
    from occy_fast.transports.locator import Locator


def is_streamed(locator: Locator) -> bool:
    """Tell whether an archive that a locator names can be read only once, from its begin to its end.

    Raises InputError.
    """
    return compression_of(locator) != "none"


def compression_of(locator: Locator) -> str | None:
    """Return what the archive as a whole is compressed with; None where only reading it shows that: of a pipe.

    Raises InputError.
    """
    if locator.path == STREAM:
        return None
    try:
        mode = os.stat(locator.path).st_mode
        if not stat.S_ISREG(mode):
            return None if stat.S_ISFIFO(mode) else "none"
        with open(locator.path, "rb", buffering=0) as file:
            return sniff(file.read(SNIFF_SIZE)).codec
    except OSError as error:
        found = unreadable(error, locator.text, locator.path)
        if isinstance(found, MissingFile):           # whoever opens it says so
            return "none"
        raise found from error


class StreamedArchive(Closing):
    """Reads images from an archive in one pass: a StreamSource.

    Attributes:
        codec: what the archive as a whole is compressed with, "none" or empty until its first bytes have come.
    """

    is_stream: Final = True

    def __init__(self, locator: Locator, call: Call, *, lenient: bool = False, for_loaders: bool = False) -> None:
        """Name the archive; nothing is opened before it is read. The arguments are ArchiveStream's."""
        self.locator = locator.text
        self._wanted, self._call, self._for_loaders = locator, call, for_loaders
        self._stream = ArchiveStream(locator, call, self._decoded, lenient=lenient, for_loaders=for_loaders)
        self.codec = ""
        self._fd = -1

    @property
    def is_awaited(self) -> bool:
        return is_pipe(self._wanted)

    def expected_diff_ids(self) -> tuple[Digest, ...]:
        """Return none: nobody says."""
        return ()

    def blobs(self) -> Iterator[StreamedBlob]:
        """Yield what may be a layer; see StreamSource."""
        return self._stream.blobs()

    def contents(self, proofs: Proofs) -> Contents:
        """Read what the documents say, once all has come by; see StreamSource."""
        return self._stream.contents(proofs)

    def read(self) -> Contents:
        """Let the archive come by, and read the selected images. Raises what blobs and contents do."""
        return self._stream.read()

    def loader_view(self, error: OccyError | None = None) -> LoaderView | None:
        """Return how a loader meets the archive; see StreamSource."""
        if error is not None:
            return broken_view(error, self.codec)
        if not self.codec:
            compression = compression_of(self._wanted)
            return None if compression is None else LoaderView("docker-archive", compression)
        assert self._for_loaders, "what a loader finds was not kept"
        return loader_view(self._stream.members.loader_names(), self._wanted, self.codec, self._call.limits)

    def close(self) -> None:
        self._stream.close()
        self._close_file()

    def _close_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _decoded(self) -> Generator[Buffer]:
        if self.is_awaited:
            self._call.report.phase("read", "source")
        buffers = self._buffers(self._open())
        with closing(buffers):
            head = b""
            while len(head) < SNIFF_SIZE and (piece := next(buffers, None)) is not None:
                head += piece
            if not head:
                raise TarTruncated(self.locator, 0, "nothing came")
            self.codec = sniff(head).codec
            yield from decode_whole(self.codec, chain([head], buffers), self.locator, self._call.limits)

    def _open(self) -> int:
        """Return the descriptor to read from; a FIFO is not waited for before it is read."""
        if self._wanted.path == STREAM:
            if sys.stdin is None:                    # closed by whoever started us (<&-): 0 may be anything by now
                raise NotFound(self.locator, "standard input")
            if os.isatty(0):
                raise UsageError("standard input is a terminal", "pipe an archive into it, as docker save writes one")
            return 0
        self._close_file()
        with read_errors(self.locator, self._wanted.path):
            self._fd = os.open(self._wanted.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        return self._fd

    def _buffers(self, fd: int) -> Generator[memoryview]:
        with read_errors(self.locator, "" if self._wanted.path == STREAM else self._wanted.path):
            yield from read_descriptor(fd, cancelled=self._call.cancel.is_set)
        self._call.check_cancelled(self.locator)
