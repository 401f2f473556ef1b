"""A docker-archive under construction, in the layout of Docker 1.10 to 24: a directory for every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from occy_fast.errors import BadManifest, Unsupported
from occy_fast.image.publication import PublishedImage
from occy_fast.image.v1 import V1Layer, chain_of_config
from occy_fast.spec.json import format_json
from occy_fast.spec.reference import parse_reference
from occy_fast.transports.archive.stage import DockerArchiveStage, archive_manifest

if TYPE_CHECKING:
    from occy_fast.image.publication import Publication
    from occy_fast.spec.digest import Digest

VERSION = b"1.0"


class Docker20Stage(DockerArchiveStage):
    """Layers laid side by side as tars; publish gives them the v1 ids that the configs give them, and then names.

    Which directory a layer belongs to depends on all layers below it and, for the top one, on the whole config. The
    same tar at a second place is a symbolic link to the first, as Docker writes it.
    """

    directories = ()

    def closing_documents(self, publication: Publication) -> list[tuple[str, bytes]]:
        self.check_images(publication)
        chains = {image.config.digest: self._chain(image) for image in publication.images()}

        def names(image: PublishedImage) -> tuple[str, tuple[str, ...]]:
            return f"{image.config.digest.hex}.json", tuple(map(_layer_name, chains[image.config.digest]))

        manifest = archive_manifest(publication, names)
        repositories: dict[str, dict[str, str]] = {}
        for root in publication.roots:
            assert isinstance(root.root, PublishedImage)
            chain = chains[root.root.config.digest]
            for name in root.names if chain else ():
                reference = parse_reference(name).with_default_tag()
                assert reference.tag is not None
                repositories.setdefault(reference.familiar_name(), {})[reference.tag] = chain[-1].id
        self.check_size("manifest.json", manifest, "docker_manifest")
        documents = [("manifest.json", manifest)]
        if repositories:
            raw = format_json({name: dict(sorted(tags.items())) for name, tags in sorted(repositories.items())})
            self.check_size("repositories", raw, "docker_manifest")
            documents.append(("repositories", raw))
        return documents

    def write_members(self, publication: Publication) -> None:
        chains = [(image, self._chain(image)) for image in publication.images()]
        places: dict[Digest, str] = {}
        for image, chain in chains:
            for layer, v1 in zip(image.layers, chain, strict=True):
                places.setdefault(layer.descriptor.digest, _layer_name(v1))
        self._tar.rename({self._member_name(digest): name for digest, name in places.items()})
        self._tar.close_gaps()
        written: set[str] = set()
        for image, chain in chains:
            for layer, v1 in zip(image.layers, chain, strict=True):
                if v1.id in written:
                    continue
                written.add(v1.id)
                self._tar.append_directory(f"{v1.id}/")
                self._tar.append(f"{v1.id}/VERSION", VERSION)
                self._tar.append(f"{v1.id}/json", v1.json)
                place = places[layer.descriptor.digest]
                if place != _layer_name(v1):
                    self._tar.append_link(_layer_name(v1), f"../{place}")
            config = f"{image.config.digest.hex}.json"
            if config not in written:
                written.add(config)
                self._tar.append(config, image.config_bytes)

    def _chain(self, image: PublishedImage) -> tuple[V1Layer, ...]:
        """Return an image's layers as Docker names them. Raises Unsupported, BadManifest."""
        where = f"{self._locator}: config {image.config.digest}"
        diff_ids = [layer.descriptor.digest for layer in image.layers]
        for layer in image.layers:
            if layer.diff_id != layer.descriptor.digest:
                problem = f"layer {layer.descriptor.digest} is no plain tar, and this layout holds nothing else"
                raise Unsupported(self._locator, problem, "write the usual layout")
        try:
            return chain_of_config(image.config_bytes, diff_ids, where)
        except BadManifest as error:
            problem = f"its config has what Docker cannot decode: {error.problem}"
            raise Unsupported(where, problem, "write the usual layout") from error


def _layer_name(layer: V1Layer) -> str:
    return f"{layer.id}/layer.tar"
