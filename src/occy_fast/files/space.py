"""What room a file system has, and what it is."""

from __future__ import annotations

import os


def free_space(directory: str) -> int | None:
    """Return the bytes this user may still write there; None where the system does not say."""
    try:
        status = os.statvfs(directory)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize if status.f_blocks else None  # /proc has no blocks, and none is free


def filesystem_type(directory: str) -> str:
    """Return the type of the mounted file system that holds *directory*; empty if that cannot be known."""
    best, kind = "", ""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                words = line.split()
                point = words[4].encode().decode("unicode_escape")
                inside = directory == point or directory.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, words[words.index("-") + 1]
    except (OSError, ValueError, IndexError):
        return ""
    return kind
