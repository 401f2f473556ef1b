"""An archive that is streamed: through a pipe, or out of a file that is compressed as a whole."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from occy_fast.closing import Closing
from occy_fast.engine.layer_job import NO_PROOFS, Proofs
from occy_fast.errors import (
    LimitError,
    MissingFile,
    NotFound,
    TarError,
    TarTruncated,
    UsageError,
    read_errors,
    unreadable,
)
from occy_fast.image.blob import InlineBytes, StreamedBytes
from occy_fast.image.loader_view import LoaderView
from occy_fast.streams.decode import decode_whole
from occy_fast.streams.pipe import read_descriptor
from occy_fast.streams.sniff import SNIFF_SIZE, sniff
from occy_fast.streams.tar import begins_tar
from occy_fast.streams.tar_stream import TarStream
from occy_fast.transports.archive.members import FirstBytes, MemberTable
from occy_fast.transports.archive.readers import archive_reader, check_foreign
from occy_fast.transports.archive.view import broken_view, loader_view
from occy_fast.transports.locator import STREAM

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.errors import OccyError
    from occy_fast.image.image import Contents
    from occy_fast.spec.digest import Digest
    from occy_fast.streams.decode import Buffer
    from occy_fast.streams.tar import Entry
    from occy_fast.transports.locator import Locator


def is_stream(locator: Locator) -> bool:
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


@dataclass(frozen=True, slots=True)
class StreamedBlob:
    """A member that is too large to be kept, or looks like a layer.

    Attributes:
        name: clean.
        kind: how it is encoded; "none" is a plain tar, "other" nothing that is known.
        head: its first bytes.
        buffers: all of them, once, and only until the next blob; each is good until the next is asked for.
    """

    name: str
    size: int
    kind: str
    head: bytes
    buffers: Iterator[memoryview]


class ArchiveStream(Closing):
    """Reads images from an archive in one pass; layers are the caller's to take as they come by.

    Use blobs to its end, then contents; or read, which lets the layers go.

    Attributes:
        codec: what the archive as a whole is compressed with, "none" or empty until its first bytes have come.
    """

    _to_end: ClassVar[bool] = True                       # who writes into a pipe may take it ill to be cut off

    def __init__(
        self, locator: Locator, call: Call, *, lenient: bool = False, for_loaders: bool = False
    ) -> None:
        """Name the archive; nothing is opened before the pass.

        Args:
            lenient: see DockerArchiveReader.
            for_loaders: keep also the documents that only a loader finds: loader_view will be asked for.
        """
        self.locator = locator.text
        self._wanted, self._call, self._lenient, self._for_loaders = locator, call, lenient, for_loaders
        self._members = self._new_table()
        self.codec = ""
        self._fd = -1
        self._reading = ExitStack()

    def blobs(self) -> Iterator[StreamedBlob]:
        """Yield what may be a layer; what a caller leaves of it is passed over. Small documents are kept on the way.

        Raises:
            NotFound: there is no such archive.
            InputError: it cannot be read.
            UsageError: standard input is a terminal.
            TarError, CorruptStream, LimitError: the archive is broken, or ends early: also between two members.
            Cancelled: the caller asked for it.
        """
        self._reading.close()
        self._members = self._new_table()
        limits, kept, count = self._call.limits, 0, 0
        decoded = self._decoded()
        self._reading.callback(decoded.close)
        tar = TarStream(decoded, where=self.locator, limits=limits, to_end=self._to_end, whole=True)
        for entry in self._entries(tar):
            member = self._members.add(entry)
            if member is None or not member.is_file:
                continue
            found = bool(member.name) and not member.problem             # by a reader
            if not found and not self._for_loaders:
                continue
            head = tar.peek(entry, SNIFF_SIZE)
            first = FirstBytes.of(head)
            kind = first.codec if first.codec != "none" or begins_tar(head) else "other"
            if kind == "other" and (found or first.json) and entry.stored <= self._room(kept):
                kept += entry.stored
                member.address = InlineBytes(b"".join(map(bytes, tar.content(entry))))
            elif not found:
                member.address, member.first = StreamedBytes("", entry.stored, b""), first
            else:
                count += 1
                if count > limits.stream_blob_count:
                    most = limits.stream_blob_count
                    raise LimitError(self.locator, "blobs that come by once", most, count, ("stream_blob_count",))
                member.address = StreamedBytes(member.name, entry.stored, head)
                yield StreamedBlob(member.name, entry.stored, kind, head, tar.content(entry))
        self._reading.close()

    def expected_diff_ids(self) -> tuple[Digest, ...]:
        """Return the diff_ids the image is said to have, before any of it comes; none where nobody says."""
        return ()

    def contents(self, proofs: Proofs) -> Contents:
        """Read what the documents say, once all has come by.

        Args:
            proofs: by name, what became of the blobs; without one, nobody knows more of it than its first bytes.
        Raises what reading the same archive from a file does, and Unsupported where a document was not kept.
        """
        names = self._members.clean_names()
        reader = archive_reader(self._wanted, names, self._call, lenient=self._lenient, proofs=proofs)
        return reader.read(names)

    def read(self) -> Contents:
        """Let the archive come by, and read the selected images. Raises what blobs and contents do."""
        for _ in self.blobs():
            pass
        return self.contents(NO_PROOFS)

    def loader_view(self, error: OccyError | None = None) -> LoaderView | None:
        """Return how a loader meets the archive that has come by, if that was to be asked for.

        Before it has come, a file's compression is all there is to see, and of a pipe there is nothing: None.

        Args:
            error: what reading the blobs raised.
        Raises:
            LimitError, InputError: as reading the same archive from a file does.
            Unsupported: a document was not kept, of which nobody can say then what a loader makes of it.
        """
        if error is not None:
            return broken_view(error, self.codec)
        if not self.codec:
            compression = compression_of(self._wanted)
            return None if compression is None else LoaderView("docker-archive", compression)
        assert self._for_loaders, "what a loader finds was not kept"
        return loader_view(self._members.loader_names(), self._wanted, self.codec, self._call.limits)

    def close(self) -> None:
        self._reading.close()                            # who keeps an error keeps the readers that it went through
        self._close_file()

    def _new_table(self) -> MemberTable:
        return MemberTable(self.locator, self._call.limits)

    def _room(self, kept: int) -> int:
        """Return how large a document may be to be kept, where that many bytes are kept already."""
        limits = self._call.limits
        return min(limits.stream_documents - kept, max(limits.manifest, limits.docker_manifest, limits.config))

    def _close_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _entries(self, tar: TarStream) -> Iterator[Entry]:
        try:
            yield from tar.entries()
        except TarError as error:
            check_foreign(tar.head, self.locator, error)
            raise

    def _decoded(self) -> Generator[Buffer]:
        buffers = self._buffers(self._open())
        self._reading.callback(buffers.close)
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
