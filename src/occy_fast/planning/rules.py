"""Goal + Capabilities + Facts → one rule per kind of blob, for an archive that comes by before its manifest does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from occy_fast.errors import Unsupported
from occy_fast.image.blob import Blob
from occy_fast.image.image import Layer
from occy_fast.image.saved_names import saved_names
from occy_fast.planning.access import USUAL_ACCESS, Access
from occy_fast.planning.fit import fit
from occy_fast.planning.planner import check_demands, layer_step, make_plan, narrow, refusals
from occy_fast.planning.steps import Copy, Recode
from occy_fast.spec.config import chain_ids
from occy_fast.spec.encoding import RECODABLE, Encoding
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.spec.media_type import media_type

if TYPE_CHECKING:
    from occy_fast.image.image import Contents
    from occy_fast.planning.capabilities import Capabilities
    from occy_fast.planning.facts import Facts
    from occy_fast.planning.goal import Goal
    from occy_fast.planning.steps import Plan
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.encoding import EncoderIdentity

Act = Literal["copy", "recode", "refuse", "skip"]

KINDS = ("none", "gzip", "zstd", "xz", "bzip2", "other")
"""What a blob may turn out to be by its first bytes: a plain tar, one of four encodings, or something else."""

_SPOOLED = "what is recoded waits in a temporary file without a name until its size is known"
_UNLINKED = "no layer is linked: what comes by once is no file"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done with every blob of one kind as it comes by.

    Attributes:
        act: "refuse" keeps none, and the manifest tells whether one was needed; "skip" only proves it.
        encoding: what it is recoded to; None where it is not.
        problem: why it is refused.
    """

    kind: str
    act: Act
    encoding: Encoding | None = None
    identity: EncoderIdentity | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RulePlan:
    """All that execute will do with an archive it sees once; the manifest, when it comes, decides whether it was right.

    Attributes:
        source: locator.
        destination: locator.
        rules: one per kind, in the order of KINDS.
        capabilities, facts, reference: what plan_for decides with.
        one_by_one: recoded layers are written one after another, as the destination is a single file.
        notes: what the reader would not expect.
        access: how a daemon is reached.
        announced: diff_ids the source is said to have; none where nobody says.
        memory: bytes above the usual, with the workers the plan was made for.
        free: bytes left at the destination when the plan was made; None if not known.
    """

    source: str
    destination: str
    goal: Goal
    rules: tuple[Rule, ...]
    capabilities: Capabilities
    facts: Facts
    reference: str | None = None
    one_by_one: bool = False
    access: Access = USUAL_ACCESS
    announced: tuple[Digest, ...] = ()
    notes: tuple[str, ...] = ()
    memory: int = 0
    free: int | None = None

    def rule_for(self, kind: str) -> Rule:
        """Return the rule of one of KINDS."""
        return self.rules[KINDS.index(kind)]

    @property
    def _present(self) -> frozenset[Digest]:
        """What may be taken for there: nothing that would have to be proved, as what comes by is written anyway."""
        return frozenset() if self.goal.verify == "destination" else self.facts.present

    def held(self) -> Callable[[str], bool]:
        """Return what tells by a member's name whether it will be a layer that the destination has, as announced."""
        find = saved_names(self.announced)
        chains = chain_ids(self.announced)
        missing = {
            diff_id for diff_id, chain in zip(self.announced, chains, strict=True) if chain not in self.facts.chains
        }
        kept = self._present if self.rule_for("none").act == "copy" else frozenset()

        def is_held(name: str) -> bool:
            diff_id = find(name)
            return diff_id is not None and (diff_id not in missing or diff_id in kept)

        return is_held

    def plan_for(self, contents: Contents, limits: Limits = LIMITS) -> Plan:
        """Plan what should have been done, now that the documents are known. Raises what make_plan does."""
        return make_plan(
            contents,
            self.goal,
            self.capabilities,
            replace(self.facts, present=self._present),
            destination=self.destination,
            reference=self.reference,
            limits=limits,
        )

    def __str__(self) -> str:
        return self.explain()

    def explain(self) -> str:
        """Print what execute will do, for people."""
        from occy_fast.planning.explain import explain_text

        return explain_text(self)


def make_rules(
    source: str,
    goal: Goal,
    capabilities: Capabilities,
    facts: Facts,
    *,
    destination: str,
    reference: str | None = None,
) -> RulePlan:
    """Choose for every kind of blob what make_plan would choose for a layer of that kind.

    Args:
        source: its locator.
        facts: what the destination has counts for nothing, as a blob's digest is known when it has gone by.
        destination, reference: as make_plan takes them.
    Raises:
        Unsupported: the destination cannot hold what is demanded.
        AmbiguousReference: several platforms are demanded where a name stands for one.
    """
    capabilities = fit(capabilities, goal, destination)
    check_demands(goal, capabilities, destination)
    rules = tuple(_rule(kind, goal, capabilities, facts, destination) for kind in KINDS)
    encoders = {fact.encoding: fact.memory for fact in facts.encoders}
    return RulePlan(
        source=source,
        destination=destination,
        goal=goal,
        rules=rules,
        capabilities=capabilities,
        facts=facts,
        reference=reference,
        one_by_one=not capabilities.concurrent_unknown,
        notes=(
            *((_UNLINKED,) if goal.link else ()),
            *((_SPOOLED,) if capabilities.streams else ()),
            *capabilities.notes,
            *refusals(facts, goal, source),
        ),
        memory=max(encoders.get(rule.encoding, 0) if rule.encoding else 0 for rule in rules) * facts.workers,
        free=facts.free,
    )


def _rule(kind: str, goal: Goal, capabilities: Capabilities, facts: Facts, destination: str) -> Rule:
    if kind == "other":
        return Rule(kind, "copy")
    family = goal.format if goal.format != "keep" else "oci" if "oci" in capabilities.families else "docker"
    word = media_type("docker", "layer", kind if kind in RECODABLE else "gzip")
    layer = Layer(Blob(None, 0, word, None), word, Encoding(kind), None)
    try:
        step = layer_step(layer, narrow(layer, goal, family, capabilities, destination), facts)
    except Unsupported as error:
        return Rule(kind, "refuse", problem=error.problem)
    if isinstance(step, Recode):
        return Rule(kind, "recode", step.encoding, step.identity)
    assert isinstance(step, Copy), "without a digest, nothing is known to be there already"
    return Rule(kind, "copy")
