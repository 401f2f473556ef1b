"""Follow layers as an unpacker does, by their lists of entries, and tell what it would stumble over.

Names alone are followed. What unpackers make of an entry was found by asking them; unpack_problems.py has who refuses
what.
"""

from __future__ import annotations

from typing import Final

from occy_fast.kernels.entry_list import ENTRY_SIZE, ListedEntry, read_entries
from occy_fast.kernels.pure.unpack_paths import cleaned, inside, parts_of
from occy_fast.kernels.unpack_facts import FoundFact, UnpackFact

NAME_MAX: Final = 255
PATH_MAX: Final = 4095
PATH_LONG: Final = 3800
"""Where a path may be too long behind that of the directory it is unpacked in."""

LINKS_MAX: Final = 40
LAYERS_MAX: Final = 65535
_STEPS: Final = 32, 1 << 20
_NAMES: Final = 2, 1 << 12
"""Components that may be visited, and names that may be known: for each entry that is allowed, and beside."""
_WHITEOUT: Final = b".wh."
_OPAQUE: Final = b".wh..wh..opq"
_META: Final = b".wh..wh."

_NOTHING, _FILE, _DIRECTORY, _LINK, _SPECIAL, _REMOVED = range(6)
_KINDS: Final = {b"0": _FILE, b"2": _LINK, b"3": _SPECIAL, b"4": _SPECIAL, b"5": _DIRECTORY, b"6": _SPECIAL}
_NAMESPACES: Final = (b"user.", b"trusted.", b"security.", b"system.posix_acl_")


class _Node:
    """A name in the tree.

    Attributes:
        kind: what it is; _REMOVED by a whiteout of the layer that is being unpacked.
        layer: that made it what it is, counted from 1.
        made: the number of the entry that did.
        cleared: children that were made by then are gone.
        target: of a symbolic link.
    """

    __slots__ = ("cleared", "kind", "layer", "made", "parent", "target")

    def __init__(self, parent: _Node | None) -> None:
        self.parent = parent
        self.kind, self.layer, self.made, self.cleared, self.target = _NOTHING, 0, 0, 0, b""


