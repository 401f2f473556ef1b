"""What execute will do: a plan of steps, or one rule per kind of blob."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from occy_fast.context.access import USUAL_ACCESS, Access
from occy_fast.image.saved_names import saved_names
from occy_fast.planning.explain import plan_lines, stream_plan_lines, verb_of
from occy_fast.planning.plan_document import plan_document, stream_plan_document
from occy_fast.planning.steps import ImagePlan, LayerStep, NamedPlan, images_of
from occy_fast.planning.stream_rules import KINDS, Rule
from occy_fast.spec.config import chain_ids
from occy_fast.words import format_count, printable

if TYPE_CHECKING:
    from occy_fast.planning.capabilities import Capabilities, Identity, Writes
    from occy_fast.planning.facts import Facts
    from occy_fast.planning.goal import Goal
    from occy_fast.spec.digest import Digest


@dataclass(frozen=True, slots=True)
class Plan:
    """All that execute will do, and nothing it would have to decide.

    Attributes:
        source: locator.
        destination: locator.
        steps: each different work once, in the order it is begun.
        writes, identity: of the destination, as its Capabilities have them.
        notes: what the reader would not expect.
        access: how the destination is reached, where it is a daemon.
        directory: where relative paths of the locators and of the socket start; empty if there are none.
        memory: bytes above the usual, with the workers the plan was made for.
        free: bytes left at the destination when the plan was made; None if not known.
    """

    source: str
    destination: str
    goal: Goal
    roots: tuple[NamedPlan, ...]
    steps: tuple[LayerStep, ...]
    writes: Writes
    identity: Identity
    access: Access = USUAL_ACCESS
    directory: str = ""
    notes: tuple[str, ...] = ()
    memory: int = 0
    free: int | None = None

    @property
    def copied_bytes(self) -> int:
        """Return how many bytes the destination receives as they are."""
        return sum(step.layer.size for step in self.steps if step.kind == "copy")

    @property
    def recodes_one_by_one(self) -> bool:
        """Tell whether layers are recoded one at a time, where several could be elsewhere."""
        return self.writes == "one of unknown size" and any(step.unknown_size for step in self.steps)

    @property
    def id_is_digest(self) -> bool:
        """Tell whether an image's id there is its manifest's or index's digest, as with Docker's containerd store."""
        return self.identity == "manifest" and self.writes == "one after another"

    def images(self) -> Iterator[ImagePlan]:
        """Walk the images, in the order of the roots and indexes."""
        for named in self.roots:
            yield from images_of(named.root)

    def __str__(self) -> str:
        return self.explain()

    def lines(self) -> list[str]:
        """Return what execute will do, for people, in the image's own words."""
        return plan_lines(self)

    def explain(self) -> str:
        """Print the same, what a terminal could act upon escaped."""
        return "\n".join(map(printable, self.lines()))

    def to_json(self) -> dict[str, Any]:
        """Return what `occy-fast convert --dry-run --json` prints, as plain JSON values; sizes are bytes."""
        return plan_document(self)

    def __repr__(self) -> str:
        counts = Counter(verb_of(step) for step in self.steps)
        steps = ", ".join(f"{count} {verb}" for verb, count in counts.items()) or "no step"
        images = format_count(len(list(self.images())), "image")
        return f"Plan({printable(self.source)} -> {printable(self.destination)}, {images}: {steps})"


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """All that execute will do with an archive it sees once; the manifest, when it comes, decides whether it was right.

    Attributes:
        source: locator.
        destination: locator.
        rules: one per kind, in the order of KINDS.
        capabilities, facts, reference: what the second planning decides with, once the manifest has come.
        notes: what the reader would not expect.
        access: how a daemon is reached.
        directory: where relative paths of the locators and of the socket start; empty if there are none.
        expected_diff_ids: what the source is said to have; none where nobody says.
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
    access: Access = USUAL_ACCESS
    directory: str = ""
    expected_diff_ids: tuple[Digest, ...] = ()
    notes: tuple[str, ...] = ()
    memory: int = 0
    free: int | None = None

    @property
    def writes(self) -> Writes:
        """Return how blobs go to the destination."""
        return self.capabilities.writes

    @property
    def recodes_one_by_one(self) -> bool:
        """Tell whether layers are recoded one at a time, where several could be elsewhere."""
        return self.writes == "one of unknown size" and any(rule.act == "recode" for rule in self.rules)

    def rule_for(self, kind: str) -> Rule:
        """Return the rule of one of KINDS."""
        return self.rules[KINDS.index(kind)]

    @property
    def present(self) -> frozenset[Digest]:
        """What may be taken for there: nothing that would have to be proved, as what comes by is written anyway."""
        return frozenset() if self.goal.verify == "destination" else self.facts.present

    def held(self) -> Callable[[str], bool]:
        """Return what tells by a member's name whether it will be a layer that the destination has, as announced."""
        expected = self.expected_diff_ids
        find = saved_names(expected)
        chains = chain_ids(expected)
        missing = {
            diff_id for diff_id, chain in zip(expected, chains, strict=True) if chain not in self.facts.chains
        }
        kept = self.present if self.rule_for("none").act == "copy" else frozenset()

        def is_held(name: str) -> bool:
            diff_id = find(name)
            return diff_id is not None and (diff_id not in missing or diff_id in kept)

        return is_held

    def __str__(self) -> str:
        return self.explain()

    def lines(self) -> list[str]:
        """Return what execute will do, for people."""
        return stream_plan_lines(self)

    def explain(self) -> str:
        """Print the same, what a terminal could act upon escaped."""
        return "\n".join(map(printable, self.lines()))

    def to_json(self) -> dict[str, Any]:
        """Return what `occy-fast convert --dry-run --json` prints, as plain JSON values."""
        return stream_plan_document(self)

    def __repr__(self) -> str:
        rules = ", ".join(f"{rule.act} {rule.kind}" for rule in self.rules)
        return f"StreamPlan({printable(self.source)} -> {printable(self.destination)}: {rules})"
