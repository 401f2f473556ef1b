from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from occy_fast.cli import main
from occy_fast.cli.build_names import is_verbose, repository_name
from support.fake_daemon import FakeDaemon
from support.image_builders import make_image, oci_layout, sha256


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with tempfile.TemporaryDirectory(prefix="occy-", dir="/tmp") as directory, FakeDaemon(Path(directory)) as fake:
        yield fake


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "ghcr.io/local/nanna-coder/app:1"),
        ({"CONTAINER_REGISTRY": "", "GITHUB_REPOSITORY": ""}, "ghcr.io/local/nanna-coder/app:1"),
        ({"CONTAINER_REGISTRY": "quay.io"}, "quay.io/local/nanna-coder/app:1"),
        ({"GITHUB_REPOSITORY": "Some-One/Fork"}, "ghcr.io/some-one/fork/app:1"),
    ],
)
def test_what_a_build_calls_its_images(environ: dict[str, str], expected: str) -> None:
    assert repository_name("app:1", environ) == expected


def test_a_fork_loads_under_names_of_its_own(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_REPOSITORY", "Me/Fork")
    monkeypatch.setenv("CONTAINER_LOAD_VERBOSE", "true")
    image = make_image("a")
    layout = oci_layout(tmp_path / "layout", [image])
    options = ["--socket", daemon.path, "--repository-tag", "app", "--tag", "more:1"]
    assert main(["convert", f"oci:{layout}", "docker-daemon:app:1", *options]) == 0
    image_id = "sha256:" + sha256(image.config)
    assert daemon.names() == dict.fromkeys(("app:1", "more:1", "ghcr.io/me/fork/app:latest"), image_id)
    told = capsys.readouterr()
    assert f"image id  {image_id}" in told.out
    assert "\ndigest " not in told.out                   # what is loaded has no manifest that could be asked for
    assert "docker 20.10.24, API 1.41" in told.err


def test_only_true_is_verbose() -> None:
    assert is_verbose({"CONTAINER_LOAD_VERBOSE": "true"})
    for environ in ({}, {"CONTAINER_LOAD_VERBOSE": ""}, {"CONTAINER_LOAD_VERBOSE": "false"}):
        assert not is_verbose(environ)
