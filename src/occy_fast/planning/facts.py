"""What probing found, as one value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.encoding import EncoderIdentity, Encoding
    from occy_fast.targets.rules import TraitRule
    from occy_fast.targets.traits import Trait


@dataclass(frozen=True, slots=True)
class EncoderFact:
    """Tell who encodes, and what it takes.

    Attributes:
        encoding: with its level.
        identity: what the bytes depend on.
        memory: bytes per worker above the usual.
    """

    encoding: Encoding
    identity: EncoderIdentity
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Answer what metadata cannot tell.

    Attributes:
        present: blobs the destination has already, with the right size.
        links: blobs that are whole files on the destination's file system and may be hard-linked there.
        reflinks: the same, where that file system shares blocks between files.
        manifests: manifests the destination has already, with all that they name.
        chains: chain_ids of layers the destination has unpacked already.
        encoders: the encodings asked for, and those a destination may fall back to.
        windows: zstd layers that take more memory than usual to decode, and how many bytes more.
        refused: what of the source the goal's target is known not to read.
        skippable: layers that begin with a zstd frame that decoders skip.
        workers: how many will share the work, which is what memory depends on.
        notes: what is at the destination that the reader of a plan would not expect.
        free: bytes left on the destination's file system; None where that cannot be known.
    """

    present: frozenset[Digest] = frozenset()
    links: frozenset[Digest] = frozenset()
    reflinks: frozenset[Digest] = frozenset()
    manifests: frozenset[Digest] = frozenset()
    chains: frozenset[Digest] = frozenset()
    encoders: tuple[EncoderFact, ...] = ()
    windows: tuple[tuple[Digest, int], ...] = ()
    refused: tuple[Trait, ...] = ()
    skippable: frozenset[Digest] = frozenset()
    notes: tuple[str, ...] = ()
    workers: int = 1
    free: int | None = None

    def refuses(self, rule: TraitRule) -> bool:
        """Tell whether the goal's target is known not to read something of the source, by the rule that found it."""
        return any(trait.rule == rule for trait in self.refused)

    def find_encoder(self, encoding: Encoding) -> EncoderFact | None:
        """Find who makes *encoding*; None for what needs no encoder."""
        return next((fact for fact in self.encoders if fact.encoding == encoding), None)


def memory_above_usual(facts: Facts, layers: Iterable[tuple[Encoding | None, Digest | None]]) -> int:
    """Return the bytes above the usual that any one of *layers* takes.

    Args:
        layers: of each the encoding that is made of it, and the digest of the blob that is decoded, as far as there are
            such.
    """
    windows = dict(facts.windows)
    encoders = {fact.encoding: fact.memory * facts.workers for fact in facts.encoders}
    return max(
        (
            (encoders.get(made, 0) if made is not None else 0) + (windows.get(read, 0) if read is not None else 0)
            for made, read in layers
        ),
        default=0,
    )
