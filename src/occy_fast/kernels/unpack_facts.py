"""Facts about the entries of a layer that unpackers stumble over, as both twins of unpack_model number them."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class UnpackFact(IntEnum):
    """A fact about an entry and what is there when it is unpacked, whoever does that.

    Some unpack a layer over those below it, some beside them (overlay), so some facts matter to one kind alone. `ext/
    unpack_model.h` has the same numbers.
    """

    LINK_TARGET_MISSING = 1
    LINK_TARGET_LOWER = 2
    LINK_TARGET_REMOVED = 3
    LINK_TARGET_DIRECTORY = 4
    DUPLICATE_NAME = 5
    ROOT_REPLACED = 6
    TOP_REPLACED = 7
    PARENT_IS_FILE = 8
    PARENT_IS_LOWER_FILE = 9
    PARENT_LINK_TO_LOWER = 10
    PARENT_LINK_TO_NOTHING = 11
    PARENT_LINK_LOOP = 12
    PARENT_LOWER_LINK_LOOP = 13
    BELOW_WHITEOUT = 14
    WHITEOUT_BELOW_WHITEOUT = 15
    WHITEOUT_OF_OWN = 16
    WHITEOUT_OF_NOTHING_NAMED = 17
    ENTRY_TYPE = 18
    EMPTY_NAME = 19
    EMPTY_LINK = 20
    NAME_TOO_LONG = 21
    PATH_TOO_LONG = 22
    PATH_LONG = 23
    LINK_TOO_LONG = 24
    XATTR_NAMESPACE = 25
    XATTR_ON_SPECIAL = 26
    XATTR_NAME = 27
    DIRECTORY_REMOVED = 28
    WHITEOUT_BELOW_FILE = 29
    WHITEOUT_OF_ITS_DIRECTORY = 30
    OPAQUE_BELOW_WHITEOUT = 31
    DEEP_BELOW_LOWER_FILE = 32
    DIRECTORY_BECAME_LINK = 33


class FoundFact(NamedTuple):
    """The first entry of a layer of which one fact is true.

    Attributes:
        offset: of its header in the layer's tar.
        name: as it stands in the tar.
        other: what its link names, or the key of an extended attribute.
        times: how many entries of the layer it is true of.
    """

    fact: UnpackFact
    offset: int
    name: bytes
    other: bytes
    times: int
