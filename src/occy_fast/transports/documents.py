"""Images built from descriptors: manifests, indexes and configs read from a place that holds blobs by digest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import NamedTuple, TypeVar

from occy_fast.errors import (
    InputError,
    IntegrityError,
    LimitError,
    MediaTypeConflict,
    MissingBlob,
    PathError,
    Unsupported,
    UnsupportedMediaType,
    is_shortage,
)
from occy_fast.image.blob import Address, Blob, find_head, read_blob
from occy_fast.image.image import Image, ImageIndex, Layer, Leaf, Node, Opaque, Unreadable
from occy_fast.image.place import Part, Place, located
from occy_fast.spec.config import ImageConfig, check_config_spelling, refusing
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.json import parse_json
from occy_fast.spec.limits import DocumentLimit, Limits
from occy_fast.spec.manifest import Index, Manifest
from occy_fast.spec.media_type import describe
from occy_fast.streams.sniff import SNIFF_SIZE, sniff

Document = TypeVar("Document", Manifest, Index)
T = TypeVar("T")
Parse = Callable[[bytes, str, Limits, str | None], Document]


class _Tree(NamedTuple):
    """What a descriptor names, the indexes inside one another there, and its nodes, each as often as it is named."""

    node: Node
    height: int = 0
    total: int = 1


def readable(read: Callable[[], T], descriptor: Descriptor | None = None) -> T | Unreadable:
    """Return what *read* does; what an image is guilty of is kept, as only who asks for that image needs to know.

    Raises what is wrong with this process or the whole source.
    """
    try:
        return read()
    except (IntegrityError, PathError, LimitError, MissingBlob, Unsupported, InputError) as error:
        if is_shortage(error):
            raise
        return Unreadable(error, descriptor)


class DocumentReader:
    """Reads what descriptors name, each document once.

    All that it reads is no larger than the limit where every node stands for itself each time it is named, so that
    whoever walks through it need not ask how often it comes by.
    """

    def __init__(self, find: Callable[[Digest], Address | None], locator: str, limits: Limits) -> None:
        """Read from wherever *find* finds blobs; *locator* goes into messages."""
        self._find, self._locator, self._limits = find, locator, limits
        self._trees: dict[tuple[Digest, str, int], _Tree] = {}
        self._configs: dict[tuple[Digest, int], ImageConfig | None] = {}
        self._count = 0

    def read(self, descriptor: Descriptor) -> Image | ImageIndex:
        """Read a manifest or index with all below it.

        A child that the place does not have, or of which it lacks the config, is Opaque; so is one of a kind unknown
        here. A layer that is absent is a blob without address.

        Raises MissingBlob, UnsupportedMediaType, IntegrityError, LimitError.
        """
        node = self.read_any(descriptor)
        if isinstance(node, Opaque):
            remedy = "an image or an index is expected"
            with self._located("blob", descriptor):
                raise UnsupportedMediaType(self._where(descriptor), descriptor.media_type, remedy)
        assert not isinstance(node, Unreadable), "a root that cannot be read is told at once"
        return node

    def read_any(self, descriptor: Descriptor) -> Node:
        """Read as `read` does, where what is of a kind unknown here is Opaque.

        Raises MediaTypeConflict for a manifest or index under an unknown name: taken for a mere blob, it would go
        without all that it refers to, and nothing proves the one who names a root.
        """
        node = self._root(descriptor, required=True)
        if isinstance(node, Opaque) and node.blob is not None and node.blob.address is not None:
            with self._located("blob", descriptor):
                self._check_unknown(node.blob, descriptor)
        return node

    def read_present(self, descriptor: Descriptor) -> Node:
        """Read what *descriptor* names as if it were a child."""
        return self._root(descriptor, required=False)

    def _check_unknown(self, blob: Blob, descriptor: Descriptor) -> None:
        where, limits = self._where(descriptor), self._limits
        if blob.size > limits.manifest:
            return
        raw = read_blob(blob, where, limits, "manifest")
        try:
            document = parse_json(raw, where, limits, "manifest")
        except (IntegrityError, LimitError):         # no document at all, then
            return
        if isinstance(document, dict) and document.get("schemaVersion") == 2:
            kind = "an index" if "manifests" in document else "a manifest" if "config" in document else None
            if kind:
                raise MediaTypeConflict(where, descriptor.media_type, kind)

    def _where(self, descriptor: Descriptor) -> str:
        return f"{self._locator}: {descriptor.digest}"

    def _located(self, part: Part, descriptor: Descriptor) -> AbstractContextManager[None]:
        return located(Place(part, name=str(descriptor.digest)), self._where(descriptor))

    def _root(self, descriptor: Descriptor, *, required: bool) -> Node:
        tree = self._read(descriptor, 1, required=required)
        self._count = self._add(self._count, tree.total)
        return tree.node

    def _read(self, descriptor: Descriptor, depth: int, *, required: bool) -> _Tree:
        meaning = describe(descriptor.media_type)
        if meaning is None or meaning.kind not in ("manifest", "index"):
            return _Tree(Opaque(descriptor, self._blob(descriptor)))
        if not required and self._is_absent(descriptor):
            return _Tree(Opaque(descriptor, None))
        key = (descriptor.digest, descriptor.media_type, descriptor.size)
        tree = self._trees.get(key)
        if tree is None or (required and isinstance(tree.node, Opaque)):
            if meaning.kind == "manifest":
                with self._located("manifest", descriptor):
                    tree = _Tree(self._read_manifest(descriptor, required=required))
            else:
                with self._located("index", descriptor):
                    tree = self._read_index(descriptor, depth)
            self._trees[key] = tree
        return tree._replace(node=_named(tree.node, descriptor))

    def _read_manifest(self, descriptor: Descriptor, *, required: bool) -> Leaf:
        raw = self._document(descriptor, "manifest")
        manifest = self._parse(Manifest.parse, raw, self._where(descriptor), descriptor.media_type)
        if len(manifest.layers) > self._limits.layer_count:
            most = self._limits.layer_count
            raise LimitError(self._where(descriptor), "number of layers", most, len(manifest.layers), ("layer_count",))
        if not required and self._is_absent(manifest.config):
            return Opaque(descriptor, None)
        return self._image(descriptor, manifest)

    def _read_index(self, descriptor: Descriptor, depth: int) -> _Tree:
        """Read an index; what is too deep or too much ends it before more is read."""
        where, deepest = self._where(descriptor), self._limits.index_depth
        if depth > deepest:
            raise LimitError(where, "depth of nested indexes", deepest, depth, ("index_depth",))
        raw = self._document(descriptor, "manifest")
        index = self._parse(Index.parse, raw, where, descriptor.media_type)
        self._add(1, len(index.manifests))
        height, count = 1, 1
        children = []
        for child in index.manifests:
            tree = self._read(child, depth + 1, required=False)
            height, count = max(height, tree.height + 1), self._add(count, tree.total)
            if height > deepest:                     # read before, where it was not so deep
                raise LimitError(where, "depth of nested indexes", deepest, height, ("index_depth",))
            children.append(tree.node)
        return _Tree(ImageIndex(index, descriptor, tuple(children)), height, count)

    def _add(self, count: int, more: int) -> int:
        most = self._limits.manifest_count
        if count + more > most:
            raise LimitError(self._locator, "number of manifests", most, count + more, ("manifest_count",))
        return count + more

    def _image(self, descriptor: Descriptor, manifest: Manifest) -> Image:
        config = None
        if not manifest.artifact:
            config = self._config(manifest.config)
        elif self._is_absent(manifest.config):
            with self._located("config", manifest.config):
                raise MissingBlob(self._where(manifest.config), manifest.config.digest)
        diff_ids = config.diff_ids if config is not None else ()
        layers = tuple(
            self._layer(layer, diff_ids[at] if at < len(diff_ids) else None) for at, layer in enumerate(manifest.layers)
        )
        platform = descriptor.platform or (config.platform if config is not None else None)
        return Image(manifest, config, self._blob(manifest.config), layers, platform, descriptor, config is None)

    def _config(self, descriptor: Descriptor) -> ImageConfig | None:
        key = (descriptor.digest, descriptor.size)
        if key not in self._configs:
            with self._located("config", descriptor):
                raw = self._document(descriptor, "config")
                self._configs[key] = _parse_config(raw, self._where(descriptor), self._limits)
        return self._configs[key]

    def _layer(self, descriptor: Descriptor, diff_id: Digest | None) -> Layer:
        """Describe a layer. Tools that name the wrong encoding exist, and every consumer looks at the first bytes.

        Where they cannot be read, the media type's word stands, and whoever reads the layer finds what it is.
        """
        blob = self._blob(descriptor)
        meaning = describe(descriptor.media_type)
        encoding = Encoding("none" if meaning is None else meaning.codec)
        if meaning is not None and blob.address is not None:
            found = sniff(find_head(blob.address, SNIFF_SIZE))
            encoding = encoding if found.codec == "none" else found
        return Layer(blob, descriptor.media_type, encoding, diff_id, descriptor.annotations, descriptor.urls)

    def _document(self, descriptor: Descriptor, kind: DocumentLimit) -> bytes:
        """Read and verify a document, whose size is refused before its absence or any difference is seen."""
        where = self._where(descriptor)
        self._limits.check_document(kind, descriptor.size, where)
        return read_blob(self._blob(descriptor), where, self._limits, kind)

    def _parse(self, parse: Parse[Document], raw: bytes, where: str, media_type: str) -> Document:
        """Parse a document that its descriptor may call by the other family's word for the same kind.

        Layouts exist whose index says OCI of Docker's manifests, and nobody could take one for anything else.
        """
        try:
            return parse(raw, where, self._limits, media_type)
        except MediaTypeConflict as conflict:
            expected, found = describe(conflict.expected), describe(conflict.found)
            if expected is None or found is None or expected.kind != found.kind:
                raise
            return parse(raw, where, self._limits, None)

    def _is_absent(self, descriptor: Descriptor) -> bool:
        return descriptor.data is None and self._find(descriptor.digest) is None

    def _blob(self, descriptor: Descriptor) -> Blob:
        return Blob.of(descriptor, self._find(descriptor.digest))


def _named(node: Node, descriptor: Descriptor) -> Node:
    """Return a node as another descriptor names it: the same manifest may stand for several platforms."""
    if node.descriptor == descriptor:
        return node
    if isinstance(node, Image):
        platform = descriptor.platform or (node.config.platform if node.config is not None else None)
        return replace(node, descriptor=descriptor, platform=platform)
    return replace(node, descriptor=descriptor)


def _parse_config(raw: bytes, where: str, limits: Limits) -> ImageConfig | None:
    """Parse a config; None for one without rootfs, as artifacts have that pass for images.

    Raises BadManifest for a rootfs in another spelling, which is one to readers written in Go.
    """
    with refusing(raw):
        document = parse_json(raw, where, limits, "config")
        if isinstance(document, dict) and document.get("rootfs") is None:
            check_config_spelling(document, where)
            return None
    return ImageConfig.parse(raw, where, limits)
