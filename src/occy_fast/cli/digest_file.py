"""The file that --digest-file names: written whole, or not at all, and only after publishing."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from occy_fast.errors import OutputError
from occy_fast.spec.digest import Digest

_OPERATION = "write the digest"


def check_digest_file(path: str) -> None:
    """Refuse a place that cannot be written before the work is done rather than after. Raises OutputError."""
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise OutputError(path, errno.EISDIR, _OPERATION)
    if not os.path.isdir(folder):
        raise OutputError(path, errno.ENOENT, _OPERATION)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(path, errno.EACCES, _OPERATION)


def write_digest_file(path: str, digests: Iterable[Digest]) -> None:
    """Write *digests*, one per line, no line end behind the last, by renaming a finished file. Raises OutputError."""
    unfinished = f"{path}.{os.getpid()}.unfinished"
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            with open(descriptor, "wb") as file:
                file.write("\n".join(str(digest) for digest in digests).encode("ascii"))
                file.flush()
                os.fsync(file.fileno())
            os.rename(unfinished, path)
        except BaseException:
            os.unlink(unfinished)
            raise
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise OutputError(path, error.errno or errno.EIO, _OPERATION) from None
