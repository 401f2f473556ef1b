"""The closed list of what can happen to a layer, and what becomes of the images and indexes around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from occy_fast.image.image import Layer
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.media_type import describe

if TYPE_CHECKING:
    from occy_fast.image.image import Image, ImageIndex, Node, Opaque
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.encoding import EncoderIdentity
    from occy_fast.transforms.base import ManifestEdit

AdoptHow = Literal["link", "reflink"]
StepKind = Literal["skip", "adopt", "copy", "recode"]


@dataclass(frozen=True, slots=True)
class WorkKey:
    """What makes two steps the same work: the layer's content, not where it is or what a manifest says beside it.

    Attributes:
        content: the digest of the blob, or of the tar where the blob has none. Equal tars give equal recodings whatever
            they were encoded in, so a recoding is known by its tar's.
        encoding: of the blob at the destination.
        identity: what the bytes depend on that an encoder makes.
        diff_id, size: what a blob that keeps its bytes is said to have inside, and to come to.
        decode, strict: what is verified of the tar on the way.
        chain: what the destination knows the layer by that has it unpacked.
        otherwise: what is done with a blob there that turns out to be damaged.
    """

    kind: StepKind
    content: Digest
    encoding: Encoding
    identity: EncoderIdentity | None = None
    diff_id: Digest | None = None
    size: int | None = None
    decode: bool = True
    strict: bool = False
    chain: Digest | None = None
    otherwise: StepKind | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the steps have in common that keep a blob's bytes."""

    layer: Layer
    changes_blob: ClassVar[bool] = False
    unknown_size: ClassVar[bool] = False
    identity: ClassVar[EncoderIdentity | None] = None

    @property
    def encoding(self) -> Encoding:
        """Return the encoding of the blob at the destination."""
        return self.layer.encoding


@dataclass(frozen=True, slots=True)
class Skip(_Kept):
    """The destination has the blob: nothing is written. With *decode* the source's is verified all the same.

    With *chain* it has the layer unpacked, and knows it by that chain_id; with *manifest* it has all that this manifest
    names, the layer among it. With *otherwise*, the destination's blob is
    read and verified in place of the source's; where it is damaged, that step replaces it. Here and in the other steps,
    *strict* refuses a tar that readers are known to disagree about.
    """

    kind: ClassVar[StepKind] = "skip"
    decode: bool = False
    strict: bool = False
    chain: Digest | None = None
    otherwise: Adopt | Copy | None = None
    manifest: Digest | None = None

    @property
    def work_key(self) -> WorkKey:
        """Return what the step has in common with others that are the same work."""
        otherwise = None if self.otherwise is None else self.otherwise.kind
        return replace(_kept_key(self), chain=self.chain, otherwise=otherwise)


@dataclass(frozen=True, slots=True)
class Adopt(_Kept):
    """The source's file becomes the blob, once its bytes are verified; where the file system refuses, it is copied."""

    kind: ClassVar[StepKind] = "adopt"
    how: AdoptHow
    decode: bool = False
    strict: bool = False

    @property
    def work_key(self) -> WorkKey:
        """Return what the step has in common with others that are the same work."""
        return _kept_key(self)


@dataclass(frozen=True, slots=True)
class Copy(_Kept):
    """The same bytes, verified on their way; with *decode* the tar inside is compared with its diff_id as well."""

    kind: ClassVar[StepKind] = "copy"
    decode: bool = False
    strict: bool = False

    @property
    def work_key(self) -> WorkKey:
        """Return what the step has in common with others that are the same work."""
        return _kept_key(self)


@dataclass(frozen=True, slots=True)
class Recode:
    """The same tar in a new encoding: the digest changes, the diff_id does not."""

    kind: ClassVar[StepKind] = "recode"
    changes_blob: ClassVar[bool] = True
    unknown_size: ClassVar[bool] = True      # until it is written
    decode: ClassVar[bool] = True
    layer: Layer
    encoding: Encoding
    identity: EncoderIdentity | None = None
    strict: bool = False

    @property
    def work_key(self) -> WorkKey:
        """Return what the step has in common with others that are the same work."""
        assert self.layer.diff_id is not None, "what is recoded is a tar"
        return WorkKey("recode", self.layer.diff_id, self.encoding, self.identity, strict=self.strict)


