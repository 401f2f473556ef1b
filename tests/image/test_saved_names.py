from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from occy_fast.image.saved_names import saved_names
from occy_fast.image.v1 import v1_ids
from occy_fast.spec.digest import Digest

ARCHIVES = [
    "fixtures/docker-20.10.24-save.tar",
    "fixtures/docker-26.1.5-save.tar",
    "fixtures/podman-4.3.1-docker-archive.tar",
    "oracles/docker-save/docker20.10.24-simple.tar",
    "oracles/docker-save/docker20.10.24-dup.tar",
    "oracles/docker-save/docker25.0.5-graph-dup.tar",
]


def digest(number: int) -> Digest:
    return Digest("sha256", f"{number:064x}")


@pytest.mark.parametrize("name", ARCHIVES)
def test_every_layer_of_a_real_archive_is_told_by_its_name(shared: Path, name: str) -> None:
    with tarfile.open(shared / name) as tar:
        for item in json.load(tar.extractfile("manifest.json")):
            diff_ids = tuple(
                Digest.parse(text) for text in json.load(tar.extractfile(item["Config"]))["rootfs"]["diff_ids"]
            )
            find = saved_names(diff_ids)
            assert [find(layer) for layer in item["Layers"]] == list(diff_ids)


def test_the_ids_of_docker_20_10() -> None:
    """Golden: the v1 ids of dockerd 20.10.24 for layers named 1, 2 and 3, the top one left out."""
    ids = v1_ids((digest(1), digest(2), digest(3)))
    assert [text[:16] for text in ids] == ["2db89c84a30b1635", "2c7cec800fee2a2c"]
    assert v1_ids((digest(1), digest(2))) == ids[:1]
    assert v1_ids(()) == v1_ids((digest(1),)) == ()


def test_other_names_are_no_layers() -> None:
    find = saved_names((digest(1), digest(2)))
    for name in ("manifest.json", f"{digest(3).hex}.json", f"blobs/sha256/{digest(3).hex}", "x/layer.tar"):
        assert find(name) is None
    assert find(f"{digest(9).hex}/layer.tar") == digest(2)
    assert find(f"{digest(1).hex}.tar") == find(f"blobs/sha256/{digest(1).hex}") == digest(1)
    assert saved_names(())(f"{digest(9).hex}/layer.tar") is None
