"""Every real image that others accept, once around: to a layout, into an OCI archive, and back to a docker-archive."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from occy_fast import api
from occy_fast.errors import MediaTypeConflict
from occy_fast.image.graph import leaves
from occy_fast.image.image import Image, ImageIndex
from support.outputs import read_archive

Read = Callable[[str], bytes]
Known = tuple[bytes, tuple[str, ...]]

REF_NAME = "org.opencontainers.image.ref.name"
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")


def accepted(shared: Path) -> Iterator[tuple[Path, list[str]]]:
    """Walk the archives and layouts that skopeo or crane accept, these with their refs, and what real tools wrote."""
    for path in (*sorted(shared.glob("fixtures/*.tar")), *sorted(shared.glob("oracles/tool-archives/*.tar"))):
        yield path, []
    expected = json.loads((shared / "corpus/images/expected.json").read_bytes())
    for archive in expected["archives"]:
        readers = ("skopeo_docker_archive", "skopeo_oci_archive", "crane_validate")
        if 0 in [archive.get(reader, {}).get("rc") for reader in readers]:
            yield shared / "corpus" / archive["path"], []
    for layout in expected["layouts"]:
        if refs := [ref for ref, run in layout["skopeo"].items() if run["rc"] == 0]:
            yield shared / "corpus" / layout["path"], refs


def opened(path: Path) -> Read:
    """Return what reads a member of an archive or a file of a layout; KeyError or OSError where there is none."""
    if path.is_dir():
        return lambda name: (path / name).read_bytes()
    with tarfile.open(path) as tar:
        members = {member.name.removeprefix("./"): tar.extractfile(member) for member in tar if not member.isdir()}
        read = {name: file.read() for name, file in members.items() if file is not None}
    return read.__getitem__


def images_in(read: Read, refs: list[str]) -> Iterator[Known]:
    """Walk configs and diff_ids of all images, or of those with a ref, as documents alone tell them."""
    try:
        items = [{key.casefold(): value for key, value in item.items()} for item in json.loads(read("manifest.json"))]
        configs = [read(item["config"]) for item in items]
    except (KeyError, OSError):
        index = json.loads(read("index.json"))
        if refs:
            index["manifests"] = [entry for entry in index["manifests"] if entry["annotations"][REF_NAME] in refs]
        configs = list(_configs(read, index))
    for config in configs:
        yield config, tuple(json.loads(config)["rootfs"]["diff_ids"])


def _configs(read: Read, document: dict[str, Any]) -> Iterator[bytes]:
    for entry in document["manifests"] or ():
        if (entry.get("platform") or {}).get("os") == "unknown" or entry["mediaType"] not in MANIFESTS:
            continue
        try:
            below = json.loads(read("blobs/" + entry["digest"].replace(":", "/")))
        except (KeyError, OSError):
            continue
        if "manifests" in below:
            yield from _configs(read, below)
        elif below.get("config", {}).get("mediaType") in CONFIGS and all(
            ".image.layer." in layer["mediaType"] or ".image.rootfs." in layer["mediaType"] for layer in below["layers"]
        ):
            config = read("blobs/" + below["config"]["digest"].replace(":", "/"))
            if json.loads(config).get("rootfs"):
                yield config


def selectors(locator: str) -> Iterator[tuple[int, str | None]]:
    """Walk the images by position and, where there are several of them in an index, by platform."""
    with api.open_image(locator) as contents:
        for position, named in enumerate(contents.images):
            root = named.root
            images = [leaf for leaf in leaves(root) if isinstance(leaf, Image) and not leaf.artifact]
            for image in images:
                yield position, str(image.platform) if isinstance(root, ImageIndex) and len(images) > 1 else None


def taken(path: Path, refs: list[str]) -> list[str]:
    """Return the refs to take one by one, where a layout has something beside them that keeps it from being read."""
    try:
        with api.open_image(str(path)):
            return []
    except MediaTypeConflict:
        return refs


def around(source: str, place: Path) -> Iterator[Known]:
    """Walk what comes out of it: through a layout and an OCI archive into a docker-archive for every image."""
    place.mkdir(parents=True)
    api.convert(source, f"oci:{place}/layout")
    api.convert(f"oci:{place}/layout", f"oci-archive:{place}/oci.tar")
    report = api.verify(f"oci-archive:{place}/oci.tar")
    assert not report.errors, (source, report.errors)
    for position, platform in selectors(f"oci-archive:{place}/oci.tar"):
        one, back = f"oci-archive:{place}/oci.tar:@{position}", place / "back.tar"
        api.convert(one, f"docker-archive:{back}", platforms=(platform,) if platform else (), verify="layers")
        for written in read_archive(back).values():
            yield written.config, tuple(json.loads(written.config)["rootfs"]["diff_ids"])


def test_once_around(shared: Path, tmp_path: Path) -> None:
    """The same configs, byte by byte, and the same diff_ids come out of it."""
    seen = 0
    for number, (path, accepted_refs) in enumerate(accepted(shared)):
        refs = taken(path, accepted_refs)
        sources = [f"oci:{path}:{ref}" for ref in refs] or [str(path)]
        found = {
            known
            for at, source in enumerate(sources)
            for known in around(source, tmp_path / f"{number}-{at}")
        }
        assert found == set(images_in(opened(path), refs)), path
        seen += len(found)
    assert seen > 60
