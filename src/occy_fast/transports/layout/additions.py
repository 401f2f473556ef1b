"""What one run adds to a layout that exists: moved in one by one, and taken back if the run fails before the index."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress

from occy_fast.files.modes import keep_mode
from occy_fast.files.staged import output_errors
from occy_fast.spec.digest import Digest
from occy_fast.transports.layout.directory import LayoutDirectory, algorithms_of, blob_name


class Additions:
    """Files that are moved from a staging directory into a layout, whose lock the caller holds."""

    def __init__(self, target: LayoutDirectory, staging_fd: int, path: str) -> None:
        """Move into *target* from the directory *staging_fd*; messages call the layout *path*."""
        self._target, self._staging_fd, self._path = target, staging_fd, path
        self._made: list[tuple[int, str]] = []

    def move_blobs(self, digests: Collection[Digest]) -> None:
        """Move the staged blobs of these *digests* to their places, which are durable afterwards. Raises OSError."""
        self._make_directory(self._target.fd, "blobs")
        for algorithm in algorithms_of(digests):
            blobs = self._target.directory("blobs")
            assert blobs is not None
            self._make_directory(blobs, algorithm)
            directory = self._target.directory(f"blobs/{algorithm}")
            assert directory is not None
            for digest in sorted(digests):
                if digest.algorithm == algorithm:
                    self._move(blob_name(digest), directory, digest.hex)
            os.fsync(directory)
            os.fsync(blobs)

    def move_file(self, name: str) -> None:
        """Move the staged file *name* to the top of the layout. Raises OSError, OutputError."""
        self._move(name, self._target.fd, name)

    def take_back(self) -> None:
        """Remove what was moved, last things first."""
        for at, name in reversed(self._made):
            with suppress(OSError):
                try:
                    os.unlink(name, dir_fd=at)
                except (IsADirectoryError, PermissionError):
                    os.rmdir(name, dir_fd=at)

    def _make_directory(self, at: int, name: str) -> None:
        if not exists_at(name, at):
            self._made.append((at, name))            # before the call: a signal may come right behind it
            os.mkdir(name, dir_fd=at)

    def _move(self, name: str, at: int, new_name: str) -> None:
        if not exists_at(new_name, at):
            self._made.append((at, new_name))
        else:
            self._keep_mode(name, at, new_name)
        with output_errors(f"{self._path}/{name}", "replace"):
            os.rename(name, new_name, src_dir_fd=self._staging_fd, dst_dir_fd=at)

    def _keep_mode(self, name: str, at: int, new_name: str) -> None:
        """Give a staged blob the mode of the one it replaces; a link to the source's file has the source's."""
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._staging_fd)
        try:
            # a mode that shuts this process out is damage, which whoever comes next would find again
            if os.fstat(fd).st_nlink == 1 and keep_mode(fd, new_name, at, readable=_may_read(new_name, at)):
                os.fsync(fd)
        finally:
            os.close(fd)


def exists_at(name: str, dir_fd: int) -> bool:
    """Tell whether a directory has an entry of that *name*, be it a symbolic link that leads nowhere."""
    try:
        os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _may_read(name: str, dir_fd: int) -> bool:
    """Tell whether this process is allowed to read a file; that the disk fails is no matter of its mode."""
    try:
        os.close(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd))
    except PermissionError:
        return False
    except OSError:
        return True
    return True
