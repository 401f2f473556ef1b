"""An archive that a daemon loads while it is made: no member's header goes out before its size is known."""

from __future__ import annotations

import os
import tempfile
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal

from occy_fast.closing import Closing
from occy_fast.errors import DaemonError, DigestMismatch, SizeMismatch
from occy_fast.files.spool import temporary_directory
from occy_fast.files.staged import COPY_STEP, output_errors
from occy_fast.files.tar_writer import END_OF_ARCHIVE, padded, tar_header, tar_member
from occy_fast.log import log

if TYPE_CHECKING:
    from occy_fast.image.blob import FileRegion
    from occy_fast.image.publication import Publication
    from occy_fast.planning.steps import AdoptHow
    from occy_fast.spec.digest import Digest
    from occy_fast.transports.daemon.client import DaemonClient


@dataclass(frozen=True, slots=True)
class _Member:
    """A blob that the daemon has been sent."""

    name: str
    size: int


class _Upload:
    """A blob of known size on its way to the daemon; nothing else is sent before it ends."""

    def __init__(self, stage: DaemonStage, size: int, digest: Digest | None) -> None:
        """Announce a blob of *size* bytes, which turns out to be *digest* where that is known."""
        self._stage, self._size, self._left, self._digest = stage, size, size, digest
        self._name = ""

    def write(self, piece: bytes) -> None:
        """Send the next bytes. Raises SizeMismatch for more than there may be, DaemonError."""
        if len(piece) > self._left:
            raise SizeMismatch(self._stage.locator, self._size, self._size + len(piece) - self._left)
        self._begin()
        self._stage.send(piece)
        self._left -= len(piece)

    def commit(self, digest: Digest, size: int) -> None:
        """Let what was sent be *digest*. Raises SizeMismatch, DigestMismatch, DaemonError."""
        if size != self._size or self._left:
            raise SizeMismatch(self._stage.locator, self._size, size)
        if self._digest is not None and digest != self._digest:
            raise DigestMismatch(f"{self._stage.locator}: {self._digest}", self._digest, digest)
        self._begin()
        self._stage.send(bytes(padded(size) - size))
        self._stage.end_upload(self, digest, _Member(self._name, size))

    def abort(self) -> None:
        """Hang up: what has been sent cannot be taken back, and a tar that ends here is no image."""
        self._stage.drop_upload(self)

    def _begin(self) -> None:
        if not self._name:
            self._name = self._stage.start_member(self._size, self._digest)


class _SpooledBlob:
    """A blob of which something must be known that its end tells: until then it is a file without a name."""

    offset = 0

    def __init__(self, stage: DaemonStage, file: BinaryIO) -> None:
        self._stage, self._file = stage, file
        self.fd = file.fileno()

    def commit(self, digest: Digest, size: int) -> None:
        """Send what was written. Raises OutputError, DaemonError."""
        self._stage.send_spooled(digest, self.fd, size)
        self._file.close()

    def abort(self) -> None:
        self._file.close()


