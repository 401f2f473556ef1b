"""Archives that Docker and other tools really wrote: there and back, and nothing that matters changes."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from occy_fast import api
from support.outputs import Layout, read_archive
from support.real_archives import ARCHIVES

LEGACY = [
    "oracles/legacy-v1/chain3.tar",
    "oracles/legacy-v1/gzlayers.tar",
    "oracles/legacy-v1/nodockerver.tar",
    "corpus/images/moby/integration-cli/testdata/emptyLayer.tar",
]


def familiar(tag: str) -> str:
    """Return a tag as Docker shows it."""
    return tag.removeprefix("docker.io/library/").removeprefix("docker.io/")


def read_original(path: Path) -> dict[bytes, tuple[set[str], list[str]]]:
    """Return for each config its tags and diff_ids."""
    with tarfile.open(path) as tar:

        def read(name: str) -> bytes:
            member = tar.extractfile(name)
            assert member is not None
            return member.read()

        found: dict[bytes, tuple[set[str], list[str]]] = {}
        for written in json.loads(read("manifest.json")):
            item = {key.lower(): value for key, value in written.items()}                # jib's are in lower case
            config = read(item["config"])
            tags = {familiar(tag) for tag in item.get("repotags") or ()}
            known, _ = found.get(config, (set(), []))
            found[config] = (known | tags, json.loads(config)["rootfs"]["diff_ids"])
    return found


@pytest.mark.parametrize("name", ARCHIVES)
def test_verified(shared: Path, name: str) -> None:
    report = api.verify(str(shared / name))
    assert [str(finding.error or finding.problem) for finding in report.findings] == []
    assert report.images >= 1


def images_in(layout: Layout) -> list[dict[str, Any]]:
    """Return the descriptors of the images that index.json names, and of those in its indexes."""
    found = []
    for entry in layout.index["manifests"]:
        index = json.loads(layout.blob(entry))
        found += [entry] if "layers" in index else index["manifests"]
    return [entry for entry in found if entry.get("platform", {}).get("os") != "unknown"]


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize("encoding", [None, "gzip:1", "zstd:3"])
def test_there_and_back(tmp_path: Path, shared: Path, name: str, encoding: str | None) -> None:
    original = read_original(shared / name)
    api.convert(f"docker-archive:{shared / name}", f"oci:{tmp_path}/layout", encoding=encoding, verify="layers")
    layout = Layout(tmp_path / "layout")
    for entry in images_in(layout):
        written = layout.read(entry)
        assert written.config in original
        assert json.loads(written.config)["rootfs"]["diff_ids"] == original[written.config][1]
    api.convert(f"oci:{tmp_path}/layout", f"docker-archive:{tmp_path}/back.tar", encoding="none")
    assert read_original(tmp_path / "back.tar") == original
    for written in read_archive(tmp_path / "back.tar").values():
        assert written.codecs <= {"none"}


def assert_survives(source: str, directory: Path) -> dict[bytes, tuple[set[str], list[str]]]:
    """Convert an archive to a layout and back, compressed and as it is; return what it holds at the end."""
    seen = []
    for encoding in (None, "gzip"):
        layout, back = directory / f"layout-{encoding}", directory / f"back-{encoding}.tar"
        api.convert(source, f"oci:{layout}", encoding=encoding)  # tools edit configs and leave their names
        api.convert(f"oci:{layout}", f"docker-archive:{back}", verify="layers")
        seen.append(read_original(back))
    api.convert(f"oci:{layout}", f"docker-archive:{back}", archive_layout="docker-20.10")
    assert seen == [read_original(back)] * 2
    return seen[0]


def test_the_corpus_there_and_back(tmp_path: Path, shared: Path) -> None:
    """What skopeo or crane accepts comes back with the same configs, diff_ids and names."""
    cases = json.loads((shared / "corpus/images/expected.json").read_text())["archives"]
    survived = 0
    for case in cases:
        verdicts = [case.get(tool, {"rc": 1})["rc"] for tool in ("skopeo_docker_archive", "crane_validate")]
        if 0 not in verdicts:
            continue
        path, directory = shared / "corpus" / case["path"], tmp_path / str(survived)
        directory.mkdir()
        assert assert_survives(f"docker-archive:{path}", directory) == read_original(path), path
        survived += 1
    assert survived > 25


@pytest.mark.parametrize("name", LEGACY)
def test_archives_from_before_docker_1_10(tmp_path: Path, shared: Path, name: str) -> None:
    """The image that dockerd makes of them stays the same on every further way."""
    known = json.loads((shared / "oracles/legacy-v1/expected_20.10.24.json").read_text())["images"]
    assert api.verify(f"docker-archive:{shared / name}").exit_code == 0
    [(config, (names, diff_ids))] = assert_survives(f"docker-archive:{shared / name}", tmp_path).items()
    assert json.loads(config)["rootfs"]["diff_ids"] == diff_ids
    [named] = names
    assert config.decode() == known.get(named, {}).get("config", config.decode())
    assert (named in known) == name.startswith("oracles")
