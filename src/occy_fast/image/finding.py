"""Finding: something that is wrong with an image, as verify and check tell it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from occy_fast.errors import OccyError
from occy_fast.image.place import Place
from occy_fast.words import printable

Severity = Literal["error", "warning", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with an image.

    Its texts, `problem` and `where` among them, may hold what the image says, control characters and all; str() is one
    line that can be printed anywhere.

    Attributes:
        severity: "error" if the image breaks its specification or fails at a target, "warning" if some consumer refuses
            or misreads it, "unknown" where nobody knows.
        place: as precisely as it is known.
        where: the same as messages write it, which may begin with the locator.
        rule: the id of the rule that found it; empty where the specification is the rule.
        error: what may be raised for it, None where a warning is all; it does not count when findings are compared.
    """

    severity: Severity
    place: Place
    problem: str
    where: str = ""
    rule: str = ""
    error: OccyError | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.where:
            object.__setattr__(self, "where", str(self.place))

    def __str__(self) -> str:
        return printable(": ".join(filter(None, (self.severity, self.rule, self.where, self.problem))))
