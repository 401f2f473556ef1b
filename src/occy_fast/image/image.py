"""Image, Layer and ImageIndex: what a source shows, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self

from occy_fast.errors import OccyError
from occy_fast.image.blob import Blob
from occy_fast.image.finding import Finding
from occy_fast.spec.config import ImageConfig
from occy_fast.spec.descriptor import Annotations, Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.manifest import Index, Manifest
from occy_fast.spec.platform import Platform
from occy_fast.words import format_count, format_size, printable

# The annotations of encrypted layers, as containers/ocicrypt writes them.
_ENCRYPTION: Final = "org.opencontainers.image.enc."


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as it is stored.

    Attributes:
        media_type: as the manifest has it; where there is no manifest, the one that fits the bytes.
        encoding: how the bytes are really encoded where that was looked at, else what the media type says.
        diff_id: None where the config has none, or there is no config.
        urls: where else the layer is to be had.
    """

    blob: Blob
    media_type: str
    encoding: Encoding
    diff_id: Digest | None
    annotations: Annotations = ()
    urls: tuple[str, ...] = ()

    @classmethod
    def of_blob(cls, blob: Blob) -> Self:
        """Return what nobody looks into as a layer without a tar: it is moved and verified as one."""
        return cls(blob, blob.media_type, Encoding("none"), None)

    @property
    def digest(self) -> Digest | None:
        """The digest of the stored bytes; None where the source does not say."""
        return self.blob.digest

    @property
    def size(self) -> int:
        """How many bytes are stored."""
        return self.blob.size

    @property
    def described_type(self) -> str:
        """What the stored bytes are said to be: the media type, and that they are encrypted where it does not tell."""
        key = next((key for key, _ in self.annotations if key.startswith(_ENCRYPTION)), None)
        return self.media_type if key is None or "+encrypted" in self.media_type else f"{self.media_type}, with {key}"

    @property
    def encrypted(self) -> bool:
        """Whether the stored bytes are said to be ciphertext, which only who has a key turns into a tar."""
        return "+encrypted" in self.media_type or any(key.startswith(_ENCRYPTION) for key, _ in self.annotations)

    def __repr__(self) -> str:
        digest = self.digest or self.diff_id
        name = "without digest" if digest is None else digest.short
        return f"Layer({name} {printable(str(self.encoding))}, {format_size(self.size)})"


@dataclass(frozen=True, slots=True)
class Image:
    """One image for one platform, or an artifact.

    Attributes:
        manifest: None where the source has none, or one about other layers (some docker-archives).
        config: None for an artifact.
        config_blob: the config as it is stored, whatever it is.
        descriptor: what names the manifest, if anything does.
        config_file_digest: the digest in the config's file name where nothing else vouches for its bytes; tools that
            edit a config leave it as it was.
    """

    manifest: Manifest | None
    config: ImageConfig | None
    config_blob: Blob
    layers: tuple[Layer, ...]
    platform: Platform | None
    descriptor: Descriptor | None = None
    artifact: bool = False
    config_file_digest: Digest | None = None

    @property
    def digest(self) -> Digest | None:
        """The manifest's digest, as the one who names it has it."""
        if self.descriptor is not None:
            return self.descriptor.digest
        return self.manifest.digest if self.manifest is not None else None

    def __repr__(self) -> str:
        digest = self.digest or self.config_blob.digest
        name = "without digest" if digest is None else digest.short
        kind = "artifact" if self.artifact else printable(str(self.platform or "platform unknown"))
        return f"Image({name} {kind}, {format_count(len(self.layers), 'layer')})"


@dataclass(frozen=True, slots=True)
class Opaque:
    """A child of an index that is not looked into: absent, or of a kind unknown here.

    Attributes:
        blob: None where the source does not have it.
    """

    descriptor: Descriptor
    blob: Blob | None

    @property
    def digest(self) -> Digest:
        """The digest it is named by."""
        return self.descriptor.digest


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image whose documents are not what they should be: of interest only to who asks for it.

    Attributes:
        error: why it cannot be read, for whoever needs it.
        descriptor: what names it, if anything does.
    """

    error: OccyError = field(compare=False)
    descriptor: Descriptor | None = None

    @property
    def digest(self) -> Digest | None:
        """The digest it is named by."""
        return self.descriptor.digest if self.descriptor is not None else None

    @property
    def platform(self) -> Platform | None:
        """The platform it is said to be for."""
        return self.descriptor.platform if self.descriptor is not None else None


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """Images that stand under one name, usually one for each platform; *children* are in the index's order."""

    index: Index
    descriptor: Descriptor | None
    children: tuple[Node, ...]

    @property
    def digest(self) -> Digest:
        """The index's digest, as the one who names it has it."""
        return self.descriptor.digest if self.descriptor is not None else self.index.digest

    def __repr__(self) -> str:
        count = len(self.children)
        return f"ImageIndex({self.digest.short} {count} {'child' if count == 1 else 'children'})"


Node = Image | ImageIndex | Opaque | Unreadable
"""What a descriptor names."""

Leaf = Image | Opaque | Unreadable
"""A node without children."""


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image or index with its names; a layout may give one to something else as well.

    Attributes:
        names: image references as the source writes them, full or familiar.
        ref: what a layout calls it (`org.opencontainers.image.ref.name`), if anything.
        position: where the source lists it, from 0, as `@INDEX` chooses it; None where nothing does.
        default: of an index, the image that stands for it where a name stands for one, as the source says; None where
            it does not say.
        beside: an archive's index.json names it and its manifest.json does not, so that few loaders find it: what the
            destination cannot hold of such stays behind.
        wrong_names: what the source calls it that is no name, as errors; of no interest where it gets another name.
    """

    root: Node
    names: tuple[str, ...] = ()
    ref: str | None = None
    position: int | None = field(default=None, compare=False)
    default: Image | None = None
    beside: bool = False
    wrong_names: tuple[OccyError, ...] = field(default=(), compare=False)

    def number(self, at: int) -> int:
        """Return the number people know it by: its position, or *at* where the source lists nothing."""
        return at if self.position is None else self.position


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a source holds.

    Attributes:
        kind: the name of its transport.
        path: the file or directory that holds it; empty where that is a daemon's store.
        passed_over: what is wrong beside the images that were asked for.
        warnings: what is wrong with the place itself, which was read all the same.
        others: how many images the place has beside those that were asked for.
    """

    locator: str
    kind: str
    images: tuple[NamedImage, ...]
    path: str = ""
    passed_over: tuple[Finding, ...] = ()
    warnings: tuple[OccyError, ...] = field(default=(), compare=False)
    others: int = field(default=0, compare=False)

    def __repr__(self) -> str:
        return f"Contents({printable(self.locator)}, {self.kind}, {format_count(len(self.images), 'image')})"
