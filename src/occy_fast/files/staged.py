"""Files and directories that get their name only when they are whole, and whose remains the next run removes."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from occy_fast.closing import Closing
from occy_fast.errors import OccyError, OutputError, Unsupported, unwritable
from occy_fast.files.modes import keep_mode

COPY_STEP = 1 << 20
LOCK_SECONDS = 60.0
"""How long to wait for a peer's lock on a directory. A layout's was held for 0.01 to 0.07 s to take 100 blobs; a minute
is for many peers, and for disks that take their time.  (ext4 on a virtual disk)"""

_TEMPORARY_NAME = re.compile(r"\.occy-fast-[0-9a-f]{16}\.part")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ATTEMPTS = 16
_REMOVAL_DEPTH = 3                  # blobs, blobs/sha256, and the listing of that
_NO_LOCKS = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL})


@contextmanager
def output_errors(path: str, operation: str) -> Iterator[None]:
    """Turn an OSError into an OutputError that names *path* and *operation*, or a ResourceError where that is all."""
    try:
        yield
    except OccyError:                                # it is named already
        raise
    except OSError as error:
        raise unwritable(error, path, operation) from error


def open_directory(path: str, dir_fd: int | None = None, *, follow: bool = True) -> int:
    """Open a directory for use as dir_fd; the caller closes it."""
    return os.open(path, _DIRECTORY if follow else _DIRECTORY | os.O_NOFOLLOW, dir_fd=dir_fd)


def replaceable(path: str, where: str | None = None) -> str:
    """Return the path of the file that a new one may replace: what a symbolic link points to, else *path* itself.

    Args:
        where: what to call the path in messages, if it has another name.
    Raises:
        Unsupported: a device, pipe, socket or directory stands there.
        OutputError: the path cannot be followed.
    """
    place = os.path.realpath(path) if os.path.islink(path) else path
    with output_errors(path, "open"), suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):  # of the path as it was given: /proc/self/fd/1 has no other
            raise Unsupported(where or path, "what is at the path is not a regular file", "name a file")
    return place


def write_all(fd: int, data: bytes, offset: int) -> None:
    """Write *data* at *offset*, however short the single writes are."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def new_temporary_name() -> str:
    """Make a name that clean_stale recognises."""
    return f".occy-fast-{os.urandom(8).hex()}.part"


def is_temporary_name(name: str) -> bool:
    """Tell whether *name* is one that new_temporary_name makes."""
    return _TEMPORARY_NAME.fullmatch(name) is not None


def clean_stale(directory_fd: int) -> None:
    """Remove what dead runs left in a directory.

    A live run holds a lock on what it writes, so whatever can be locked here has no writer any more. What belongs to
    another user, or cannot be removed, stays.
    """
    with suppress(OSError):
        for name in os.listdir(directory_fd):
            if is_temporary_name(name):
                with suppress(OSError):
                    _remove_if_dead(directory_fd, name)


def _remove_if_dead(directory_fd: int, name: str) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory_fd)
    try:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid():
            return
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(name, dir_fd=directory_fd)
        elif stat.S_ISREG(status.st_mode):
            os.unlink(name, dir_fd=directory_fd)
    finally:
        os.close(fd)


