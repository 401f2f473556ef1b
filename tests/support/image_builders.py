"""Small images, built by other means than the library's, in every shape it reads."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import zstandard

Era = Literal["B", "C", "D"]

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = {
    "none": "application/vnd.oci.image.layer.v1.tar",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = {
    "none": "application/vnd.docker.image.rootfs.diff.tar",
    "gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "zstd": "application/vnd.docker.image.rootfs.diff.tar.zstd",
}


def sha256(data: bytes) -> str:
    """Return the hexadecimal digest."""
    return hashlib.sha256(data).hexdigest()


def dumps(document: Any) -> bytes:
    """Format JSON compactly, as container tools do."""
    return json.dumps(document, separators=(",", ":")).encode()


def make_tar(members: Iterable[tuple[str, bytes]], tar_format: int = tarfile.USTAR_FORMAT) -> bytes:
    """Make a tar of regular files, all times 0."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def make_layer(seed: str = "layer", size: int = 3000) -> bytes:
    """Make a layer's tar of one file of *size* bytes that differ with the seed."""
    block = hashlib.sha256(seed.encode()).digest()
    return make_tar([(f"etc/{seed}", (block * (size // len(block) + 1))[:size])])


def encode(tar: bytes, codec: str) -> bytes:
    """Compress a layer with other libraries' encoders."""
    if codec == "gzip":
        return gzip.compress(tar, 6, mtime=0)
    if codec == "zstd":
        return zstandard.ZstdCompressor(3).compress(tar)
    assert codec == "none", codec
    return tar


@dataclass(frozen=True)
class BuiltImage:
    """An image's documents and blobs.

    Attributes:
        tars: layers before encoding, bottom layer first.
        codecs: one per layer.
        names: familiar references such as "app:1".
    """

    tars: tuple[bytes, ...]
    codecs: tuple[str, ...]
    names: tuple[str, ...]
    architecture: str = "amd64"
    docker: bool = False
    config_changes: dict[str, Any] = field(default_factory=dict)

    @property
    def diff_ids(self) -> list[str]:
        return ["sha256:" + sha256(tar) for tar in self.tars]

    @property
    def blobs(self) -> list[bytes]:
        return [encode(tar, codec) for tar, codec in zip(self.tars, self.codecs, strict=True)]

    @property
    def config(self) -> bytes:
        document = {
            "architecture": self.architecture,
            "os": "linux",
            "created": "2024-01-02T03:04:05Z",
            "config": {"Cmd": ["/bin/true"], "Env": ["A=ü"]},
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
            "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "built"} for _ in self.tars],
        }
        return dumps({**document, **self.config_changes})

    @property
    def manifest_type(self) -> str:
        return DOCKER_MANIFEST if self.docker else OCI_MANIFEST

    @property
    def manifest(self) -> bytes:
        types = DOCKER_LAYER if self.docker else OCI_LAYER
        config = self.config
        return dumps(
            {
                "schemaVersion": 2,
                "mediaType": self.manifest_type,
                "config": {
                    "mediaType": DOCKER_CONFIG if self.docker else OCI_CONFIG,
                    "digest": "sha256:" + sha256(config),
                    "size": len(config),
                },
                "layers": [
                    {"mediaType": types[codec], "digest": "sha256:" + sha256(blob), "size": len(blob)}
                    for codec, blob in zip(self.codecs, self.blobs, strict=True)
                ],
            }
        )

    def descriptor(self, **more: Any) -> dict[str, Any]:
        """Return the descriptor of the manifest."""
        manifest = self.manifest
        return {"mediaType": self.manifest_type, "digest": "sha256:" + sha256(manifest), "size": len(manifest), **more}

    def all_blobs(self) -> dict[str, bytes]:
        """Return layers, config and manifest by their hexadecimal digests."""
        return {sha256(data): data for data in (*self.blobs, self.config, self.manifest)}


def make_image(
    *seeds: str,
    codec: str | Sequence[str] = "none",
    names: Sequence[str] = ("app:1",),
    size: int = 3000,
    tars: Sequence[bytes] = (),
    **more: Any,
) -> BuiltImage:
    """Make an image with a layer per seed, or of the *tars* given."""
    layers = tuple(tars) or tuple(make_layer(seed, size) for seed in seeds or ("one", "two"))
    codecs = (codec,) * len(layers) if isinstance(codec, str) else tuple(codec)
    return BuiltImage(layers, codecs, tuple(names), **more)


def full_name(name: str) -> str:
    """Return a familiar name in full."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def archive_members(images: Sequence[BuiltImage], era: Era = "B") -> list[tuple[str, bytes]]:
    """Return names and bytes of what `docker save` of an era writes: B 1.10-24, C 25 and later, D its containerd store.

    Era B takes its layers in any encoding, as other tools write them in the same shape.
    """
    members: dict[str, bytes] = {}
    items, entries = [], []
    for image in images:
        config = image.config
        if era == "B":
            paths = [f"{sha256(blob)}/layer.tar" for blob in image.blobs]
            config_path = f"{sha256(config)}.json"
            for path, blob in zip(paths, image.blobs, strict=True):
                members[path.replace("layer.tar", "VERSION")] = b"1.0"
                members[path] = blob
            members[config_path] = config
        else:
            paths = [f"blobs/sha256/{sha256(blob)}" for blob in image.blobs]
            config_path = f"blobs/sha256/{sha256(config)}"
            members.update({f"blobs/sha256/{name}": data for name, data in image.all_blobs().items()})
            for name in image.names:
                annotations = {
                    "io.containerd.image.name": full_name(name),
                    "org.opencontainers.image.ref.name": name.rpartition(":")[2],
                }
                entries.append(image.descriptor(annotations=annotations))
        items.append({"Config": config_path, "RepoTags": list(image.names) or None, "Layers": paths})
    if era != "B":
        members["index.json"] = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
        space = " " if era == "C" else ""
        members["oci-layout"] = f'{{"imageLayoutVersion":{space}"1.0.0"}}'.encode()
    members["manifest.json"] = dumps(items) + (b"" if era == "D" else b"\n")
    return sorted(members.items())


def docker_archive(path: Path, images: Sequence[BuiltImage], era: Era = "B") -> Path:
    """Write an archive of an era."""
    path.write_bytes(make_tar(archive_members(images, era)))
    return path


def oci_layout(path: Path, images: Sequence[BuiltImage], refs: Sequence[str | None] = (), nested: bool = False) -> Path:
    """Write a layout: one ref per image, or with *nested* one ref for an index of them all."""
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for image in images:
        for name, data in image.all_blobs().items():
            (blobs / name).write_bytes(data)
    refs = list(refs) or [None] * (1 if nested else len(images))
    if nested:
        children = [
            image.descriptor(platform={"architecture": image.architecture, "os": "linux"}) for image in images
        ]
        index = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})
        (blobs / sha256(index)).write_bytes(index)
        entries = [{"mediaType": OCI_INDEX, "digest": "sha256:" + sha256(index), "size": len(index)}]
    else:
        entries = [image.descriptor() for image in images]
    for entry, ref in zip(entries, refs, strict=True):
        if ref is not None:
            entry["annotations"] = {"org.opencontainers.image.ref.name": ref}
    (path / "index.json").write_bytes(dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}))
    (path / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    return path


def write_manifest(layout: Path, raw: bytes) -> Path:
    """Make *raw* the only manifest of a layout; return the layout."""
    (layout / "blobs" / "sha256" / sha256(raw)).write_bytes(raw)
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"][0].update({"digest": "sha256:" + sha256(raw), "size": len(raw)})
    (layout / "index.json").write_bytes(dumps(index))
    return layout


def oci_archive(path: Path, layout: Path, prefix: str = "") -> Path:
    """Pack a layout as `tar -C layout -cf path .` does, directories included, or with another prefix before names."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for found in sorted(layout.rglob("*")):
            tar.add(found, prefix + str(found.relative_to(layout)), recursive=False)
    return path


def legacy_members(repositories: bool) -> Iterator[tuple[str, bytes]]:
    """Yield the members of an archive as Docker before 1.10 saved an image of three layers, the first layer first."""
    parent = ""
    for name in ("root", "trunk", "top"):
        id_ = sha256(name.encode())
        document = {"id": id_, "created": "2014-01-01T00:00:00Z", "os": "linux", "architecture": "amd64"}
        yield f"{id_}/VERSION", b"1.0"
        yield f"{id_}/json", dumps({**document, **({"parent": parent} if parent else {})})
        yield f"{id_}/layer.tar", make_layer(name)
        parent = id_
    if repositories:
        yield "repositories", dumps({"app": {"1": parent}})
