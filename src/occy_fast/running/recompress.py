"""Recode one layer on its own, from and to paths, descriptors, file objects and bytes."""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from occy_fast.context.call import Call
from occy_fast.engine.in_flight import InFlight
from occy_fast.engine.layer_job import LayerJob
from occy_fast.engine.sinks import StreamSink
from occy_fast.errors import CorruptStream, OccyError, UsageError, read_errors, resource_errors, unwritable
from occy_fast.files.staged import StagedFile, clean_stale, open_directory, output_errors, replaceable
from occy_fast.image.blob import Blob
from occy_fast.image.image import Layer
from occy_fast.running.result import RecompressResult
from occy_fast.spec.encoding import NATIVE, Encoding, parse_encoding
from occy_fast.spec.limits import Limits
from occy_fast.streams.layer_pass import FdSource
from occy_fast.streams.sniff import SNIFF_SIZE, ends_in_magic, sniff

if TYPE_CHECKING:
    from occy_fast.context.progress import ProgressCallback
    from occy_fast.engine.layer_job import LayerProof
    from occy_fast.spec.digest import Digest
    from occy_fast.streams.decode import Buffer

STEP = 1 << 20

Readable = str | os.PathLike[str] | int | bytes | bytearray | memoryview | BinaryIO
Writable = str | os.PathLike[str] | int | BinaryIO | None


