"""What a target makes of the marks of an image: findings, and what nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.image.finding import Finding, Severity

if TYPE_CHECKING:
    from occy_fast.targets.target import Target
    from occy_fast.targets.traits import Mark


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


def judge(marks: Iterable[Mark], target: Target, fix: str | None = None) -> tuple[TargetFinding, ...]:
    """Return what *target* makes of *marks*, each finding once; *fix* is the command for what it can put right."""
    found = (finding for mark in marks if (finding := _finding(mark, target, fix)) is not None)
    return tuple(dict.fromkeys(found))


def refused(marks: Iterable[Mark], target: Target) -> tuple[Mark, ...]:
    """Return the marks that *target* is known not to read, wherever it runs."""
    return tuple(mark for mark in marks if mark.fatal or (target.refuses(mark.feature) and not mark.advisory))


def words_of(mark: Mark, target: Target) -> str:
    """Return what *target* prints for *mark*; empty where that is not known."""
    says = target.cell(mark.feature).error
    for name, value in mark.words:
        says = says.replace(f"{{{name}}}", value)
    return says


def _finding(mark: Mark, target: Target, fix: str | None) -> TargetFinding | None:
    cell = target.cell(mark.feature)
    severity: Severity
    if mark.fatal or (cell.answer == "no" and not mark.advisory):
        severity = "error"
    elif cell.answer in ("no", "partial"):
        severity = "warning"
    elif cell.answer == "unknown" and not mark.plain:
        severity = "unknown"
    else:
        return None
    return TargetFinding(
        rule=mark.rule,
        severity=severity,
        target=target.name,
        place=mark.place,
        problem=mark.problem,
        says=words_of(mark, target) if severity != "unknown" else "",
        sources=cell.sources,
        fix=fix if mark.mendable and severity != "unknown" else None,
    )
