"""Which of several images are for the platforms that are asked for, where no name tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from occy_fast.errors import MissingPlatform
from occy_fast.image.graph import real_images

if TYPE_CHECKING:
    from occy_fast.image.image import NamedImage
    from occy_fast.spec.platform import Platform


class Siblings(NamedTuple):
    """What --platform chooses among, by position.

    Attributes:
        going: those that are for one of the platforms at least, and need not be for each.
        platforms: what the others are for, which stay behind.
        behind: their positions.
    """

    going: frozenset[int] = frozenset()
    platforms: tuple[str, ...] = ()
    behind: frozenset[int] = frozenset()


def siblings_for(
    images: Sequence[NamedImage], places: Sequence[int], platforms: Sequence[Platform], where: str
) -> Siblings:
    """Choose by platform among the images that have no name, which an image's platforms are where a layout is flat.

    Where an archive's index.json names more than its manifest.json, it chooses among all: each may be in one of them
    alone.

    Args:
        places: the positions in *images* of what stands for itself.
        where: the source, for messages.
    Raises:
        MissingPlatform: none of them is for a platform that is asked for.
    """
    united = any(images[at].beside for at in places)
    group = [at for at in places if united or not (images[at].names or images[at].ref)]
    if not platforms or len(group) < 2:
        return Siblings()
    offered = {at: [image.platform for image in real_images(images[at].root)] for at in group}
    words = tuple(dict.fromkeys(str(one or "unknown") for at in group for one in offered[at]))
    going: set[int] = set()
    for wanted in platforms:
        found = {at for at in group if any(one is not None and one.matches(wanted) for one in offered[at])}
        if not found:
            raise MissingPlatform(where, str(wanted), words)
        going |= found
    behind = [at for at in group if at not in going and offered[at]]
    left = dict.fromkeys(str(one or "unknown") for at in behind for one in offered[at])
    return Siblings(frozenset(going), tuple(left), frozenset(behind))
