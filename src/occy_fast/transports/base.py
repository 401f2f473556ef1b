"""What every transport offers: Source to read from, Destination and Stage to write to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, runtime_checkable

from occy_fast.closing import Closable
from occy_fast.engine.sinks import Sink, StreamSink
from occy_fast.image.blob import FileRegion
from occy_fast.image.image import Contents
from occy_fast.image.loader_view import LoaderView
from occy_fast.image.publication import Publication
from occy_fast.planning.capabilities import Capabilities
from occy_fast.spec.digest import Digest
from occy_fast.transports.locator import Locator

AdoptBy = Literal["link", "reflink", "copy"]


class Source(Closable, Protocol):
    """A place images are read from."""

    @property
    def locator(self) -> str:
        """Return the locator as the caller wrote it."""

    def read(self) -> Contents:
        """Read the metadata of every image the locator selects; no layer is read but its first bytes."""

    def loader_view(self) -> LoaderView | None:
        """Return how a loader meets the images; None where there is nothing to load, as in a daemon's store."""


class Stage(Closable, Protocol):
    """An unpublished write: nothing it holds is reachable before publish, and leaving it without publish removes it.

    Its methods may be called from several threads.
    """

    @property
    def concurrent_unknown(self) -> bool:
        """Return whether several Sinks of unknown size may be open at the same time."""

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Tell whether the blob need not be written: staged before, or at the destination already.

        With *size*, a file of another size does not count.
        """

    def find_blob(self, digest: Digest, size: int) -> FileRegion | None:
        """Find a blob that the destination had before, to be read and relied upon; None where it has none to be read.

        Where it is another by then, and nothing was staged in its place, publish raises PlanStale.
        """

    def open_blob(self, size: int | None) -> Sink | StreamSink:
        """Open a Sink; a known *size* (bytes) is reserved, and such Sinks may be written side by side.

        Where the destination is written "one after another", a known size opens a StreamSink.

        Raises OutputError, TransportError.
        """

    def put_bytes(self, digest: Digest, data: bytes) -> None:
        """Stage a small blob: a config, manifest or index. Raises DigestMismatch, OutputError."""

    def adopt(self, digest: Digest, size: int, origin: FileRegion, how: AdoptBy) -> bool:
        """Take a blob over from another file, its bytes not passing through this process; the caller vouches for it.

        Return False, with nothing staged, where the file systems cannot do *how*. "copy" always can.
        Raises OutputError, and PlanStale where the origin is not what it was.
        """

    def publish(self, publication: Publication) -> None:
        """Store the publication's documents and make all of it reachable, names last.

        What was staged and the publication does not name is dropped.

        Raises MissingBlob or SizeMismatch for a layer that was not staged, OutputError.
        """


class Destination(Protocol):
    """A place images are written to."""

    @property
    def locator(self) -> Locator:
        """Return where it is."""

    @property
    def reference(self) -> str | None:
        """Return the name the locator asks for: "NAME:TAG" of an archive, REF of a layout; None keeps the source's."""

    def capabilities(self) -> Capabilities:
        """Return what it can hold, whatever it holds already."""

    def notes(self) -> tuple[str, ...]:
        """Say what is there that the reader of a plan would not expect. Raises Unsupported, where it is in the way."""

    def present(self, digests: Iterable[Digest]) -> dict[Digest, FileRegion]:
        """Find which of *digests* are there already, by name and kind of file only: nothing is read."""

    def stage(self) -> Stage: ...


@runtime_checkable
class UnpackingDestination(Destination, Protocol):
    """A destination that has layers unpacked, one upon another, and knows each by its chain_id."""

    def chains(self, stacks: Iterable[tuple[Digest, ...]]) -> frozenset[Digest]:
        """Find which chain_ids of *stacks* of diff_ids, bottom layer first, are there already. Raises DaemonError."""
