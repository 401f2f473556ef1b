"""What check quotes of a consumer, before it is asked, is what that one says."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import occy_fast
from support.consumers import Client
from support.image_builders import archive_members, dumps, make_image, make_tar
from support.refused_archives import REFUSED, write_refused

pytestmark = pytest.mark.interop

CONSUMERS = {
    "docker": "docker-20.10",
    "docker26": "docker-25-graphdriver",
    "docker26_containerd": "docker-25-containerd",
    "podman": "podman-4.3",
}


def load(client: Client, archive: Path) -> tuple[bool, str]:
    command = [*client.command, "load", "--input", str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **client.env}, timeout=120)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_what_is_quoted_is_what_it_says(
    request: pytest.FixtureRequest, tmp_path: Path, consumer: str, name: str
) -> None:
    client: Client = request.getfixturevalue(consumer)
    archive = write_refused(tmp_path, name)
    kept = client.ids()
    loaded, said = load(client, archive)
    for image_id in client.ids() - kept:
        client("rmi", "--force", image_id.removeprefix("sha256:"))
    report = occy_fast.check(str(archive), [CONSUMERS[consumer]])
    assert loaded != bool(report.errors), said
    said = re.sub(r"/\S*?/tmp/docker-import-\d+", "<root>/tmp/docker-import-N", said)
    quoted = [finding.says for finding in report.errors if finding.says]
    assert loaded or quoted
    assert all(words in said for words in quoted[:1]), (quoted, said)


@pytest.mark.parametrize("listed", ["{}", "/{}", "./{}", "x/../{}"])
@pytest.mark.parametrize("member", ["{}", "/{}", "./{}", "../{}", "x/../{}"])
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_check_knows_how_it_finds_a_member_by_its_name(
    request: pytest.FixtureRequest, tmp_path: Path, consumer: str, member: str, listed: str
) -> None:
    client: Client = request.getfixturevalue(consumer)
    members = dict(archive_members([make_image("spelled", names=("example.com/spelled:1",))]))
    (item,) = json.loads(members["manifest.json"])
    (layer,) = item["Layers"]
    members["manifest.json"] = dumps([{**item, "Layers": [listed.format(layer)]}])
    archive = tmp_path / "a.tar"
    archive.write_bytes(make_tar([(member.format(layer), members.pop(layer)), *members.items()]))
    kept = client.ids()
    loaded, said = load(client, archive)
    for image_id in client.ids() - kept:
        client("rmi", "--force", image_id.removeprefix("sha256:"))
    report = occy_fast.check(str(archive), [CONSUMERS[consumer]])
    assert loaded != bool(report.errors), said
    assert occy_fast.convert(str(archive), f"docker-archive:{tmp_path}/b.tar", target=CONSUMERS[consumer])
    assert occy_fast.check(f"{tmp_path}/b.tar", [CONSUMERS[consumer]]).ok
