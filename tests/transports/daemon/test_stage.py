"""What a daemon is sent, in which order, and what is put back when it fails."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import DaemonError, DigestMismatch
from occy_fast.planning.steps import Copy, Recode
from support.daemon_images import BRIEF, image_id, layout
from support.fake_daemon import FAULTS, Exchange, FakeDaemon
from support.image_builders import docker_archive, make_image, make_layer, sha256
from support.opening import open_destination


def test_layers_without_digest(daemon: FakeDaemon, tmp_path: Path) -> None:
    """An archive does not say the digest of a gzip layer: it is known when the layer has gone by."""
    base = make_image("a")
    daemon.add(base.config, base.tars, "base:1")
    image = make_image("a", "b", codec="gzip")
    archive = docker_archive(tmp_path / "a.tar", [image])
    result = occy_fast.convert(f"docker-archive:{archive}", "docker-daemon:")
    assert [layer.kind for layer in result.layers] == ["skip", "copy"]
    assert daemon.names() == {"base:1": image_id(base), "app:1": image_id(image)}


def test_several_images_and_names(daemon: FakeDaemon, tmp_path: Path) -> None:
    one, two = make_image("a", names=("a:1", "x.io/a:2")), make_image("b", names=("b:1",))
    archive = docker_archive(tmp_path / "a.tar", [one, two])
    occy_fast.convert(f"docker-archive:{archive}", "docker-daemon:")
    assert daemon.names() == {"a:1": image_id(one), "x.io/a:2": image_id(one), "b:1": image_id(two)}
    occy_fast.convert(f"docker-archive:{archive}:b:1", "docker-daemon:c:1", tags=["d", "x.io/e:3"])
    assert {name for name, found in daemon.names().items() if found == image_id(two)} == {
        "b:1",
        "c:1",
        "d:latest",
        "x.io/e:3",
    }


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


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("size", [3000, 3_000_000])
def test_a_daemon_that_fails_while_it_loads(daemon: FakeDaemon, tmp_path: Path, kind: str, size: int) -> None:
    fault, words = FAULTS[kind]
    before = make_image("before")
    daemon.add(before.config, before.tars, "app:1")
    image = make_image("a", "b", size=size)
    source = layout(tmp_path, image)
    daemon.faults.append(lambda fake, asked: asked.path.endswith("/load") and fault(fake, asked))
    with pytest.raises(DaemonError) as caught:
        occy_fast.convert(source, "docker-daemon:app:1", tags=["more:1"], access=BRIEF)
    assert caught.value.exit_code == 7
    assert words in caught.value.problem
    assert daemon.names() == {"app:1": image_id(before)}
    assert set(daemon.images) == {image_id(before)}


def test_a_daemon_that_says_all_is_well_and_does_nothing(daemon: FakeDaemon, tmp_path: Path) -> None:
    def ignore(fake: FakeDaemon, asked: Exchange) -> bool:
        if asked.path.endswith("/load"):
            for _ in asked.body():
                pass
            asked.say(200, b'{"stream":"Loaded image: app:1\\n"}\r\n')
        return asked.path.endswith("/load")

    daemon.faults.append(ignore)
    with pytest.raises(DaemonError) as caught:
        occy_fast.convert(layout(tmp_path, make_image()), "docker-daemon:app:1")
    assert "has not loaded" in caught.value.problem


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
