"""Who may read and write a file that takes another one's place: permission bits, owner, group and access list."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

_ACCESS_LIST = "system.posix_acl_access"


def keep_mode(fd: int, name: str, directory_fd: int, *, readable: bool = True) -> bool:
    """Let those read and write *fd* who may the regular file *name*, which it replaces; return whether it changed.

    Permission bits and an access list are kept, setuid, setgid and sticky bits never. The owner stays where this
    process may say so; where the group cannot, its bits go, as they would be another group's. Raises OSError.

    A mode that denies its owner the reading goes where this process becomes the owner: *fd* stays as a new file is.

    Args:
        readable: False where this process may not read *name*, and is to have what it could read.
    """
    try:
        old = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(old.st_mode):
        return False
    new, wanted = os.fstat(fd), _access_list_at(name, directory_fd)
    if _permissions(new) == _permissions(old) and wanted == _access_list(fd):
        return False
    mode = old.st_mode & 0o777
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(fd, old.st_uid if readable else -1, old.st_gid)
        except PermissionError:
            with suppress(PermissionError):
                os.fchown(fd, -1, old.st_gid)
    found = os.fstat(fd)
    if not mode & stat.S_IRUSR and not (readable and found.st_uid == old.st_uid):
        return True
    if found.st_gid != old.st_gid:
        mode &= ~0o070
    try:
        if wanted is not None:
            os.setxattr(fd, _ACCESS_LIST, wanted)
        elif _access_list(fd) is not None:           # of the directory, which gives one to new files
            os.removexattr(fd, _ACCESS_LIST)
    except OSError:                                  # with a list, the group's bits are of all whom it names
        mode &= ~0o070
    os.fchmod(fd, mode)
    return True


def _permissions(status: os.stat_result) -> tuple[int, int, int]:
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def _access_list(place: int | str) -> bytes | None:
    """Return the POSIX access list of a file, as its attribute has it; None for none."""
    try:
        return os.getxattr(place, _ACCESS_LIST)
    except OSError:                                  # the file has none, or the file system knows none
        return None


def _access_list_at(name: str, directory_fd: int) -> bytes | None:
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory_fd)
    try:
        return _access_list(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
