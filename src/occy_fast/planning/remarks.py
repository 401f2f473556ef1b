"""What the reader of a plan would not expect of a selection, as values; notes put them into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from occy_fast.errors import OccyError
    from occy_fast.spec.digest import Digest


@dataclass(frozen=True, slots=True)
class OtherPlatforms:
    """Images that stay behind, as their platforms were not asked for."""

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


@dataclass(frozen=True, slots=True)
class Beside:
    """An image that only index.json names, and that the destination cannot hold.

    Attributes:
        what: the number that chooses it, with what tells it from others.
        locator: what chooses it alone; empty where no locator does.
    """

    what: str
    locator: str


@dataclass(frozen=True, slots=True)
class Unread:
    """What stays behind, as it cannot be read and was not asked for: *what* it is, and why."""

    what: str
    error: OccyError


Remark = OtherPlatforms | Extras | Absent | Joined | Unnamed | Beside | Unread
"""What the reader of a plan would not expect of a selection."""
