"""The closed list of what can happen to a layer, and the Plan made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from occy_fast.image.image import Layer
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.media_type import describe

if TYPE_CHECKING:
    from occy_fast.image.image import Image, ImageIndex, Opaque
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.encoding import EncoderIdentity
    from occy_fast.transforms.base import ManifestEdit

AdoptHow = Literal["link", "reflink"]


@dataclass(frozen=True, slots=True)
class Skip:
    """The destination has the blob: nothing is written. With *decode* the source's is proved all the same.

    With *chain* it has the layer unpacked, and knows it by that chain_id. With *otherwise*, the destination's blob is
    read and proved in place of the source's; where it is damaged, that step replaces it. Here and in the other steps,
    *strict* refuses a tar that readers are known to disagree about.
    """

    layer: Layer
    decode: bool = False
    strict: bool = False
    chain: Digest | None = None
    otherwise: Adopt | Copy | None = None


@dataclass(frozen=True, slots=True)
class Adopt:
    """The source's file becomes the blob, once its bytes are proved; where the file system refuses, it is copied."""

    layer: Layer
    how: AdoptHow
    decode: bool = False
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Copy:
    """The same bytes, proved on their way; with *decode* the tar inside is proved against its diff_id as well."""

    layer: Layer
    decode: bool = False
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Recode:
    """The same tar in a new encoding: the digest changes, the diff_id does not."""

    layer: Layer
    encoding: Encoding
    identity: EncoderIdentity | None = None
    strict: bool = False


LayerStep = Skip | Adopt | Copy | Recode  # cheapest first, and closed


def is_tar(layer: Layer) -> bool:
    """Tell whether the layer is a tar in a form this library knows: not encrypted, say, nor part of an artifact."""
    meaning = describe(layer.media_type)
    known = meaning is not None and meaning.kind in ("layer", "foreign_layer") and not layer.encrypted
    return known and layer.diff_id is not None


def work_of(step: LayerStep) -> tuple[object, ...]:
    """Return what makes two steps the same work: the layer's content, not what a manifest says beside it.

    Equal tars give equal recodings whatever they were encoded in, so a Recode is known by its diff_id.
    """
    layer = step.layer
    if isinstance(step, Recode):
        return (Recode, layer.diff_id or layer.digest, step.encoding, step.strict)
    chain = step.chain if isinstance(step, Skip) else None
    proof = type(step.otherwise) if isinstance(step, Skip) else None
    return (type(step), layer.digest, layer.diff_id, layer.encoding, layer.size, step.decode, step.strict, chain, proof)


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
        return self.image.manifest is not None and not self.edits and not any(isinstance(s, Recode) for s in self.steps)


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


def layer_of(opaque: Opaque) -> Layer:
    """Return what is not looked into as a layer without a tar, to be moved as one. It must be there."""
    assert opaque.blob is not None
    return Layer(opaque.blob, opaque.descriptor.media_type, Encoding("none"), None)
