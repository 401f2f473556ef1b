"""Images out of the bytes of an archive as they come by, whoever brings them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from occy_fast.closing import Closing
from occy_fast.engine.layer_job import NO_PROOFS, Proofs
from occy_fast.errors import LimitError, TarError
from occy_fast.image.blob import InlineBytes, StreamedBytes
from occy_fast.streams.sniff import SNIFF_SIZE
from occy_fast.streams.tar import begins_tar
from occy_fast.streams.tar_stream import TarStream
from occy_fast.transports.archive.members import FirstBytes, MemberTable
from occy_fast.transports.archive.readers import archive_reader, check_foreign
from occy_fast.transports.base import StreamedBlob

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.image.image import Contents
    from occy_fast.streams.decode import Buffer
    from occy_fast.streams.tar import Entry
    from occy_fast.transports.locator import Locator


class ArchiveStream(Closing):
    """Reads images from an archive in one pass, for a StreamSource; layers are the caller's to take as they come by.

    Attributes:
        members: what has come so far.
    """

    def __init__(
        self,
        locator: Locator,
        call: Call,
        open_tar: Callable[[], Generator[Buffer]],
        *,
        lenient: bool = False,
        for_loaders: bool = False,
        to_end: bool = True,
    ) -> None:
        """Read the images that *locator* selects; nothing is opened before blobs is asked for.

        Args:
            open_tar: opens the archive, as often as it is to be read, and yields its bytes as a plain tar.
            lenient: see DockerArchiveReader.
            for_loaders: keep also the documents that only a loader finds: its view will be asked for.
            to_end: read what follows the archive's end, as who writes into a pipe may take it ill to be cut off.
        """
        self.locator = locator.text
        self._wanted, self._call, self._open_tar = locator, call, open_tar
        self._lenient, self._for_loaders, self._to_end = lenient, for_loaders, to_end
        self.members = self._new_table()
        self._reading = ExitStack()

    def blobs(self) -> Iterator[StreamedBlob]:
        """Yield what may be a layer; see StreamSource. Raises what *open_tar* does, TarError, LimitError."""
        self._reading.close()
        self.members = self._new_table()
        limits, kept, count = self._call.limits, 0, 0
        tar_bytes = self._open_tar()
        self._reading.callback(tar_bytes.close)
        tar = TarStream(tar_bytes, where=self.locator, limits=limits, to_end=self._to_end, whole=True)
        for entry in self._entries(tar):
            member = self.members.add(entry)
            if member is None or not member.is_file:
                continue
            name = member.name or (f"/{member.beyond}" if member.beyond else "")
            found = bool(name) and not member.problem        # by a reader
            if not found and not self._for_loaders:
                continue
            head = tar.peek(entry, SNIFF_SIZE)
            first = FirstBytes.of(head)
            kind = first.codec if first.codec != "none" or begins_tar(head) else "other"
            if kind == "other" and (found or first.json) and entry.stored <= self._room(kept):
                kept += entry.stored
                member.streamed = InlineBytes(b"".join(map(bytes, tar.content(entry))))
            elif not found:
                member.streamed, member.first = StreamedBytes("", entry.stored, b""), first
            else:
                count += 1
                if count > limits.stream_blob_count:
                    most = limits.stream_blob_count
                    raise LimitError(self.locator, "blobs that come by once", most, count, ("stream_blob_count",))
                member.streamed = StreamedBytes(name, entry.stored, head)
                yield StreamedBlob(name, entry.stored, kind, head, tar.content(entry))
        self._reading.close()

    def contents(self, proofs: Proofs) -> Contents:
        """Read what the documents say, once all has come by; see StreamSource."""
        names = self.members.clean_names()
        reader = archive_reader(self._wanted, names, self._call, lenient=self._lenient, proofs=proofs)
        return reader.read(names)

    def read(self) -> Contents:
        """Let the archive come by, and read the selected images. Raises what blobs and contents do."""
        for _ in self.blobs():
            pass
        return self.contents(NO_PROOFS)

    def close(self) -> None:
        self._reading.close()                            # who keeps an error keeps the readers that it went through

    def _new_table(self) -> MemberTable:
        return MemberTable(self.locator, self._call.limits)

    def _room(self, kept: int) -> int:
        """Return how large a document may be to be kept, where that many bytes are kept already."""
        limits = self._call.limits
        return min(limits.stream_documents - kept, max(limits.manifest, limits.docker_manifest, limits.config))

    def _entries(self, tar: TarStream) -> Iterator[Entry]:
        try:
            yield from tar.entries()
        except TarError as error:
            check_foreign(tar.head, self.locator, error)
            raise
