"""A tree of names as a kernel keeps it, without contents: what unpackers find in the way."""

from __future__ import annotations

from posixpath import normpath
from typing import Final, Literal

NodeType = Literal["directory", "file", "link", "whiteout"]
Errno = Literal["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "EEXIST", "EBUSY", "EPERM"]

_NAME_MAX: Final = 255
_PATH_MAX: Final = 4096
_KERNEL_LINKS: Final = 40
_SCOPED_LINKS: Final = 255


class TreeError(Exception):
    """A call that a kernel would refuse; *culprit* is what stands in the way, if it is there."""

    def __init__(self, errno: Errno, culprit: Node | None = None) -> None:
        """Say why."""
        super().__init__(errno)
        self.errno, self.culprit = errno, culprit


class Node:
    """A file of any type; hard links to it are the same node."""

    __slots__ = ("children", "target", "type")

    def __init__(self, type: NodeType, target: bytes = b"") -> None:
        """Make an empty one; *target* is a symbolic link's."""
        self.type, self.target = type, target
        self.children: dict[bytes, Node] | None = {} if type == "directory" else None


def clean(name: bytes) -> bytes:
    """Return a path without ".", ".." and empty components, as far as text alone can tell."""
    cleaned = normpath(name)
    return cleaned[1:] if cleaned.startswith(b"//") else cleaned


def rooted(name: bytes) -> bytes:
    """Return where *name* is in a directory that nothing leads out of."""
    return clean(b"/" + name)


class Tree:
    """What is below one directory, seen by a process that has it as its root."""

    def __init__(self) -> None:
        """Start with the directory alone."""
        self.root = Node("directory")

    def lstat(self, path: bytes) -> Node:
        """Return what has a name, links not followed at its end. Raises TreeError."""
        return self._walk(path, follow=False)

    def find(self, path: bytes) -> Node | None:
        """Return what lstat does, and None where that fails."""
        try:
            return self.lstat(path)
        except TreeError:
            return None

    def stat(self, path: bytes) -> Node:
        """Return what a name leads to. Raises TreeError."""
        return self._walk(path, follow=True)

    def add(self, path: bytes, node: Node) -> None:
        """Give *node* a name. Raises TreeError."""
        parent, base = self._parent(path)
        if not base or base in parent:
            raise TreeError("EEXIST", parent.get(base))
        parent[base] = node

    def make_directories(self, path: bytes) -> None:
        """Make a directory and those above it, as far as there are none. Raises TreeError."""
        try:
            found = self.stat(path)
        except TreeError as error:
            if error.errno != "ENOENT":
                raise
        else:
            if found.type == "directory":
                return
            raise TreeError("ENOTDIR", found)
        self.make_directories(path.rpartition(b"/")[0] or b"/")
        self.add(path, Node("directory"))

    def remove(self, path: bytes) -> None:
        """Remove what has a name and all below it; nothing there is no error. Raises TreeError."""
        if path == b"/":
            raise TreeError("EBUSY", self.root)
        try:
            parent, base = self._parent(path)
        except TreeError as error:
            if error.errno == "ENOENT":
                return
            raise
        parent.pop(base, None)

    def scoped(self, path: bytes) -> bytes:
        """Return a path with all links resolved below the root; what is not there stays as it is. Raises TreeError."""
        links = 0
        done: list[bytes] = []
        left = _components(rooted(path))
        while left:
            part = left.pop()
            try:
                node = self.lstat(b"/" + b"/".join([*done, part]))
            except TreeError as error:
                if error.errno != "ENOENT":
                    raise
                done.append(part)
                continue
            if node.type != "link":
                done.append(part)
                continue
            links += 1
            if links > _SCOPED_LINKS:
                raise TreeError("ELOOP", node)
            target = node.target if node.target.startswith(b"/") else b"/".join([b"", *done, node.target])
            left += _components(rooted(target))
            done = []
        return b"/" + b"/".join(done)

    def _parent(self, path: bytes) -> tuple[dict[bytes, Node], bytes]:
        parent, _, base = path.rpartition(b"/")
        node = self.stat(parent or b"/")
        if node.children is None:
            raise TreeError("ENOTDIR", node)
        _check_length(path, base)
        return node.children, base

    def _walk(self, path: bytes, *, follow: bool) -> Node:
        _check_length(path)
        above: list[Node] = []
        node = self.root
        left = _components(path)
        links = 0
        while left:
            part = left.pop()
            children = node.children
            if children is None:
                raise TreeError("ENOTDIR", node)
            if part in (b"", b"."):
                continue
            if part == b"..":
                node = above.pop() if above else self.root
                continue
            _check_length(b"", part)
            found = children.get(part)
            if found is None:
                raise TreeError("ENOENT")
            if found.type != "link" or not (left or follow):
                above.append(node)
                node = found
                continue
            links += 1
            if links > _KERNEL_LINKS:
                raise TreeError("ELOOP", found)
            if found.target.startswith(b"/"):
                above, node = [], self.root
            left += _components(found.target)
        return node


def _components(path: bytes) -> list[bytes]:
    """Return the components of a path, the last one first."""
    return [part for part in reversed(path.split(b"/")) if part]


def _check_length(path: bytes, component: bytes = b"") -> None:
    if len(path) >= _PATH_MAX or len(component) > _NAME_MAX:
        raise TreeError("ENAMETOOLONG")
