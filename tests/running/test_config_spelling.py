"""Configs read as strictly as manifests: a key that some readers take and others do not is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast.errors import BadManifest
from support.image_builders import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    dumps,
    make_image,
    make_tar,
    oci_layout,
    sha256,
    write_manifest,
)


def respelled(path: Path, config_type: str, **changes: Any) -> Path:
    """Write a layout whose config has *changes*; None takes a key away."""
    image = make_image("one", codec="gzip")
    layout = oci_layout(path, [image], ["app:1"])
    document = {key: value for key, value in (json.loads(image.config) | changes).items() if value is not None}
    config, manifest = dumps(document), json.loads(image.manifest)
    (layout / "blobs" / "sha256" / sha256(config)).write_bytes(config)
    manifest["config"] = {"mediaType": config_type, "digest": f"sha256:{sha256(config)}", "size": len(config)}
    if config_type == DOCKER_CONFIG:
        manifest["mediaType"] = DOCKER_MANIFEST
        manifest["layers"][0]["mediaType"] = DOCKER_LAYER["gzip"]
    layout = write_manifest(layout, dumps(manifest))
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"][0]["mediaType"] = manifest["mediaType"]
    (layout / "index.json").write_bytes(dumps(index))
    return layout


FALSE = {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}


@pytest.mark.parametrize("config_type", [OCI_CONFIG, DOCKER_CONFIG])
@pytest.mark.parametrize(
    ("changes", "wrong", "meant"),
    [
        ({"rootfs": None, "Rootfs": FALSE}, "Rootfs", "rootfs"),
        ({"rootfs": None, "ROOTFS": FALSE}, "ROOTFS", "rootfs"),
        ({"rootfs": None, "rootf\u017f": FALSE}, "rootf\u017f", "rootfs"),     # Go folds it as well
        ({"rootfs": {"type": "layers", "Diff_ids": FALSE["diff_ids"]}}, "Diff_ids", "diff_ids"),
        ({"rootfs": {"Type": "layers", "diff_ids": FALSE["diff_ids"]}}, "Type", "type"),
        ({"history": None, "History": []}, "History", "history"),
        ({"history": [{"Empty_layer": True}]}, "Empty_layer", "empty_layer"),
        ({"architecture": None, "Architecture": "arm64"}, "Architecture", "architecture"),
        ({"os": None, "OS": "plan9"}, "OS", "os"),
        ({"config": None, "Config": {}}, "Config", "config"),
        ({"OS.Version": "1"}, "OS.Version", "os.version"),
        ({"rootfs": None, "os": None, "Os": "linux"}, "Os", "os"),
    ],
    ids=str,
)
def test_a_config_is_read_as_strictly_as_a_manifest(
    tmp_path: Path, config_type: str, changes: dict[str, Any], wrong: str, meant: str
) -> None:
    layout = respelled(tmp_path / "in", config_type, **changes)
    words = f"key '{wrong}' stands where '{meant}' is meant"
    (finding,) = occy_fast.verify(f"oci:{layout}").findings
    assert isinstance(finding.error, BadManifest)
    assert words in finding.problem
    for options in ({}, {"verify": "layers"}):
        with pytest.raises(BadManifest, match=words):
            occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path}/out", **options)  # type: ignore[arg-type]
    with pytest.raises(BadManifest, match=words):
        occy_fast.inspect(f"oci:{layout}")
    # Go takes a key in any case, so its readers will: what stands in the way is ours, and told as that
    checked = occy_fast.check(f"oci:{layout}", ["docker-29.0"])
    assert not checked.ok
    assert checked.exit_code == 4 or checked.errors


def test_what_is_no_image_s_config_stays_as_it_is(tmp_path: Path) -> None:
    changes = {"rootfs": None, "Rootfs": FALSE, "os": None, "OS": "x"}
    layout = respelled(tmp_path / "in", "application/vnd.example.config+json", **changes)
    occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path}/out")
    assert occy_fast.verify(f"oci:{tmp_path}/out").exit_code == 0


def test_what_an_image_runs_as_has_its_own_spelling(tmp_path: Path) -> None:
    """Labels and volumes are people's words, and Docker's own fields beside `config` are no concern of ours."""
    changes = {
        "config": {"Env": ["PATH=/"], "Labels": {"os": "a", "OS": "b"}, "Image": "", "OnBuild": None},
        "container_config": {"Hostname": ""},
        "docker_version": "20.10.24",
        "Size": 1,
    }
    layout = respelled(tmp_path / "in", DOCKER_CONFIG, **changes)
    assert occy_fast.verify(f"oci:{layout}").exit_code == 0


def test_loaders_read_a_config_in_any_case(tmp_path: Path) -> None:
    """What is said in a consumer's words is what that consumer meets: it finds a rootfs."""
    image = make_image("one", names=("app:1",), config_changes={"rootfs": None})
    document = json.loads(image.config)
    del document["rootfs"]
    config = dumps(document | {"RootFS": FALSE})
    members = [
        ("c.json", config),
        ("l.tar", image.tars[0]),
        ("manifest.json", dumps([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["l.tar"]}])),
    ]
    (tmp_path / "in.tar").write_bytes(make_tar(members))
    checked = occy_fast.check(str(tmp_path / "in.tar"), ["docker-20.10"])
    assert "no-rootfs" not in [finding.rule for finding in checked.findings]
    assert "key 'RootFS' stands where 'rootfs' is meant" in str(checked.unread)
