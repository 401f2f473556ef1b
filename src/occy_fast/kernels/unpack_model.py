"""What unpackers would make of an image's layers: each of the three ways to unpack, run on names alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from occy_fast.kernels.entry_list import ListedEntry, read_entries
from occy_fast.kernels.unpack_problems import Unpacker, UnpackKind, UnpackProblem
from occy_fast.kernels.unpack_tree import Node, Tree, TreeError, clean, rooted

_WHITEOUT: Final = b".wh."
_OPAQUE: Final = b".wh..wh..opq"
_META: Final = b".wh..wh."
_AUFS_LINKS: Final = b".wh..wh.plnk"
_FILE_TYPES: Final = b"0\x00346"
_KNOWN_TYPES: Final = _FILE_TYPES + b"125g"
_NAMESPACES: Final = (b"user.", b"trusted.", b"security.", b"system.posix_acl_")
_NAME_MAX: Final = 255
_LINK_MAX: Final = 4096
_KINDS: Final = {
    "ELOOP": UnpackKind.LINK_LOOP,
    "ENAMETOOLONG": UnpackKind.NAME_TOO_LONG,
    "ENOENT": UnpackKind.DANGLING_PARENT,
    "EBUSY": UnpackKind.ROOT_NO_DIRECTORY,
    "ENOTDIR": UnpackKind.CHILD_OF_FILE,
    "EEXIST": UnpackKind.CHILD_OF_FILE,
}


class _Refused(Exception):
    """An entry that cannot be unpacked."""

    def __init__(self, kind: UnpackKind, other: bytes = b"") -> None:
        super().__init__(kind)
        self.kind, self.other = kind, other


class UnpackModel:
    """The layers of one image, unpacked one over the other in every way that is known.

    Args:
        max_entries: the most entries that all layers may have; with more, nothing is known any more.
    """

    def __init__(self, max_entries: int) -> None:
        self.exceeded = False
        self._left = max_entries
        self._below: list[Tree] = []                     # what each layer has of its own, the topmost first
        self._copy = Tree()

    def apply(self, entries: bytes | None) -> list[UnpackProblem]:
        """Unpack the next layer, and return what is refused in it: the first entry of each problem, in their order.

        Args:
            entries: the list of its entries; None where there is none, after which nothing is known.
        Raises:
            ValueError: it is no list of entries.
        """
        if entries is None:
            self.exceeded = True
        if self.exceeded or entries is None:
            return []
        listed: list[ListedEntry] = []
        for entry in read_entries(entries):
            self._left -= 1
            if self._left < 0:
                self.exceeded = True
                self._below, self._copy = [], Tree()
                return []
            listed.append(entry)
        snapshot = _Snapshot(listed, self._below)
        ways: tuple[_Unpacking, ...] = (_Overlay(listed, self._below), snapshot, _Copy(listed, self._copy))
        for way in ways:
            way.unpack()
        self._below.insert(0, snapshot.tree)
        return _summary(listed, ways)


def _summary(listed: list[ListedEntry], ways: tuple[_Unpacking, ...]) -> list[UnpackProblem]:
    """Return what was refused, one for each problem and those who have it; an entry may have several."""
    found: dict[tuple[UnpackKind, Unpacker], UnpackProblem] = {}
    by_entry: dict[int, dict[UnpackKind, tuple[Unpacker, bytes]]] = {}
    for way in ways:
        for position, kind, other in way.refused:
            held = by_entry.setdefault(position, {}).get(kind, (Unpacker(0), other))
            by_entry[position][kind] = held[0] | way.unpacker, held[1]
    for position in sorted(by_entry):
        entry = listed[position]
        for kind, (who, other) in by_entry[position].items():
            first = found.get((kind, who), UnpackProblem(kind, who, entry.offset, entry.name, other, 0))
            found[kind, who] = first._replace(times=first.times + 1)
    return list(found.values())


class _Unpacking:
    """One layer unpacked in one way; what is refused is left out, and the next entry tried."""

    unpacker: Unpacker

    def __init__(self, listed: list[ListedEntry], tree: Tree) -> None:
        self.tree = tree
        self.refused: list[tuple[int, UnpackKind, bytes]] = []
        self._listed = listed
        self._later: dict[bytes, int] | None = None
        self._position = 0
        self._directories: list[tuple[int, bytes]] = []
        self._seen: set[bytes] = set()
        self._unpacked: set[bytes] = set()

    def unpack(self) -> None:
        """Unpack every entry, and set the times of directories last, as all do."""
        for position, entry in enumerate(self._listed):
            self._position = position
            self._attempt(partial(self._entry, entry))
        for position, path in self._directories:
            self._position = position
            self._attempt(partial(self._times, path))

    def _entry(self, entry: ListedEntry) -> None:
        raise NotImplementedError

    def _times(self, path: bytes) -> None:
        try:
            self.tree.stat(path)
        except TreeError as error:
            raise _Refused(UnpackKind.DIRECTORY_GONE) from error

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except _Refused as refused:
            self.refused.append((self._position, refused.kind, refused.other))
        except TreeError as error:
            kind = _KINDS[error.errno]
            if error.culprit is not None and error.culprit.type == "whiteout" and kind == UnpackKind.CHILD_OF_FILE:
                kind = UnpackKind.CHILD_OF_WHITEOUT
            self.refused.append((self._position, kind, b""))

    def _once(self, name: bytes) -> None:
        """Refuse a name that was there before: who keeps a layer's tar for saving it again knows entries by name."""
        if name in self._seen:
            self.refused.append((self._position, UnpackKind.DUPLICATE, b""))
        self._seen.add(name)

    def _above(self, path: bytes) -> None:
        """Make the directories above a path where the first of them is not there."""
        parent = path.rpartition(b"/")[0] or b"/"
        try:
            self.tree.lstat(parent)
        except TreeError as error:
            if error.errno == "ENOENT":
                self.tree.make_directories(parent)

    def _make(self, entry: ListedEntry, path: bytes) -> None:
        """Make what an entry is, in the place of what is there."""
        there = self.tree.find(path)
        directory = entry.type == b"5"
        if there is not None and not (directory and there.type == "directory"):
            self.tree.remove(path)
            there = None
        if entry.type not in (bytes([kind]) for kind in _KNOWN_TYPES):
            raise _Refused(UnpackKind.ENTRY_TYPE, entry.type)
        if entry.type == b"g":
            return
        if entry.type == b"1":
            self._link(entry, path)
        elif entry.type == b"2":
            if not entry.linkname:
                raise _Refused(UnpackKind.EMPTY_LINK)
            if len(entry.linkname) >= _LINK_MAX:
                raise _Refused(UnpackKind.NAME_TOO_LONG, entry.linkname)
            self.tree.add(path, Node("link", entry.linkname))
        elif there is None:
            self.tree.add(path, Node("directory" if directory else "file"))
        if directory:
            self._directories.append((self._position, path))
        self._set_xattrs(entry)

    def _link(self, entry: ListedEntry, path: bytes) -> None:
        target = self._target(entry.linkname)
        try:
            node = self.tree.lstat(target)
        except TreeError as error:
            raise self._no_target(error, entry, path, target) from error
        if node.type == "directory":
            raise _Refused(UnpackKind.HARD_LINK_DIRECTORY, entry.linkname)
        self.tree.add(path, node)

    def _target(self, linkname: bytes) -> bytes:
        return rooted(linkname)

    def _no_target(self, error: TreeError, entry: ListedEntry, path: bytes, target: bytes) -> _Refused:
        """Tell why there is nothing to link to."""
        kind = UnpackKind.HARD_LINK_PATH
        if error.errno == "ENAMETOOLONG":
            kind = UnpackKind.NAME_TOO_LONG
        elif error.errno == "ENOENT":
            if self._later is None:
                self._later = {rooted(other.name): at for at, other in enumerate(self._listed)}
            kind = UnpackKind.HARD_LINK_MISSING
            if target == path:
                kind = UnpackKind.HARD_LINK_ITSELF
            elif self._later.get(target, -1) > self._position:
                kind = UnpackKind.HARD_LINK_LATER
            elif self._is_below(target):
                kind = UnpackKind.HARD_LINK_LOWER
        return _Refused(kind, entry.linkname)

    def _is_below(self, _: bytes) -> bool:
        return False

    def _set_xattrs(self, entry: ListedEntry) -> None:
        """Note the extended attributes that kernels refuse; values are not known here."""
        for key in entry.xattrs:
            kind = None
            if len(key) > _NAME_MAX or not key or key in (b"user.", b"trusted.", b"security."):
                kind = UnpackKind.XATTR_NAME
            elif not key.startswith(_NAMESPACES):
                kind = UnpackKind.XATTR_NAMESPACE
            elif key.startswith(b"user.") and entry.type not in b"0\x005":
                kind = UnpackKind.XATTR_OF_TYPE
            if kind is not None:
                self.refused.append((self._position, kind, key))


