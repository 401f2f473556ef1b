"""docker-save archives, read as of all three eras: before Docker 1.10, from then on, and with an OCI layout inside."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from occy_fast.engine.layer_job import NO_PROOFS, Proofs
from occy_fast.errors import (
    BadArchive,
    BadManifest,
    BadReference,
    DigestMismatch,
    InputError,
    LayerCountMismatch,
    LimitError,
    MissingBlob,
    UnsupportedFormat,
    is_shortage,
)
from occy_fast.image.blob import Address, Blob, InlineBytes, UnreadableBytes, read_head
from occy_fast.image.image import Contents, Image, Layer, NamedImage
from occy_fast.image.place import Place, located
from occy_fast.spec.config import ImageConfig
from occy_fast.spec.descriptor import REF_NAME
from occy_fast.spec.digest import Digest
from occy_fast.spec.json import parse_json
from occy_fast.spec.manifest import Index
from occy_fast.spec.media_type import DOCKER_CONFIG, docker_layer_type
from occy_fast.spec.reference import parse_reference
from occy_fast.streams.sniff import SNIFF_SIZE, sniff
from occy_fast.transports.archive.diff_ids import diff_ids_of
from occy_fast.transports.archive.foreign import foreign_archive
from occy_fast.transports.archive.legacy_reader import SAVE_AGAIN, LegacyArchive, is_legacy, sign_of_a_cut
from occy_fast.transports.archive.members import CleanNames, clean_name
from occy_fast.transports.archive.saved_images import IndexEntry, ListedItem, StoredLayer, choose, choose_names, united
from occy_fast.transports.documents import DocumentReader, readable
from occy_fast.transports.layout.directory import INDEX_FILE
from occy_fast.transports.layout.index_file import names_of

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.transports.locator import Locator

LISTING = Place("manifest.json")
_BLOB_NAME = re.compile(r"blobs/(sha256)/([0-9a-f]{64})")
_CONFIG_NAME = re.compile(r"(?:sha256:)?([0-9a-f]{64})(?:\.json)?")


class DockerArchiveReader:
    """Reads images from an archive's members, wherever those are."""

    def __init__(
        self,
        locator: Locator,
        call: Call,
        *,
        lenient: bool = False,
        proofs: Proofs = NO_PROOFS,
    ) -> None:
        """Read what *locator* selects; its text goes into messages.

        Args:
            lenient: make do with names in manifest.json that some loaders refuse: a tag in capitals is read in small
                letters, and one that is no reference left out.
            proofs: what was found of members that were streamed, by their names.
        """
        self.locator = locator.text
        self._call, self._limits, self._lenient, self._proofs = call, call.limits, lenient, proofs
        self._wanted = locator

    def read(self, members: CleanNames) -> Contents:
        """Read the selected images: documents, and the first bytes of each layer.

        Raises NotFound, UnsupportedFormat, IntegrityError, PathError, LimitError, BadReference, OSError.
        """
        if not any(name in members for name in ("manifest.json", "oci-layout", "index.json")):
            if sign := sign_of_a_cut(members):
                raise BadArchive(self.locator, sign, SAVE_AGAIN)
            if is_legacy(members):
                return self._read_legacy(members)
        with located(LISTING, f"{self.locator}: manifest.json"):
            items = [self._read_item(members, item, path) for path, item in self._read_items(members)]
            entries = self._read_stored(members)
        images, disagreements = united(items, entries, self.locator)
        chosen, neighbours = choose(images, self._wanted)
        passed_over = (*disagreements, *neighbours)
        others = len(images) - len(chosen)
        return Contents(self.locator, "docker-archive", chosen, self._wanted.path, passed_over, others=others)

    def _read_legacy(self, members: CleanNames) -> Contents:
        """Read the selected images of an archive from before Docker 1.10, as dockerd 20.10 understands them."""
        archive = LegacyArchive(members, self.locator, self._limits)
        chosen = choose_names([names for _, names in archive.images], self._wanted)
        ids = [archive.images[at][0] for at, _ in chosen]
        named: list[NamedImage] = []
        known: dict[tuple[Address, Digest], Layer] = {}          # images share what they are made from
        configs = archive.read(ids, lambda layers: diff_ids_of(layers, self.locator, self._call, self._proofs))
        for found, id_, (at, names) in zip(configs, ids, chosen, strict=True):
            where = f"{self.locator}: {id_}"
            with located(Place("image", name=id_), where):
                config = ImageConfig.parse(found.config, where, self._limits)
            config_blob = Blob(config.digest, len(config.raw), DOCKER_CONFIG, InlineBytes(config.raw))
            for pair in found.layers:
                if pair not in known:
                    known[pair] = _layer(*pair)
            layers = tuple(known[pair] for pair in found.layers)
            image = Image(None, config, config_blob, layers, config.platform)
            named.append(NamedImage(image, names, position=at))
        return Contents(self.locator, "docker-archive", tuple(named), self._wanted.path)

    def _read_items(self, members: CleanNames) -> list[tuple[str, object]]:
        """Read manifest.json: each item as it stands there, and its path in it."""
        where = f"{self.locator}: manifest.json"
        region = members.find("manifest.json", follow=False)
        if region is None:
            raise self._foreign(members)
        self._limits.check_document("docker_manifest", region.size, where)
        items = parse_json(region.read(), where, self._limits, "docker_manifest")
        if not isinstance(items, list):
            raise BadManifest(where, "a list of images is expected")
        if not items:
            raise BadManifest(where, "the list of images is empty")
        return [(f"[{at}]", item) for at, item in enumerate(items)]

    def _foreign(self, members: CleanNames) -> UnsupportedFormat:
        """Say what an archive without manifest.json is."""
        if "oci-layout" in members or "index.json" in members:
            found = "an OCI archive: a layout inside a tar, without manifest.json"
            return UnsupportedFormat(self.locator, found, f"oci-archive:{self._wanted.path} reads it")
        return foreign_archive(members, self._wanted)

    def _read_stored(self, members: CleanNames) -> list[IndexEntry]:
        """Read what index.json names, each with all below it."""
        region = members.find("index.json", follow=False)
        if region is None or "oci-layout" not in members:
            return []
        where = f"{self.locator}: index.json"
        limits = self._limits
        with located(INDEX_FILE, where):
            limits.check_document("manifest", region.size, where)
            index = Index.parse(region.read(), where, limits)
        reader = DocumentReader(
            lambda digest: members.find(f"blobs/{digest.algorithm}/{digest.hex}"), self.locator, limits
        )
        entries = []
        for descriptor in index.manifests:
            node = readable(partial(reader.read_present, descriptor), descriptor)
            entries.append(IndexEntry(node, descriptor, names_of(descriptor), descriptor.annotation(REF_NAME)))
        return entries

    def _read_item(self, members: CleanNames, document: object, path: str) -> ListedItem:
        """Read an item of manifest.json; what is wrong with it concerns only who asks for it."""
        listing = f"{self.locator}: manifest.json"
        where = listing + path
        names: list[str] = []
        wrong_names: list[BadReference] = []
        layers: list[StoredLayer] = []

        def read() -> Image:
            with located(LISTING, listing):
                item = _checked_item(document, where)
                _read_names(item.get("RepoTags") or (), where, self._lenient, names, wrong_names)
                return self._read_image(members, item, where, layers)

        node = readable(read)
        wrong = (error.about(replace(LISTING, path=path)) for error in wrong_names)
        return ListedItem(node, tuple(dict.fromkeys(names)), tuple(wrong), tuple(layers))

    def _read_image(
        self, members: CleanNames, item: dict[str, Any], where: str, stored: list[StoredLayer]
    ) -> Image:
        """Read the image of an item, as far as manifest.json tells; add its layers to *stored*."""
        config_name = clean_name(item["Config"], where)
        config_region = _get(members, config_name, where)
        limits = self._limits
        config_where = f"{self.locator}: {config_name}"
        with located(Place("config", name=config_name), config_where):
            limits.check_document("config", config_region.size, config_where)
            raw = config_region.read()
            config_digest = Digest.sha256(raw)
            # A name such as <64 hex>.json is no promise: Docker takes any, and tools that edit a config leave it.
            called = _CONFIG_NAME.fullmatch(config_name)
            named = _BLOB_NAME.fullmatch(config_name)
            if named and named[2] != config_digest.hex:
                raise DigestMismatch(config_where, Digest(named[1], named[2]), config_digest)
            config = ImageConfig.parse(raw, config_where, limits)
        if len(item.get("Layers") or ()) > limits.layer_count:
            count = len(item["Layers"])
            raise LimitError(where, "number of layers", limits.layer_count, count, ("layer_count",))
        paths = [clean_name(path, where) for path in item.get("Layers") or ()]
        if len(paths) != len(config.diff_ids):
            raise LayerCountMismatch(where, len(config.diff_ids), len(paths))
        for path in paths:
            found = _BLOB_NAME.fullmatch(path)
            stored.append(StoredLayer(Digest(found[1], found[2]) if found else None, _get(members, path, where)))
        layers = tuple(_layer(layer.address, diff_id) for layer, diff_id in zip(stored, config.diff_ids, strict=True))
        config_blob = Blob(config_digest, len(raw), DOCKER_CONFIG, config_region)
        config_file_digest = Digest("sha256", called[1]) if called else None
        return Image(None, config, config_blob, layers, config.platform, None, config_file_digest=config_file_digest)


