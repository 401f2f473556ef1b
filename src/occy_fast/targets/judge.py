"""What a target makes of the traits of an image: findings, and what nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.image.finding import Finding, Severity
from occy_fast.words import printable

if TYPE_CHECKING:
    from occy_fast.targets.target import Target
    from occy_fast.targets.traits import Trait


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFinding(Finding):
    """Something one target stumbles over.

    Attributes:
        target: its name, as the caller wrote it.
        says: the consumer's own words; empty where they are not known.
        sources: where it is known from.
        fix: the command that makes an image without it; None where the image itself would have to change.
    """

    target: str
    says: str = ""
    sources: tuple[str, ...] = ()
    fix: str | None = None

    def __str__(self) -> str:
        # not super(), which does not know the class that `slots` makes
        return f"{printable(self.target)}: {Finding.__str__(self)}"


def judge(traits: Iterable[Trait], target: Target, fix: str | None = None) -> tuple[TargetFinding, ...]:
    """Return what *target* makes of *traits*, each finding once; *fix* is the command for what it can put right."""
    found = (finding for trait in traits if (finding := _finding(trait, target, fix)) is not None)
    return tuple(dict.fromkeys(found))


def refused(traits: Iterable[Trait], target: Target) -> tuple[Trait, ...]:
    """Return the traits that *target* is known not to read, wherever it runs."""
    return tuple(trait for trait in traits if _severity(trait, target) == "error")


def words_of(trait: Trait, target: Target) -> str:
    """Return what *target* prints for *trait*; empty where that is not known."""
    says = target.support(trait.feature).error
    for name, value in trait.words:
        says = says.replace(f"{{{name}}}", value)
    return says


def _severity(trait: Trait, target: Target) -> Severity | None:
    """Return how bad a trait is for *target*; None where it is nothing to speak of."""
    rule, answer = trait.rule, target.support(trait.feature).answer
    fatal = rule.fatal and not (rule.storable and target.kind in ("registry", "tool"))
    if fatal or (answer == "no" and not rule.advisory):
        return "error"
    if answer in ("no", "partial"):
        return "warning"
    return "unknown" if answer == "unknown" and not rule.common else None


def _finding(trait: Trait, target: Target, fix: str | None) -> TargetFinding | None:
    severity = _severity(trait, target)
    if severity is None:
        return None
    return TargetFinding(
        rule=trait.rule.id,
        severity=severity,
        target=target.name,
        place=trait.place,
        problem=trait.problem,
        says=words_of(trait, target) if severity != "unknown" else "",
        sources=target.support(trait.feature).sources,
        fix=fix if trait.rule.convertible and severity != "unknown" else None,
    )