class DaemonStage(Closing, ABC):
    """Layers go to the daemon one behind the other, documents last; it loads what it has when the archive ends.

    Leaving without publish hangs up inside the archive, which is then no image.

    Attributes:
        names_by_digest: the archive's members are called by their digests, which must be known before a blob begins.
    """

    names_by_digest: ClassVar[bool]

    def __init__(self, client: DaemonClient, locator: str) -> None:
        self.locator = locator
        self.client = client
        self._mutex = threading.RLock()
        self.sent: dict[Digest, _Member] = {}
        self._documents: dict[Digest, bytes] = {}
        self._upload: _Upload | None = None
        self._begun = self._given_up = False
        self._failure: DaemonError | None = None
        self.bytes_sent = 0

    @abstractmethod
    def member_name(self, digest: Digest | None) -> str:
        """Choose what the next blob is called in the archive. Raises Unsupported."""

    @abstractmethod
    def publish(self, publication: Publication) -> None:
        """Send the documents and let the daemon load; a failed load leaves names and images as they were before.

        Raises MissingBlob, SizeMismatch, PlanStale for what the daemon was to have, DaemonError, Unsupported.
        """

    def has(self, digest: Digest, size: int | None = None) -> bool:
        with self._mutex:
            member = self.sent.get(digest)
            found = member.size if member else len(self._documents[digest]) if digest in self._documents else None
        return found is not None and (size is None or found == size)

    def find_blob(self, digest: Digest, size: int) -> FileRegion | None:  # noqa: ARG002
        return None                                  # a daemon gives no blob back

    def open_blob(self, size: int | None, digest: Digest | None = None) -> _Upload | _SpooledBlob:
        if size is None or (digest is None and self.names_by_digest):
            with output_errors(temporary_directory(), "create a temporary file in"):
                return _SpooledBlob(self, tempfile.TemporaryFile(buffering=0, dir=temporary_directory()))
        with self._mutex:
            if self._upload is not None:
                raise RuntimeError("a blob is on its way to the daemon")
            self._upload = _Upload(self, size, digest)
            return self._upload

    def put_bytes(self, digest: Digest, data: bytes) -> None:
        """Keep a document until publish."""
        found = digest.of(data)
        if found != digest:
            raise DigestMismatch(f"{self.locator}: {digest}", digest, found)
        with self._mutex:
            self._documents.setdefault(digest, data)

    def adopt(self, digest: Digest, size: int, origin: FileRegion, how: AdoptHow | Literal["copy"]) -> bool:
        if self.has(digest, size):
            return True
        if how != "copy":
            return False
        if origin.size != size:
            raise SizeMismatch(origin.path, size, origin.size)
        with origin.open() as region:
            self._send_file(digest, region.fd, region.offset, size)
        return True

    def send_document(self, name: str, data: bytes) -> None:
        """Send a whole member of the archive. Raises DaemonError."""
        self._start()
        self.send(tar_member(name, data))

    def end_archive(self) -> None:
        """Send the archive's end, and read what the daemon says to it. Raises DaemonError."""
        assert self._upload is None, "the end of an archive with a blob on its way"
        self.send(END_OF_ARCHIVE)
        log.debug("%s: %d bytes sent", self.locator, self.bytes_sent)
        self.client.end_load(whole=True)

    def send_spooled(self, digest: Digest, fd: int, size: int) -> None:
        """Send the blob that was written to the file *fd*, if it is not sent yet. Raises OutputError, DaemonError."""
        with self._mutex:
            if digest in self.sent:
                return
            with output_errors(temporary_directory(), "read the temporary file in"):
                self._send_file(digest, fd, 0, size)

    def _send_file(self, digest: Digest, fd: int, offset: int, size: int) -> None:
        """Send a blob whose bytes are proved."""
        with self._mutex:
            assert self._upload is None, "a blob is on its way"
            name = self.start_member(size, digest)
            done = 0
            while done < size:
                piece = os.pread(fd, min(COPY_STEP, size - done), offset + done)
                if not piece:
                    raise SizeMismatch(self.locator, size, done)
                self.send(piece)
                done += len(piece)
            self.send(bytes(padded(size) - size))
            self.sent[digest] = _Member(name, size)

    def start_member(self, size: int, digest: Digest | None) -> str:
        """Send the header of a blob of *size* bytes, and return its name. Raises DaemonError, Unsupported."""
        name = self.member_name(digest)
        self._start()
        self.send(tar_header(name, size))
        return name

    def end_upload(self, upload: _Upload, digest: Digest, member: _Member) -> None:
        """Let *member*, which *upload* has sent, be the blob of *digest*."""
        with self._mutex:
            assert self._upload is upload
            self._upload = None
            self.sent.setdefault(digest, member)

    def drop_upload(self, upload: _Upload) -> None:
        """Hang up in the middle of *upload*; nothing can be sent after that."""
        with self._mutex:
            if self._upload is upload:
                self._upload = None
                self._given_up = True
                self.client.close()

    def begin_archive(self) -> None:
        """Send what an archive begins with: nothing, unless a kind of archive has something to say there."""

    def _start(self) -> None:
        if self._given_up:
            raise RuntimeError("an archive that was given up in the middle of a blob")
        if not self._begun:
            self._begun = True
            self.client.begin_load()
            self.begin_archive()

    def send(self, piece: bytes) -> None:
        """Send a piece of the archive.

        Raises DaemonError, with the daemon's own words where it has said any: once, and again for what is still under
        way in a pass that was cancelled.
        """
        if self._failure is not None:
            raise self._failure
        try:
            if not self.client.connection.send(piece):
                self.client.end_load(whole=False)
        except DaemonError as error:
            self._failure = error
            raise
        self.bytes_sent += len(piece)

    def close(self) -> None:
        """Hang up; without publish, the daemon keeps nothing of what was sent."""
        self.client.close()
