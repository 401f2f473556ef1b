"""Every real image that others accept, once around: to a layout, into an OCI archive, and back to a docker-archive."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from outputs import read_archive

from occy_fast import api
from occy_fast.image.graph import leaves
from occy_fast.image.image import Image, ImageIndex

Read = Callable[[str], bytes]
Known = tuple[bytes, tuple[str, ...]]

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")


def accepted(shared: Path) -> Iterator[Path]:
    """Walk the archives and layouts that skopeo or crane accept, and those that real tools wrote."""
    yield from sorted(shared.glob("fixtures/*.tar"))
    yield from sorted(shared.glob("oracles/tool-archives/*.tar"))
    expected = json.loads((shared / "corpus/images/expected.json").read_bytes())
    for archive in expected["archives"]:
        readers = ("skopeo_docker_archive", "skopeo_oci_archive", "crane_validate")
        if 0 in [archive.get(reader, {}).get("rc") for reader in readers]:
            yield shared / "corpus" / archive["path"]
    for layout in expected["layouts"]:
        if any(run["rc"] == 0 for run in layout["skopeo"].values()):
            yield shared / "corpus" / layout["path"]


def opened(path: Path) -> Read:
    """Return what reads a member of an archive or a file of a layout; KeyError or OSError where there is none."""
    if path.is_dir():
        return lambda name: (path / name).read_bytes()
    with tarfile.open(path) as tar:
        members = {member.name.removeprefix("./"): tar.extractfile(member) for member in tar if not member.isdir()}
        read = {name: file.read() for name, file in members.items() if file is not None}
    return read.__getitem__


def images_in(read: Read) -> Iterator[Known]:
    """Walk configs and diff_ids of all images, as documents alone tell them."""
    try:
        items = [{key.casefold(): value for key, value in item.items()} for item in json.loads(read("manifest.json"))]
        configs = [read(item["config"]) for item in items]
    except (KeyError, OSError):
        configs = list(_configs(read, json.loads(read("index.json"))))
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
            root = named.image_or_index
            images = [leaf for leaf in leaves(root) if isinstance(leaf, Image) and not leaf.artifact]
            for image in images:
                yield position, str(image.platform) if isinstance(root, ImageIndex) and len(images) > 1 else None


def test_once_around(shared: Path, tmp_path: Path) -> None:
    """The same configs, byte by byte, and the same diff_ids come out of it."""
    seen = 0
    for number, path in enumerate(accepted(shared)):
        place = tmp_path / str(number)
        place.mkdir()
        api.convert(str(path), f"oci:{place}/layout")
        api.convert(f"oci:{place}/layout", f"oci-archive:{place}/oci.tar")
        report = api.verify(f"oci-archive:{place}/oci.tar")
        assert not report.errors, (path, report.errors)
        found: set[Known] = set()
        for position, platform in selectors(f"oci-archive:{place}/oci.tar"):
            source, back = f"oci-archive:{place}/oci.tar:@{position}", place / "back.tar"
            api.convert(source, f"docker-archive:{back}", platforms=(platform,) if platform else (), verify="layers")
            for written in read_archive(back).values():
                found.add((written.config, tuple(json.loads(written.config)["rootfs"]["diff_ids"])))
        assert found == set(images_in(opened(path))), path
        seen += len(found)
    assert seen > 60
