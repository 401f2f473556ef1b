"""Recode one layer on its own, from and to paths, descriptors, file objects and bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import BinaryIO

from occy_fast.context.call import Call
from occy_fast.engine.blob_source import NATIVE
from occy_fast.errors import CorruptStream, OccyError, UsageError, read_errors, resource_errors, unwritable
from occy_fast.files.staged import StagedFile, clean_stale, open_directory, output_errors, replaceable
from occy_fast.spec.encoding import Encoding, parse_encoding
from occy_fast.spec.limits import Limits
from occy_fast.streams.decode import decode_foreign
from occy_fast.streams.layer_pass import (
    Counters,
    DrainSink,
    FdSink,
    FdSource,
    FeedSource,
    LayerPass,
    PassResult,
    WorkerPool,
)
from occy_fast.streams.sniff import SNIFF_SIZE, ends_in_magic, sniff

STEP = 1 << 20

Readable = str | os.PathLike[str] | int | bytes | bytearray | memoryview | BinaryIO
Writable = str | os.PathLike[str] | int | BinaryIO | None


@resource_errors()
def recompress(
    source: Readable,
    destination: Writable,
    encoding: Encoding | str,
    *,
    workers: int | None = None,
    max_layer: int | None = None,
    limits: Limits | None = None,
    trusted: bool = False,
    progress: Callable[[Counters], object] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> PassResult:
    """Decode a layer, whatever its encoding is, and encode it again; the same tar and encoding give the same bytes.

    Args:
        source: a path, an open descriptor (read from where it stands), a binary file object, or the bytes themselves.
        destination: a path (replaced when all is well, else left as it was), an open descriptor (written from where it
            stands), a binary file object, or None to make the digests and sizes only.
        encoding: ``none``, ``gzip``, ``zstd``, or with a level as in ``zstd:3``.
        workers: threads; None takes the processors this process may use.
        max_layer: bytes of tar allowed, in place of what *limits* say.
        limits: what the layer may ask for; None takes the defaults, and what OCCY_FAST_MAX_... variables set.
        trusted: allow more than 1000 bytes of tar for each byte of source, as long runs of zeros honestly give.
        progress: called about four times a second with bytes so far.
        cancelled: asked as often; once it returns True the call ends with Cancelled.

    Returns:
        diff_id, digest, the sizes in bytes and who encoded.

    Raises:
        CorruptStream: the source is broken or ends before its verified end.
        DecompressionBomb: there is more tar than *max_layer*, or more than 1000 times the source of a layer
            that is not *trusted*.
        OutputError: the destination cannot be written.
        MissingFile: there is no such path.
        InputError: the source is there, and cannot be read.
        Unsupported: the encoding is not offered, or a device or pipe stands where a file is to be replaced.
        UsageError: a path is a directory, or so many workers, or such a limit, cannot be.
    """
    wanted = (parse_encoding(encoding) if isinstance(encoding, str) else encoding).check_level()
    call = Call.of(limits=limits, max_layer=max_layer, workers=workers)
    limits = call.limits
    with ExitStack() as open_files:
        found, origin = _open_source(source, open_files)
        where = _name(source)
        if found not in NATIVE:
            buffers = origin.buffers if isinstance(origin, FeedSource) else _read_all(origin.fd, origin.offset, where)
            origin = FeedSource(decode_foreign(found, (bytes(buffer) for buffer in buffers), where, limits.xz_memory))
        staged: StagedFile | None = None
        if isinstance(destination, str | os.PathLike):
            staged = _open_path(destination, open_files)
            sink: FdSink | DrainSink = FdSink(staged.fd, 0, staged.path)
        else:
            sink = _open_sink(destination)
        with WorkerPool(call.workers) as pool:
            job = LayerPass(
                origin,
                decode=found if found in NATIVE else "none",
                encode=wanted,
                sink=sink,
                max_tar=limits.layer,
                limits=limits,
                bounded_ratio=not trusted,
                where=where,
            )
            outcome = pool.start(job).wait(progress, cancelled)
        if staged is not None:
            staged.publish(os.path.basename(staged.path))
        elif isinstance(sink, FdSink):
            os.lseek(sink.fd, sink.offset + outcome.size_out, os.SEEK_SET)
    return outcome


def _name(place: Readable) -> str:
    if isinstance(place, str | os.PathLike):
        return os.fspath(place)
    if isinstance(place, int):
        return f"descriptor {place}"
    return "bytes" if isinstance(place, bytes | bytearray | memoryview) else str(getattr(place, "name", "file object"))


def _open_source(source: Readable, open_files: ExitStack) -> tuple[str, FdSource | FeedSource]:
    """Return the source's codec and what the pass reads."""
    where = _name(source)
    if isinstance(source, bytes | bytearray | memoryview):
        view = memoryview(source).cast("B")
        return _codec(bytes(view[:SNIFF_SIZE]), where), FeedSource([view])
    if isinstance(source, str | os.PathLike):
        with read_errors(where):
            fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        open_files.callback(os.close, fd)
        with read_errors(where):
            is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        if is_directory:
            raise UsageError(f"{where} is a directory", "name the file that holds the layer")
        source = fd
    if isinstance(source, int):
        with read_errors(where):
            if stat.S_ISREG(os.fstat(source).st_mode):
                offset = os.lseek(source, 0, os.SEEK_CUR)
                return _codec(os.pread(source, SNIFF_SIZE, offset), where), FdSource(source, offset)
        fd = source
        return _sniff_buffers(_read_pipe(lambda: os.read(fd, STEP), where), where)
    file = source
    return _sniff_buffers(_read_pipe(lambda: file.read(STEP), where), where)