LayerStep = Skip | Adopt | Copy | Recode
"""What can happen to a layer, cheapest first, and closed.

Of each, `changes_blob` tells whether the destination's blob is another one than the source's, so that the manifest has
to name it anew, and `unknown_size` whether nobody knows before it is written how large it will be.
"""


def _kept_key(step: Skip | Adopt | Copy) -> WorkKey:
    layer = step.layer
    content = layer.digest or layer.diff_id
    assert content is not None, "a blob without a digest is a tar with a diff_id"
    return WorkKey(
        step.kind, content, layer.encoding, None, layer.diff_id, layer.size, step.decode, step.strict
    )


def known_digest(layer: Layer) -> Digest | None:
    """Return the digest that a layer's blob will prove to have, before it is read; None where nothing says it."""
    return layer.digest or (layer.diff_id if layer.encoding.codec == "none" else None)


def is_tar(layer: Layer) -> bool:
    """Tell whether the layer is a tar in a form this library knows: not encrypted, say, nor part of an artifact."""
    meaning = describe(layer.media_type)
    known = meaning is not None and meaning.kind in ("layer", "foreign_layer") and not layer.encrypted
    return known and layer.diff_id is not None


def is_provable(layer: Layer) -> bool:
    """Tell whether reading the layer proves its diff_id: of a tar, a pass takes the sha256 and no other digest."""
    return is_tar(layer) and layer.diff_id is not None and layer.diff_id.algorithm == "sha256"


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """What becomes of one image.

    Attributes:
        steps: one per layer, bottom layer first.
        family: of the manifest that comes out.
        edits: what changes in the manifest besides recoded layers, in order.
    """

    image: Image
    steps: tuple[LayerStep, ...]
    family: str
    edits: tuple[ManifestEdit, ...] = ()

    @property
    def manifest_kept(self) -> bool:
        """Tell whether the manifest keeps its bytes."""
        return self.image.manifest is not None and not self.edits and not any(step.changes_blob for step in self.steps)


@dataclass(frozen=True, slots=True)
class BlobPlan:
    """What becomes of something that is neither an image nor an index: it goes along as it is."""

    opaque: Opaque
    step: LayerStep

    @property
    def manifest_kept(self) -> bool:
        """Tell that it keeps its bytes, as always."""
        return True


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """What becomes of one index.

    Attributes:
        children: those that go along, in the index's order; an Opaque one is named, but is not there.
        positions: where each of them stands in the index; entries that none stands for are left out.
    """

    index: ImageIndex
    children: tuple[RootPlan | Opaque, ...]
    positions: tuple[int, ...]
    family: str
    edits: tuple[ManifestEdit, ...] = ()

    @property
    def manifest_kept(self) -> bool:
        """Tell whether the index keeps its bytes."""
        pruned = len(self.positions) < len(self.index.index.manifests)
        return not (self.edits or pruned) and all(
            child.manifest_kept for child in self.children if isinstance(child, RootPlan)
        )


RootPlan = ImagePlan | BlobPlan | IndexPlan


@dataclass(frozen=True, slots=True)
class NamedPlan:
    """An image or index and what it is to be called: *names* in full form, *ref* inside an OCI layout."""

    root: RootPlan
    names: tuple[str, ...] = ()
    ref: str | None = None


def plans_of(root: RootPlan) -> Iterator[RootPlan]:
    """Walk *root* and what is under it, children before parents, in the order of the index."""
    if isinstance(root, IndexPlan):
        for child in root.children:
            if isinstance(child, RootPlan):
                yield from plans_of(child)
    yield root


def node_of(plan: RootPlan) -> Node:
    """Return what of the source *plan* is about."""
    match plan:
        case ImagePlan():
            return plan.image
        case BlobPlan():
            return plan.opaque
        case IndexPlan():
            return plan.index


def images_of(root: RootPlan) -> Iterator[ImagePlan]:
    """Walk the images under *root*, in the order of the index."""
    return (plan for plan in plans_of(root) if isinstance(plan, ImagePlan))


def steps_of(root: RootPlan) -> Iterator[LayerStep]:
    """Walk what happens to every layer under *root*, and to what is no layer."""
    for plan in plans_of(root):
        if isinstance(plan, ImagePlan):
            yield from plan.steps
        elif isinstance(plan, BlobPlan):
            yield plan.step
