"""Read what a conversion made without any of the library's code, so that its results can be judged.

`python -m benchmarks.reading PATH` decodes every layer of PATH and compares it with its diff_id.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True, slots=True)
class Layer:
    """Where the bytes of one layer lie, how they are encoded, and what the config says they decode to."""

    path: str
    offset: int
    size: int
    codec: str
    diff_id: str


@dataclass(frozen=True, slots=True)
class Found:
    """One image as it was found; *digest* is its manifest's, or its config's where there is no manifest."""

    digest: str
    config_digest: str
    layers: tuple[Layer, ...]

    @property
    def diff_ids(self) -> tuple[str, ...]:
        return tuple(layer.diff_id for layer in self.layers)

    @property
    def tar_size(self) -> int:
        """Bytes of tar, where no layer is encoded."""
        return sum(layer.size for layer in self.layers)


def read_image(path: Path) -> Found:
    """Read the first image of a docker-archive (a file) or of an OCI layout (a directory)."""
    return _read_layout(path) if path.is_dir() else _read_archive(path)


def size_on_disk(path: Path) -> int:
    """Return the bytes of a file, or of all files in a directory."""
    if path.is_file():
        return path.stat().st_size
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def decoded(layer: Layer) -> Iterator[bytes]:
    """Yield the tar of *layer*."""
    if layer.codec == "none":
        yield from _raw(layer)
    elif layer.codec == "gzip":
        yield from _gunzipped(layer)
    else:
        import zstandard

        with open(layer.path, "rb") as file:
            file.seek(layer.offset)
            reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(file, read_across_frames=False)
            while chunk := reader.read(CHUNK):
                yield chunk
            # One frame, which ends where the blob ends: some readers stop at the first.
            if (rest := file.tell() - layer.offset) < layer.size:
                raise ValueError(f"{layer.path}: the frame ends after {rest} of {layer.size} bytes")


def check_layers(found: Found) -> None:
    """Decode every layer and compare it with its diff_id; raise ValueError where one differs."""
    for number, layer in enumerate(found.layers):
        state = hashlib.sha256()
        for chunk in decoded(layer):
            state.update(chunk)
        if (digest := f"sha256:{state.hexdigest()}") != layer.diff_id:
            raise ValueError(f"{layer.path}: layer {number}: expected {layer.diff_id}, found {digest}")


def _raw(layer: Layer) -> Iterator[bytes]:
    with open(layer.path, "rb") as file:
        file.seek(layer.offset)
        left = layer.size
        while left and (chunk := file.read(min(left, CHUNK))):
            left -= len(chunk)
            yield chunk
    if left:
        raise ValueError(f"{layer.path}: {left} bytes of a layer are missing")


def _gunzipped(layer: Layer) -> Iterator[bytes]:
    member = zlib.decompressobj(31)
    for chunk in _raw(layer):
        while chunk:
            if member.eof:
                member = zlib.decompressobj(31)
            yield member.decompress(chunk)
            chunk = member.unused_data
    if not member.eof:
        raise ValueError(f"{layer.path}: the last gzip member does not end")


def _codec(path: str, offset: int) -> str:
    with open(path, "rb") as file:
        start = os.pread(file.fileno(), 4, offset)
    return next((codec for magic, codec in MAGIC.items() if start.startswith(magic)), "none")


def _sha256(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _read_layout(path: Path) -> Found:
    def blob(digest: str) -> Path:
        return path / "blobs" / digest.replace(":", "/")

    index = json.loads((path / "index.json").read_bytes())
    descriptor = index["manifests"][0]
    raw = blob(descriptor["digest"]).read_bytes()
    manifest = json.loads(raw)
    config = blob(manifest["config"]["digest"]).read_bytes()
    if (_sha256(raw), _sha256(config)) != (descriptor["digest"], manifest["config"]["digest"]):
        raise ValueError(f"{path}: manifest or config do not have their digests")
    regions = []
    for entry in manifest["layers"]:
        layer = blob(entry["digest"])
        if layer.stat().st_size != entry["size"]:
            raise ValueError(f"{layer}: expected {entry['size']} bytes, found {layer.stat().st_size}")
        regions.append((str(layer), 0, entry["size"]))
    return _found(path, descriptor["digest"], config, regions)


def _read_archive(path: Path) -> Found:
    with tarfile.open(path, "r:") as tar:
        members = {member.name: member for member in tar}

        def region(name: str) -> tuple[str, int, int]:
            member = members[name]
            if member.issym():
                member = members[os.path.normpath(os.path.join(os.path.dirname(name), member.linkname))]
            elif member.islnk():
                member = members[member.linkname]
            return str(path), member.offset_data, member.size

        def content(name: str) -> bytes:
            file = tar.extractfile(members[name])
            assert file is not None, name
            return file.read()

        entry = json.loads(content("manifest.json"))[0]
        config = content(entry["Config"])
        return _found(path, _sha256(config), config, [region(name) for name in entry["Layers"]])


def _found(path: Path, digest: str, raw_config: bytes, regions: list[tuple[str, int, int]]) -> Found:
    config: dict[str, Any] = json.loads(raw_config)
    diff_ids: list[str] = config["rootfs"]["diff_ids"]
    if len(diff_ids) != len(regions):
        raise ValueError(f"{path}: expected {len(diff_ids)} layers, found {len(regions)}")
    layers = (
        Layer(file, offset, size, _codec(file, offset), diff_id)
        for (file, offset, size), diff_id in zip(regions, diff_ids, strict=True)
    )
    return Found(digest, _sha256(raw_config), tuple(layers))


if __name__ == "__main__":
    check_layers(read_image(Path(sys.argv[1])))
