"""docker-save archives: reads those of Docker 1.10 and later, writes the profile that every consumer loads."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from occy_fast.errors import (
    BadManifest,
    BadReference,
    ConfigTooLarge,
    DigestMismatch,
    LayerCountMismatch,
    ManifestTooLarge,
    MissingBlob,
    NotFound,
    UnsupportedFormat,
)
from occy_fast.image.blob import Address, Blob, FileRegion, identity_of
from occy_fast.image.image import Contents, Image, ImageIndex, Layer, NamedImage
from occy_fast.planning.capabilities import Capabilities
from occy_fast.spec.config import ImageConfig
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import RECODABLE
from occy_fast.spec.json import parse_json
from occy_fast.spec.manifest import Index
from occy_fast.spec.media_type import DOCKER_CONFIG, media_type
from occy_fast.spec.reference import parse_reference
from occy_fast.transports.archive_members import ArchiveMembers, Members, clean_name
from occy_fast.transports.archive_stage import DockerArchiveStage
from occy_fast.transports.documents import (
    CONFIG_LIMIT,
    DOCKER_MANIFEST_LIMIT,
    MANIFEST_LIMIT,
    DocumentReader,
    sniff_address,
)
from occy_fast.transports.names import names_of
from occy_fast.transports.stream_output import stream_notes

if TYPE_CHECKING:
    from occy_fast.transports.documents import Node
    from occy_fast.transports.locate import Locator

_BLOB_NAME = re.compile(r"blobs/(sha256)/([0-9a-f]{64})")
_LEGACY_NAME = re.compile(r"[0-9a-f]{64}/(?:json|layer\.tar)")


class DockerArchiveSource:
    """Reads images from an archive in a regular file."""

    def __init__(self, locator: Locator) -> None:
        """Open the file. Raises NotFound, UnsupportedFormat."""
        self.locator = locator.text
        self._wanted = locator
        self._fd = -1
        try:
            self._fd = os.open(locator.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise NotFound(locator.text, f"{locator.path}: {error.strerror}") from error
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            directory = stat.S_ISDIR(status.st_mode)
            found = "a directory where an archive is expected" if directory else "a pipe or device"
            remedy = f"oci:{locator.path} reads a layout" if directory else "save it to a file first"
            raise UnsupportedFormat(locator.text, found, remedy)
        self._size = status.st_size
        self._inode = identity_of(status)
        self._path = os.path.realpath(locator.path)

    def read(self) -> Contents:
        """Read the selected images: headers, documents, and the first bytes of each layer.

        Raises NotFound, UnsupportedFormat, IntegrityError, PathError, LimitError, BadReference.
        """
        try:
            return DockerArchiveReader(self._wanted).read(self._scan())
        except OSError as error:
            raise NotFound(self.locator, f"readable archive ({error.strerror})") from error

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _scan(self) -> ArchiveMembers:
        return ArchiveMembers(self._fd, self._size, self._path, self._inode, self.locator)


class DockerArchiveReader:
    """Reads images from an archive's members, wherever those are."""

    def __init__(self, locator: Locator) -> None:
        """Read what *locator* selects; its text goes into messages."""
        self.locator = locator.text
        self._wanted = locator

    def read(self, members: Members) -> Contents:
        """Read the selected images. Raises what DockerArchiveSource.read does, and OSError."""
        items = self._read_items(members)
        stored = self._read_stored(members)
        images = [self._read_image(members, item, where, stored) for where, item in items]
        return Contents(self.locator, "docker-archive", tuple(self._select(images)))

    def _read_items(self, members: Members) -> list[tuple[str, dict[str, Any]]]:
        """Read manifest.json: each item, and what to call it in messages."""
        where = f"{self.locator}: manifest.json"
        region = members.find("manifest.json", follow=False)
        if region is None:
            raise self._foreign(members)
        if region.size > DOCKER_MANIFEST_LIMIT:
            raise ManifestTooLarge(where, "document size", DOCKER_MANIFEST_LIMIT, region.size)
        items = parse_json(region.read(), where, DOCKER_MANIFEST_LIMIT)
        if not isinstance(items, list):
            raise BadManifest(where, "a list of images is expected")
        if not items:
            raise BadManifest(where, "the list of images is empty")
        return [(f"{where}[{at}]", _checked_item(item, f"{where}[{at}]")) for at, item in enumerate(items)]

    def _foreign(self, members: Members) -> UnsupportedFormat:
        """Say what an archive without manifest.json is."""
        if "oci-layout" in members or "index.json" in members:
            found = "an OCI archive: a layout inside a tar, without manifest.json"
            remedy = "unpack it, and read it as oci:DIR"
        elif "repositories" in members or any(_LEGACY_NAME.fullmatch(name) for name in members):
            found = "an archive from before Docker 1.10, without manifest.json"
            remedy = "load it into Docker 1.10 to 28, and save it anew"
        else:
            found, remedy = "a tar without manifest.json", "docker save makes archives that have one"
        return UnsupportedFormat(self.locator, found, remedy)

    def _read_stored(self, members: Members) -> list[tuple[tuple[str, ...], Image]]:
        """Read the OCI manifests beside manifest.json, with the names index.json gives them."""
        region = members.find("index.json", follow=False)
        if region is None or "oci-layout" not in members:
            return []
        where = f"{self.locator}: index.json"
        if region.size > MANIFEST_LIMIT:
            raise ManifestTooLarge(where, "document size", MANIFEST_LIMIT, region.size)
        reader = DocumentReader(lambda digest: members.find(f"blobs/{digest.algorithm}/{digest.hex}"), self.locator)
        stored: list[tuple[tuple[str, ...], Image]] = []
        for descriptor in Index.parse(region.read(), where).manifests:
            node = reader.read_present(descriptor)
            stored += [(names_of(descriptor), image) for image in _images_of(node)]
        return stored

    def _read_image(
        self, members: Members, item: dict[str, Any], where: str, stored: list[tuple[tuple[str, ...], Image]]
    ) -> NamedImage:
        names = tuple(dict.fromkeys(_read_names(item.get("RepoTags") or (), where)))
        config_name = clean_name(item["Config"], where)
        config_region = _get(members, config_name, where)
        if config_region.size > CONFIG_LIMIT:
            raise ConfigTooLarge(f"{self.locator}: {config_name}", "document size", CONFIG_LIMIT, config_region.size)
        raw = config_region.read()
        config_digest = Digest.sha256(raw)
        # A name such as <64 hex>.json proves nothing: Docker takes any, and tools that edit a config leave it as it is.
        named = _BLOB_NAME.fullmatch(config_name)
        if named and named[2] != config_digest.hex:
            raise DigestMismatch(f"{self.locator}: {config_name}", Digest(named[1], named[2]), config_digest)
        config = ImageConfig.parse(raw, f"{self.locator}: {config_name}")
        paths = [clean_name(path, where) for path in item.get("Layers") or ()]
        if len(paths) != len(config.diff_ids):
            raise LayerCountMismatch(where, len(config.diff_ids), len(paths))
        regions = [_get(members, path, where) for path in paths]

        kept = _consistent(stored, names, config_digest, paths, regions)
        if kept is not None:
            return NamedImage(kept, names, None)
        layers = tuple(map(_layer, regions, config.diff_ids))
        config_blob = Blob(config_digest, len(raw), DOCKER_CONFIG, config_region)
        return NamedImage(Image(None, config, config_blob, layers, config.platform, None), names, None)

    def _select(self, images: list[NamedImage]) -> list[NamedImage]:
        wanted = self._wanted
        if wanted.index is not None:
            if wanted.index >= len(images):
                raise NotFound(wanted.text, f"image @{wanted.index} of {len(images)}")
            return [images[wanted.index]]
        if wanted.reference is None:
            return images
        for image in images:
            if wanted.reference in image.names:
                return [NamedImage(image.image_or_index, (wanted.reference,), None)]
        offered = ", ".join(name for image in images for name in image.names) or "none has a name"
        raise NotFound(wanted.text, f"image '{wanted.reference}' (there are: {offered})")


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
    for key in ("RepoTags", "Layers"):
        value = item.get(key)
        texts = value is None or (isinstance(value, list) and all(isinstance(text, str) and text for text in value))
        if not texts:
            raise BadManifest(where, f"{key} is no list of texts")
    return item


