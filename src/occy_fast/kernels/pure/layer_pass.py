"""Run layers through one pass: read, decode, digest, scan, encode, digest, write."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from typing import Final

from occy_fast.errors import Cancelled, OccyError, TarError
from occy_fast.kernels.pure import gzip_blocks, zstd_blocks
from occy_fast.kernels.pure.crc import crc32_combine
from occy_fast.kernels.pure.inflate import Inflate
from occy_fast.kernels.pure.sha256 import Sha256
from occy_fast.kernels.pure.tar_scan import TarScan
from occy_fast.kernels.pure.unzstd import Unzstd
from occy_fast.kernels.status import Status, raise_status
from occy_fast.kernels.tar_records import check_limits

MAX_WORKERS: Final = 256
"""The most threads one pool can have."""

_CHUNK: Final = 256 << 10
_TAR_PIECE: Final = 1 << 20
_QUEUE: Final = 4 << 20
_CODECS: Final = ("none", "gzip", "zstd")
_OUTPUTS: Final = ("nothing", "source", "tar", "encoded")


def buffer_size(workers: int) -> int:
    """Return how many bytes of buffers a pool of *workers* has; the twin in Python takes them as it goes."""
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

    def start(
        self,
        *,
        decode: str = "none",
        encode: str = "none",
        output: str = "nothing",
        level: int = 0,
        source_fd: int = -1,
        source_offset: int = 0,
        source_size: int = -1,
        sink_fd: int = -1,
        sink_offset: int = 0,
        scan_tar: int = 0,
        max_tar: int = 0,
        max_ratio: int = 0,
        ratio_floor: int = 0,
        window_log_max: int = 27,
        max_header: int = 65536,
        max_extension: int = 1048576,
        max_sparse_map: int = 1048576,
        max_extensions: int = 16,
    ) -> Pass:
        """Begin one layer and return its pass.

        Args:
            decode, encode: ``none``, ``gzip`` or ``zstd``.
            output: ``nothing``, ``source`` (the bytes as they come), ``tar`` or ``encoded``.
            source_fd: a regular file, read with pread; -1: `Pass.feed` gives the bytes.
            source_size: bytes from *source_offset*; -1: up to the end of the file.
            sink_fd: a regular file, written with pwrite; -1: `Pass.drain` takes the output.
            scan_tar: read the tar's headers: 0 not at all, 1 as Go does, 2 strictly.
            max_tar: bytes of tar allowed; 0 for any.
            max_ratio: tar bytes for each source byte once the tar is past *ratio_floor*; 0 for any.
            window_log_max: of a zstd source.
            max_header: of a gzip source, as Inflate takes it.
            max_extension, max_sparse_map, max_extensions: of the tar, as TarScan takes them.
        """
        if (output == "encoded") != (encode != "none"):
            raise ValueError("output 'encoded' needs an encoder, and nothing else takes one")
        if (encode == "gzip" and level not in (1, 2)) or (encode == "zstd" and not 1 <= level <= 19):
            raise ValueError(f"level: {encode} has no level {level}")
        if not 10 <= window_log_max <= 31:
            raise ValueError(f"window_log_max: expected 10 to 31, found {window_log_max}")
        if not 10 <= max_header < 1 << 32:
            raise ValueError(f"max_header: expected 10 to {(1 << 32) - 1}, found {max_header}")
        check_limits(max_extension, max_sparse_map, max_extensions)
        if decode not in _CODECS or encode not in _CODECS or output not in _OUTPUTS:
            raise KeyError(f"{decode}, {encode}, {output}")
        started = Pass(self)
        started._begin(
            decode, encode, output, level, (source_fd, source_offset, source_size), (sink_fd, sink_offset), scan_tar,
            (max_tar, max_ratio, ratio_floor), (window_log_max, max_header),
            (max_extension, max_sparse_map, max_extensions),
        )  # fmt: skip
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

    def _begin(
        self,
        decode: str,
        encode: str,
        output: str,
        level: int,
        source: tuple[int, int, int],
        sink: tuple[int, int],
        scan_tar: int,
        limits: tuple[int, int, int],
        decoder_limits: tuple[int, int],
        scan_limits: tuple[int, int, int],
    ) -> None:
        self._decode, self._encode, self._output = decode, encode, output
        self._source, self._sink, self._limits = source, sink, limits
        self._tar_sha, self._source_sha, self._output_sha = Sha256(), Sha256(), Sha256()
        self._gzip = gzip_blocks.GzipSegments(level) if encode == "gzip" else None
        self._zstd = zstd_blocks.ZstdPieces(level) if encode == "zstd" else None
        self._decoder: Inflate | Unzstd | None = None
        if decode != "none":
            window_log_max, max_header = decoder_limits
            gzip = decode == "gzip"
            self._decoder = Inflate(max_header=max_header) if gzip else Unzstd(window_log_max=window_log_max)
        self._scan: TarScan | None = None
        if scan_tar:
            extension, sparse_map, extensions = scan_limits
            self._scan = TarScan(
                strict=scan_tar > 1, max_extension=extension, max_sparse_map=sparse_map, max_extensions=extensions
            )
        self._size = zstd_blocks.PIECE if encode == "zstd" else _TAR_PIECE
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
        source = tar if self._decode == "none" else self._source_sha.copy().digest()
        output = {"encoded": self._output_sha.copy().digest(), "source": source}.get(self._output, tar)
        return tar, source, output, self._source_total, self._tar_total, self._output_total

    # one buffer for each `next`, so that the caller stays in control

    def _blocks(self) -> Iterator[bytes]:
        """Yield source bytes; nothing, where a feeder has not given any yet."""
        fd, offset, size = self._source
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
            if self._output == "source":
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
        max_tar, max_ratio, ratio_floor = self._limits
        if max_tar and tar > max_tar:
            raise_status(Status.BOMB, tar, max_tar, tar)
        if max_ratio and tar > ratio_floor and tar // max_ratio > self._source_total:
            raise_status(Status.RATIO, tar, max_ratio, tar // max(self._source_total, 1))

    def _piece(self, piece: bytes, last: bool) -> Iterator[None]:
        self._tar_total += len(piece)
        self._tar_sha.update(piece)
        self._check_tar(piece)
        if self._output == "encoded":
            encoded = self._encoded(piece, last)
            self._output_sha.update(encoded)
            yield from (None for _ in self._write(encoded))
        elif self._output == "tar" or (self._output == "source" and self._decoder is None):
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
        fd, offset = self._sink
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
