"""What is demanded of a destination or target, refused before any image is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from occy_fast.errors import AmbiguousReference, Unsupported
from occy_fast.image.place import Place, format_places
from occy_fast.spec.encoding import Encoding
from occy_fast.targets.judge import words_of

if TYPE_CHECKING:
    from occy_fast.planning.capabilities import Capabilities
    from occy_fast.planning.facts import Facts
    from occy_fast.planning.goal import Goal


def check_demands(goal: Goal, capabilities: Capabilities, destination: str) -> None:
    """Raise Unsupported or AmbiguousReference where no image at all could be brought to the destination as demanded."""
    if isinstance(goal.encoding, Encoding):
        goal.encoding.check_level()
        if goal.encoding.codec not in capabilities.encodings:
            raise Unsupported(
                destination,
                f"it cannot hold {goal.encoding.codec} layers",
                "it holds " + ", ".join(sorted(capabilities.encodings)),
            )
    if goal.format != "keep" and goal.format not in capabilities.families:
        raise Unsupported(destination, f"it cannot hold manifests of the format {goal.format}")
    if goal.tags and capabilities.names == "ref":
        raise Unsupported(destination, "an image has one name there", "name it behind the path")
    if goal.verify == "destination" and not capabilities.reads_back:
        problem = "what a daemon has cannot be read back, so that nothing would prove what is skipped"
        raise Unsupported(destination, problem, "--verify layers proves what is sent")
    if len(goal.platforms) > 1 and not capabilities.multi_platform:
        raise AmbiguousReference(
            destination,
            "a name stands for one platform there",
            tuple(map(str, goal.platforms)),
            f"name one, as --platform {goal.platforms[0]} does",
        )


def refused_by_target(facts: Facts, goal: Goal, source: str) -> list[str]:
    """Say what the target does not read of the source, each rule by its name and in the target's words.

    Raises Unsupported, where no conversion changes that.
    """
    target = goal.target
    if target is None:
        return []
    places: dict[tuple[str, str], list[Place]] = {}
    for trait in facts.refused:
        says = words_of(trait, target)
        if not trait.rule.convertible:
            told = f"; it says: {says}" if says else ""
            problem = f"{target.name} does not read it ({trait.rule}): {trait.place}: {trait.problem}{told}"
            raise Unsupported(source, problem, "the image itself would have to change")
        places.setdefault((trait.rule.id, says), []).append(trait.place)
    return [
        f"{rule}: {format_places(where)}, for {target.name}" + (f", which says: {says}" if says else "")
        for (rule, says), where in places.items()
    ]
