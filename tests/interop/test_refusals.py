"""What check quotes of a consumer, before it is asked, is what that one says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

import occy_fast
from support.consumers import Client
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
