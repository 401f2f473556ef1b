"""`inspect` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from occy_fast.cli import main
from support.commands import answer
from support.image_builders import docker_archive, make_image, oci_layout, sha256


def test_a_block_per_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = make_image("a", "b", codec="gzip"), make_image("c")
    layout = oci_layout(tmp_path / "in", [one, other], ["first", "second"])
    lines = answer(capsys, "inspect", f"oci:{layout}").splitlines()
    assert lines[0] == f"oci:{layout} (oci)"
    assert [line.split(",")[0] for line in lines if "linux/amd64" in line] == ["first", "second"]
    assert sum(line.split()[1:2] == ["gzip"] for line in lines) == 2
    digests = answer(capsys, "inspect", f"oci:{layout}", "--quiet").split()
    assert digests == [f"sha256:{sha256(image.manifest)}" for image in (one, other)]


def test_what_an_archive_does_not_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image("a", codec="gzip", names=["app:1"])], "B")
    lines = answer(capsys, "inspect", str(archive)).splitlines()
    assert "  manifest  -" in lines
    assert answer(capsys, "inspect", str(archive), "--quiet") == "-\n"
    assert json.loads(answer(capsys, "inspect", str(archive), "--json"))["images"][0]["layers"][0]["digest"] is None


def test_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", f"oci:{tmp_path}/absent"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "absent" in err
