"""Archives that loaders refuse, each for a reason of its own."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

from support.image_builders import archive_members, dumps, make_image, make_tar, oci_layout

IMAGE = make_image("a", names=("example.com/refused:1",))


def _thin(path: str) -> Callable[[Path], bytes]:
    def build(_: Path) -> bytes:
        members = dict(archive_members([make_image("a", "b", names=("example.com/refused:1",))]))
        (item,) = json.loads(members["manifest.json"])
        item["Layers"][0] = path
        return make_tar(list({**members, "manifest.json": dumps([item])}.items()))

    return build


def _nested(folder: str) -> Callable[[Path], bytes]:
    return lambda _: make_tar([(f"{folder}/{name}", data) for name, data in archive_members([IMAGE])])


def _files(*names: str) -> Callable[[Path], bytes]:
    return lambda _: make_tar([(name, b"x") for name in names])


def _unversioned(directory: Path) -> bytes:
    layout = oci_layout(directory, [IMAGE], ["example.com/refused:1"])
    files = sorted(path for path in layout.rglob("*") if path.is_file() and path.name != "oci-layout")
    return make_tar([(str(path.relative_to(layout)), path.read_bytes()) for path in files])


REFUSED: dict[str, Callable[[Path], bytes]] = {
    "thin": _thin(""),
    "nested": _nested("image"),
    "nested deep": _nested("out/image"),
    "files": _files("a", "b"),
    "directories": _files("zeta/x", "alpha/y", "Beta/z", "a"),
    "root files": _files("etc/passwd", "usr/bin/sh", "bin/sh"),
    "no oci-layout": _unversioned,
}


def write_refused(directory: Path, name: str) -> Path:
    """Write one of REFUSED into *directory*."""
    path = directory / f"{name.replace(' ', '-')}.tar"
    path.write_bytes(REFUSED[name](directory / f"{path.stem}.d"))
    assert tarfile.is_tarfile(path)
    return path
