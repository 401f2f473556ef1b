"""`check`, `targets` and `convert --target` on the command line."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from occy_fast.cli import main
from support.commands import SAYS, answer
from support.image_builders import docker_archive, make_image, oci_layout

COMMAND = [sys.executable, "-m", "occy_fast"]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "COLUMNS": "100"}


@pytest.fixture(autouse=True)
def in_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    docker_archive(tmp_path / "app.tar", [make_image(codec="zstd")])
    return tmp_path


def test_findings_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    text = answer(capsys, "check", "app.tar", "--target", "docker-20.10.24", "-t", "podman-4.3", code=10)
    assert text == (
        "app.tar\n"
        "docker-20.10.24 (as docker-20.10): it will fail\n"
        "  error    zstd-layer: layers 1-2: zstd\n"
        f"           it says: {SAYS}\n"
        "  mend:    occy-fast convert app.tar docker-archive:app-docker-20.10.24.tar --target docker-20.10.24\n"
        "  next:    docker load -i app-docker-20.10.24.tar\n"
        "podman-4.3: nothing in the way\n"
        "headers and documents were read; --deep reads the layers as well\n"
    )


def test_findings_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(answer(capsys, "check", "app.tar", "-t", "docker-20.10", "--json", code=10))
    assert (document["schema"], document["exit_code"], document["unread"]) == (1, 10, None)
    assert document["findings"][1] == {
        "target": "docker-20.10",
        "rule": "zstd-layer",
        "severity": "error",
        "place": "layer 2",
        "location": {"part": "layer", "number": 2},
        "problem": "zstd",
        "says": SAYS,
        "sources": ["tested"],
        "mend": "occy-fast convert app.tar docker-archive:app-docker-20.10.tar --target docker-20.10",
    }


def test_quiet_is_the_exit_code_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "check", "app.tar", "-t", "docker-20.10", "--quiet", code=10) == ""
    assert answer(capsys, "check", "app.tar", "-t", "docker-29", "--quiet") == ""


def test_what_is_not_known_is_a_remark(capsys: pytest.CaptureFixture[str]) -> None:
    text = answer(capsys, "check", "app.tar", "-t", "nomad")
    assert text.splitlines()[1:] == [
        "nomad: nothing is known to be in the way",
        "not known: whether nomad reads it: zstd-layer: layers 1-2: zstd",
        "headers and documents were read; --deep reads the layers as well",
    ]


def test_a_terminal_gets_a_table_in_colours() -> None:
    primary, secondary = pty.openpty()
    command = [*COMMAND, "check", "app.tar", "--target", "docker-20.10.24"]
    with subprocess.Popen(command, stdout=secondary, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        os.close(secondary)
        out = b""
        while piece := _read(primary):
            out += piece
        assert process.wait() == 10
    os.close(primary)
    assert b"\x1b[1;31merror" in out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.decode())
    assert "zstd-layer" in plain
    assert "occy-fast convert app.tar docker-archive:app-docker-20.10.24.tar --target docker-20.10.24\r\n" in plain


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except OSError:
        return b""


def test_an_unknown_target_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (("check", "app.tar"), ("convert", "app.tar", "oci:out")):
        assert main([*arguments, "--target", "dokcer-20.10"]) == 2
        assert "known: docker-20.10" in capsys.readouterr().err
    assert main(["check", "app.tar"]) == 2
    assert "needs --target" in capsys.readouterr().err


def test_convert_for_a_target_leaves_nothing_to_find(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["convert", "app.tar", "docker-archive:out.tar", "--target", "docker-20.10.24"]) == 0
    out, err = capsys.readouterr()
    assert "zstd-layer: layers 1-2, for docker-20.10.24" in err
    assert "zstd -> none" in out or "recode" in out
    assert answer(capsys, "check", "out.tar", "-t", "docker-20.10.24", "--deep") == (
        "out.tar\ndocker-20.10.24 (as docker-20.10): nothing in the way\n"
    )


def test_a_plan_for_a_target_says_why(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    oci_layout(tmp_path / "in", [make_image(codec="zstd")], ["v1"])
    text = answer(capsys, "convert", "oci:in:v1", "oci:out:v1", "--target", "docker-20.10", "--dry-run")
    assert "zstd -> gzip:2" in text
    assert f"note: zstd-layer: layers 1-2, for docker-20.10, which says: failed to register layer: {SAYS}" in text
    document = json.loads(
        answer(capsys, "convert", "oci:in:v1", "oci:out:v1", "--target", "docker-20.10", "--dry-run", "--json")
    )
    assert document["goal"]["target"] == "docker-20.10"


def test_convert_takes_one_target(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["convert", "app.tar", "docker-archive:out.tar", "--target", "docker-20.10", "--target", "podman-4.3"]
    assert main(words) == 2
    assert "--target is given 2 times, and takes one" in capsys.readouterr().err
    assert not (tmp_path / "out.tar").exists()
