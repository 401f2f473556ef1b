"""The cheapest step for a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from occy_fast.planning.steps import Adopt, Copy, LayerStep, Recode, Skip
from occy_fast.spec.encoding import Encoding

if TYPE_CHECKING:
    from occy_fast.image.image import Layer
    from occy_fast.planning.facts import Facts
    from occy_fast.planning.goal import Goal


def layer_step(layer: Layer, goal: Goal, facts: Facts) -> LayerStep:
    """Choose the cheapest step for *layer*; *goal* is already narrowed to what the destination accepts."""
    if isinstance(goal.encoding, Encoding) and not goal.encoding.met_by(layer.encoding):
        encoding = Encoding(goal.encoding.codec, goal.encoding.effective_level)
        encoder = facts.find_encoder(encoding)
        return Recode(layer, encoding, encoder.identity if encoder else None, goal.strict)
    decode, strict = needs_decoding(layer, goal), goal.strict and layer.diff_id is not None
    if layer.digest in facts.present:
        wanted = strict or (goal.proves_layers and layer.diff_id is not None)
        otherwise = _move(layer, goal, facts, decode, strict) if goal.verify == "destination" else None
        return Skip(layer, decode or wanted, strict, None, otherwise)  # nothing else reads it
    return _move(layer, goal, facts, decode, strict)


def _move(layer: Layer, goal: Goal, facts: Facts, decode: bool, strict: bool) -> Adopt | Copy:
    """Choose the cheapest way to bring a layer there as it is."""
    if goal.link and layer.digest in facts.links:
        return Adopt(layer, "link", decode, strict)
    if layer.digest in facts.reflinks:
        return Adopt(layer, "reflink", decode, strict)
    return Copy(layer, decode, strict)


def needs_decoding(layer: Layer, goal: Goal) -> bool:
    """Tell whether the diff_id must be proved by decoding: on demand, and where no digest vouches for the blob.

    An uncompressed layer's digest is its diff_id; comparing the two takes no decoding.
    """
    return (
        layer.diff_id is not None
        and layer.encoding.codec != "none"
        and (goal.proves_layers or goal.strict or layer.digest is None)
    )
