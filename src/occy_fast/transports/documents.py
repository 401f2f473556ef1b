"""Images built from descriptors: manifests, indexes and configs read from a place that holds blobs by digest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from occy_fast.errors import (
    ConfigTooLarge,
    LimitError,
    ManifestTooLarge,
    MediaTypeConflict,
    MissingBlob,
    SizeMismatch,
    UnsupportedMediaType,
)
from occy_fast.image.blob import Address, Blob, FileRegion, read_blob
from occy_fast.image.image import Image, ImageIndex, Layer, Opaque
from occy_fast.spec.config import ImageConfig
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.json import parse_json
from occy_fast.spec.manifest import Index, Manifest
from occy_fast.spec.media_type import describe
from occy_fast.streams.sniff import SNIFF_SIZE, sniff

MANIFEST_LIMIT = 4 << 20
CONFIG_LIMIT = 4 << 20
INDEX_DEPTH = 8
DISTINCT_MANIFESTS = 10_000

Node = Image | ImageIndex | Opaque
Document = TypeVar("Document", Manifest, Index)


class DocumentReader:
    """Reads what descriptors name, each document once."""

    def __init__(self, find: Callable[[Digest], FileRegion | None], locator: str) -> None:
        """Read from wherever *find* finds blobs; *locator* goes into messages."""
        self._find, self._locator = find, locator
        self._nodes: dict[tuple[Digest, str], Node] = {}

    def read(self, descriptor: Descriptor) -> Image | ImageIndex:
        """Read a manifest or index with all below it.

        A child that the place does not have, or of which it lacks the config, is Opaque; so is one of a kind unknown
        here. A layer that is absent is a blob without address.

        Raises MissingBlob, UnsupportedMediaType, IntegrityError, LimitError.
        """
        node = self._read(descriptor, 1, required=True)
        if isinstance(node, Opaque):
            remedy = "an image or an index is expected"
            raise UnsupportedMediaType(self._where(descriptor), descriptor.media_type, remedy)
        return node

    def read_present(self, descriptor: Descriptor) -> Node:
        """Read what *descriptor* names as if it were a child."""
        return self._read(descriptor, 1, required=False)

    def _where(self, descriptor: Descriptor) -> str:
        return f"{self._locator}: {descriptor.digest}"

    def _read(self, descriptor: Descriptor, depth: int, *, required: bool) -> Node:
        meaning = describe(descriptor.media_type)
        if meaning is None or meaning.kind not in ("manifest", "index"):
            return Opaque(descriptor, self._blob(descriptor))
        where = self._where(descriptor)
        if not required and self._is_absent(descriptor):
            return Opaque(descriptor, None)
        raw = self._document(descriptor, MANIFEST_LIMIT, ManifestTooLarge)
        if meaning.kind == "manifest":
            manifest = _parse(Manifest.parse, raw, where, descriptor.media_type)
            if not required and self._is_absent(manifest.config):
                return Opaque(descriptor, None)
            return self._image(descriptor, manifest)
        if depth > INDEX_DEPTH:
            raise LimitError(where, "index depth", INDEX_DEPTH, depth)
        index = _parse(Index.parse, raw, where, descriptor.media_type)
        return ImageIndex(index, descriptor, tuple(self._child(child, depth + 1) for child in index.manifests))

    def _child(self, descriptor: Descriptor, depth: int) -> Node:
        key = (descriptor.digest, descriptor.media_type)
        node = self._nodes.get(key)
        if node is None or node.descriptor != descriptor:        # the same manifest may stand for several platforms
            node = self._nodes[key] = self._read(descriptor, depth, required=False)
            if len(self._nodes) > DISTINCT_MANIFESTS:
                raise LimitError(self._locator, "distinct manifests", DISTINCT_MANIFESTS, len(self._nodes))
        return node

    def _image(self, descriptor: Descriptor, manifest: Manifest) -> Image:
        config = None
        if not manifest.artifact:
            raw = self._document(manifest.config, CONFIG_LIMIT, ConfigTooLarge)
            config = _parse_config(raw, self._where(manifest.config))
        elif self._is_absent(manifest.config):
            raise MissingBlob(self._where(manifest.config), manifest.config.digest)
        diff_ids = config.diff_ids if config is not None else ()
        layers = tuple(
            self._layer(layer, diff_ids[at] if at < len(diff_ids) else None) for at, layer in enumerate(manifest.layers)
        )
        platform = descriptor.platform or (config.platform if config is not None else None)
        return Image(manifest, config, self._blob(manifest.config), layers, platform, descriptor, config is None)

    def _layer(self, descriptor: Descriptor, diff_id: Digest | None) -> Layer:
        """Describe a layer. Tools that name the wrong encoding exist, and every consumer looks at the first bytes."""
        blob = self._blob(descriptor)
        meaning = describe(descriptor.media_type)
        encoding = Encoding("none" if meaning is None else meaning.codec)
        if meaning is not None and blob.address is not None:
            found = sniff_address(blob.address)
            encoding = encoding if found.codec == "none" else found
        return Layer(blob, descriptor.media_type, encoding, diff_id, descriptor.annotations, descriptor.urls)

    def _document(self, descriptor: Descriptor, limit: int, limit_error: type[LimitError]) -> bytes:
        """Read and verify a document, whose size is refused before its absence or any difference is seen."""
        where = self._where(descriptor)
        if descriptor.size > limit:
            raise limit_error(where, "document size", limit, descriptor.size)
        return read_blob(self._blob(descriptor), where=where, limit=limit, limit_error=limit_error)

    def _is_absent(self, descriptor: Descriptor) -> bool:
        return descriptor.data is None and self._find(descriptor.digest) is None

    def _blob(self, descriptor: Descriptor) -> Blob:
        region = self._find(descriptor.digest)
        if region is not None and region.size != descriptor.size:
            raise SizeMismatch(self._where(descriptor), descriptor.size, region.size)
        return Blob.of(descriptor, region)


def _parse_config(raw: bytes, where: str) -> ImageConfig | None:
    """Parse a config; None for one without rootfs, as artifacts have that pass for images."""
    document = parse_json(raw, where, CONFIG_LIMIT, ConfigTooLarge)
    if isinstance(document, dict) and document.get("rootfs") is None:
        return None
    return ImageConfig.parse(raw, where)


def _parse(parse: Callable[[bytes, str, str | None], Document], raw: bytes, where: str, media_type: str) -> Document:
    """Parse a document that its descriptor may call by the other family's word for the same kind.

    Layouts exist whose index says OCI of Docker's manifests, and nobody could take one for anything else.
    """
    try:
        return parse(raw, where, media_type)
    except MediaTypeConflict as conflict:
        expected, found = describe(conflict.expected), describe(conflict.found)
        if expected is None or found is None or expected.kind != found.kind:
            raise
        return parse(raw, where, None)


def sniff_address(address: Address) -> Encoding:
    """Recognise how a blob is encoded. Raises PlanStale."""
    with address.open() as region:
        return sniff(region.read(0, SNIFF_SIZE))
