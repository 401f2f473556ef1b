from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from occy_fast.cli import main
from support.fake_daemon import FakeDaemon, hang
from support.image_builders import make_image, oci_layout


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with tempfile.TemporaryDirectory(prefix="occy-", dir="/tmp") as directory, FakeDaemon(Path(directory)) as fake:
        yield fake


def test_the_exit_code_of_a_daemon_that_hangs(
    daemon: FakeDaemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.faults.append(hang)
    layout = oci_layout(tmp_path / "layout", [make_image("a")])
    options = ["--socket", f"unix://{daemon.path}", "--timeout", "0.2", "--retries", "1", "--retry-delay", "0"]
    assert main(["convert", f"oci:{layout}", "docker-daemon:app:1", *options, "--json"]) == 7
    error = json.loads(capsys.readouterr().err.splitlines()[-1])["error"]
    assert error["name"] == "DaemonError"
    assert "no sign of life for 0.2 s" in error["problem"]
    assert daemon.requests == ["GET /_ping"] * 2


def test_inspect_and_verify_take_the_same_options(
    daemon: FakeDaemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = make_image("a")
    daemon.add(image.config, image.tars, "app:1")
    for command in ("inspect", "verify"):
        assert main([command, "docker-daemon:app:1", "--socket", daemon.path]) == 0
        assert main([command, "docker-daemon:none:1", "--socket", daemon.path]) == 3
        assert main([command, "docker-daemon:app:1", "--socket", f"{tmp_path}/none"]) == 7
    for name, socket, code in (("app:1", daemon.path, 0), ("none:1", daemon.path, 3), ("app:1", f"{tmp_path}/none", 7)):
        assert main(["check", f"docker-daemon:{name}", "--target", "docker-20.10.24", "--socket", socket]) == code


@pytest.mark.parametrize(
    "options",
    [
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--retries", "-1"],
        ["--retry-delay", "-1"],
        ["--socket", ""],
        ["--socket", "ftp://x"],
        ["--tag", "UPPER"],
    ],
)
def test_what_cannot_be_meant(options: list[str], tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "layout", [make_image("a")])
    assert main(["convert", f"oci:{layout}", "docker-daemon:app:1", *options]) == 2


def test_one_socket_is_not_two_daemons(daemon: FakeDaemon) -> None:
    assert main(["convert", "docker-daemon:a:1", "podman:a:1", "--socket", daemon.path]) == 2
