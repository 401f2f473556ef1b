"""Sources to be converted, damaged where it matters, and what is left of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.image_builders import BuiltImage, dumps, make_image, make_layer, make_tar, oci_layout, sha256
from support.outputs import tree


def foreign_archive(path: Path, compress: Any) -> BuiltImage:
    """Write a docker-archive with one layer in another encoding."""
    tar = make_layer("foreign", 2_000_000)
    image = make_image(tars=[tar])
    members = [
        ("layer.tar", compress(tar)),
        ("config.json", image.config),
        ("manifest.json", dumps([{"Config": "config.json", "RepoTags": ["app:1"], "Layers": ["layer.tar"]}])),
    ]
    path.write_bytes(make_tar(members))
    return image


def layout_of(path: Path, image: BuiltImage, manifest: bytes) -> None:
    """Write a layout of *image* with another manifest."""
    oci_layout(path, [image])
    (path / "blobs" / "sha256" / sha256(manifest)).write_bytes(manifest)
    index = json.loads((path / "index.json").read_bytes())
    index["manifests"][0].update({"digest": "sha256:" + sha256(manifest), "size": len(manifest)})
    (path / "index.json").write_bytes(dumps(index))


def damage(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def tree_of_source(path: Path, name: str) -> list[str]:
    return sorted([name, *(f"{name}/{below}" for below in tree(path / name))])