def _checked_item(document: object, where: str) -> dict[str, Any]:
    """Check one item of manifest.json; keys other than Config, RepoTags and Layers are not looked at.

    jib writes them in lower case, and Go reads them in any: strict JSON has no two that differ in nothing else.
    """
    if not isinstance(document, dict):
        raise BadManifest(where, "an object is expected")
    known = {key.casefold(): key for key in ("Config", "RepoTags", "Layers")}
    item = {known[key.casefold()]: value for key, value in document.items() if key.casefold() in known}
    if not isinstance(item.get("Config"), str) or not item["Config"]:
        raise BadManifest(where, "Config is no text")
    layers = item.get("Layers")
    if isinstance(layers, list) and "" in layers:
        thin = f"a thin archive: layer {layers.index('') + 1} was left out for a daemon that had it already"
        raise BadArchive(where, thin, "save the image again, with docker save")
    for key in ("RepoTags", "Layers"):
        value = item.get(key)
        texts = value is None or (isinstance(value, list) and all(isinstance(text, str) and text for text in value))
        if not texts:
            raise BadManifest(where, f"{key} is no list of texts")
    return item


def _read_names(
    tags: Iterable[str], where: str, lenient: bool, names: list[str], wrong_names: list[BadReference]
) -> None:
    """Add what an image is called to *names*, in full form, and what is no name to *wrong_names*."""
    for tag in tags:
        try:
            reference = parse_reference(tag)
        except BadReference as error:
            if not lenient:
                wrong_names.append(error.at(where))
                continue
            try:
                reference = parse_reference(_in_small(tag))
            except BadReference:
                continue
        if reference.digest is None:                 # a digest says what it is, and is no name for it
            names.append(reference.with_default_tag().full())


def _in_small(tag: str) -> str:
    """Return a name with its repository in small letters; a tag may have capitals, and "App:V1" is not "app:v1"."""
    repository, colon, version = tag.rpartition(":")
    return f"{repository.lower()}:{version}" if colon and "/" not in version else tag.lower()


def _get(members: CleanNames, name: str, where: str) -> Address:
    region = members.find(name)
    if region is None:
        raise MissingBlob(where, name)
    return region


def _layer(region: Address, diff_id: Digest) -> Layer:
    """Describe a layer by its first bytes, where they can be read; only of an uncompressed one is the digest known."""
    try:
        head = read_head(region, SNIFF_SIZE)
    except InputError as error:
        if is_shortage(error):
            raise
        head, region = b"", UnreadableBytes(region.size, error)
    encoding = sniff(head)
    kind = docker_layer_type(encoding.codec)
    digest = diff_id if encoding.codec == "none" else None
    return Layer(Blob(digest, region.size, kind, region), kind, encoding, diff_id)
