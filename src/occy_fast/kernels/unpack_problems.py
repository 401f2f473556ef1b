"""What unpackers refuse in a layer, as values: which problem, at which entry, and who refuses it."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

from occy_fast.kernels.unpack_facts import FoundFact, UnpackFact


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
    HARD_LINK_LOWER = 2
    HARD_LINK_DIRECTORY = 3
    CHILD_OF_FILE = 4
    CHILD_OF_WHITEOUT = 5
    DANGLING_PARENT = 6
    LINK_LOOP = 7
    ROOT_NO_DIRECTORY = 8
    WHITEOUT_OF_SAME_LAYER = 9
    WHITEOUT_NAME = 10
    WHITEOUT_BELOW_FILE = 11
    DUPLICATE = 12
    DIRECTORY_GONE = 13
    ENTRY_TYPE = 14
    NAME_TOO_LONG = 15
    PATH_LONG = 16
    EMPTY_LINK = 17
    EMPTY_NAME = 18
    XATTR_NAMESPACE = 19
    XATTR_NAME = 20
    XATTR_OF_TYPE = 21

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


_O, _S, _C = Unpacker.OVERLAY, Unpacker.SNAPSHOT, Unpacker.COPY
_ALL: Final = _O | _S | _C

REFUSED: Final[dict[UnpackFact, tuple[UnpackKind, Unpacker]]] = {
    UnpackFact.LINK_TARGET_MISSING: (UnpackKind.HARD_LINK_MISSING, _ALL),
    UnpackFact.LINK_TARGET_LOWER: (UnpackKind.HARD_LINK_LOWER, _O | _S),
    UnpackFact.LINK_TARGET_REMOVED: (UnpackKind.HARD_LINK_MISSING, _C),
    UnpackFact.LINK_TARGET_DIRECTORY: (UnpackKind.HARD_LINK_DIRECTORY, _ALL),
    UnpackFact.DUPLICATE_NAME: (UnpackKind.DUPLICATE, _O | _C),
    UnpackFact.ROOT_REPLACED: (UnpackKind.ROOT_NO_DIRECTORY, _O | _C),
    UnpackFact.TOP_REPLACED: (UnpackKind.ROOT_NO_DIRECTORY, _C),
    UnpackFact.PARENT_IS_FILE: (UnpackKind.CHILD_OF_FILE, _ALL),
    UnpackFact.PARENT_IS_LOWER_FILE: (UnpackKind.CHILD_OF_FILE, _C),
    UnpackFact.PARENT_LINK_TO_LOWER: (UnpackKind.DANGLING_PARENT, _O),
    UnpackFact.PARENT_LINK_TO_NOTHING: (UnpackKind.DANGLING_PARENT, _O | _C),
    UnpackFact.PARENT_LINK_LOOP: (UnpackKind.LINK_LOOP, _ALL),
    UnpackFact.PARENT_LOWER_LINK_LOOP: (UnpackKind.LINK_LOOP, _S | _C),
    UnpackFact.BELOW_WHITEOUT: (UnpackKind.CHILD_OF_WHITEOUT, _O | _S),
    UnpackFact.WHITEOUT_BELOW_WHITEOUT: (UnpackKind.WHITEOUT_BELOW_FILE, _O | _S),
    UnpackFact.WHITEOUT_OF_OWN: (UnpackKind.WHITEOUT_OF_SAME_LAYER, _O | _S),
    UnpackFact.WHITEOUT_OF_NOTHING_NAMED: (UnpackKind.WHITEOUT_NAME, _ALL),
    UnpackFact.WHITEOUT_OF_ITS_DIRECTORY: (UnpackKind.WHITEOUT_NAME, _O | _S),
    UnpackFact.OPAQUE_BELOW_WHITEOUT: (UnpackKind.CHILD_OF_WHITEOUT, _S),
    UnpackFact.DEEP_BELOW_LOWER_FILE: (UnpackKind.CHILD_OF_FILE, _S | _C),
    UnpackFact.WHITEOUT_BELOW_FILE: (UnpackKind.WHITEOUT_BELOW_FILE, _ALL),
    UnpackFact.ENTRY_TYPE: (UnpackKind.ENTRY_TYPE, _ALL),
    UnpackFact.EMPTY_NAME: (UnpackKind.EMPTY_NAME, _C),
    UnpackFact.EMPTY_LINK: (UnpackKind.EMPTY_LINK, _ALL),
    UnpackFact.NAME_TOO_LONG: (UnpackKind.NAME_TOO_LONG, _ALL),
    UnpackFact.PATH_TOO_LONG: (UnpackKind.NAME_TOO_LONG, _ALL),
    UnpackFact.PATH_LONG: (UnpackKind.PATH_LONG, _O | _S),
    UnpackFact.LINK_TOO_LONG: (UnpackKind.NAME_TOO_LONG, _ALL),
    UnpackFact.XATTR_NAMESPACE: (UnpackKind.XATTR_NAMESPACE, _ALL),
    UnpackFact.XATTR_ON_SPECIAL: (UnpackKind.XATTR_OF_TYPE, _ALL),
    UnpackFact.XATTR_NAME: (UnpackKind.XATTR_NAME, _ALL),
    UnpackFact.DIRECTORY_REMOVED: (UnpackKind.DIRECTORY_GONE, _ALL),
    UnpackFact.DIRECTORY_BECAME_LINK: (UnpackKind.DIRECTORY_GONE, _S),
}
"""What each fact is called, and who refuses it.

Docker 20.10.24 and 26.1.5 on overlay2, 26.1.5 with containerd's overlayfs, podman 4.3.1 and 5.4 on vfs and on overlay
were asked (tests/interop/test_unpack.py). They agree on every layer made by hand, and on all but one or two of 300
generated images: known to be left is a whiteout of a directory that its own layer filled through a link of a lower
one.
"""


def problem_of(found: FoundFact) -> UnpackProblem:
    """Return what unpackers make of a fact."""
    kind, unpackers = REFUSED[found.fact]
    return UnpackProblem(kind, unpackers, found.offset, found.name, found.other, found.times)