class _Beside(_Unpacking):
    """Into a directory that is mounted over those below: what was deleted below is a device of that name."""

    def __init__(self, listed: list[ListedEntry], below: list[Tree]) -> None:
        super().__init__(listed, Tree())
        self._lower = below

    def _whiteout(self, path: bytes) -> bool:
        """Do what a whiteout says; return whether *path* is one."""
        parent, _, base = path.rpartition(b"/")
        if base == _OPAQUE:
            self.tree.stat(parent or b"/")
            return True
        if not base.startswith(_WHITEOUT):
            return False
        deleted = rooted(parent + b"/" + base[len(_WHITEOUT) :])
        if deleted in (b"/", parent, parent.rpartition(b"/")[0]):
            raise _Refused(UnpackKind.WHITEOUT_NAME)
        try:
            self.tree.add(deleted, Node("whiteout"))
        except TreeError as error:
            if error.errno == "EEXIST":
                raise _Refused(UnpackKind.WHITEOUT_OF_SAME_LAYER) from error
            if error.errno == "ENOTDIR":
                raise _Refused(UnpackKind.WHITEOUT_BELOW_FILE) from error
            raise
        return True

    def _is_below(self, target: bytes) -> bool:
        return any(tree.find(target) is not None for tree in self._lower)


class _Overlay(_Beside):
    """As Docker's graph driver overlay2 does."""

    unpacker = Unpacker.OVERLAY

    def _entry(self, entry: ListedEntry) -> None:
        if entry.type == b"g":
            return
        name = clean(entry.name)
        self._once(name)
        path = rooted(name)
        if name != b"/":
            self._above(path)
        there = self.tree.find(path)
        if there is not None:
            if there.type == "directory" and name == b".":
                return
            if not (there.type == "directory" and entry.type == b"5"):
                self.tree.remove(path)
        if not self._whiteout(path):
            self._make(entry, path)


