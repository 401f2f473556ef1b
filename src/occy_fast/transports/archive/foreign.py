"""What a tar is that has no document of an image at its top, and what its reader can do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from occy_fast.errors import UnsupportedFormat
from occy_fast.transports.layout.foreign import is_root
from occy_fast.transports.locator import STREAM
from occy_fast.words import printable, shell_command

if TYPE_CHECKING:
    from occy_fast.transports.archive.members import CleanNames
    from occy_fast.transports.locator import Locator

_DOCUMENTS = ("manifest.json", "index.json", "oci-layout")
_ARCHIVE = re.compile(r".*\.(?:tar|tgz|oci)(?:\.(?:gz|zst|xz|bz2))?")
_SUFFIX = re.compile(r"(?:\.tar)?(?:\.(?:gz|zst|xz|bz2))?$|\.t[gx]z$")
_NAMED = 3
_DEEPEST = 4                                         # folders around an image
_SAVE = "docker save makes archives that have one"


def foreign_archive(members: CleanNames, wanted: Locator) -> UnsupportedFormat:
    """Say what an archive without documents at its top is, and what to do about it."""
    found, remedy = _kind(members, wanted.path)
    return UnsupportedFormat(wanted.text, found, remedy)


def _kind(members: CleanNames, path: str) -> tuple[str, str]:
    names = sorted(members)
    tops = {name.partition("/")[0] for name in names} | members.directories
    if not tops:
        return "a tar with nothing in it, or a file of zeros", "look at what was to write it"
    if "rootfs" in tops and "config.json" in members:
        return "an OCI runtime bundle, which runs and is no image", _import(path)
    if is_root(tops) or ".dockerenv" in members:
        return "the files of a container, as docker export writes them, and no image", _import(path)
    if folder := _nested(names):
        return f"an archive whose image stands in a folder, {printable(folder)}", _lift(path, folder)
    if any(name.count("/") <= 1 and name.endswith("Chart.yaml") for name in names):
        return "a Helm chart, and no image", "helm install takes it, and helm push brings it to a registry"
    if len(tops) == 1 and _ARCHIVE.fullmatch(names[0] if names else ""):
        return f"a tar around an archive, {printable(names[0])}", f"{_tar(path, '-xf')}, and name {printable(names[0])}"
    shown = ", ".join(printable(top) for top in sorted(tops)[:_NAMED])
    more = f" and {len(tops) - _NAMED} more" if len(tops) > _NAMED else ""
    return f"a tar without manifest.json or index.json (there are: {shown}{more})", _SAVE


def _nested(names: Iterable[str]) -> str:
    """Return the one folder in which an image's documents stand; empty where there is none, or several."""
    split = [name.rpartition("/") for name in names]
    folders = {folder for folder, _, last in split if last in _DOCUMENTS and folder and folder.count("/") < _DEEPEST}
    holding = {folder for folder, _, last in split if last.endswith((".tar", ".json")) and last not in _DOCUMENTS}
    holding |= {folder.partition("/blobs/")[0] for folder, _, _ in split if "/blobs/" in folder}
    holding |= {folder.rpartition("/")[0] for folder, _, last in split if last == "layer.tar"}
    found = folders & holding
    return found.pop() if len(found) == 1 else ""


def _lift(path: str, folder: str) -> str:
    if path == STREAM:
        return f"save it to a file, unpack it, and pack what is in {printable(folder)}"
    fixed = f"{_SUFFIX.sub('', path, count=1)}-lifted.tar"
    return f"{_tar(path, '-xf')} && {shell_command(['tar', '-C', folder, '-cf', fixed, '.'])}, and name {fixed}"


def _import(path: str) -> str:
    if path == STREAM:
        return "docker import - NAME:TAG makes an image of such files"
    return shell_command(["docker", "import", path, "NAME:TAG"]) + " makes an image of such files"


def _tar(path: str, how: str) -> str:
    return shell_command(["tar", how, "-" if path == STREAM else path])