def _read_names(tags: Iterable[str], where: str) -> Iterable[str]:
    for tag in tags:
        try:
            reference = parse_reference(tag)
        except BadReference as error:
            raise error.at(where) from None
        if reference.digest is None:                 # a digest says what it is, and is no name for it
            yield reference.with_default_tag().full()


def _get(members: Members, name: str, where: str) -> Address:
    region = members.find(name)
    if region is None:
        raise MissingBlob(where, name)
    return region


def _layer(region: Address, diff_id: Digest) -> Layer:
    """Describe a layer by its first bytes; only of an uncompressed one is the digest known."""
    encoding = sniff_address(region)
    codec = encoding.codec if encoding.codec in RECODABLE else "gzip"            # what containerd calls xz and bzip2
    kind = media_type("docker", "layer", codec)
    digest = diff_id if codec == "none" else None
    return Layer(Blob(digest, region.size, kind, region), kind, encoding, diff_id)


def _images_of(node: Node) -> Iterable[Image]:
    if isinstance(node, Image):
        yield node
    elif isinstance(node, ImageIndex):
        for child in node.children:
            yield from _images_of(child)


def _consistent(
    stored: list[tuple[tuple[str, ...], Image]],
    names: tuple[str, ...],
    config: Digest,
    paths: list[str],
    regions: list[Address],
) -> Image | None:
    """Find the stored image with this config and these layers, rather under one of these names.

    Docker 25.0.0 stores manifests whose layers are in random order, and where they disagree manifest.json is right.
    """
    layers = [
        (Digest(named[1], named[2]) if (named := _BLOB_NAME.fullmatch(path)) else None, region.size)
        for path, region in zip(paths, regions, strict=True)
    ]
    found = [
        (called, image)
        for called, image in stored
        if image.config_blob.digest == config and [(layer.digest, layer.size) for layer in image.layers] == layers
    ]
    found.sort(key=lambda pair: not set(pair[0]) & set(names))
    return found[0][1] if found else None


class DockerArchiveDestination:
    """Writes images into a new archive, in place of whatever stands there."""

    def __init__(self, locator: Locator) -> None:
        self.locator = locator.text
        self.reference = locator.reference
        self._path = locator.path

    def capabilities(self) -> Capabilities:
        return Capabilities(
            encodings=frozenset({"none", "gzip"}),
            families=frozenset({"oci", "docker"}),
            multi_platform=False,
            many_images=True,
            artifacts=False,
            referrers=False,
            keeps_manifest=True,
            concurrent_unknown=False,
            refs=False,
            adopts=False,
            notes=stream_notes(self._path),
        )

    def present(self, digests: Iterable[Digest]) -> dict[Digest, FileRegion]:  # noqa: ARG002
        """Find nothing: an archive is always written anew."""
        return {}

    def stage(self) -> DockerArchiveStage:
        """Begin a write. Raises OutputError, Unsupported."""
        return DockerArchiveStage(self._path, self.locator)
