"""The rules of a stream: what is done with a blob of each kind, whose layer is not known before it has gone by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from occy_fast.spec.encoding import READABLE, Encoding

if TYPE_CHECKING:
    from occy_fast.spec.encoding import EncoderIdentity

Act = Literal["copy", "recode", "refuse", "skip"]

KINDS = (*READABLE, "other")
"""What a blob may turn out to be by its first bytes: a tar in one of the encodings, or something else."""


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
