"""What a Stage publishes, once every blob has arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from occy_fast.errors import MissingBlob, SizeMismatch
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.platform import Platform


@dataclass(frozen=True, slots=True)
class PublishedLayer:
    """A layer (or an artifact's blob) as the published manifest names it."""

    descriptor: Descriptor
    diff_id: Digest | None = None


@dataclass(frozen=True, slots=True)
class PublishedImage:
    """One manifest, its bytes exactly as they go out, and the config beside it.

    Attributes:
        descriptor: what names the manifest: in an index, or as the root of a name.
        manifest: the manifest's bytes; descriptor.digest is their digest.
        config: the config's descriptor.
        config_bytes: the config itself.
        layers: bottom layer first, as the manifest lists them.
    """

    descriptor: Descriptor
    manifest: bytes
    config: Descriptor
    config_bytes: bytes
    layers: tuple[PublishedLayer, ...]
    platform: Platform | None = None
    artifact: bool = False


@dataclass(frozen=True, slots=True)
class PublishedBlob:
    """Something that is neither an image nor an index, and was staged as it is."""

    descriptor: Descriptor


@dataclass(frozen=True, slots=True)
class PublishedIndex:
    """An index, its bytes exactly as they go out, and the children that go with it.

    A child the index names and `children` does not have stays behind: a sparse index.
    """

    descriptor: Descriptor
    index: bytes
    children: tuple[Published, ...]


Published = PublishedImage | PublishedIndex | PublishedBlob


@dataclass(frozen=True, slots=True)
class PublishedRoot:
    """An image or index and what it is to be called.

    Attributes:
        names: image references in full form ("docker.io/library/x:1"); may be empty.
        ref: the name inside an OCI layout (org.opencontainers.image.ref.name); None leaves it to the names.
    """

    root: Published
    names: tuple[str, ...] = ()
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """All that becomes reachable in one operation."""

    roots: tuple[PublishedRoot, ...]

    def images(self) -> Iterator[PublishedImage]:
        """Walk every image under every root, children before parents, repeats included."""
        for named in self.roots:
            yield from images_of(named.root)

    def digests(self) -> set[Digest]:
        """Return what every blob that becomes reachable is named by; what else was staged, nothing names."""
        return {descriptor.digest for descriptor in self.blobs()} | {digest for digest, _ in self.documents()}

    def check_staged(self, size_of: Callable[[Digest], int | None], where: Callable[[Digest], str]) -> None:
        """Raise MissingBlob or SizeMismatch unless every layer, and what is no image, is there as it is named.

        Args:
            size_of: tells a blob's size, None where it is not there.
            where: what messages call it.
        """
        for descriptor in self.blobs():
            digest, size = descriptor.digest, descriptor.size
            found = size_of(digest)
            if found is None:
                raise MissingBlob(where(digest), digest)
            if found != size:
                raise SizeMismatch(where(digest), size, found)

    def blobs(self) -> Iterator[Descriptor]:
        """Walk what must have been staged: every image's layers, and whatever is no image; repeats included."""
        for named in self.roots:
            yield from _blobs_of(named.root)

    def documents(self) -> Iterator[tuple[Digest, bytes]]:
        """Walk configs, manifests and indexes, children before parents, each digest once."""
        seen: set[Digest] = set()
        for named in self.roots:
            for digest, raw in _documents_of(named.root):
                if digest not in seen:
                    seen.add(digest)
                    yield digest, raw


def images_of(root: Published) -> Iterator[PublishedImage]:
    """Walk the images under *root* in index order."""
    if isinstance(root, PublishedImage):
        yield root
    elif isinstance(root, PublishedIndex):
        for child in root.children:
            yield from images_of(child)


def _blobs_of(root: Published) -> Iterator[Descriptor]:
    match root:
        case PublishedImage():
            yield from (layer.descriptor for layer in root.layers)
        case PublishedBlob():
            yield root.descriptor
        case PublishedIndex():
            for child in root.children:
                yield from _blobs_of(child)


def _documents_of(root: Published) -> Iterator[tuple[Digest, bytes]]:
    if isinstance(root, PublishedImage):
        yield root.config.digest, root.config_bytes
        yield root.descriptor.digest, root.manifest
    elif isinstance(root, PublishedIndex):
        for child in root.children:
            yield from _documents_of(child)
        yield root.descriptor.digest, root.index
