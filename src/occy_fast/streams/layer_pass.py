"""Send one layer through the pass: what feeds it, what drains it, its counters and its result."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from errno import EAGAIN, EIO, ENOMEM
from typing import Final

from occy_fast.closing import Closing
from occy_fast.errors import LESS_MEMORY, MORE_THREADS, Cancelled, OccyError, OutputError, ResourceError, exhausted
from occy_fast.kernels import layer_pass, zstd_blocks
from occy_fast.kernels.pass_options import PassOptions
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import EncoderIdentity, Encoding
from occy_fast.spec.limits import Limits
from occy_fast.streams.cpu_count import default_workers
from occy_fast.streams.encoders import encoder_identity

RATIO_FLOOR: Final = 256 << 20
"""A layer that nothing vouches for may grow past this many bytes only in proportion to its source. An honest layer
may be mostly zeros, of which gzip makes a thousandth; and a bomb that stays below costs little: so much was decoded,
digested and dropped in 0.35 s.  (2 cores of a Xeon, the least of 4 runs)"""

_TICK: Final = 0.25


@dataclass(frozen=True, slots=True)
class FdSource:
    """*size* bytes of a regular file from *offset*; -1: up to its end. The descriptor stays the caller's."""

    fd: int
    offset: int = 0
    size: int = -1


@dataclass(frozen=True, slots=True)
class FeedSource:
    """Buffers that the caller hands over while it waits, of any size; about 1 MiB each is best."""

    buffers: Iterable[bytes | bytearray | memoryview]


@dataclass(frozen=True, slots=True)
class FdSink:
    """A regular file, written from *offset*; *path* is for messages. The descriptor stays the caller's."""

    fd: int
    offset: int = 0
    path: str = ""


@dataclass(frozen=True, slots=True)
class DrainSink:
    """A function that takes the output in order, while the caller waits."""

    write: Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class LayerPass:
    """What one pass does with one layer.

    Attributes:
        decode: how the source is encoded: ``none``, ``gzip`` or ``zstd``.
        encode: how the output is to be encoded; None: the output is the tar, or with *copy_source* the source.
        copy_source: write the source's bytes as they are; what *decode* gives is digested on the way.
        sink: None: nothing is written.
        scan_tar: read the tar's headers on the way: None, ``lenient`` (as Go reads) or ``strict``.
        list_entries: list the tar's entries, up to the limit; goes with *scan_tar*.
        max_tar: bytes of tar allowed; 0 for any, None for what *limits* grant a layer.
        bounded_ratio: hold to the ratio as well; for layers whose diff_id and size nobody declared.
        limits: what the decoders and the scan hold to, and the ratio.
        where: what messages call this layer.
    """

    source: FdSource | FeedSource
    decode: str = "none"
    encode: Encoding | None = None
    copy_source: bool = False
    sink: FdSink | DrainSink | None = None
    scan_tar: str | None = None
    list_entries: bool = False
    max_tar: int | None = None
    bounded_ratio: bool = False
    limits: Limits = field(kw_only=True)
    where: str = ""


@dataclass(frozen=True, slots=True)
class PassResult:
    """What a pass found and made; sizes are bytes.

    Attributes:
        diff_id: of the tar.
        source_digest: of the bytes that came.
        digest: of the bytes that were written, or with no sink of the tar.
        identity: who encoded; None where nothing was.
        entries: the list of the tar's entries; None where nobody asked, or there were too many.
    """

    diff_id: Digest
    source_digest: Digest
    digest: Digest
    size_in: int
    size_tar: int
    size_out: int
    identity: EncoderIdentity | None = None
    entries: bytes | None = None


@dataclass(frozen=True, slots=True)
class Counters:
    """Bytes of source, tar and output so far."""

    source: int
    tar: int
    output: int


