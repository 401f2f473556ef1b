"""OCI archives, read and written through the library, and taken apart."""

from __future__ import annotations

import tarfile
from pathlib import Path

from occy_fast.image.image import Contents
from occy_fast.spec.digest import Digest
from support.image_builders import (
    BuiltImage,
    make_tar,
)
from support.opening import open_destination, open_source
from support.publishing import publication, write


def read(path: Path, selector: str = "") -> Contents:
    with open_source(f"oci-archive:{path}{selector}") as source:
        return source.read()


def members_of(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {m.name: b"/" if m.isdir() else tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def write_members(path: Path, members: dict[str, bytes]) -> Path:
    path.write_bytes(make_tar(members.items()))
    return path


def put(path: Path, *images: BuiltImage) -> dict[str, bytes]:
    with open_destination(f"oci-archive:{path}").stage() as stage:
        for image in images:
            for blob in image.blobs:
                if not stage.has(Digest.sha256(blob)):
                    write(stage, blob)
        stage.publish(publication(*images))
    return members_of(path)
