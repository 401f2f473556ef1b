"""Run layers through one pass: read, decode, digest, scan, encode, digest, write."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from typing import Final

from occy_fast.errors import Cancelled, OccyError, TarError
from occy_fast.kernels.pass_options import PassOptions
from occy_fast.kernels.pure import gzip_blocks, zstd_blocks
from occy_fast.kernels.pure.crc import crc32_combine
from occy_fast.kernels.pure.inflate import Inflate
from occy_fast.kernels.pure.sha256 import Sha256
from occy_fast.kernels.pure.tar_scan import TarScan
from occy_fast.kernels.pure.unzstd import Unzstd
from occy_fast.kernels.status import Status, raise_status

MAX_WORKERS: Final = 256
"""The most threads one pool can have."""

_CHUNK: Final = 256 << 10
_TAR_PIECE: Final = 1 << 20
_QUEUE: Final = 4 << 20


def buffer_size(workers: int) -> int:
    """Return how many bytes of buffers a pool of *workers* has; the number is each side's own.

    Native, it grows with the workers. The twin in Python takes them as it goes: one queue, whatever their number.
    """
    if not 1 <= workers <= MAX_WORKERS:
        raise ValueError(f"workers: expected 1 to {MAX_WORKERS}, found {workers}")
    return _QUEUE


class Pool:
    """Workers that run passes, and the buffers they share.

    Passes that were started earlier go first. One caller starts, feeds, drains and waits for the passes of a pool; no
    thread outlives `close`. The twin in Python has no threads: `Pass.ended` does the work of one buffer at a time.

    Args:
        workers: threads, 1 to `MAX_WORKERS`.
    """

    def __init__(self, workers: int) -> None:
        if not 1 <= workers <= MAX_WORKERS:
            raise ValueError(f"workers: expected 1 to {MAX_WORKERS}, found {workers}")
        self._passes: list[Pass] = []
        self._event = os.eventfd(1, os.EFD_CLOEXEC | os.EFD_NONBLOCK | os.EFD_SEMAPHORE)
        self._closed = False

    def __del__(self) -> None:
        if hasattr(self, "_event"):
            self.close()

    def fileno(self) -> int:
        """Return an eventfd: readable when, since it was last read, a pass ended, has output to drain or takes more."""
        if self._event >= 0:
            os.eventfd_write(self._event, 1)
        return self._event

    def start(self, options: PassOptions) -> Pass:
        """Begin one layer and return its pass.

        Raises:
            TypeError: *options* are not PassOptions, whose values are known to hold.
            MemoryError: there is no memory for it.
        """
        if not isinstance(options, PassOptions):
            raise TypeError(f"options: expected PassOptions, found {type(options).__name__}")
        started = Pass(self)
        started._begin(options)
        self._passes.append(started)
        if self._closed:
            started.cancel()
        return started

    def close(self) -> None:
        """Stop every pass and end every thread; passes that had not ended are cancelled."""
        self._closed = True
        for started in self._passes:
            started.cancel()
        self._passes.clear()
        if self._event >= 0:
            os.close(self._event)
            self._event = -1


class Pass:
    """One layer on its way; `Pool.start` makes it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def _begin(self, options: PassOptions) -> None:
        self._options = options
        self._tar_sha, self._source_sha, self._output_sha = Sha256(), Sha256(), Sha256()
        self._gzip = gzip_blocks.GzipSegments(options.level) if options.encode == "gzip" else None
        self._zstd = zstd_blocks.ZstdPieces(options.level) if options.encode == "zstd" else None
        self._decoder: Inflate | Unzstd | None = None
        if options.decode == "gzip":
            self._decoder = Inflate(max_header=options.max_header)
        elif options.decode == "zstd":
            self._decoder = Unzstd(window_log_max=options.window_log_max)
        self._scan: TarScan | None = None
        if options.scan_tar:
            self._scan = TarScan(
                strict=options.scan_tar > 1,
                max_extension=options.max_extension,
                max_sparse_map=options.max_sparse_map,
                max_extensions=options.max_extensions,
                max_entries=options.max_entries,
            )
        self._size = zstd_blocks.PIECE if options.encode == "zstd" else _TAR_PIECE
        self._crc, self._first = 0, True
        self._source_total = self._tar_total = self._output_total = 0
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._over = False
        self._drain: deque[bytes] = deque()
        self._error: BaseException | None = None
        self._tar_error: TarError | None = None
        self._ended = False
        self._steps = self._run()

    @property
    def ended(self) -> bool:
        """Whether the pass has come to its end, good or bad."""
        if not self._ended:
            try:
                next(self._steps)
            except StopIteration:
                self._ended = True
            except (OccyError, MemoryError) as error:
                self._error, self._ended = error, True
        return self._ended

    def cancel(self) -> None:
        """End the pass with `Cancelled`, unless it has ended."""
        if not self._ended:
            self._error, self._ended = Cancelled(""), True

    def feed(self, chunk: bytes | bytearray | memoryview) -> int:
        """Take as much of *chunk* as there is room for, at once, and return how much; an ended pass takes none."""
        if self._ended or self._over or self._queued >= _QUEUE:
            return 0
        self._queue.append(bytes(chunk))
        self._queued += len(chunk)
        return len(chunk)

    def end_feed(self) -> bool:
        """Say that there is no more to feed; False: a buffer must come free first, ask again after the next event."""
        self._over = True
        return True

    def drain(self) -> bytes:
        """Return output that is ready, in order, or nothing; a pass that is not drained never ends."""
        return self._drain.popleft() if self._drain else b""

    def counters(self) -> tuple[int, int, int]:
        """Return the bytes of source, tar and output so far."""
        return self._source_total, self._tar_total, self._output_total

    def entries(self) -> bytes | None:
        """Return the list of the tar's entries, once; None where none was asked for, or it became too long.

        Raises RuntimeError: the pass has not ended.
        """
        if not self._ended:
            raise RuntimeError("the pass has not ended")
        scan, self._scan = self._scan, None
        return None if scan is None else scan.entries()

    def result(self) -> tuple[bytes, bytes, bytes, int, int, int]:
        """Return the SHA-256 of tar, source and output, and the bytes of source, tar and output.

        Raises:
            RuntimeError: the pass has not ended.
            CorruptStream, TarError, DecompressionBomb, WindowTooLarge: the source is bad.
            SizeMismatch: the source file ends before *source_size*.
            OutputError: the sink cannot be written.
            InputError: the source cannot be read.
            Cancelled: the pass or its pool was stopped.
        """
        if not self._ended:
            raise RuntimeError("the pass has not ended")
        if self._error is not None:
            raise self._error
        tar = self._tar_sha.copy().digest()
        source = tar if self._options.decode == "none" else self._source_sha.copy().digest()
        output = {"encoded": self._output_sha.copy().digest(), "source": source}.get(self._options.output, tar)
        return tar, source, output, self._source_total, self._tar_total, self._output_total

    # one buffer for each `next`, so that the caller stays in control

    def _blocks(self) -> Iterator[bytes]:
        """Yield source bytes; nothing, where a feeder has not given any yet."""
        options = self._options
        fd, offset, size = options.source_fd, options.source_offset, options.source_size
        while fd < 0:
            if self._queue:
                block = self._queue.popleft()
                self._queued -= len(block)
                yield block
            elif self._over:
                return
            else:
                yield b""
        while size < 0 or self._source_total < size:
            room = _CHUNK if size < 0 else min(_CHUNK, size - self._source_total)
            try:
                block = os.pread(fd, room, offset + self._source_total)
            except OSError as error:
                raise_status(Status.READ, offset + self._source_total, 0, error.errno or 0)
            if not block and size >= 0:
                raise_status(Status.SHORT_READ, self._source_total, size, self._source_total)
            if not block:
                return
            yield block

    def _tar(self) -> Iterator[bytes]:
        room = memoryview(bytearray(_CHUNK))
        for block in self._blocks():
            self._source_total += len(block)
            if self._decoder is None:
                yield block
                continue
            self._source_sha.update(block)
            if self._options.output == "source":
                yield from self._write(block)
            left, produced = memoryview(block), len(room)
            while len(left) or produced == len(room):
                consumed, produced = self._decoder.feed(left, room)
                left = left[consumed:]
                yield bytes(room[:produced])
        if self._decoder is not None:
            self._decoder.finish()

    def _run(self) -> Iterator[None]:
        pending = bytearray()
        for block in self._tar():
            pending += block
            self._check_limits(self._tar_total + len(pending))
            while len(pending) >= self._size:
                yield from self._piece(bytes(pending[: self._size]), last=False)
                del pending[: self._size]
            yield
        # the last piece is the short one, even if that makes it empty
        yield from self._piece(bytes(pending), last=True)
        self._check_tar(None)
        while self._drain:
            yield
        if self._tar_error is not None:
            raise self._tar_error

    def _check_tar(self, piece: bytes | None) -> None:
        """Read the headers in *piece*, or end the tar; what is wrong is told when the stream around it holds."""
        if self._scan is None or self._tar_error is not None:
            return
        try:
            if piece is None:
                self._scan.finish()
            else:
                self._scan.feed(piece)
        except TarError as error:
            self._tar_error = error

    def _check_limits(self, tar: int) -> None:
        max_tar, max_ratio, ratio_floor = self._options.max_tar, self._options.max_ratio, self._options.ratio_floor
        if max_tar and tar > max_tar:
            raise_status(Status.BOMB, tar, max_tar, tar)
        if max_ratio and tar > ratio_floor and tar // max_ratio > self._source_total:
            raise_status(Status.RATIO, tar, max_ratio, tar // max(self._source_total, 1))

    def _piece(self, piece: bytes, last: bool) -> Iterator[None]:
        self._tar_total += len(piece)
        self._tar_sha.update(piece)
        self._check_tar(piece)
        if self._options.output == "encoded":
            encoded = self._encoded(piece, last)
            self._output_sha.update(encoded)
            yield from (None for _ in self._write(encoded))
        elif self._options.output == "tar" or (self._options.output == "source" and self._decoder is None):
            yield from (None for _ in self._write(piece))
        self._first = False

    def _encoded(self, piece: bytes, last: bool) -> bytes:
        if self._zstd is not None:
            self._zstd.add(piece)
            return self._zstd.piece(piece, 0, self._first, last) + (self._zstd.trailer() if last else b"")
        assert self._gzip is not None
        segment, crc = self._gzip.segment(piece)
        self._crc = crc32_combine(self._crc, crc, len(piece))
        head = gzip_blocks.header() if self._first else b""
        return head + segment + (gzip_blocks.trailer(self._crc, self._tar_total) if last else b"")

    def _write(self, output: bytes) -> Iterator[bytes]:
        fd, offset = self._options.sink_fd, self._options.sink_offset
        if fd < 0:
            while sum(map(len, self._drain)) >= _QUEUE:
                yield b""
            if output:
                self._drain.append(output)
        view = memoryview(output)
        while fd >= 0 and len(view):
            try:
                written = os.pwrite(fd, view, offset + self._output_total + len(output) - len(view))
            except OSError as error:
                raise_status(Status.WRITE, offset + self._output_total, 0, error.errno or 0)
            view = view[written:]
        self._output_total += len(output)