class _Snapshot(_Beside):
    """As containerd does for its overlayfs snapshotter: links on the way are followed, and parents looked up below."""

    unpacker = Unpacker.SNAPSHOT

    def _entry(self, entry: ListedEntry) -> None:
        parent, _, base = clean(entry.name).rpartition(b"/")
        parent = self.tree.scoped(parent)
        path = rooted(parent + b"/" + base)
        if path == b"/":
            return
        if parent != b"/":
            self._ready(parent)
        if not self._whiteout(path):
            self._make(entry, path)

    def _ready(self, path: bytes) -> None:
        """Make a directory and those above it, after what is below."""
        try:
            there = self.tree.lstat(path)
        except TreeError as error:
            if error.errno != "ENOENT":
                raise
        else:
            if there.type != "directory":
                raise TreeError("ENOTDIR", there)
            return
        above = path.rpartition(b"/")[0]
        if above:
            self._ready(above)
        self.tree.add(path, Node("directory"))
        for tree in self._lower:
            try:
                tree.lstat(tree.scoped(path))
            except TreeError as error:
                if error.errno != "ENOENT":
                    raise
            else:
                return

    def _target(self, linkname: bytes) -> bytes:
        parent, _, base = linkname.rpartition(b"/")
        return rooted(self.tree.scoped(parent) + b"/" + base)

    def _times(self, path: bytes) -> None:
        super()._times(self.tree.scoped(path))


class _Copy(_Unpacking):
    """As containers/storage does on vfs: whatever is there is there, and a whiteout deletes it."""

    unpacker = Unpacker.COPY

    def __init__(self, listed: list[ListedEntry], tree: Tree) -> None:
        super().__init__(listed, tree)
        self._aufs: set[bytes] = set()

    def _entry(self, entry: ListedEntry) -> None:
        name = clean(entry.name)
        self._once(name)
        path = rooted(name)
        if name != b"/":
            self._above(path)
        if name.startswith(_META):
            if name.startswith(_AUFS_LINKS) and entry.type in b"0\x00":
                self._aufs.add(name.rpartition(b"/")[2])
            if name != _OPAQUE:
                return
        parent, _, base = path.rpartition(b"/")
        if base == _OPAQUE:
            node = self.tree.lstat(parent or b"/")
            if node.children is not None:
                self._empty(parent, node.children)
        elif base.startswith(_WHITEOUT):
            self._delete(rooted(parent + b"/" + base[len(_WHITEOUT) :]))
        else:
            self._make(entry, path)
            self._unpacked.add(path)

    def _delete(self, path: bytes) -> None:
        if path == b"/":
            raise _Refused(UnpackKind.WHITEOUT_NAME)
        try:
            self.tree.remove(path)
        except TreeError as error:
            if error.errno == "ENOTDIR":
                raise _Refused(UnpackKind.WHITEOUT_BELOW_FILE) from error
            raise

    def _empty(self, path: bytes, children: dict[bytes, Node]) -> None:
        """Remove what lower layers have left in a directory."""
        for name in list(children):
            below = path + b"/" + name
            if below not in self._unpacked:
                del children[name]
            elif (further := children[name].children) is not None:
                self._empty(below, further)

    def _link(self, entry: ListedEntry, path: bytes) -> None:
        if clean(entry.linkname).startswith(_AUFS_LINKS):
            if entry.linkname.rpartition(b"/")[2] not in self._aufs:
                raise _Refused(UnpackKind.HARD_LINK_AUFS, entry.linkname)
            self.tree.add(path, Node("file"))
        else:
            super()._link(entry, path)
