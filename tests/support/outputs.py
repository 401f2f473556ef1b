"""What was written, read back by other means than the library's."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard


def decode(blob: bytes) -> tuple[str, bytes]:
    """Return a layer's codec by its first bytes, and its tar."""
    if blob[:2] == b"\x1f\x8b":
        return "gzip", gzip.decompress(blob)
    if blob[:4] == b"\x28\xb5\x2f\xfd":
        return "zstd", zstandard.ZstdDecompressor().decompressobj().decompress(blob)
    return "none", blob


@dataclass(frozen=True)
class Written:
    """One image as it was written: its manifest's document, config bytes, and layers as (codec, tar, media type)."""

    manifest: dict[str, Any]
    manifest_bytes: bytes
    config: bytes
    layers: list[tuple[str, bytes, str]]

    @property
    def tars(self) -> tuple[bytes, ...]:
        return tuple(tar for _, tar, _ in self.layers)

    @property
    def codecs(self) -> set[str]:
        return {codec for codec, _, _ in self.layers}


class Layout:
    """A layout on disk; every blob is hashed when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        assert json.loads((path / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
        self.index = json.loads((path / "index.json").read_bytes())

    def entries(self) -> dict[str | None, dict[str, Any]]:
        return {
            entry.get("annotations", {}).get("org.opencontainers.image.ref.name"): entry
            for entry in self.index["manifests"]
        }

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        algorithm, _, name = descriptor["digest"].partition(":")
        data = (self.path / "blobs" / algorithm / name).read_bytes()
        assert hashlib.new(algorithm, data).hexdigest() == name
        assert len(data) == descriptor["size"]
        return data

    def image(self, ref: str | None = None) -> Written:
        return self.read(self.entries()[ref])

    def read(self, descriptor: dict[str, Any]) -> Written:
        raw = self.blob(descriptor)
        manifest = json.loads(raw)
        assert manifest.get("mediaType", descriptor["mediaType"]) == descriptor["mediaType"]
        layers = [(*decode(self.blob(layer)), layer["mediaType"]) for layer in manifest["layers"]]
        return Written(manifest, raw, self.blob(manifest["config"]), layers)


def read_archive(path: Path) -> dict[str, Written]:
    """Return the images of a docker-archive by their first tag ("" where there is none)."""
    with tarfile.open(path) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar if member.isreg()}  # type: ignore[union-attr]
    images = {}
    for item in json.loads(members["manifest.json"]):
        layers = [(*decode(members[name]), "") for name in item["Layers"]]
        for name, (_, _, _) in zip(item["Layers"], layers, strict=True):
            assert name.rpartition("/")[2] == hashlib.sha256(members[name]).hexdigest()
        images[(item["RepoTags"] or [""])[0]] = Written(item, b"", members[item["Config"]], layers)
    return images


def tree(path: Path) -> list[str]:
    """Return every path below *path*, temporary ones included."""
    return sorted(
        os.path.relpath(os.path.join(top, name), path)
        for top, folders, files in os.walk(path)
        for name in folders + files
    )
