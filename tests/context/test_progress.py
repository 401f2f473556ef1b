"""What a caller is told while a call runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast.context.progress import LayerProgress, Progress, Reporter
from occy_fast.image.blob import Blob
from occy_fast.image.image import Layer
from occy_fast.spec.encoding import Encoding
from support.fake_daemon import FakeDaemon
from support.image_builders import docker_archive, legacy_members, make_image, make_tar, oci_layout
from support.piping import piped

WORK = (LayerProgress(Layer(Blob(None, 10, "", None), "", Encoding("none"), None), "copy", "running", 5, 0),)


def phases(seen: list[Progress]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the phases in their order, each once for as long as it lasts."""
    told: list[tuple[str, tuple[str, ...]]] = []
    for progress in seen:
        if not told or told[-1] != (progress.phase, progress.waits_for):
            told.append((progress.phase, progress.waits_for))
    return told


def test_a_phase_repeats_what_was_said_of_layers() -> None:
    seen: list[Progress] = []
    report = Reporter(seen.append)
    report.phase("layers", "source")
    report.layers(WORK)
    report.phase("publish", "destination")
    assert seen == [
        Progress((), "layers", ("source",)),
        Progress(WORK, "layers", ("source",)),
        Progress(WORK, "publish", ("destination",)),
    ]


def test_nobody_has_to_watch() -> None:
    report = Reporter(None)
    assert not report.is_watched
    report.phase("read")
    report.layers(WORK)


def test_a_file_is_probed_moved_and_published(tmp_path: Path) -> None:
    docker_archive(tmp_path / "a.tar", [make_image("a", "b")])
    seen: list[Progress] = []
    occy_fast.convert(str(tmp_path / "a.tar"), f"oci:{tmp_path}/out", progress=seen.append)
    assert phases(seen) == [("probe", ()), ("layers", ()), ("documents", ()), ("publish", ())]
    assert seen[-1].source == seen[-1].total > 0


def test_a_pipe_is_waited_for(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "a.tar", [make_image("a", "b")])
    seen: list[Progress] = []
    with piped(tmp_path / "pipe", path.read_bytes()) as pipe:
        occy_fast.verify(str(pipe), progress=seen.append)
    assert phases(seen)[:2] == [("read", ("source",)), ("layers", ("source",))]
    assert seen[0].layers == ()


def test_layers_that_are_read_for_the_plan_are_watched_too(tmp_path: Path) -> None:
    """An archive from before Docker 1.10 names no diff_ids."""
    (tmp_path / "a.tar").write_bytes(make_tar(legacy_members(True)))
    seen: list[Progress] = []
    occy_fast.inspect(tmp_path / "a.tar", progress=seen.append)
    assert [state.kind for state in seen[-1].layers] == ["read"] * 3
    assert phases(seen) == [("read", ())]


@pytest.mark.parametrize("work", ["verify", "convert into"])
def test_a_daemon_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    image = make_image("a", "b")
    seen: list[Progress] = []
    with FakeDaemon(tmp_path) as fake:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{fake.path}")
        fake.add(image.config, image.tars, "app:1")
        if work == "verify":
            occy_fast.verify("docker-daemon:app:1", progress=seen.append)
            expected: list[Any] = [("connect", ("source",)), ("layers", ("source",)), ("layers", ())]
        else:
            oci_layout(tmp_path / "o", [make_image("c")])
            occy_fast.convert(f"oci:{tmp_path}/o", "docker-daemon:b:1", progress=seen.append)
            expected = [("probe", ()), ("connect", ("destination",))]
            expected += [(phase, ("destination",)) for phase in ("layers", "documents", "publish")]
    told = phases(seen)
    assert [each for each in told if each in expected] == told
    assert told[-1] == expected[-1]