@resource_errors()
def recompress(
    source: Readable,
    destination: Writable,
    encoding: Encoding | str,
    *,
    trusted: bool = False,
    limits: Limits | None = None,
    max_layer: int | None = None,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> RecompressResult:
    """Decode a layer, whatever its encoding is, and encode it again; the same tar and encoding give the same bytes.

    Args:
        source: a path, an open descriptor (read from where it stands), a binary file object, or the bytes themselves.
        destination: a path (replaced when all is well, else left as it was), an open descriptor (written from where it
            stands), a binary file object, or None to make the digests and sizes only.
        encoding: ``none``, ``gzip``, ``zstd``, or with a level as in ``zstd:3``.
        trusted: allow more than 1000 bytes of tar for each byte of source, as long runs of zeros honestly give.
        limits, max_layer, workers, progress, cancel: as the package describes them; a Progress has one layer, whose
            size is 0 where nobody knows it, as of a pipe.
    Returns:
        A RecompressResult: digests, sizes, who encoded, and in how many seconds.
    Raises:
        CorruptStream: the source is broken or ends before its verified end.
        DecompressionBomb: there is more tar than *max_layer*, or more than 1000 times the source of a layer
            that is not *trusted*.
        OutputError: the destination cannot be written.
        MissingFile: there is no such path.
        InputError: the source is there, and cannot be read.
        Unsupported: the encoding is not offered, or a device or pipe stands where a file is to be replaced.
        UsageError: a path is a directory, or so many workers, or such a limit, cannot be.
        ResourceError: memory, threads or descriptors ran out.
        Cancelled: as the caller asked.
    """
    wanted = (parse_encoding(encoding) if isinstance(encoding, str) else encoding).check_level()
    call = Call.of(limits=limits, max_layer=max_layer, workers=workers, cancel=cancel, progress=progress)
    began = time.monotonic()
    with ExitStack() as open_files:
        proof = _run(source, destination, wanted, call, open_files, bounded_ratio=not trusted)
    assert proof.diff_id is not None, "its tar was read"
    return RecompressResult(
        diff_id=proof.diff_id,
        source_digest=proof.source_digest,
        digest=proof.digest,
        size_in=proof.size_in,
        size_tar=proof.size_tar,
        size_out=proof.size_out,
        identity=proof.identity,
        seconds=time.monotonic() - began,
    )


def _run(
    source: Readable,
    destination: Writable,
    wanted: Encoding,
    call: Call,
    open_files: ExitStack,
    *,
    bounded_ratio: bool,
) -> LayerProof:
    codec, size, origin = _open_source(source, open_files)
    sink = _open_sink(destination, open_files)
    job = LayerJob(
        Layer(Blob(None, size, "", None), "", Encoding(codec), None),
        _name(source),
        source=origin,
        read_tar=True,
        encode=wanted,
        sink=sink,
        output="" if isinstance(sink, StreamSink) else sink.path,
        bounded_ratio=bounded_ratio,
    )
    found: list[LayerProof] = []
    call.report.phase("layers")
    with InFlight(call, [(job.layer, "recode")]) as in_flight:
        in_flight.start(0, job, found.append)
        in_flight.wait_all()
    return found[0]


def _name(place: Readable) -> str:
    if isinstance(place, str | os.PathLike):
        return os.fspath(place)
    if isinstance(place, int):
        return f"descriptor {place}"
    return "bytes" if isinstance(place, bytes | bytearray | memoryview) else str(getattr(place, "name", "file object"))


def _open_source(source: Readable, open_files: ExitStack) -> tuple[str, int, FdSource | Iterable[Buffer]]:
    """Return how the source is encoded, its size in bytes, 0 where nobody knows it, and what the pass reads."""
    where = _name(source)
    if isinstance(source, bytes | bytearray | memoryview):
        view = memoryview(source).cast("B")
        return _codec(bytes(view[:SNIFF_SIZE]), where), len(view), [view]
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
        fd = source
        with read_errors(where):
            status = os.fstat(fd)
            if stat.S_ISREG(status.st_mode):
                offset = os.lseek(fd, 0, os.SEEK_CUR)
                codec = _codec(os.pread(fd, SNIFF_SIZE, offset), where)
                origin = FdSource(fd, offset) if codec in NATIVE else _read_all(fd, offset, where)
                return codec, max(0, status.st_size - offset), origin
        return _sniff_buffers(_read_pipe(lambda: os.read(fd, STEP), where), where)
    file = source
    return _sniff_buffers(_read_pipe(lambda: file.read(STEP), where), where)


def _codec(head: bytes, where: str) -> str:
    """Recognise the encoding; what is cut off inside its magic would pass for a tar."""
    if ends_in_magic(head):
        raise CorruptStream(where, len(head), "the stream ends early")
    return sniff(head).codec


def _sniff_buffers(buffers: Iterator[bytes], where: str) -> tuple[str, int, Iterator[bytes]]:
    head = b""
    while len(head) < SNIFF_SIZE and (more := next(buffers, b"")):
        head += more

    def all_of_it() -> Iterator[bytes]:
        yield head
        yield from buffers

    return _codec(head[:SNIFF_SIZE], where), 0, all_of_it()


def _read_pipe(read: Callable[[], bytes | None], where: str) -> Iterator[bytes]:
    while True:
        with read_errors(where):
            block = read()
            if block is None:                        # of a raw stream that does not block: nothing has come yet
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
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


class _File:
    """A Sink: a file that is replaced when all is well."""

    offset = 0

    def __init__(self, path: str | os.PathLike[str], open_files: ExitStack) -> None:
        """Stage a file beside *path*. Raises UsageError, OutputError, Unsupported."""
        text = os.fspath(path)
        if not os.path.basename(text) or os.path.isdir(text):
            raise UsageError(f"{text} is a directory", "name the file that is to hold the layer")
        place = replaceable(text)
        with output_errors(text, "open the directory of"):
            directory = open_directory(os.path.dirname(place) or ".")
        open_files.callback(os.close, directory)
        clean_stale(directory)
        self._staged = open_files.enter_context(StagedFile(directory, place))
        self.fd, self.path = self._staged.fd, self._staged.path

    def commit(self, digest: Digest, size: int) -> None:  # noqa: ARG002
        self._staged.publish(os.path.basename(self.path))

    def abort(self) -> None:
        """Leave it to the StagedFile, which removes what is not published."""


class _Descriptor:
    """A Sink: an open regular file, written from where it stands."""

    def __init__(self, fd: int) -> None:
        self.fd, self.offset, self.path = fd, os.lseek(fd, 0, os.SEEK_CUR), f"descriptor {fd}"

    def commit(self, digest: Digest, size: int) -> None:  # noqa: ARG002
        os.lseek(self.fd, self.offset + size, os.SEEK_SET)

    def abort(self) -> None:
        """Leave what was written: it is the caller's file."""


class _Writer:
    """A StreamSink: a function that takes some of what it is given, as os.write does."""

    def __init__(self, write: Callable[[memoryview], int | None], name: str, *, is_raw: bool = False) -> None:
        """Write with *write*, whose None means that all was taken, unless it *is_raw*."""
        self._write, self._name, self._is_raw = write, name, is_raw

    def write(self, piece: bytes) -> None:
        """Write all of *piece*, however short the single writes are. Raises OutputError."""
        rest = memoryview(piece)
        while len(rest):
            try:
                written = self._write(rest)
                if written is None and self._is_raw:     # a stream that does not block has taken nothing
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            except OccyError:
                raise
            except OSError as error:
                raise unwritable(error, self._name, "write") from error
            rest = rest[len(rest) if written is None else written :]

    def commit(self, digest: Digest, size: int) -> None:
        """Do nothing: it has all been taken."""

    def abort(self) -> None:
        """Do nothing: what was taken is the caller's."""


def _open_sink(destination: Writable, open_files: ExitStack) -> _File | _Descriptor | _Writer:
    if destination is None:
        return _Writer(len, "nothing")
    if isinstance(destination, str | os.PathLike):
        return _File(destination, open_files)
    if isinstance(destination, int):
        fd = destination
        with output_errors(f"descriptor {fd}", "open"):
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return _Descriptor(fd)
        return _Writer(lambda rest: os.write(fd, rest), f"descriptor {fd}")
    name = str(getattr(destination, "name", "file object"))
    return _Writer(destination.write, name, is_raw=isinstance(destination, io.RawIOBase))