class UnpackModel:
    """The layers of one image, the lowest first.  (image-spec, "Image Layer Filesystem Changeset")

    Every layer is followed to its end, whatever it holds: who stumbles over what differs, and the caller knows. One
    model belongs to one thread.

    Args:
        max_entries: of all layers together; beyond, nothing is known any more.

    Attributes:
        exceeded: there were more.
    """

    def __init__(self, max_entries: int) -> None:
        if not 0 <= max_entries < 1 << 31:
            raise ValueError(f"max_entries: expected 0 to {(1 << 31) - 1}, found {max_entries}")
        self._left = max_entries
        self._room = max_entries * ENTRY_SIZE            # for the targets of links
        self._steps_left = max_entries * _STEPS[0] + _STEPS[1]
        self._names_left = max_entries * _NAMES[0] + _NAMES[1]
        self.exceeded = False
        self._root = _Node(None)
        self._root.kind = _DIRECTORY
        self._nodes: dict[tuple[int, bytes], _Node] = {}
        self._layer = self._step = self._begin = 0
        self._may_have_removed = False                   # a directory of the layer itself
        self._seen: set[bytes] = set()
        self._found: dict[UnpackFact, FoundFact] = {}
        self._entry = ListedEntry(b"", 0, b"", b"", ())

    def apply(self, entries: bytes) -> list[FoundFact]:
        """Unpack the next layer, and return the first entry of each kind of problem in it, by their offsets.

        Raises ValueError for what is no list of entries.
        """
        self.exceeded = self.exceeded or self._layer == LAYERS_MAX
        self._layer = min(self._layer + 1, LAYERS_MAX)
        self._begin = self._step
        self._may_have_removed = False
        self._seen.clear()
        self._found.clear()
        for entry in read_entries(entries):
            self._left -= 1
            if self._left < 0:
                self.exceeded = True
            if self.exceeded:
                return []
            self._step += 1
            if entry.type != b"g":
                self._entry = entry
                self._unpack(entry)
        if self._may_have_removed and not self.exceeded:
            self._look_for_removed_directories(entries)
        return self._told()

    def _told(self) -> list[FoundFact]:
        if self.exceeded:
            return []
        return sorted(self._found.values(), key=lambda problem: (problem.offset, problem.fact))

    def _look_for_removed_directories(self, entries: bytes) -> None:
        """Tell of directories that their own layer took away again: their times are set at the very end."""
        for entry in read_entries(entries):
            parts = inside(entry.name)
            if entry.type == b"5" and parts and not parts[-1].startswith(_WHITEOUT):
                self._entry = entry
                node = self._find(parts)
                if node is None or self._kind(node) == _REMOVED:
                    self._tell(UnpackFact.DIRECTORY_REMOVED)
                elif self._kind(node) == _LINK:          # which is followed to set them
                    self._tell(UnpackFact.DIRECTORY_BECAME_LINK)

    def _tell(self, kind: UnpackFact, other: bytes = b"") -> None:
        known = self._found.get(kind)
        if known is None:
            self._found[kind] = FoundFact(kind, self._entry.offset, self._entry.name, other, 1)
        else:
            self._found[kind] = known._replace(times=known.times + 1)

    def _unpack(self, entry: ListedEntry) -> None:
        parts = inside(entry.name)
        self._check_xattrs(entry)
        if not self._check_name(entry, parts):
            return
        if entry.type not in b"0123456":
            self._tell(UnpackFact.ENTRY_TYPE, entry.type)
            return
        if not parts:
            if entry.type != b"5":
                slash = entry.name.startswith(b"/")
                self._tell(UnpackFact.ROOT_REPLACED if slash else UnpackFact.TOP_REPLACED)
            return
        last = parts[-1]
        if last.startswith(_WHITEOUT):
            self._unpack_whiteout(parts, last)
            return
        parent = self._parent(parts[:-1], whiteout=False)
        if parent is None:
            if entry.type == b"1":                        # who has no trouble with the parent may have some with that
                self._linked(entry.linkname, None)
            return
        kind, target = _KINDS.get(entry.type, _FILE), b""
        node = self._child(parent, last)
        if entry.type == b"1":
            kind = self._linked(entry.linkname, node)
        elif entry.type == b"2":
            target = entry.linkname
            self._room -= len(target)
            self.exceeded = self.exceeded or self._room < 0
            if not target:
                self._tell(UnpackFact.EMPTY_LINK)
            if len(target) > PATH_MAX:
                self._tell(UnpackFact.LINK_TOO_LONG, target[:100])
                target = b""
        self._set(node, kind, target)

    def _check_name(self, entry: ListedEntry, parts: list[bytes]) -> bool:
        """Tell what is wrong with a name; False for one that is too long to be followed any further."""
        if not entry.name:
            self._tell(UnpackFact.EMPTY_NAME)
        length = sum(map(len, parts)) + len(parts)
        if length > PATH_MAX:
            self._tell(UnpackFact.PATH_TOO_LONG)
            return False
        name = cleaned(entry.name)
        self._visit(len(parts))
        node = self._root
        for part in parts:                               # each name is known as it is written, whatever links are there
            node = self._child(node, part)
        if name in self._seen:
            self._tell(UnpackFact.DUPLICATE_NAME)
        self._seen.add(name)
        longest = max(map(len, parts), default=0)
        if parts and parts[-1].startswith(_WHITEOUT):    # it is the name behind the prefix that is made
            longest = max(max(map(len, parts[:-1]), default=0), len(parts[-1]) - len(_WHITEOUT))
        if longest > NAME_MAX:
            self._tell(UnpackFact.NAME_TOO_LONG)
        if length > PATH_LONG:
            self._tell(UnpackFact.PATH_LONG)
        return True

    def _visit(self, count: int) -> None:
        """Count components that are looked at, of which there may be so many."""
        self._steps_left -= count
        self.exceeded = self.exceeded or self._steps_left < 0

    def _check_xattrs(self, entry: ListedEntry) -> None:
        for key in entry.xattrs:
            if len(key) > NAME_MAX or key in _NAMESPACES:
                self._tell(UnpackFact.XATTR_NAME, key[:100])
            elif not key.startswith(_NAMESPACES):
                self._tell(UnpackFact.XATTR_NAMESPACE, key)
            elif key.startswith(b"user.") and entry.type in (b"2", b"3", b"4", b"6"):
                self._tell(UnpackFact.XATTR_ON_SPECIAL, key)

    # ------------------------------------------------------------------------------------------------- whiteouts

    def _unpack_whiteout(self, parts: list[bytes], last: bytes) -> None:
        if last == _OPAQUE:
            directory = self._find(parts[:-1])
            kind = _NOTHING if directory is None else self._kind(directory)
            if kind == _REMOVED:
                self._tell(UnpackFact.OPAQUE_BELOW_WHITEOUT)
            if directory is not None and kind == _DIRECTORY:
                directory.cleared = max(directory.cleared, self._begin)
                directory.layer = self._layer            # beside the lower layers, it is made anew
            return
        if last.startswith(_META):
            return
        name = last[len(_WHITEOUT) :]
        if name == b".." or (name in (b"", b".") and len(parts) == 1):
            self._tell(UnpackFact.WHITEOUT_OF_NOTHING_NAMED)
            return
        if name in (b"", b"."):
            self._tell(UnpackFact.WHITEOUT_OF_ITS_DIRECTORY)
            return
        parent = self._parent(parts[:-1], whiteout=True)
        if parent is None:
            return
        node = self._child(parent, name)
        if node.layer == self._layer and self._kind(node) != _NOTHING:
            self._tell(UnpackFact.WHITEOUT_OF_OWN)
            self._may_have_removed = True
        self._set(node, _REMOVED, b"")

    # ------------------------------------------------------------------------------------------------- the tree

    def _child(self, parent: _Node, name: bytes) -> _Node:
        key = (id(parent), name)
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = _Node(parent)
            self._names_left -= 1
            self.exceeded = self.exceeded or self._names_left < 0
        return node

    def _kind(self, node: _Node) -> int:
        """Return what a name is now; nothing where a directory above was removed or replaced since it was made."""
        return self._kind_below(node, -1 if node.parent is None else self._cleared(node.parent))

    def _cleared(self, directory: _Node) -> int:
        """Return up to which entry what is below a directory is gone."""
        cleared, above = directory.cleared, directory.parent
        while above is not None:
            cleared = max(cleared, above.cleared)
            above = above.parent
        return cleared

    def _kind_below(self, node: _Node, cleared: int) -> int:
        if node.made <= cleared:
            return _NOTHING
        if node.kind == _REMOVED and node.layer != self._layer:
            return _NOTHING
        return node.kind

    def _set(self, node: _Node, kind: int, target: bytes) -> None:
        was = self._kind(node)
        if kind != _DIRECTORY and (was == _LINK or (was == _DIRECTORY and node.layer == self._layer)):
            self._may_have_removed = True                # of a link, what was put where it leads
        if kind != _DIRECTORY or was != _DIRECTORY:
            node.cleared = self._step
            if kind == _DIRECTORY:                       # what this entry's layer unpacks below comes later
                node.cleared = self._step - 1
        node.kind, node.target, node.layer = kind, target, self._layer
        node.made = self._step

    def _parent(self, parts: list[bytes], *, whiteout: bool) -> _Node | None:
        """Return the directory that *parts* lead to, made where it is missing; None where no file can be put.

        Args:
            whiteout: it is a whiteout that is to be put there.
        """
        node, left, links = self._root, parts[::-1], 0
        through_own = through_lower = False
        path_left = len(left)                            # without what comes of links
        cleared = node.cleared
        while left:
            self._visit(1)
            if self.exceeded:
                return None
            part = left.pop()
            of_link = len(left) >= path_left
            path_left = min(path_left, len(left))
            if part == b"..":
                node = node.parent or node
                cleared = self._cleared(node)
                continue
            child = self._child(node, part)
            kind, own = self._kind_below(child, cleared), child.layer == self._layer
            if kind == _REMOVED:
                self._tell(UnpackFact.WHITEOUT_BELOW_WHITEOUT if whiteout else UnpackFact.BELOW_WHITEOUT)
                self._set(child, _DIRECTORY, b"")
            elif kind == _NOTHING:
                if of_link and through_own:
                    self._tell(UnpackFact.PARENT_LINK_TO_NOTHING)
                    return None
                if of_link and through_lower:
                    if not whiteout:                     # there is nothing to be removed
                        self._tell(UnpackFact.PARENT_IS_LOWER_FILE)
                    return None
                self._set(child, _DIRECTORY, b"")
            elif kind == _LINK:
                links += 1
                if links > LINKS_MAX:
                    loop = UnpackFact.PARENT_LINK_LOOP if own else UnpackFact.PARENT_LOWER_LINK_LOOP
                    self._tell(loop, child.target)
                    return None
                if own:
                    through_own = True
                else:
                    through_lower = True
                if child.target.startswith(b"/"):
                    node, cleared = self._root, self._root.cleared
                left += parts_of(child.target)[::-1]
                continue
            elif kind != _DIRECTORY:
                self._tell(_in_the_way(own=own, whiteout=whiteout, linked=through_own, deep=bool(left) and not of_link))
                return None
            elif not own:
                if through_own and of_link and len(left) == path_left:
                    self._tell(UnpackFact.PARENT_LINK_TO_LOWER)
                child.layer = self._layer                # beside the lower layers, it is made anew
            node, cleared = child, max(cleared, child.cleared)
        return node

    def _find(self, parts: list[bytes]) -> _Node | None:
        """Return what *parts* lead to, links on the way followed, the last one not; None where there is nothing."""
        node, left, links = self._root, parts[::-1], 0
        cleared = node.cleared
        while left:
            self._visit(1)
            if self.exceeded:
                return None
            part = left.pop()
            if part == b"..":
                node = node.parent or node
                cleared = self._cleared(node)
                continue
            child = self._nodes.get((id(node), part))
            kind = _NOTHING if child is None else self._kind_below(child, cleared)
            if child is None or kind == _NOTHING:
                return None
            if kind == _LINK and left:
                links += 1
                if links > LINKS_MAX:
                    return None
                if child.target.startswith(b"/"):
                    node, cleared = self._root, self._root.cleared
                left += parts_of(child.target)[::-1]
                continue
            if left and kind != _DIRECTORY:
                return None
            node, cleared = child, max(cleared, child.cleared)
        return node

    def _is_in(self, target: _Node, node: _Node) -> bool:
        """Tell whether *target* is what is removed before *node* is made: itself, or below it."""
        above: _Node | None = target
        while above is not None and above is not node:
            above = above.parent
        return above is node

    def _linked(self, linkname: bytes, node: _Node | None) -> int:
        """Return what a hard link in the place of *node* is; None where it has none."""
        target = self._find(inside(linkname))
        if target is None or (node is not None and self._is_in(target, node)):
            self._tell(UnpackFact.LINK_TARGET_MISSING, linkname)
            return _FILE
        kind = self._kind(target)
        if target is self._root or kind == _DIRECTORY:
            self._tell(UnpackFact.LINK_TARGET_DIRECTORY, linkname)
            return _FILE
        if kind == _REMOVED:
            self._tell(UnpackFact.LINK_TARGET_REMOVED, linkname)
            return _SPECIAL
        if target.layer != self._layer:
            self._tell(UnpackFact.LINK_TARGET_LOWER, linkname)
        return _FILE if kind == _LINK else kind


def _in_the_way(*, own: bool, whiteout: bool, linked: bool, deep: bool) -> UnpackFact:
    """Say what a file is that stands where a directory should be: the layer's own, or a lower one's."""
    if own:
        return UnpackFact.WHITEOUT_BELOW_FILE if whiteout else UnpackFact.PARENT_IS_FILE
    if linked:
        return UnpackFact.PARENT_LINK_TO_NOTHING
    return UnpackFact.DEEP_BELOW_LOWER_FILE if deep else UnpackFact.PARENT_IS_LOWER_FILE
