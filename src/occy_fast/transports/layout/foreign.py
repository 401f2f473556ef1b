"""What a directory is that is no layout, and what its reader can do."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Set as AbstractSet
from contextlib import suppress

from occy_fast.errors import UnsupportedFormat
from occy_fast.words import printable, shell_command

_LAYER_ID = re.compile(r"[0-9a-f]{64}")
_ROOT = frozenset({"bin", "dev", "etc", "lib", "proc", "sbin", "sys", "tmp", "usr", "var"})
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".oci")
_ENOUGH_OF_A_ROOT = 3
_LOOK_AT = 4096                                      # entries of a directory
_LOOK_INTO = 64                                      # of its directories
_NAMED = 3
_FIRST_BYTES = 1 << 16


def directory_refused(path: str, where: str, found: str) -> UnsupportedFormat:
    """Return the error for a directory that cannot be read as was asked, *found* being what is told if nothing is seen.

    It is looked at by its names alone, and by the begin of what should be small documents.
    """
    names = _names_in(path)
    if is_layout(names):
        locator = shell_command([f"oci:{path}"])
        return UnsupportedFormat(where, "a layout: a directory, and no archive", f"{locator} reads it")
    kind, remedy = _kind(path, names)
    return UnsupportedFormat(where, f"{found}: {kind}" if found else kind, remedy)


def is_layout(names: frozenset[str]) -> bool:
    """Tell whether a directory of these names is a layout, be it one that lost some of its files."""
    return "oci-layout" in names or ("index.json" in names and "blobs" in names)


def is_root(names: AbstractSet[str]) -> bool:
    """Tell whether *names* are those at the top of a Unix system's files."""
    return len(names & _ROOT) >= _ENOUGH_OF_A_ROOT


def _kind(path: str, names: frozenset[str]) -> tuple[str, str]:
    """Return what is there, in a few words, and the command that makes something of it."""
    if not names:
        return "it is empty", "look at what was to write it"
    if "manifest.json" in names:
        if isinstance(_document(os.path.join(path, "manifest.json")), dict):
            copy = ["skopeo", "copy", f"dir:{path}", f"oci:{path.rstrip('/')}-oci:latest"]
            return "what skopeo writes as dir:", shell_command(copy)
        return "an archive of docker save that was unpacked", _pack(path)
    if "repositories" in names or any(_LAYER_ID.fullmatch(name) for name in names):
        return "an archive of docker save that was unpacked", _pack(path)
    if {"config.json", "rootfs"} <= names:
        return "an OCI runtime bundle, which runs and is no image", _import(os.path.join(path, "rootfs"))
    if is_root(names):
        return "the files of a container, and no image", _import(path)
    if "Chart.yaml" in names:
        return "a Helm chart", "helm package makes of it what registries take"
    if "Dockerfile" in names or "Containerfile" in names:
        return "what an image is built of", shell_command(["docker", "build", "-t", "NAME:TAG", path])
    return _inside(path, names)


def _inside(path: str, names: frozenset[str]) -> tuple[str, str]:
    """Look one level deeper: for a layout, an archive that was unpacked, or archives."""
    for name in sorted(names)[:_LOOK_INTO]:
        inside = _names_in(os.path.join(path, name))
        if is_layout(inside):
            locator = shell_command([f"oci:{os.path.join(path, name)}"])
            return f"a layout stands in it, as {printable(name)}", f"{locator} reads it"
    archives = sorted(name for name in names if name.endswith(_ARCHIVES))
    if archives:
        one = shell_command([os.path.join(path, archives[0])])
        return f"archives stand in it, such as {printable(archives[0])}", f"name one: {one}"
    shown = ", ".join(printable(name) for name in sorted(names)[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    missing = "index.json" if "blobs" in names else "index.json and blobs"
    return f"it has no {missing} (there are: {shown}{more})", "name a directory that has them, or an archive"


def _pack(path: str) -> str:
    """Return the command that makes an archive of a directory again."""
    archive = f"{path.rstrip('/')}.tar"
    return shell_command(["tar", "-C", path, "-cf", archive, "."]) + f", and name {archive}"


def _import(root: str) -> str:
    return shell_command(["tar", "-C", root, "-c", "."]) + " | docker import - NAME:TAG"


def _names_in(path: str) -> frozenset[str]:
    """Return the names in a directory, as many as matter; none of what cannot be listed."""
    names: list[str] = []
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) > _LOOK_AT:
                break
    return frozenset(names)


def _document(path: str) -> object:
    """Return a small JSON document; None for what is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            return json.loads(file.read(_FIRST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
