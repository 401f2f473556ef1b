"""Follow layers as an unpacker does, by their lists of entries, and tell what it would stumble over.

Names alone are followed. What unpackers make of an entry was found by asking them; unpack_problems.py has who refuses
what.
"""

from __future__ import annotations

from typing import Final

from occy_fast.kernels.entry_list import ENTRY_SIZE, ListedEntry, read_entries
from occy_fast.kernels.unpack_facts import FoundFact, UnpackFact

NAME_MAX: Final = 255
PATH_MAX: Final = 4095
PATH_LONG: Final = 3800
"""Where a path may be too long behind that of the directory it is unpacked in."""

LINKS_MAX: Final = 40
LAYERS_MAX: Final = 65535
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
        if self._layer == LAYERS_MAX:
            self.exceeded = True
        else:
            self._layer += 1
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
        if self.exceeded:
            return []
        if self._may_have_removed:
            self._look_for_removed_directories(entries)
        return sorted(self._found.values(), key=lambda problem: (problem.offset, problem.fact))

    def _look_for_removed_directories(self, entries: bytes) -> None:
        """Tell of directories that their own layer took away again: their times are set at the very end."""
        for entry in read_entries(entries):
            parts = _inside(entry.name)
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
        parts = _inside(entry.name)
        self._check_name(entry, parts)
        self._check_xattrs(entry)
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
        self._set(node, kind, target)

    def _check_name(self, entry: ListedEntry, parts: list[bytes]) -> None:
        if not entry.name:
            self._tell(UnpackFact.EMPTY_NAME)
        name = _cleaned(entry.name)
        if name in self._seen:
            self._tell(UnpackFact.DUPLICATE_NAME)
        self._seen.add(name)
        longest = max(map(len, parts), default=0)
        if parts and parts[-1].startswith(_WHITEOUT):    # it is the name behind the prefix that is made
            longest = max(max(map(len, parts[:-1]), default=0), len(parts[-1]) - len(_WHITEOUT))
        if longest > NAME_MAX:
            self._tell(UnpackFact.NAME_TOO_LONG)
        length = sum(map(len, parts)) + len(parts)
        if length > PATH_MAX:
            self._tell(UnpackFact.PATH_TOO_LONG)
        elif length > PATH_LONG:
            self._tell(UnpackFact.PATH_LONG)

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
        return node

    def _kind(self, node: _Node) -> int:
        """Return what a name is now; nothing where a directory above was removed or replaced since it was made."""
        above = node.parent
        while above is not None:
            if node.made <= above.cleared:
                return _NOTHING
            above = above.parent
        if node.kind == _REMOVED and node.layer != self._layer:
            return _NOTHING
        return node.kind

    def _set(self, node: _Node, kind: int, target: bytes) -> None:
        was = self._kind(node)
        if was == _DIRECTORY and kind != _DIRECTORY and node.layer == self._layer:
            self._may_have_removed = True
        if kind != _DIRECTORY or was != _DIRECTORY:
            node.cleared = self._step
            if kind == _DIRECTORY:                       # what this entry's layer unpacks below comes later
                node.cleared = self._step - 1
        node.kind, node.target, node.layer = kind, target, self._layer
        node.made = self._step

    def _make_directory(self, node: _Node) -> None:
        self._set(node, _DIRECTORY, b"")

    def _parent(self, parts: list[bytes], *, whiteout: bool) -> _Node | None:
        """Return the directory that *parts* lead to, made where it is missing; None where no file can be put.

        Args:
            whiteout: it is a whiteout that is to be put there.
        """
        node, left, links = self._root, parts[::-1], 0
        through_own = through_lower = False
        path_left = len(left)                            # without what comes of links
        while left:
            part = left.pop()
            of_link = len(left) >= path_left
            path_left = min(path_left, len(left))
            if part == b"..":
                node = node.parent or node
                continue
            child = self._child(node, part)
            kind, own = self._kind(child), child.layer == self._layer
            if kind == _REMOVED:
                self._tell(UnpackFact.WHITEOUT_BELOW_WHITEOUT if whiteout else UnpackFact.BELOW_WHITEOUT)
                self._make_directory(child)
            elif kind == _NOTHING:
                if of_link and through_own:
                    self._tell(UnpackFact.PARENT_LINK_TO_NOTHING)
                    return None
                if of_link and through_lower:
                    if not whiteout:                     # there is nothing to be removed
                        self._tell(UnpackFact.PARENT_IS_LOWER_FILE)
                    return None
                self._make_directory(child)
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
                node = self._root if child.target.startswith(b"/") else node
                left += _parts(child.target)[::-1]
                continue
            elif kind != _DIRECTORY:
                if own:
                    self._tell(UnpackFact.WHITEOUT_BELOW_FILE if whiteout else UnpackFact.PARENT_IS_FILE)
                elif through_own:
                    self._tell(UnpackFact.PARENT_LINK_TO_NOTHING)
                elif left and not of_link:
                    self._tell(UnpackFact.DEEP_BELOW_LOWER_FILE)
                else:
                    self._tell(UnpackFact.PARENT_IS_LOWER_FILE)
                return None
            elif not own:
                if through_own and of_link and len(left) == path_left:
                    self._tell(UnpackFact.PARENT_LINK_TO_LOWER)
                child.layer = self._layer                # beside the lower layers, it is made anew
            node = child
        return node

    def _find(self, parts: list[bytes]) -> _Node | None:
        """Return what *parts* lead to, links on the way followed, the last one not; None where there is nothing."""
        node, left, links = self._root, parts[::-1], 0
        while left:
            part = left.pop()
            if part == b"..":
                node = node.parent or node
                continue
            child = self._nodes.get((id(node), part))
            kind = _NOTHING if child is None else self._kind(child)
            if child is None or kind == _NOTHING:
                return None
            if kind == _LINK and left:
                links += 1
                if links > LINKS_MAX:
                    return None
                node = self._root if child.target.startswith(b"/") else node
                left += _parts(child.target)[::-1]
                continue
            if left and kind != _DIRECTORY:
                return None
            node = child
        return node

    def _is_in(self, target: _Node, node: _Node) -> bool:
        """Tell whether *target* is what is removed before *node* is made: itself, or below it."""
        above: _Node | None = target
        while above is not None and above is not node:
            above = above.parent
        return above is node

    def _linked(self, linkname: bytes, node: _Node | None) -> int:
        """Return what a hard link in the place of *node* is; None where it has none."""
        target = self._find(_inside(linkname))
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


def _parts(path: bytes) -> list[bytes]:
    return [part for part in path.split(b"/") if part not in (b"", b".")]


def _inside(path: bytes) -> list[bytes]:
    """Return the components of *path* as a name below the root, where what leads out stays at the top."""
    parts: list[bytes] = []
    for part in _parts(path):
        if part == b"..":
            del parts[-1:]
        else:
            parts.append(part)
    return parts


def _cleaned(name: bytes) -> bytes:
    """Return a name as Go's path.Clean does but for leading '..': what tar-split tells two entries by."""
    return (b"/" if name.startswith(b"/") else b"") + b"/".join(_inside(name))
