"""What running a plan, or recoding one layer, came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from occy_fast import schema
from occy_fast.planning.steps import Skip, is_provable
from occy_fast.words import format_count, format_seconds, format_size, text_or_none

if TYPE_CHECKING:
    from occy_fast.engine.layer_job import LayerProof
    from occy_fast.planning.plan import Plan
    from occy_fast.planning.steps import LayerStep
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.encoding import EncoderIdentity, Encoding


@dataclass(frozen=True, slots=True)
class LayerOutcome:
    """What became of a layer.

    Attributes:
        digest: of the blob that is at the destination now.
        diff_id: of the tar inside; None for blobs that are no layers.
        size_in: bytes of the source's blob.
        size_out: bytes of the destination's.
        identity: who encoded it, where it was recoded.
        replaced: the destination had a damaged blob under that digest, or has lost it since; this one is in its place.
        size_proved: bytes that were read of the damaged one.
    """

    step: LayerStep
    digest: Digest
    diff_id: Digest | None
    size_in: int
    size_out: int
    identity: EncoderIdentity | None = None
    replaced: bool = False
    size_proved: int = 0

    @property
    def kind(self) -> str:
        """Return the name of what was done: "skip", "adopt", "copy" or "recode"."""
        if self.replaced and isinstance(self.step, Skip) and self.step.otherwise is not None:
            return self.step.otherwise.kind
        return self.step.kind

    @property
    def encoding(self) -> Encoding:
        """Return how the blob is encoded now."""
        return self.step.encoding

    def to_json(self) -> dict[str, Any]:
        """Return the layer's part of what ConvertResult.to_json does."""
        return {
            "step": self.kind,
            "replaced": self.replaced,
            "source_digest": text_or_none(self.step.layer.digest),
            "digest": str(self.digest),
            "diff_id": text_or_none(self.diff_id),
            "from": str(self.step.layer.encoding),
            "to": str(self.encoding),
            "size_in": self.size_in,
            "size_out": self.size_out,
            "encoder": text_or_none(self.identity),
        }


def outcome_of(step: LayerStep, proof: LayerProof | None) -> LayerOutcome:
    """Return what became of a step's layer by what reading it has shown; None where it was not read.

    Of what was not read, and of a diff_id that a pass cannot prove, the source's word is all there is.
    """
    layer = step.layer
    if proof is None:
        digest = layer.digest or layer.diff_id           # of a layer that is unpacked there, a tar's will do
        assert digest is not None, "what is not read has a name at the destination"
        return LayerOutcome(step, digest, layer.diff_id, layer.size, layer.size)
    digest, size = (proof.digest, proof.size_out) if step.changes_blob else (proof.source_digest, proof.size_in)
    diff_id = proof.diff_id if proof.diff_id is not None and is_provable(layer) else layer.diff_id
    return LayerOutcome(step, digest, diff_id, proof.size_in, size, proof.identity)


@dataclass(frozen=True, slots=True)
class ConvertResult:
    """What a plan came to.

    Attributes:
        digest: of the first published manifest or index.
        digests: of every root, in the plan's order.
        config_digest: of the first image's config, which is its image id; without an image, of an artifact's; None
            where there are blobs alone.
        layers: of every image, in the plan's order, bottom layer first.
        names: all that was published.
        size_in: bytes of the layers that were read, each once, and of damaged ones at the destination.
        size_out: bytes of layers that were written.
        seconds: from the first read to the end of publishing.
        plan: what was executed; for rules, what the manifest made of them.
    """

    digest: Digest
    digests: tuple[Digest, ...]
    config_digest: Digest | None
    layers: tuple[LayerOutcome, ...]
    names: tuple[str, ...]
    size_in: int
    size_out: int
    seconds: float
    plan: Plan

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what who asked would not expect of the result."""
        return self.plan.notes

    def to_json(self) -> dict[str, Any]:
        """Return what `occy-fast convert --json` prints, as plain JSON values; sizes are bytes."""
        return {
            "schema": schema.CONVERT,
            "source": self.plan.source,
            "destination": self.plan.destination,
            "digest": str(self.digest),
            "digests": [str(digest) for digest in self.digests],
            "config_digest": text_or_none(self.config_digest),
            "names": list(self.names),
            "layers": [outcome.to_json() for outcome in self.layers],
            "bytes_read": self.size_in,
            "bytes_written": self.size_out,
            "seconds": round(self.seconds, 6),
            "notes": list(self.plan.notes),
        }

    def __repr__(self) -> str:
        sizes = f"{format_size(self.size_in)} -> {format_size(self.size_out)}"
        layers, seconds = format_count(len(self.layers), "layer"), format_seconds(self.seconds)
        return f"ConvertResult({self.digest.short} {layers}, {sizes}, {seconds})"


@dataclass(frozen=True, slots=True)
class RecompressResult:
    """What recompress made; sizes are bytes.

    Attributes:
        diff_id: of the tar.
        source_digest: of the bytes that were read.
        digest: of the bytes that were written, or would have been where there is no destination.
        size_tar: of the tar inside.
        identity: who encoded; None for a plain tar.
        seconds: from the first read to the last write; it does not count when results are compared.
    """

    diff_id: Digest
    source_digest: Digest
    digest: Digest
    size_in: int
    size_tar: int
    size_out: int
    identity: EncoderIdentity | None = None
    seconds: float = field(default=0.0, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain JSON values."""
        return {
            "schema": schema.RECOMPRESS,
            "diff_id": str(self.diff_id),
            "source_digest": str(self.source_digest),
            "digest": str(self.digest),
            "bytes_read": self.size_in,
            "bytes_tar": self.size_tar,
            "bytes_written": self.size_out,
            "encoder": text_or_none(self.identity),
            "seconds": round(self.seconds, 6),
        }

    def __repr__(self) -> str:
        sizes = f"{format_size(self.size_in)} -> {format_size(self.size_out)}"
        return f"RecompressResult({self.digest.short} {sizes}, {format_seconds(self.seconds)})"