class WorkerPool(Closing):
    """The workers and buffers of one call; a pool and its runs belong to one thread, `Run.counters` to any.

    Runs may be waited for in any order. Leaving the context stops what has not ended and joins every thread.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = default_workers() if workers is None else workers
        try:
            self._pool = layer_pass.Pool(self.workers)
        except (OSError, MemoryError) as error:
            raise _no_pool(error, self.workers) from error
        self._pumped: list[Run] = []

    def close(self) -> None:
        """Stop what has not ended, and join every thread."""
        self._pool.close()
        self._pumped.clear()

    def start(self, job: LayerPass) -> Run:
        """Begin *job*; it goes behind those that were started before, and shares the workers with them.

        Raises:
            Unsupported: the encoder does not offer that level.
            ResourceError: there is no memory for it.
        """
        if any(isinstance(end, FdSource | FdSink) and end.fd < 0 for end in (job.source, job.sink)):
            raise ValueError("a descriptor below 0 is no file")
        encode = None if job.encode is None or job.encode.codec == "none" or job.sink is None else job.encode
        identity = None if encode is None else encoder_identity(encode)
        with _memory_errors(job, identity, self.workers):
            started = self._pool.start(_options(job, identity))
        run = Run(self, started, job, identity)
        if isinstance(job.source, FeedSource) or isinstance(job.sink, DrainSink):
            self._pumped.append(run)
        return run

    def _fileno(self) -> int:
        return self._pool.fileno()

    def _pump(self) -> bool:
        """Feed and drain every run that needs it, so that any may be waited for first; whether anything moved."""
        self._pumped = [run for run in self._pumped if not run.ended]
        return sum(run._pump() for run in self._pumped) > 0


def _options(job: LayerPass, identity: EncoderIdentity | None) -> PassOptions:
    """Return *job* as the kernel takes it, encoded by whom *identity* names."""
    limits = job.limits
    source = job.source if isinstance(job.source, FdSource) else FdSource(-1)
    sink = job.sink if isinstance(job.sink, FdSink) else FdSink(-1)
    output = "source" if job.copy_source else "encoded" if identity is not None else "tar"
    return PassOptions(
        decode=job.decode,
        encode="none" if identity is None else identity.codec,
        level=0 if identity is None else identity.level or 0,
        output="nothing" if job.sink is None else output,
        source_fd=source.fd,
        source_offset=source.offset,
        source_size=source.size,
        sink_fd=sink.fd,
        sink_offset=sink.offset,
        scan_tar={None: 0, "lenient": 1, "strict": 2}[job.scan_tar],
        max_tar=limits.layer if job.max_tar is None else job.max_tar,
        max_ratio=limits.ratio if job.bounded_ratio else 0,
        ratio_floor=RATIO_FLOOR,
        window_log_max=limits.zstd_window.bit_length() - 1,
        max_header=limits.gzip_header,
        max_extension=limits.tar_extension,
        max_sparse_map=limits.tar_sparse_map,
        max_extensions=limits.tar_extension_count,
        max_entries=limits.entry_count if job.list_entries else 0,
    )


def _no_pool(error: OSError | MemoryError, workers: int) -> OccyError:
    """Return why *workers* could not be begun with."""
    number = ENOMEM if isinstance(error, MemoryError) else error.errno
    if number == ENOMEM:
        taken = f"the buffers of {_count(workers)} take {_memory(workers, None)}"
        return ResourceError("", "memory", taken, LESS_MEMORY)
    if number == EAGAIN:                             # of pthread_create alone, also where a stack finds no room
        return ResourceError("", "threads", f"{_count(workers)} cannot be started", MORE_THREADS)
    if found := exhausted(error):
        return found
    problem = f"{_count(workers)} cannot be started: {os.strerror(number or EIO)}"
    return OccyError("", problem, "let it start threads, and make an eventfd: a sandbox may forbid either (seccomp)")


@contextmanager
def _memory_errors(job: LayerPass, identity: EncoderIdentity | None, workers: int) -> Iterator[None]:
    """Turn a MemoryError into a ResourceError that says what *job* takes."""
    try:
        yield
    except MemoryError as error:
        at = "" if identity is None else f" at {identity.codec}:{identity.level}"
        problem = f"{_count(workers)}{at} take up to {_memory(workers, identity)}"
        raise ResourceError(job.where, "memory", problem, LESS_MEMORY) from error


def _memory(workers: int, identity: EncoderIdentity | None) -> str:
    """Say how much a pool takes, with an encoder for every worker."""
    size = layer_pass.buffer_size(workers)
    if identity is not None and identity.codec == "zstd" and identity.level is not None:
        size += workers * zstd_blocks.encoder_size(identity.level)
    return f"{-(-size // (1 << 20))} MiB"


def _count(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"


class Run:
    """One layer under way; `WorkerPool.start` makes it."""

    def __init__(
        self, pool: WorkerPool, started: layer_pass.Pass, job: LayerPass, identity: EncoderIdentity | None
    ) -> None:
        self._pool, self._pass, self._job, self._identity = pool, started, job, identity
        self._feed = _Feed(started, job.source.buffers) if isinstance(job.source, FeedSource) else None
        self._drain = job.sink.write if isinstance(job.sink, DrainSink) else None
        self._failure: BaseException | None = None

    @property
    def counters(self) -> Counters:
        """The bytes so far; may be asked for at any time, from any thread."""
        return Counters(*self._pass.counters())

    @property
    def ended(self) -> bool:
        """Whether `wait` would return, or raise, at once."""
        return self._pass.ended

    def cancel(self) -> None:
        """Stop this layer at the next buffer."""
        self._pass.cancel()

    def hand_over(
        self, progress: Callable[[Counters], object] | None = None, cancelled: Callable[[], bool] | None = None
    ) -> None:
        """Feed until every buffer of the source is taken, or the layer has ended; what comes of it, `wait` tells.

        Args:
            progress, cancelled: as `wait` takes them.
        Raises:
            Cancelled: it was stopped.
        """
        self._work(progress, cancelled, lambda: self._feed is None or self._feed.ended)

    def wait(
        self, progress: Callable[[Counters], object] | None = None, cancelled: Callable[[], bool] | None = None
    ) -> PassResult:
        """Wait for the end, feeding and draining on the way, where signals are seen.

        Args:
            progress: called about four times a second.
            cancelled: asked as often; when it says so, the layer stops.

        Raises:
            OccyError: whatever is wrong with the layer, seen from `LayerPass.where`; InputError where its file cannot
                be read, ResourceError where memory ran out.
            OSError: what feeds the pass raised it.
            Cancelled: it was stopped.
        """
        try:
            with _memory_errors(self._job, self._identity, self._pool.workers):
                self._work(progress, cancelled)
                self._raise_failure()
                tar, source, output, *sizes = self._pass.result()
                entries = self._pass.entries()
        except OutputError as error:
            path = self._job.sink.path if isinstance(self._job.sink, FdSink) else self._job.where
            raise OutputError(error.path or path, error.errno, error.operation) from None
        except OccyError as error:
            raise (error if error.where else error.at(self._job.where)) from None
        finally:
            self._pass.cancel()
        digests = Digest.from_hash(tar), Digest.from_hash(source), Digest.from_hash(output)
        return PassResult(*digests, sizes[0], sizes[1], sizes[2], self._identity, entries)

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None  # kept, it would hold this run in a cycle
        try:
            if failure is not None:
                raise failure
        finally:
            del failure

    def _work(
        self,
        progress: Callable[[Counters], object] | None,
        cancelled: Callable[[], bool] | None,
        enough: Callable[[], bool] = lambda: False,
    ) -> None:
        poll = select.poll()
        if (event := self._pool._fileno()) >= 0:  # a closed pool has none, and all its passes have ended
            poll.register(event, select.POLLIN)
        tick = None if progress is None and cancelled is None else _TICK
        told = time.monotonic()
        while not self._pass.ended and not enough():
            if not self._pool._pump() and poll.poll(None if tick is None else tick * 1000):
                with suppress(BlockingIOError):
                    os.eventfd_read(self._pool._fileno())
            if tick is not None and time.monotonic() - told >= tick:
                told = time.monotonic()
                if cancelled is not None and cancelled():
                    raise Cancelled(self._job.where)
                if progress is not None:
                    progress(self.counters)
        if progress is not None:
            progress(self.counters)

    def _pump(self) -> bool:
        """Feed and drain once; whether anything moved. What fails on the caller's side is kept for `wait`."""
        moved = False
        try:
            moved = self._feed is not None and self._feed.step()
            if self._drain is not None and (output := self._pass.drain()):
                self._drain(output)
                moved = True
        except Exception as failure:
            self._failure = failure
            self._pass.cancel()
            return True
        return moved


class _Feed:
    """Hand buffers to a pass, as many as it takes."""

    def __init__(self, to: layer_pass.Pass, buffers: Iterable[bytes | bytearray | memoryview]) -> None:
        self._to = to
        self._buffers: Iterator[bytes | bytearray | memoryview] = iter(buffers)
        self._rest = memoryview(b"")
        self._more = True
        self.ended = False

    def step(self) -> bool:
        """Feed once; whether anything moved."""
        if self.ended:
            return False
        if not len(self._rest) and self._more:
            try:
                self._rest = memoryview(next(self._buffers)).cast("B")
            except StopIteration:
                self._more = False
        if not self._more:
            self.ended = self._to.end_feed()
            return self.ended
        taken = self._to.feed(self._rest)
        self._rest = self._rest[taken:]
        return taken > 0 or not len(self._rest)
