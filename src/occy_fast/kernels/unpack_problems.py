"""What unpackers refuse in a layer, as values: which problem, at which entry, and who refuses it."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple


class Unpacker(IntFlag):
    """The ways in which daemons unpack a layer."""

    OVERLAY = 1
    """Into a directory of its own that is mounted over those below: graph drivers of Docker on overlay2."""
    SNAPSHOT = 2
    """The same with the parents at hand: containerd's overlayfs snapshotter, also below Docker."""
    COPY = 4
    """Into a copy of what is below: vfs, and whatever else has one tree."""


class UnpackKind(IntEnum):
    """What an entry cannot be unpacked for; the names in lower case are those of rules and features."""

    HARD_LINK_MISSING = 1
    HARD_LINK_LATER = 2
    HARD_LINK_LOWER = 3
    HARD_LINK_ITSELF = 4
    HARD_LINK_DIRECTORY = 5
    HARD_LINK_PATH = 6
    HARD_LINK_AUFS = 7
    CHILD_OF_FILE = 8
    CHILD_OF_WHITEOUT = 9
    DANGLING_PARENT = 10
    LINK_LOOP = 11
    ROOT_NO_DIRECTORY = 12
    WHITEOUT_OF_SAME_LAYER = 13
    WHITEOUT_NAME = 14
    DUPLICATE = 15
    ENTRY_TYPE = 16
    NAME_TOO_LONG = 17
    EMPTY_LINK = 18
    XATTR_NAMESPACE = 19
    XATTR_NAME = 20
    XATTR_OF_TYPE = 21
    DIRECTORY_GONE = 22
    WHITEOUT_BELOW_FILE = 23

    @property
    def word(self) -> str:
        """Return its name as rules and features have it: "hard-link-missing"."""
        return self.name.lower().replace("_", "-")


class UnpackProblem(NamedTuple):
    """The first entry of a layer with a problem.

    Attributes:
        unpackers: all that refuse the entry for it.
        offset: of the entry's header in the tar.
        other: the link's target, the key of an extended attribute, or the type; empty where nothing else is involved.
        times: how many entries of the layer have this problem, for the same unpackers.
    """

    kind: UnpackKind
    unpackers: Unpacker
    offset: int
    name: bytes
    other: bytes
    times: int
