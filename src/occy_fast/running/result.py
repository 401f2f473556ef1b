"""What running a plan came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.planning.steps import Skip

if TYPE_CHECKING:
    from occy_fast.planning.plan import Plan
    from occy_fast.planning.steps import LayerStep
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.encoding import EncoderIdentity


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


@dataclass(frozen=True, slots=True)
class ConvertResult:
    """What a plan came to.

    Attributes:
        digest: of the first published manifest or index.
        digests: of every root, in the plan's order.
        config_digest: of the first image's config, which is its image id; without an image, of an artifact's.
        layers: of every image, in the plan's order, bottom layer first.
        names: all that was published.
        size_in: bytes of the layers that were read, each once, and of damaged ones at the destination.
        size_out: bytes of layers that were written.
        seconds: from the first read to the end of publishing.
        plan: what was executed; for rules, what the manifest made of them.
    """

    digest: Digest
    digests: tuple[Digest, ...]
    config_digest: Digest
    layers: tuple[LayerOutcome, ...]
    names: tuple[str, ...]
    size_in: int
    size_out: int
    seconds: float
    plan: Plan
