"""What a layer is written to: a file of a Stage's, or a stream that takes its bytes in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from occy_fast.streams.layer_pass import DrainSink, FdSink

if TYPE_CHECKING:
    from occy_fast.spec.digest import Digest


class Sink(Protocol):
    """Where one blob is written: the caller pwrites its bytes at *fd*, from *offset* on.

    The descriptor stays the Stage's. Exactly one of commit and abort ends a Sink.
    """

    @property
    def fd(self) -> int: ...

    @property
    def offset(self) -> int: ...

    def commit(self, digest: Digest, size: int) -> None:
        """Keep what was written, as the blob *digest* of *size* bytes; a blob that is there already is dropped again.

        The caller has verified both. Raises OutputError.
        """

    def abort(self) -> None:
        """Drop what was written."""


@runtime_checkable
class StreamSink(Protocol):
    """Where one blob is written in order; until it ends, the caller writes nothing else to the Stage."""

    def write(self, piece: bytes) -> None:
        """Take the next bytes. Raises TransportError, OutputError."""

    def commit(self, digest: Digest, size: int) -> None:
        """Keep what was written, as the blob *digest* of *size* bytes; the caller has verified both."""

    def abort(self) -> None:
        """Give the whole Stage up, as what was written cannot be taken back."""


def output_of(sink: Sink | StreamSink | None, path: str) -> FdSink | DrainSink | None:
    """Return the end of a pass that writes to *sink*; *path* is for messages."""
    if sink is None:
        return None
    if isinstance(sink, StreamSink):
        return DrainSink(sink.write)
    return FdSink(sink.fd, sink.offset, path)
