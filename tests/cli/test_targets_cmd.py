"""`targets` on the command line."""

from __future__ import annotations

import json
import re

import pytest

from support.commands import SAYS, answer


def test_targets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = answer(capsys, "targets").splitlines()
    assert len(lines) == 43
    assert any(line.split()[:6] == ["docker-20.10", "runtime", "20.10", "to", "before", "23.0"] for line in lines)
    assert answer(capsys, "targets", "--quiet").splitlines()[0] == "docker-1.10"
    document = json.loads(answer(capsys, "targets", "--json"))
    assert len(document["targets"]) == 42
    one = json.loads(answer(capsys, "targets", "docker-20.10.24", "--json"))["targets"]
    assert [target["row"] for target in one] == ["docker-20.10"]
    cell = one[0]["features"]["load.docker_archive_zstd"]
    assert cell == {"answer": "no", "error": SAYS, "sources": ["tested"]}
    assert set(cell["sources"]) <= set(document["sources"])
    text = answer(capsys, "targets", "docker-20.10.24")
    assert re.search(r"load\.docker_archive_zstd +no +tested +Error processing", text)
