"""Archives that Docker and other tools really wrote: there and back, and nothing that matters changes."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from outputs import Layout, read_archive

from occy_fast import api

ARCHIVES = [
    *(
        f"oracles/docker-save/{name}.tar"
        for name in (
            "docker20.10.24-dup",
            "docker20.10.24-gz",
            "docker20.10.24-multitag",
            "docker20.10.24-simple",
            "docker20.10.24-untagged",
            "docker25.0.5-graph-dup",
            "docker25.0.5-graph-multiimage",
            "docker25.0.5-graph-simple",
            "docker29.7.2-containerd-index",
            "docker29.7.2-containerd-simple",
            "docker29.7.2-containerd-zstd",
        )
    ),
    "fixtures/docker-20.10.24-save.tar",
    "fixtures/docker-26.1.5-save.tar",
    "fixtures/podman-4.3.1-docker-archive.tar",
    "fixtures/podman-4.3.1-docker-archive-multi.tar",
    "oracles/tool-archives/crane-legacy.tar",
    "oracles/tool-archives/crane-tarball.tar",
    "oracles/tool-archives/podman431-docker-multi.tar",
]


def read_original(path: Path) -> dict[bytes, tuple[set[str], list[str]]]:
    """Return for each config its tags and diff_ids."""
    with tarfile.open(path) as tar:

        def read(name: str) -> bytes:
            member = tar.extractfile(name)
            assert member is not None
            return member.read()

        found: dict[bytes, tuple[set[str], list[str]]] = {}
        for item in json.loads(read("manifest.json")):
            config = read(item["Config"])
            tags = {tag.removeprefix("docker.io/library/").removeprefix("docker.io/") for tag in item["RepoTags"] or ()}
            known, _ = found.get(config, (set(), []))
            found[config] = (known | tags, json.loads(config)["rootfs"]["diff_ids"])
    return found


@pytest.mark.parametrize("name", ARCHIVES)
def test_verified(shared: Path, name: str) -> None:
    report = api.verify(str(shared / name))
    assert [str(finding.error or finding.problem) for finding in report.findings] == []
    assert report.images >= 1


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize("encoding", [None, "gzip:1", "zstd:3"])
def test_there_and_back(tmp_path: Path, shared: Path, name: str, encoding: str | None) -> None:
    original = read_original(shared / name)
    api.convert(f"docker-archive:{shared / name}", f"oci:{tmp_path}/layout", encoding=encoding, verify="layers")
    layout = Layout(tmp_path / "layout")
    for entry in layout.index["manifests"]:
        written = layout.read(entry)
        assert written.config in original
        assert json.loads(written.config)["rootfs"]["diff_ids"] == original[written.config][1]
    api.convert(f"oci:{tmp_path}/layout", f"docker-archive:{tmp_path}/back.tar", encoding="none")
    assert read_original(tmp_path / "back.tar") == original
    for written in read_archive(tmp_path / "back.tar").values():
        assert written.codecs <= {"none"}
