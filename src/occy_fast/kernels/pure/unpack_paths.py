"""Paths of entries and links, taken apart as unpackers do."""

from __future__ import annotations


def parts_of(path: bytes) -> list[bytes]:
    """Return the components of *path* that are neither empty nor '.'."""
    return [part for part in path.split(b"/") if part not in (b"", b".")]


def inside(path: bytes) -> list[bytes]:
    """Return the components of *path* as a name below the root, where what leads out stays at the top."""
    parts: list[bytes] = []
    for part in parts_of(path):
        if part == b"..":
            del parts[-1:]
        else:
            parts.append(part)
    return parts


def cleaned(name: bytes) -> bytes:
    """Return a name as Go's path.Clean does but for leading '..': what tar-split tells two entries by."""
    return (b"/" if name.startswith(b"/") else b"") + b"/".join(inside(name))
