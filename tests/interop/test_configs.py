"""Configs with one odd value each: what check says of them, and what consumers do."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
from pathlib import Path

import pytest

import occy_fast
from support.config_damage import Damaged, damaged, odd_texts, odd_times, odd_values
from support.consumers import Client
from support.image_builders import make_tar

pytestmark = pytest.mark.interop

LAYER = make_tar([("nothing", b"nothing\n")])
DIFF_IDS = [f"sha256:{hashlib.sha256(LAYER).hexdigest()}"]
NAME = "example.com/occy-fast/config:odd"
FEW = 6
"""Of each kind of cases, for each consumer, unless FULL=1 asks for all of them."""

DAEMONS = {
    "docker": "docker-20.10.24",
    "docker26": "docker-26.1.5-graphdriver",
    "docker26_containerd": "docker-26.1.5-containerd",
    "podman": "podman-4.3.1",
    "podman5": "podman-5.4.2",
}
"""Their targets, by fixture."""


def cases() -> list[Damaged]:
    """Return all cases; of those in a field, a sample that is the same each time."""
    kinds = [list(kind(DIFF_IDS)) for kind in (odd_texts, odd_times, odd_values, damaged)]
    if os.environ.get("FULL") == "1":
        # a diff_id that is another than the layer's is decoded; that it is wrong is for --deep to find
        return [case for kind in kinds for case in kind if str(case) != "rootfs.diff_ids: list of texts"]
    return [case for kind in kinds for case in random.Random(11).sample(kind, FEW)]


def write_archive(path: Path, config: bytes) -> Path:
    listing = [{"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}]
    members = [("config.json", config), ("layer.tar", LAYER), ("manifest.json", json.dumps(listing).encode())]
    path.write_bytes(make_tar(members))
    return path


def succeeds(client: Client, *arguments: str) -> bool:
    command = [*client.command, *arguments]
    return subprocess.run(command, capture_output=True, env={**os.environ, **client.env}, timeout=120).returncode == 0


@pytest.mark.parametrize("fixture", DAEMONS)
def test_a_daemon_makes_a_container_of_what_check_lets_pass(
    request: pytest.FixtureRequest, fixture: str, tmp_path: Path
) -> None:
    client: Client = request.getfixturevalue(fixture)
    wrong, refused = [], 0
    for case in cases():
        archive = write_archive(tmp_path / "odd.tar", case.raw)
        loads = succeeds(client, "load", "--input", str(archive))
        runs = loads and succeeds(client, "create", "--name", "occy-fast-odd", "--network", "none", NAME, "/nothing")
        succeeds(client, "rm", "--force", "occy-fast-odd")
        succeeds(client, "rmi", "--force", NAME)
        report = occy_fast.check(archive, [DAEMONS[fixture]])
        found = report.errors
        said = (not any(one.rule != "config-run" for one in found), not found)
        refused += not runs
        if fixture.startswith("podman") and case.value == "huge exponent nobody reads":
            assert not report.ok                         # it decodes once more, with another parser; this library
            continue                                     # does not read it either, and says that much
        if said != (loads, runs):
            wrong.append((str(case), loads, runs, found))
    assert not wrong
    assert refused


def test_skopeo_copies_what_check_lets_pass(skopeo: Client, tmp_path: Path) -> None:
    wrong = []
    for number, case in enumerate(cases()):
        archive = write_archive(tmp_path / "odd.tar", case.raw)
        copied = succeeds(skopeo, "copy", f"docker-archive:{archive}", f"dir:{tmp_path / str(number)}")
        becomes_oci = copied and succeeds(skopeo, "copy", f"docker-archive:{archive}", f"oci:{tmp_path / 'oci'}:odd")
        findings = occy_fast.check(archive, ["skopeo-1.9.3"]).findings
        errors = [one for one in findings if one.severity == "error"]
        if (not errors, not findings) != (copied, becomes_oci):
            wrong.append((str(case), copied, becomes_oci, findings))
    assert not wrong