def _codec(head: bytes, where: str) -> str:
    """Recognise the encoding; what is cut off inside its magic would pass for a tar."""
    if ends_in_magic(head):
        raise CorruptStream(where, len(head), "the stream ends early")
    return sniff(head).codec


def _sniff_buffers(buffers: Iterator[bytes], where: str) -> tuple[str, FeedSource]:
    head = b""
    while len(head) < SNIFF_SIZE and (more := next(buffers, b"")):
        head += more

    def all_of_it() -> Iterator[bytes]:
        yield head
        yield from buffers

    return _codec(head[:SNIFF_SIZE], where), FeedSource(all_of_it())


def _read_pipe(read: Callable[[], bytes], where: str) -> Iterator[bytes]:
    while True:
        with read_errors(where):
            block = read()
        if not block:
            return
        yield block


def _read_all(fd: int, offset: int, where: str) -> Iterator[bytes]:
    while True:
        with read_errors(where):
            block = os.pread(fd, STEP, offset)
        if not block:
            return
        offset += len(block)
        yield block


def _open_path(path: str | os.PathLike[str], open_files: ExitStack) -> StagedFile:
    text = os.fspath(path)
    if not os.path.basename(text) or os.path.isdir(text):
        raise UsageError(f"{text} is a directory", "name the file that is to hold the layer")
    place = replaceable(text)
    with output_errors(text, "open the directory of"):
        directory = open_directory(os.path.dirname(place) or ".")
    open_files.callback(os.close, directory)
    clean_stale(directory)
    return open_files.enter_context(StagedFile(directory, place))


def _open_sink(destination: int | BinaryIO | None) -> FdSink | DrainSink:
    if destination is None:
        return DrainSink(lambda _: None)
    if isinstance(destination, int):
        if stat.S_ISREG(os.fstat(destination).st_mode):
            return FdSink(destination, os.lseek(destination, 0, os.SEEK_CUR), f"descriptor {destination}")
        fd = destination
        return DrainSink(lambda data: _write_all(lambda rest: os.write(fd, rest), data, f"descriptor {fd}"))
    file = destination
    return DrainSink(lambda data: _write_all(file.write, data, str(getattr(file, "name", "file object"))))


def _write_all(write: Callable[[memoryview], int | None], data: bytes, name: str) -> None:
    """Write *data*, however short the single writes are."""
    rest = memoryview(data)
    while len(rest):
        try:
            written = write(rest)
        except OccyError:
            raise
        except OSError as error:
            raise unwritable(error, name, "write") from error
        rest = rest[len(rest) if written is None else written :]
