"""A layout on disk, read and written through the library."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from occy_fast.image.image import Contents, Image
from occy_fast.image.publication import Publication, PublishedRoot
from occy_fast.spec.digest import Digest
from support.image_builders import BuiltImage, dumps, sha256
from support.opening import open_destination, open_source
from support.publishing import publication, write


def read(path: Path, selector: str = "") -> Contents:
    with open_source(f"oci:{path}{selector}") as source:
        return source.read()


def only_image(contents: Contents) -> Image:
    (named,) = contents.images
    assert isinstance(named.root, Image)
    return named.root


def put(path: Path, *images: BuiltImage, ref: str | None = None) -> None:
    with open_destination(f"oci:{path}").stage() as stage:
        for image in images:
            for blob in image.blobs:
                if not stage.has(Digest.sha256(blob), len(blob)):
                    write(stage, blob)
        roots = publication(*images).roots
        if ref is not None:
            roots = tuple(PublishedRoot(root.root, (), ref) for root in roots)
        stage.publish(Publication(roots))


def refs(path: Path) -> list[str | None]:
    entries = json.loads((path / "index.json").read_bytes())["manifests"]
    return [entry.get("annotations", {}).get("org.opencontainers.image.ref.name") for entry in entries]


def replace_manifest(layout: Path, manifest: object) -> None:
    raw = dumps(manifest)
    (layout / "blobs/sha256" / sha256(raw)).write_bytes(raw)
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"][0].update({"digest": "sha256:" + sha256(raw), "size": len(raw)})
    (layout / "index.json").write_bytes(dumps(index))


def break_layout(layout: Path, what: str) -> None:
    outside = layout.parent / "outside"
    if what == "symlinked index":
        (layout / "index.json").rename(outside)
        (layout / "index.json").symlink_to(outside)
    elif what == "symlinked oci-layout":
        (layout / "oci-layout").rename(outside)
        (layout / "oci-layout").symlink_to(outside)
    elif what == "symlinked blobs":
        (layout / "blobs").rename(outside)
        (layout / "blobs").symlink_to(outside)
    elif what == "symlinked sha256":
        (layout / "blobs/sha256").rename(outside)
        (layout / "blobs/sha256").symlink_to(outside)
    elif what == "symlinked blob":
        blob = next((layout / "blobs/sha256").iterdir())
        blob.rename(outside)
        blob.symlink_to(outside)
    elif what == "blobs is a file":
        shutil.rmtree(layout / "blobs")
        (layout / "blobs").write_bytes(b"")
    elif what == "blob is a fifo":
        blob = next((layout / "blobs/sha256").iterdir())
        blob.unlink()
        os.mkfifo(blob)
    elif what == "index is a fifo":
        (layout / "index.json").unlink()
        os.mkfifo(layout / "index.json")
    elif what == "index is a directory":
        (layout / "index.json").unlink()
        (layout / "index.json").mkdir()
