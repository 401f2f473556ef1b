"""The file that --digest-file names: written whole, or not at all, and only after publishing."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from occy_fast.errors import OutputError, UsageError
from occy_fast.files.staged import (
    StagedFile,
    clean_stale,
    open_directory,
    output_errors,
    replaceable,
    write_all,
)
from occy_fast.spec.digest import Digest
from occy_fast.transports.locator import STREAM
from occy_fast.transports.opening import parse_locator

_OPERATION = "write the digest"


def check_digest_file(path: str, *locators: str) -> None:
    """Refuse a place that cannot be written before the work is done rather than after. Raises OutputError, Unsupported.

    A device or pipe is such a place: the file is replaced, never written into.

    Args:
        locators: of what is read and written, which the file may be no part of: that is a UsageError.
    """
    for text in locators:
        image = parse_locator(text).path
        if image and image != STREAM and _lies_in(path, image):
            raise UsageError(f"--digest-file {path} would replace what '{text}' is", "name another file")
    folder = os.path.dirname(_place(path)) or "."
    if not os.path.isdir(folder):
        raise OutputError(path, errno.ENOENT, _OPERATION)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(path, errno.EACCES, _OPERATION)


def write_digest_file(path: str, digests: Iterable[Digest]) -> None:
    """Write *digests*, one per line, no line end behind the last, in place of what the file holds.

    Raises OutputError, Unsupported.
    """
    place = _place(path)
    with output_errors(path, _OPERATION):
        directory = open_directory(os.path.dirname(place) or ".")
    try:
        clean_stale(directory)
        with StagedFile(directory, place) as file:
            with output_errors(path, _OPERATION):
                write_all(file.fd, "\n".join(str(digest) for digest in digests).encode("ascii"), 0)
            file.publish(os.path.basename(place))
    finally:
        os.close(directory)


def _lies_in(path: str, image: str) -> bool:
    """Tell whether *path* is the file of an image, or below its directory."""
    place, whole = os.path.realpath(path), os.path.realpath(image)
    return place == whole or place.startswith(f"{whole.rstrip('/')}/")


def _place(path: str) -> str:
    if os.path.isdir(path):
        raise OutputError(path, errno.EISDIR, _OPERATION)
    return replaceable(path)
