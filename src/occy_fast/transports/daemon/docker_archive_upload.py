"""A docker-archive that a graph driver loads, or Podman: layers by number, and a manifest.json that names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from occy_fast.errors import DaemonError, MissingBlob, PlanStale, SizeMismatch, Unsupported
from occy_fast.image.publication import PublishedImage
from occy_fast.spec.config import chain_ids
from occy_fast.spec.json import format_json
from occy_fast.transports.daemon.before import Before, Expected
from occy_fast.transports.daemon.stage import DaemonStage

if TYPE_CHECKING:
    from occy_fast.image.publication import Publication
    from occy_fast.spec.digest import Digest
    from occy_fast.transports.daemon.client import DaemonClient


class DockerArchiveUpload(DaemonStage):
    """An archive whose layers are called by their numbers: their digests may be known only when they have gone by."""

    names_by_digest = False

    def __init__(self, client: DaemonClient, locator: str) -> None:
        super().__init__(client, locator)
        self._count = 0

    def member_name(self, digest: Digest | None) -> str:  # noqa: ARG002
        self._count += 1
        return f"layer-{self._count}"

    def publish(self, publication: Publication) -> None:
        images = _images_of(publication, self.locator)
        self._check_layers(images)
        expected = (Expected(image.config.digest, names, _diff_ids(image)) for image, names in images)
        before = Before(self.client, expected)
        try:
            for image, _ in images:
                self.send_document(_config_name(image), image.config_bytes)
            self.send_document("manifest.json", self._manifest(images))
            self.end_archive()
            before.check_loaded()
        except DaemonError as error:
            self.client.close()
            before.restore(error)
            raise

    def _check_layers(self, images: list[tuple[PublishedImage, tuple[str, ...]]]) -> None:
        """Raise unless every layer was sent, or is there under its chain_id."""
        left_out: list[tuple[PublishedImage, int]] = []
        for image, _ in images:
            for at, layer in enumerate(image.layers):
                digest, size = layer.descriptor.digest, layer.descriptor.size
                member = self.sent.get(digest)
                if member is None:
                    left_out.append((image, at))
                elif member.size != size:
                    raise SizeMismatch(f"{self.locator}: {digest}", size, member.size)
        if not left_out:
            return
        if not self.client.kind.has_layer_store:
            image, at = left_out[0]
            digest = image.layers[at].descriptor.digest
            raise MissingBlob(f"{self.locator}: {digest}", digest)
        with self.client.another() as client:               # ours is in the middle of the archive
            held = client.held_chains({_diff_ids(image) for image, _ in left_out})
        for image, at in left_out:
            if chain_ids(_diff_ids(image))[at] not in held:
                diff_id = image.layers[at].diff_id
                raise PlanStale(self.locator, f"the daemon no longer has layer {diff_id}")

    def _manifest(self, images: list[tuple[PublishedImage, tuple[str, ...]]]) -> bytes:
        items: list[dict[str, Any]] = []
        for image, names in images:
            layers = []
            for chain, layer in zip(chain_ids(_diff_ids(image)), image.layers, strict=True):
                member = self.sent.get(layer.descriptor.digest)
                layers.append(member.name if member else f"present/{chain.hex}")
            item = {"Config": _config_name(image), "RepoTags": list(names) or None, "Layers": layers}
            items.append(item)
        return format_json(items)

def _images_of(publication: Publication, locator: str) -> list[tuple[PublishedImage, tuple[str, ...]]]:
    """Return each image with its names as the daemon shows them, its own repeats put together."""
    found: dict[tuple[Digest, tuple[Digest, ...]], tuple[PublishedImage, dict[str, None]]] = {}
    for root in publication.roots:
        image = root.root
        if not isinstance(image, PublishedImage) or image.artifact:
            raise Unsupported(locator, "a daemon loads images of one platform each", "choose a platform")
        key = image.config.digest, tuple(layer.descriptor.digest for layer in image.layers)
        _, names = found.setdefault(key, (image, {}))
        names.update((name, None) for name in root.names)
    return [(image, tuple(names)) for image, names in found.values()]


def _config_name(image: PublishedImage) -> str:
    return f"{image.config.digest.hex}.json"


def _diff_ids(image: PublishedImage) -> tuple[Digest, ...]:
    return tuple(layer.diff_id for layer in image.layers if layer.diff_id is not None)
