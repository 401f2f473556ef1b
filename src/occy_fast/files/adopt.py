"""Blobs that come from a file as they are: linked, its blocks shared, or copied inside the kernel."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from occy_fast.errors import PlanStale, SizeMismatch, read_errors
from occy_fast.files.staged import COPY_STEP, write_all
from occy_fast.image.blob import FileRegion, OpenRegion, identity_of

KERNEL_COPY_STEP = 1 << 26
"""Bytes of one copy_file_range, inside which the kernel takes no signal: Ctrl-C waited for up to 0.05 s with these, and
for up to 0.2 s with four times as many. Smaller ones copy no slower: 261 MB took 0.12 s, and 0.10 s in steps of 16 MiB.
(ext4 on a virtual disk, out of the page cache)"""

_FICLONE = 0x40049409
_NO_REFLINK = frozenset(
    {errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.ETXTBSY}
)
# EIO: the kernel does not say which of the two files fails; reading and writing one after the other does.
_NO_COPY_RANGE = frozenset({errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EIO})
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOENT, errno.EACCES})


@contextmanager
def _opened(origin: FileRegion, size: int) -> Iterator[OpenRegion]:
    """Open what is adopted as a blob of *size*, and see at the end that it is still the file it was.

    Raises SizeMismatch, PlanStale, and what FileRegion.open does.
    """
    if origin.size != size:
        raise SizeMismatch(origin.path, size, origin.size)
    with origin.open() as region:
        yield region
        with read_errors(origin.path):
            status = os.fstat(region.fd)
        if origin.inode is not None and identity_of(status) != origin.inode:
            raise PlanStale(origin.path, "the file changed while it was copied")


def link_region(origin: FileRegion, size: int, name: str, directory_fd: int) -> bool:
    """Link the origin's file as *name*; False where it is only part of its file, borrowed, or cannot be linked."""
    if origin.borrowed:
        return False
    with _opened(origin, size) as region:
        if region.offset != 0 or os.fstat(region.fd).st_size != size:
            return False
        try:
            os.link(f"/proc/self/fd/{region.fd}", name, dst_dir_fd=directory_fd, follow_symlinks=True)
        except OSError as error:
            if error.errno in _NO_LINK:
                return False
            raise
        os.fsync(region.fd)
        return True


def reflink_region(origin: FileRegion, size: int, fd: int) -> bool:
    """Share the origin's blocks with the empty file *fd*; False where the file system has no such thing."""
    with _opened(origin, size) as region:
        if region.offset != 0 or os.fstat(region.fd).st_size != size:
            return False
        try:
            fcntl.ioctl(fd, _FICLONE, region.fd)
        except OSError as error:
            if error.errno in _NO_REFLINK:
                return False
            raise
        return True


def copy_region(origin: FileRegion, size: int, fd: int, offset: int) -> None:
    """Copy *size* bytes of the origin to *offset* of *fd*, inside the kernel where it can. Raises PlanStale."""
    with _opened(origin, size) as region:
        done = 0
        in_kernel = True
        while done < size:
            step = min(size - done, KERNEL_COPY_STEP)
            if in_kernel:
                try:
                    moved = os.copy_file_range(region.fd, fd, step, region.offset + done, offset + done)
                except OSError as error:
                    if error.errno not in _NO_COPY_RANGE:
                        raise
                    in_kernel = False
                    continue
            else:
                data = region.read(done, min(step, COPY_STEP))
                write_all(fd, data, offset + done)
                moved = len(data)
            if moved == 0:
                raise PlanStale(origin.path, f"the file ends {size - done} bytes early")
            done += moved
