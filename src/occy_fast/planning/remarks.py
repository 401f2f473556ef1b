"""What the reader of a plan would not expect of a selection: what stays behind, is left out, or joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from occy_fast.spec.digest import Digest


@dataclass(frozen=True, slots=True)
class OtherPlatforms:
    """Images of an index that stay behind, as their platforms were not asked for."""

    platforms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Extras:
    """How many attestations and artifacts do not go as the images do.

    Attributes:
        behind: the destination cannot hold them, or what they refer to stays behind.
        dropped: the goal drops them.
        unchanged: they go as they are, whatever encoding or format is asked for.
    """

    where: Literal["of the index", "beside the image"]
    behind: int = 0
    dropped: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Absent:
    """A child that an index names and the source does not have."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class Joined:
    """Images of one name that become an index, by their platforms."""

    platforms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A *ref* that the destination cannot use, so that the image gets no name there."""

    ref: str


Remark = OtherPlatforms | Extras | Absent | Joined | Unnamed
"""What a selection has to say."""
