"""What a daemon is sent, in which order, and what is put back when it fails."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import DaemonError, DigestMismatch
from occy_fast.planning.steps import Copy, Recode
from support.daemon_images import layout
from support.fake_daemon import Exchange, FakeDaemon
from support.image_builders import make_image, make_layer, sha256
from support.opening import open_destination


def test_no_temporary_file_where_sizes_are_known(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    original = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *a, **k: made.append(a) or original(*a, **k))
    occy_fast.convert(layout(tmp_path, make_image("a", "b", codec="gzip")), "docker-daemon:app:1")
    assert not made
    plan = occy_fast.plan(layout(tmp_path / "z", make_image("c", "d", codec="zstd")), "docker-daemon:app:2")
    assert "2 recoded layers in temporary files without a name" in plan.explain()
    occy_fast.execute(plan)
    assert len(made) == 2


def test_a_false_layer_ends_the_load(daemon: FakeDaemon, tmp_path: Path) -> None:
    image = make_image("a", "b")
    source = layout(tmp_path, image)
    blob = tmp_path / "layout" / "blobs" / "sha256" / sha256(image.tars[1])
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(DigestMismatch):
        occy_fast.convert(source, "docker-daemon:app:1")
    assert not daemon.images
    assert not daemon.loads


def test_what_is_given_up_midway_stays_so(daemon: FakeDaemon) -> None:
    with open_destination("docker-daemon:app:1").stage() as stage:
        sink = stage.open_blob(3000)
        sink.write(b"x" * 1000)
        sink.abort()
        with pytest.raises(RuntimeError):
            stage.open_blob(10).write(b"y")
    assert not daemon.loads


# ------------------------------------------------------------------------------------------------------ failures


def test_podman_refuses_in_its_own_way(daemon: FakeDaemon, tmp_path: Path) -> None:
    def refuse(fake: FakeDaemon, asked: Exchange) -> bool:
        if asked.path.endswith("/load"):
            for _ in asked.body():
                pass
            asked.say_json(500, {"cause": "no image", "message": "payload does not match any of the formats"})
        return asked.path.endswith("/load")

    daemon.libpod = "4.3.1"
    daemon.faults.append(refuse)
    with pytest.raises(DaemonError) as caught:
        occy_fast.convert(layout(tmp_path, make_image()), "podman:app:1")
    assert caught.value.status == 500
    assert "payload does not match" in caught.value.problem


def test_several_recodings_of_the_same_tar_are_sent_once(daemon: FakeDaemon, tmp_path: Path) -> None:
    tar = make_layer("same")
    image = make_image(tars=(tar, tar), codec=["zstd", "none"])
    plan = occy_fast.plan(layout(tmp_path, image), "docker-daemon:app:1")
    assert [type(step) for step in plan.steps] == [Copy, Recode]
    occy_fast.execute(plan)
    assert daemon.loads == [["layer-1", f"{sha256(image.config)}.json", "manifest.json"]]
