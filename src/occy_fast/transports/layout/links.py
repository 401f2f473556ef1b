"""The symbolic links of a layout: which of them are followed, and what they lead to.

A link is resolved as text first, component by component, which leaves a path without links; that one is opened below a
directory that is trusted, again component by component, and none of them may be a link. So whoever changes the tree in
between can make the answer wrong, and never lead out of that directory: what openat2 promises with RESOLVE_BENEATH and
RESOLVE_NO_SYMLINKS, on every kernel.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from occy_fast.errors import BadArchive, LinkRefused
from occy_fast.files.staged import open_directory
from occy_fast.log import log
from occy_fast.words import shell_command

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST_CHAIN = 40                                  # links a kernel follows
_LOOK_AT = 1000                                      # links of a layout, for one remedy
_MOST_DIRECTORIES = 8
_DEEP_ENOUGH = 2                                     # components: nobody should be told to allow /home


class Links:
    """Follows the links of one layout: those that end inside it, or inside a directory that the caller allows."""

    def __init__(self, fd: int, path: str, locator: str, allowed: tuple[str, ...]) -> None:
        """Trust the layout at the real *path*, open as *fd*, which stays the caller's, and what is *allowed*."""
        self._fd, self._path, self._locator = fd, path, locator
        self._allowed = tuple(map(os.path.realpath, allowed))
        self._dangling: set[str] = set()

    def open(self, path: str, where: str, *, directory: bool = False) -> tuple[int, str] | None:
        """Open what the link at *path*, whose directory is a real one, leads to; None where nothing is there.

        Returns:
            A descriptor, which the caller closes, and the real path.
        Raises:
            LinkRefused: it leads out of all that is trusted.
            BadArchive: the links go round in a circle, or through /proc.
            OSError: it cannot be opened.
        """
        try:
            target = _final_path(path, where)
            root = self._root_of(target)
            if root is None:
                problem = "a symbolic link leads out of the layout"
                raise LinkRefused(where, problem, os.readlink(path), f"allow it: {self._allowing()}")
            return self._open_below(root, target, directory=directory), target
        except FileNotFoundError:
            if path not in self._dangling:
                self._dangling.add(path)
                log.warning("%s: a symbolic link to %s, where nothing is", where, os.readlink(path))
            return None

    def _root_of(self, target: str) -> str | None:
        roots = (self._path, *self._allowed)
        return next((root for root in roots if _is_below(target, root)), None)

    def _open_below(self, root: str, target: str, *, directory: bool) -> int:
        """Open *target* by its path from *root* on, of which no component may be a link by now."""
        *parents, last = target[len(root) :].strip("/").split("/")
        at = os.dup(self._fd) if root == self._path else open_directory(root, follow=False)
        try:
            for name in parents:
                below = open_directory(name, at, follow=False)
                os.close(at)
                at = below
            if directory:
                return open_directory(last or ".", at, follow=False)
            return os.open(last or ".", _FILE, dir_fd=at)
        finally:
            os.close(at)

    def _allowing(self) -> str:
        """Return the options that would allow all links of the layout that lead out of it."""
        found: set[str] = set()
        for number, path in enumerate(self._links()):
            if number >= _LOOK_AT:
                break
            with suppress(OSError, BadArchive):
                target = _final_path(path, "")
                if self._root_of(target) is None:
                    found.add(target if os.path.isdir(target) else os.path.dirname(target))
        directories = sorted(found)
        common = os.path.commonpath(directories) if directories else ""
        if common in directories or (len(directories) > 1 and common.count("/") >= _DEEP_ENOUGH):
            directories = [common]
        words = [word for name in directories[:_MOST_DIRECTORIES] for word in ("--follow-links", name)]
        return shell_command(words)

    def _links(self) -> Iterator[str]:
        """Yield the links at the top of the layout and among its blobs."""
        for directory in (self._path, os.path.join(self._path, "blobs"), *self._algorithms()):
            with suppress(OSError), os.scandir(directory) as entries:
                yield from (entry.path for entry in entries if entry.is_symlink())

    def _algorithms(self) -> Iterator[str]:
        with suppress(OSError), os.scandir(os.path.join(self._path, "blobs")) as entries:
            yield from (entry.path for entry in entries if entry.is_dir(follow_symlinks=False))


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _final_path(path: str, where: str) -> str:
    """Return the absolute *path* with all links in it resolved. Raises OSError, BadArchive."""
    rest, at, followed = path.split("/")[::-1], "/", 0
    while rest:
        name = rest.pop()
        if name in ("", "."):
            continue
        if name == "..":
            at = os.path.dirname(at)
            continue
        here = os.path.join(at, name)
        status = os.lstat(here)
        if not stat.S_ISLNK(status.st_mode):
            at = here
            continue
        followed += 1
        if followed > _LONGEST_CHAIN:
            raise BadArchive(where, "a symbolic link that leads to itself, in a circle")
        if _is_of_processes(status):
            raise BadArchive(where, "a symbolic link into /proc, which leads every reader elsewhere")
        target = os.readlink(here)
        if not target:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), here)
        at = "/" if target.startswith("/") else at
        rest += target.split("/")[::-1]
    return at


def _is_of_processes(status: os.stat_result) -> bool:
    """Tell whether a link is one of /proc, whose text is not where it leads."""
    with suppress(OSError):
        return status.st_dev == os.stat("/proc").st_dev
    return False
