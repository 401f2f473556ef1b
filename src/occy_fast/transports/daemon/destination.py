"""Docker's or Podman's own images, as a place to write to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from occy_fast.planning.capabilities import Capabilities
from occy_fast.transports.daemon.client import READS_ZSTD, DaemonClient
from occy_fast.transports.daemon.endpoint import find_endpoint
from occy_fast.transports.daemon.stage import DaemonStage

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.spec.digest import Digest
    from occy_fast.transports.locator import Locator


class DaemonDestination:
    """Loads images into a daemon."""

    def __init__(self, locator: Locator, call: Call) -> None:
        """Find the daemon's address; it is asked nothing yet. Raises DaemonError, UsageError, Unsupported."""
        self.locator = locator
        self.reference = locator.reference
        self._endpoint = find_endpoint(locator.transport, "destination", call.access.socket)
        self._call = call
        self._client = self._open()

    def capabilities(self) -> Capabilities:
        """Say what this daemon can load. Raises DaemonError, Unsupported."""
        self._call.report.phase("connect", "destination")
        with self._client:
            kind = self._client.kind
        reads_zstd = kind.podman or kind.api >= READS_ZSTD
        return Capabilities(
            kind=self.locator.transport,
            read_by="load",
            encodings=frozenset({"none", "gzip", "zstd"} if reads_zstd else {"none", "gzip"}),
            families=frozenset({"oci", "docker"}),
            multi_platform=False,
            many_images=True,
            artifacts=False,
            referrers=False,
            keeps_manifest=False,
            writes="one after another",
            identity="config",
            layer_types=False,
            names="reference",
            reads_back=False,
        )

    def notes(self) -> tuple[str, ...]:
        """Say nothing: images come beside those that are there."""
        return ()

    def present(self, digests: Iterable[Digest]) -> dict[Digest, int]:  # noqa: ARG002
        """Find nothing: layers are there unpacked, and known by chain_id alone."""
        return {}

    def chains(self, stacks: Iterable[tuple[Digest, ...]]) -> frozenset[Digest]:
        """Find which chain_ids of *stacks* of diff_ids are there. Raises DaemonError, Unsupported."""
        self._call.report.phase("connect", "destination")
        with self._client:
            return self._client.held_chains(stacks, (self.reference,) if self.reference else ())

    def stage(self) -> DaemonStage:
        """Begin a write; the daemon hears of it with the first blob."""
        return DaemonStage(self._open(), self.locator.text)

    def _open(self) -> DaemonClient:
        return DaemonClient(self._endpoint, "destination", self.locator.text, self._call.access.timeout)
