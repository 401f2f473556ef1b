"""Archives with manifest.json and index.json, which need not name the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.image_builders import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, BuiltImage, dumps, full_name, make_tar, sha256

Blobs = dict[str, bytes]
Entry = tuple[dict[str, Any], Blobs]


def item(image: BuiltImage, *names: str, **more: Any) -> Entry:
    """Return an item of manifest.json."""
    layers = [f"blobs/sha256/{sha256(blob)}" for blob in image.blobs]
    config = f"blobs/sha256/{sha256(image.config)}"
    return {"Config": config, "RepoTags": list(names) or None, "Layers": layers, **more}, image.all_blobs()


def entry(image: BuiltImage, name: str = "", **more: Any) -> Entry:
    """Return an entry of index.json, or of an index."""
    return {**image.descriptor(**more), **_called(name)}, image.all_blobs()


def child(image: BuiltImage) -> Entry:
    """Return an entry of an index, with its platform."""
    return entry(image, platform={"os": "linux", "architecture": image.architecture})


def attestation(of: BuiltImage) -> Entry:
    """Return what BuildKit puts beside an image in its index."""
    statement, config = b'{"_type":"https://in-toto.io/Statement/v0.1"}', b"{}"
    described = [(OCI_CONFIG, config), ("application/vnd.in-toto+json", statement)]
    first, second = (
        {"mediaType": kind, "digest": f"sha256:{sha256(raw)}", "size": len(raw)} for kind, raw in described
    )
    manifest = dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": first, "layers": [second]})
    return {
        "mediaType": OCI_MANIFEST,
        "digest": "sha256:" + sha256(manifest),
        "size": len(manifest),
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {
            "vnd.docker.reference.digest": of.descriptor()["digest"],
            "vnd.docker.reference.type": "attestation-manifest",
        },
    }, {sha256(raw): raw for raw in (manifest, statement, config)}


def index(*children: Entry, name: str = "") -> Entry:
    """Return an entry of index.json for an index of *children*."""
    raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor for descriptor, _ in children]})
    found = {"mediaType": OCI_INDEX, "digest": "sha256:" + sha256(raw), "size": len(raw), **_called(name)}
    return found, {sha256(raw): raw, **_blobs(children)}


def _called(name: str) -> dict[str, Any]:
    if not name:
        return {}
    tag = name.rpartition(":")[2]
    annotations = {"io.containerd.image.name": full_name(name), "org.opencontainers.image.ref.name": tag}
    return {"annotations": annotations}


def _blobs(entries: Sequence[Entry]) -> Blobs:
    return {name: data for _, blobs in entries for name, data in blobs.items()}


def dual_archive(
    path: Path,
    items: Sequence[Entry],
    entries: Sequence[Entry],
    *,
    changed: Mapping[str, bytes | None] = {},
) -> Path:
    """Write an archive of both; *changed* has members that are others, or not there, by name."""
    members: dict[str, bytes | None] = {
        f"blobs/sha256/{name}": data for name, data in sorted(_blobs([*items, *entries]).items())
    }
    named = [descriptor for descriptor, _ in entries]
    members["index.json"] = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": named})
    members["manifest.json"] = dumps([listed for listed, _ in items])
    members["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    members.update(changed)
    path.write_bytes(make_tar((name, data) for name, data in members.items() if data is not None))
    return path


def blob_name(entry: Entry) -> str:
    """Return the member's name of the manifest or index that *entry* names."""
    return f"blobs/sha256/{entry[0]['digest'][7:]}"


def digests(layout: Path) -> list[str]:
    """Return what index.json of a written layout names."""
    return [each["digest"] for each in json.loads((layout / "index.json").read_bytes())["manifests"]]
