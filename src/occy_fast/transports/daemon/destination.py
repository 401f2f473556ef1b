"""Docker's or Podman's own images, as a place to write to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from occy_fast.planning.capabilities import Capabilities
from occy_fast.transports.daemon.client import READS_ZSTD, DaemonClient
from occy_fast.transports.daemon.docker_archive_upload import DockerArchiveUpload
from occy_fast.transports.daemon.endpoint import find_endpoint
from occy_fast.transports.daemon.oci_archive_upload import OciArchiveUpload

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.spec.digest import Digest
    from occy_fast.transports.daemon.stage import DaemonStage
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
        store = kind.takes_oci_archives
        return Capabilities(
            kind=self.locator.transport,
            read_by="load an OCI archive" if store else "load",
            encodings=frozenset({"none", "gzip", "zstd"} if reads_zstd else {"none", "gzip"}),
            families=frozenset({"oci", "docker"}),
            multi_platform=store,
            many_images=True,
            artifacts=store,
            referrers=store,
            keeps_manifest=store,
            writes="one after another",
            identity="manifest" if store else "config",
            layer_types=store,
            names_by_digest=store,
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

    def whole_manifests(self, digests: Iterable[Digest]) -> frozenset[Digest]:
        """Find which manifests of *digests* are there with all that they name. Raises DaemonError, Unsupported."""
        with self._client:
            return self._client.whole_manifests(digests)

    def stage(self) -> DaemonStage:
        """Begin a write, as the daemon's store takes images in. Raises DaemonError, Unsupported."""
        client = self._open()
        try:
            upload = OciArchiveUpload if client.kind.takes_oci_archives else DockerArchiveUpload
        except BaseException:
            client.close()
            raise
        return upload(client, self.locator.text)

    def _open(self) -> DaemonClient:
        return DaemonClient(self._endpoint, "destination", self.locator.text, self._call.access.timeout)
