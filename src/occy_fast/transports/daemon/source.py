"""Docker's or Podman's own images, as an archive that comes by while the daemon makes it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from occy_fast.engine.layer_job import Proofs
from occy_fast.errors import NotFound, OccyError, UsageError
from occy_fast.transports.archive.stream import ArchiveStream
from occy_fast.transports.daemon.client import DaemonClient
from occy_fast.transports.daemon.endpoint import find_endpoint

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.image.image import Contents
    from occy_fast.image.loader_view import LoaderView
    from occy_fast.spec.digest import Digest
    from occy_fast.streams.decode import Buffer
    from occy_fast.transports.locator import Locator


class DaemonSource(ArchiveStream):
    """Reads an image from a daemon in one pass; what the daemon says of it is known before."""

    _to_end: ClassVar[bool] = False                      # dockerd removes a copy of the image first: 0.2 s for 1 GB

    def __init__(self, locator: Locator, call: Call) -> None:
        """Find the daemon's address; it is asked nothing yet. Raises DaemonError, UsageError, Unsupported."""
        if locator.reference is None:
            raise UsageError(f"'{locator.text}' names no image", f"the form is {locator.transport}:NAME[:TAG]")
        # the archive has the one image that was asked for, under the name it was asked for by, or none
        super().__init__(replace(locator, reference=None), call)
        self._kind, self._name = locator.transport, locator.reference
        self._written = locator.text.partition(":")[2]
        self._client = DaemonClient(
            find_endpoint(locator.transport, call.access.socket), locator.text, call.access.timeout
        )

    def expected_diff_ids(self) -> tuple[Digest, ...]:
        """Return the diff_ids the daemon says the image has. Raises NotFound, DaemonError."""
        self._resolve()
        image = self._client.find(self._name)
        if image is None:
            raise NotFound(self.locator, f"image {self._name}")
        return image.diff_ids

    def contents(self, proofs: Proofs) -> Contents:
        """Read what the documents say, once all has come by. Raises what reading the same archive from a file does."""
        return replace(super().contents(proofs), kind=self._kind)

    def loader_view(self, error: OccyError | None = None) -> LoaderView | None:  # noqa: ARG002
        """Return None: what a daemon has was loaded before."""
        return None

    def close(self) -> None:
        super().close()
        self._client.close()

    def _resolve(self) -> None:
        """Find out what is asked for; where there is no such id, a daemon would call that a fault of its own."""
        self._name = self._client.resolve(self._name, self._written)
        if self._name.startswith("sha256:") and self._client.find(self._name) is None:
            raise NotFound(self.locator, f"image {self._name}")

    def _decoded(self) -> Generator[Buffer]:
        """Yield the archive, which no daemon compresses as a whole. Raises DaemonError, NotFound, Cancelled."""
        self._resolve()
        yield from self._client.open_save(self._name, self._call.cancel)
