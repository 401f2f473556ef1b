"""Goal + Capabilities + Facts → one rule per kind of blob, for an archive that comes by before its manifest does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from occy_fast.errors import Unsupported
from occy_fast.image.blob import Blob
from occy_fast.image.image import Layer
from occy_fast.planning.demands import check_demands, refused_by_target
from occy_fast.planning.facts import memory_above_usual
from occy_fast.planning.ladder import layer_step
from occy_fast.planning.narrowing import fit_destination, fit_target
from occy_fast.planning.notes import stream_notes
from occy_fast.planning.plan import StreamPlan
from occy_fast.planning.stream_rules import KINDS, Rule
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.media_type import docker_layer_type

if TYPE_CHECKING:
    from occy_fast.planning.capabilities import Capabilities
    from occy_fast.planning.facts import Facts
    from occy_fast.planning.goal import Goal


def make_rules(
    source: str,
    goal: Goal,
    capabilities: Capabilities,
    facts: Facts,
    *,
    destination: str,
    reference: str | None = None,
) -> StreamPlan:
    """Choose for every kind of blob what make_plan would choose for a layer of that kind.

    Args:
        source: its locator.
        facts: what the destination has counts for nothing, as a blob's digest is known when it has gone by.
        destination, reference: as make_plan takes them.
    Raises:
        Unsupported: the destination cannot hold what is demanded.
        AmbiguousReference: several platforms are demanded where a name stands for one.
    """
    capabilities = fit_target(capabilities, goal, destination)
    check_demands(goal, capabilities, destination)
    rules = tuple(_rule(kind, goal, capabilities, facts, destination) for kind in KINDS)
    return StreamPlan(
        source=source,
        destination=destination,
        goal=goal,
        rules=rules,
        capabilities=capabilities,
        facts=facts,
        reference=reference,
        notes=stream_notes(goal, capabilities, (*facts.notes, *refused_by_target(facts, goal, source))),
        memory=memory_above_usual(facts, ((rule.encoding, None) for rule in rules)),
        free=facts.free,
    )


def _rule(kind: str, goal: Goal, capabilities: Capabilities, facts: Facts, destination: str) -> Rule:
    if kind == "other":
        return Rule(kind, "copy")
    family = goal.format if goal.format != "keep" else "oci" if "oci" in capabilities.families else "docker"
    word = docker_layer_type(kind)
    layer = Layer(Blob(None, 0, word, None), word, Encoding(kind), None)
    try:
        step = layer_step(layer, fit_destination(layer, goal, family, capabilities, destination), facts)
    except Unsupported as error:
        return Rule(kind, "refuse", problem=error.problem)
    if step.changes_blob:
        return Rule(kind, "recode", step.encoding, step.identity)
    assert step.kind == "copy", "without a digest, nothing is known to be there already"
    return Rule(kind, "copy")
