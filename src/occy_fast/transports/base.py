"""What every transport offers: Source to read from, Destination and Stage to write to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeGuard, runtime_checkable

from occy_fast.closing import Closable
from occy_fast.engine.layer_job import Proofs
from occy_fast.engine.sinks import Sink, StreamSink
from occy_fast.errors import OccyError
from occy_fast.image.blob import FileRegion
from occy_fast.image.image import Contents
from occy_fast.image.loader_view import LoaderView
from occy_fast.image.publication import Publication
from occy_fast.planning.capabilities import Capabilities
from occy_fast.planning.steps import AdoptHow
from occy_fast.spec.digest import Digest
from occy_fast.transports.locator import Locator


class Source(Closable, Protocol):
    """A place images are read from."""

    @property
    def locator(self) -> str:
        """Return the locator as the caller wrote it."""

    @property
    def is_stream(self) -> bool:
        """Return whether it is a StreamSource, which shows its images only once it has been read to its end."""

    def read(self) -> Contents:
        """Read the metadata of every image the locator selects; no layer is read but its first bytes."""

    def loader_view(self) -> LoaderView | None:
        """Return how a loader meets the images; None where there is nothing to load, as in a daemon's store."""


@dataclass(frozen=True, slots=True)
class StreamedBlob:
    """What may be a layer, or is too large to be kept.

    Attributes:
        name: of the archive's member, clean.
        kind: how it is encoded; "none" is a plain tar, "other" nothing that is known.
        head: its first bytes.
        buffers: all of them, once, and only until the next blob; each is good until the next is asked for.
    """

    name: str
    size: int
    kind: str
    head: bytes
    buffers: Iterator[memoryview]


class StreamSource(Source, Protocol):
    """A source that can be read only once, from its start to its end, and says last what its blobs are.

    Use blobs to its end, then contents; read does both, and lets the blobs go.
    """

    @property
    def is_awaited(self) -> bool:
        """Tell whether it gives at a pace of somebody else's: a pipe, a daemon."""

    def expected_diff_ids(self) -> tuple[Digest, ...]:
        """Return the diff_ids the image is said to have, before any of it comes; none where nobody says.

        Raises NotFound, TransportError.
        """

    def blobs(self) -> Iterator[StreamedBlob]:
        """Yield what may be a layer; what a caller leaves of it is passed over. Small documents are kept on the way.

        Raises:
            NotFound: there is no such source.
            InputError, TransportError: it cannot be read.
            UsageError: standard input is a terminal.
            TarError, CorruptStream, LimitError: the archive is broken, or ends early: also between two members.
            Cancelled: the caller asked for it.
        """

    def contents(self, proofs: Proofs) -> Contents:
        """Read what the documents say, once all has come by.

        Args:
            proofs: by name, what became of the blobs; without one, nobody knows more of it than its first bytes.
        Raises what reading the same archive from a file does, and Unsupported where a document was not kept.
        """

    def loader_view(self, error: OccyError | None = None) -> LoaderView | None:
        """Return how a loader meets what has come by; of a whole archive, if it was opened *for_loaders*.

        Before it has come, a file's compression is all there is to see, and of a pipe there is nothing: None.

        Args:
            error: what reading the blobs raised.
        Raises:
            LimitError, InputError: as reading the same archive from a file does.
            Unsupported: a document was not kept, of which nobody can say then what a loader makes of it.
        """


def is_stream(source: Source) -> TypeGuard[StreamSource]:
    """Tell whether a source is a StreamSource, for a type checker too."""
    return source.is_stream


class Stage(Closable, Protocol):
    """An unpublished write: nothing it holds is reachable before publish, and leaving it without publish removes it.

    Its methods may be called from several threads.
    """

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Tell whether the blob need not be written: staged before, or at the destination already.

        With *size*, a file of another size does not count.
        """

    def find_blob(self, digest: Digest, size: int) -> FileRegion | None:
        """Find a blob that the destination had before, to be read and relied upon; None where it has none to be read.

        Where it is another by then, and nothing was staged in its place, publish raises PlanStale.
        """

    def open_blob(self, size: int | None, digest: Digest | None = None) -> Sink | StreamSink:
        """Open a Sink; a known *size* (bytes) is reserved, and such Sinks may be written side by side.

        Where the destination is written "one after another", a known size opens a StreamSink; where it names blobs by
        their digests, only with the *digest* that the blob will prove to have.

        Raises OutputError, TransportError.
        """

    def put_bytes(self, digest: Digest, data: bytes) -> None:
        """Stage a small blob: a config, manifest or index. Raises DigestMismatch, OutputError."""

    def adopt(self, digest: Digest, size: int, origin: FileRegion, how: AdoptHow | Literal["copy"]) -> bool:
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

    def present(self, digests: Iterable[Digest]) -> dict[Digest, int]:
        """Find which of *digests* are there already, and their sizes; no blob is read."""

    def stage(self) -> Stage: ...


@runtime_checkable
class ManifestStore(Destination, Protocol):
    """A destination that tells what it has by the manifests that name it, and not blob by blob."""

    def whole_manifests(self, digests: Iterable[Digest]) -> frozenset[Digest]:
        """Find which manifests of *digests* are there with their configs and all their layers. Raises DaemonError."""


@runtime_checkable
class UnpackingDestination(Destination, Protocol):
    """A destination that has layers unpacked, one upon another, and knows each by its chain_id."""

    def chains(self, stacks: Iterable[tuple[Digest, ...]]) -> frozenset[Digest]:
        """Find which chain_ids of *stacks* of diff_ids, bottom layer first, are there already. Raises DaemonError."""