@contextmanager
def locked(directory_fd: int, path: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the exclusive lock of a directory; a peer that never lets go is an OutputError after *seconds*.

    Where a file system has no locks, there is none to hold, as for what is staged there.
    """
    held = True
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(directory_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise OutputError(path, error.errno or errno.EWOULDBLOCK, "lock") from error
            time.sleep(0.02)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise unwritable(error, path, "lock") from error
            held = False
            break
    try:
        yield
    finally:
        if held:
            fcntl.flock(directory_fd, fcntl.LOCK_UN)


class StagedFile(Closing):
    """A file without a name (O_TMPFILE), or under a temporary one where the file system has no such thing.

    It is locked from its first moment, which tells other runs that it is alive.
    """

    def __init__(self, directory_fd: int, path: str) -> None:
        """Open a file that is to become *path*, in the directory *directory_fd*, which stays the caller's."""
        self.path = path
        self._directory_fd = directory_fd
        self._name: str | None = None
        with output_errors(path, "create"):
            self.fd = self._open_unnamed()
            if self.fd < 0:
                self.fd = self._open_named()
            try:                                     # before the first byte: others may open what has a name
                keep_mode(self.fd, os.path.basename(path), directory_fd)
            except BaseException:
                self.close()
                raise

    def _open_unnamed(self) -> int:
        flags = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
        if not os.path.exists("/proc/self/fd"):      # the only way to name such a file without privileges
            return -1
        try:
            fd = os.open(".", flags, 0o666, dir_fd=self._directory_fd)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL):
                return -1
            raise
        _lock(fd)
        return fd

    def _open_named(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        for _ in range(_ATTEMPTS):
            name = new_temporary_name()
            fd = os.open(name, flags, 0o666, dir_fd=self._directory_fd)
            if _lock_or_lose(fd):
                self._name = name
                return fd
            os.close(fd)
        raise OSError(errno.EBUSY, "temporary files vanish as they are made")

    def publish(self, name: str) -> None:
        """Make the file durable and give it its *name*, in place of whatever has it now. Raises OutputError."""
        with output_errors(self.path, "set the mode of"):
            keep_mode(self.fd, name, self._directory_fd)
        with output_errors(self.path, "fsync"):
            os.fsync(self.fd)
        with output_errors(self.path, "link"):
            if self._name is None:
                self._name = new_temporary_name()    # before the link: a signal may come right behind it
                os.link(f"/proc/self/fd/{self.fd}", self._name, dst_dir_fd=self._directory_fd, follow_symlinks=True)
        with output_errors(self.path, "rename"):
            os.rename(self._name, name, src_dir_fd=self._directory_fd, dst_dir_fd=self._directory_fd)
        self._name = None
        with output_errors(self.path, "fsync"):
            os.fsync(self._directory_fd)

    def close(self) -> None:
        """Close the file, and remove it if it was not published."""
        if self._name is not None:
            with suppress(OSError):
                os.unlink(self._name, dir_fd=self._directory_fd)
            self._name = None
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class StagedDirectory:
    """A directory under a temporary name, locked as long as its writer lives.

    It keeps descriptors in reserve for its own removal, which may come because there are no others.
    """

    def __init__(self, parent_fd: int, path: str) -> None:
        """Make a directory that serves *path*, inside *parent_fd*, which stays the caller's."""
        self.path = path
        self.name = ""
        self.fd = -1
        self._parent_fd = parent_fd
        self._reserve: list[int] = []
        try:
            with output_errors(path, "create"):
                self._make()
                for _ in range(_REMOVAL_DEPTH):
                    self._reserve.append(os.dup(self.fd))
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        for _ in range(_ATTEMPTS):
            self.name = new_temporary_name()         # before the call: a signal may come right behind it
            try:
                os.mkdir(self.name, dir_fd=self._parent_fd)
            except OSError:
                self.name = ""
                raise
            try:
                self.fd = open_directory(self.name, self._parent_fd, follow=False)
            except FileNotFoundError:                # another run's clean-up came first
                continue
            if _lock_or_lose(self.fd):
                return
            fd, self.fd = self.fd, -1
            os.close(fd)
        raise OSError(errno.EBUSY, "temporary directories vanish as they are made")

    def rename(self, name: str) -> None:
        """Give the directory its final name, where nothing or an empty directory has it. Raises OSError."""
        os.rename(self.name, name, src_dir_fd=self._parent_fd, dst_dir_fd=self._parent_fd)
        self.name = ""

    def close(self) -> None:
        """Remove the directory with all it holds, if it was not renamed."""
        while self._reserve:
            os.close(self._reserve.pop())
        if self.name:
            with suppress(OSError):
                try:
                    os.rmdir(self.name, dir_fd=self._parent_fd)      # empty, it takes no descriptor
                except OSError:
                    if self.fd < 0:
                        raise
                    _empty_directory(self.fd)
                    os.rmdir(self.name, dir_fd=self._parent_fd)
            self.name = ""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _empty_directory(fd: int) -> None:
    """Remove all that a directory holds; each level below takes a descriptor, and listing one more."""
    for name in os.listdir(fd):
        try:
            os.unlink(name, dir_fd=fd)
        except (IsADirectoryError, PermissionError):  # POSIX lets unlink say either of a directory
            below = open_directory(name, fd, follow=False)
            try:
                _empty_directory(below)
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=fd)


def _lock_or_lose(fd: int) -> bool:
    """Lock what was just made; False if a clean-up took it for a dead run's in the moment before."""
    return _lock(fd) and os.fstat(fd).st_nlink > 0


def _lock(fd: int) -> bool:
    """Lock a new file or directory; where a file system has no locks, no clean-up removes anything either."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True
