"""Every archive is scanned once in a call, whatever is asked of it."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast.transports.archive import file, stream
from support.image_builders import docker_archive, make_image, oci_archive, oci_layout
from support.piping import piped

TARGET = "docker-20.10"

# What is called, and how often it may read a stream: a plan does not touch one.
CALLS: dict[str, tuple[Callable[[str, Path], object], int]] = {
    "plan": (lambda source, out: occy_fast.plan(source, f"oci:{out}"), 0),
    "plan for a target": (lambda source, out: occy_fast.plan(source, f"docker-archive:{out}", target=TARGET), 0),
    "convert": (lambda source, out: occy_fast.convert(source, f"oci:{out}"), 1),
    "convert for a target": (lambda source, out: occy_fast.convert(source, f"docker-archive:{out}", target=TARGET), 1),
    "check": (lambda source, _: occy_fast.check(source, [TARGET]), 1),
    "deep check": (lambda source, _: occy_fast.check(source, [TARGET, "podman-4.3"], deep=True), 1),
    "inspect": (lambda source, _: occy_fast.inspect(source), 1),
    "verify": (lambda source, _: occy_fast.verify(source), 1),
}


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the scans of files and of streams."""
    counted: Counter[str] = Counter()

    def count(module: Any, name: str) -> None:
        scan = getattr(module, name)

        def counting(*rest: Any, **more: Any) -> Any:
            counted[name] += 1
            return scan(*rest, **more)

        monkeypatch.setattr(module, name, counting)

    count(file, "scan_region")
    count(stream, "TarStream")
    return counted


@pytest.fixture(params=["docker", "oci"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    built = [make_image("a", "b", names=["a:1"])]
    if request.param == "docker":
        return docker_archive(tmp_path / "in.tar", built)
    return oci_archive(tmp_path / "in.tar", oci_layout(tmp_path / "in", built))


@pytest.mark.parametrize("name", CALLS)
def test_of_a_file(archive: Path, tmp_path: Path, scans: Counter[str], name: str) -> None:
    call, _ = CALLS[name]
    call(str(archive), tmp_path / "out")
    assert scans == {"scan_region": 1}


@pytest.mark.parametrize("name", CALLS)
def test_of_a_compressed_file(archive: Path, tmp_path: Path, scans: Counter[str], name: str) -> None:
    (tmp_path / "in.tar.gz").write_bytes(gzip.compress(archive.read_bytes()))
    call, times = CALLS[name]
    call(str(tmp_path / "in.tar.gz"), tmp_path / "out")
    assert +scans == +Counter(TarStream=times)


@pytest.mark.parametrize("name", CALLS)
def test_of_a_pipe(archive: Path, tmp_path: Path, scans: Counter[str], name: str) -> None:
    call, times = CALLS[name]
    with piped(tmp_path / "pipe", archive.read_bytes() if times else b"") as pipe:
        call(str(pipe), tmp_path / "out")
    assert +scans == +Counter(TarStream=times)
