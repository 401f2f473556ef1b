"""Docker's or Podman's own images, as an archive that comes by while the daemon makes it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from occy_fast.closing import Closing
from occy_fast.errors import NotFound, UsageError
from occy_fast.transports.archive.stream import ArchiveStream
from occy_fast.transports.daemon.client import DaemonClient
from occy_fast.transports.daemon.endpoint import find_endpoint

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.engine.layer_job import Proofs
    from occy_fast.errors import OccyError
    from occy_fast.image.image import Contents
    from occy_fast.image.loader_view import LoaderView
    from occy_fast.spec.digest import Digest
    from occy_fast.streams.decode import Buffer
    from occy_fast.transports.base import StreamedBlob
    from occy_fast.transports.locator import Locator


class DaemonSource(Closing):
    """Reads an image from a daemon in one pass, a StreamSource; what the daemon says of it is known before."""

    is_stream: Final = True
    is_awaited: Final = True

    def __init__(self, locator: Locator, call: Call) -> None:
        """Find the daemon's address; it is asked nothing yet. Raises DaemonError, UsageError, Unsupported."""
        if locator.reference is None:
            raise UsageError(f"'{locator.text}' names no image", f"the form is {locator.transport}:NAME[:TAG]")
        self.locator = locator.text
        self._kind, self._name = locator.transport, locator.reference
        self._written = locator.text.partition(":")[2]
        self._call = call
        endpoint = find_endpoint(locator.transport, "source", call.access.socket)
        self._client = DaemonClient(endpoint, "source", locator.text, call.access.timeout)
        # the archive has the one image that was asked for, under the name it was asked for by, or none; it is not read
        # to its end, as dockerd removes a copy of the image first: 0.2 s for 1 GB
        self._stream = ArchiveStream(replace(locator, reference=None), call, self._open_tar, to_end=False)

    def expected_diff_ids(self) -> tuple[Digest, ...]:
        """Return the diff_ids the daemon says the image has. Raises NotFound, DaemonError."""
        self._resolve()
        image = self._client.find(self._name)
        if image is None:
            raise NotFound(self.locator, f"image {self._name}")
        return image.diff_ids

    def blobs(self) -> Iterator[StreamedBlob]:
        """Yield what may be a layer; see StreamSource. Raises DaemonError, NotFound, Cancelled, TarError."""
        return self._stream.blobs()

    def contents(self, proofs: Proofs) -> Contents:
        """Read what the documents say, once all has come by; see StreamSource."""
        return replace(self._stream.contents(proofs), kind=self._kind)

    def read(self) -> Contents:
        """Let the archive come by, and read its image. Raises what blobs and contents do."""
        return replace(self._stream.read(), kind=self._kind)

    def loader_view(self, error: OccyError | None = None) -> LoaderView | None:  # noqa: ARG002
        """Return None: what a daemon has was loaded before."""
        return None

    def close(self) -> None:
        self._stream.close()
        self._client.close()

    def _resolve(self) -> None:
        """Find out what is asked for; where there is no such id, a daemon would call that a fault of its own."""
        self._call.report.phase("connect", "source")
        self._name = self._client.resolve(self._name, self._written)
        if self._name.startswith("sha256:") and self._client.find(self._name) is None:
            raise NotFound(self.locator, f"image {self._name}")

    def _open_tar(self) -> Generator[Buffer]:
        """Yield the archive, which no daemon compresses as a whole. Raises DaemonError, NotFound, Cancelled."""
        self._resolve()
        yield from self._client.open_save(self._name, self._call.cancel)
