from __future__ import annotations

import gzip
import pickle
import socket
from pathlib import Path

import pytest

import occy_fast
from occy_fast.context.access import Access
from occy_fast.errors import BadReference, DaemonError, PlanStale, Unsupported
from occy_fast.planning.steps import Copy, Skip
from support.daemon_images import BRIEF, image_id, layout
from support.fake_daemon import FAULTS, FakeDaemon, hang_up
from support.image_builders import docker_archive, make_image, make_layer, sha256
from support.piping import piped


@pytest.mark.parametrize("transport", ["docker-daemon", "podman"])
@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_an_image_is_loaded_under_its_own_id(daemon: FakeDaemon, tmp_path: Path, codec: str, transport: str) -> None:
    daemon.libpod = "4.3.1" if transport == "podman" else ""
    image = make_image("a", "b", "a", codec=codec)
    result = occy_fast.convert(layout(tmp_path, image), f"{transport}:app:1")
    assert daemon.names() == {"app:1": image_id(image)}
    assert str(result.digest) == str(result.config_digest) == image_id(image)
    assert result.names == ("docker.io/library/app:1",)
    recoded = codec == "zstd" and transport == "docker-daemon"
    assert {layer.kind for layer in result.layers} == {"recode" if recoded else "copy"}
    assert daemon.loads == [["layer-1", "layer-2", f"{sha256(image.config)}.json", "manifest.json"]]


def test_a_daemon_that_reads_zstd_gets_it(daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.api = "1.42"
    result = occy_fast.convert(layout(tmp_path, make_image("a", codec="zstd")), "docker-daemon:app:1")
    assert [layer.kind for layer in result.layers] == ["copy"]


def test_only_layers_that_are_not_there_are_sent(daemon: FakeDaemon, tmp_path: Path) -> None:
    base = make_image("base1", "base2", size=300_000)
    daemon.add(base.config, base.tars, "base:1")
    image = make_image(tars=(*base.tars, make_layer("new", 5000)), codec=["none", "zstd", "gzip"])
    source = layout(tmp_path, image)
    plan = occy_fast.plan(source, "docker-daemon:app:1")
    assert [type(step) for step in plan.roots[0].root.steps] == [Skip, Skip, Copy]
    assert "unpacked there already" in plan.explain()
    occy_fast.execute(pickle.loads(pickle.dumps(plan)))
    assert daemon.names() == {"base:1": image_id(base), "app:1": image_id(image)}
    assert daemon.received < 10_000
    assert daemon.loads == [["layer-1", f"{sha256(image.config)}.json", "manifest.json"]]


def test_a_layer_counts_only_upon_the_same_layers(daemon: FakeDaemon, tmp_path: Path) -> None:
    """What is unpacked is a stack: the same tar upon another one is another layer to a daemon."""
    there = make_image("one", "two", "three")
    daemon.add(there.config, there.tars, "there:1")
    image = make_image(tars=(there.tars[0], there.tars[2], there.tars[1]))
    plan = occy_fast.plan(layout(tmp_path, image), "docker-daemon:app:1")
    assert [type(step) for step in plan.roots[0].root.steps] == [Skip, Copy, Copy]
    occy_fast.execute(plan)
    assert daemon.names()["app:1"] == image_id(image)


def test_podman_gets_every_layer(daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.libpod = "4.3.1"
    image = make_image()
    daemon.add(image.config, image.tars, "app:0")
    result = occy_fast.convert(layout(tmp_path, image), "docker-daemon:app:1")
    assert [layer.kind for layer in result.layers] == ["copy", "copy"]


def test_a_layer_that_is_gone_since_the_plan(daemon: FakeDaemon, tmp_path: Path) -> None:
    image = make_image()
    there = daemon.add(image.config, image.tars, "app:0")
    plan = occy_fast.plan(layout(tmp_path, image), "docker-daemon:app:1")
    del daemon.images[there]
    with pytest.raises(PlanStale):
        occy_fast.execute(plan)
    assert not daemon.loads


def test_an_archive_that_comes_by_once(daemon: FakeDaemon, tmp_path: Path) -> None:
    image = make_image("a", "b", codec=["gzip", "zstd"])
    whole = tmp_path / "a.tar.gz"
    whole.write_bytes(gzip.compress(docker_archive(tmp_path / "a.tar", [image]).read_bytes()))
    occy_fast.convert(str(whole), "docker-daemon:app:1")
    assert daemon.names() == {"app:1": image_id(image)}


@pytest.mark.parametrize("name", ["4a4a55d984a7", "a" * 63, "sha256:4a4a55d984a7", "a" * 64])
def test_an_id_is_no_name(daemon: FakeDaemon, tmp_path: Path, name: str) -> None:
    """It would be taken for the name from then on, and another image for the one with that id."""
    source = layout(tmp_path, make_image())
    with pytest.raises(BadReference):
        occy_fast.convert(source, f"docker-daemon:{name}")
    assert not daemon.images
    if len(name) < 64 and ":" not in name:
        occy_fast.convert(source, f"docker-daemon:{name}:1")


def test_what_a_daemon_cannot_hold(daemon: FakeDaemon, tmp_path: Path) -> None:
    source = layout(tmp_path, make_image())
    with pytest.raises(Unsupported):
        occy_fast.convert(source, "docker-daemon:app:1", encoding="zstd")
    with pytest.raises(Unsupported):
        occy_fast.convert(source, f"oci:{tmp_path}/out", tags=["a:1"])


@pytest.mark.parametrize("kind", ["hangs", "hangs up", "talks rubbish", "answers no JSON"])
@pytest.mark.parametrize("path", ["/_ping", "/info", "/images/json"])
def test_a_daemon_that_fails_when_it_is_asked(daemon: FakeDaemon, tmp_path: Path, kind: str, path: str) -> None:
    fault, words = FAULTS[kind]
    daemon.faults.append(lambda fake, asked: asked.path == path and fault(fake, asked))
    with pytest.raises(DaemonError) as caught:
        occy_fast.convert(layout(tmp_path, make_image()), "docker-daemon:app:1", access=BRIEF)
    assert words in caught.value.problem
    assert not daemon.images


def test_what_fails_in_passing_is_tried_again(daemon: FakeDaemon, tmp_path: Path) -> None:
    failures = [hang_up, hang_up]
    daemon.faults.append(
        lambda fake, asked: asked.path.endswith("/load") and bool(failures) and failures.pop()(fake, asked)
    )
    source, image = layout(tmp_path, make_image()), make_image()
    with pytest.raises(DaemonError):
        occy_fast.convert(source, "docker-daemon:app:1", access=Access(retries=0, retry_delay=0))
    failures.append(hang_up)
    occy_fast.convert(source, "docker-daemon:app:1", access=Access(retries=2, retry_delay=0))
    assert daemon.names() == {"app:1": image_id(image)}
    assert daemon.requests.count("POST /images/load") == 4


@pytest.mark.parametrize("piped_in", [False, True])
def test_a_compressed_archive_can_be_read_again_and_a_pipe_cannot(
    daemon: FakeDaemon, tmp_path: Path, piped_in: bool
) -> None:
    image, failures = make_image(), [hang_up]
    daemon.faults.append(
        lambda fake, asked: asked.path.endswith("/load") and bool(failures) and failures.pop()(fake, asked)
    )
    raw = gzip.compress(docker_archive(tmp_path / "a.tar", [image]).read_bytes())
    (tmp_path / "a.tar.gz").write_bytes(raw)
    access = Access(retries=2, retry_delay=0)
    if piped_in:
        with piped(tmp_path / "pipe", raw) as pipe, pytest.raises(DaemonError):
            occy_fast.convert(str(pipe), "docker-daemon:app:1", access=access)
        assert daemon.requests.count("POST /images/load") == 1
    else:
        occy_fast.convert(str(tmp_path / "a.tar.gz"), "docker-daemon:app:1", access=access)
        assert daemon.names() == {"app:1": image_id(image)}


def test_an_old_daemon(daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.api = "1.12"
    with pytest.raises(Unsupported) as caught:
        occy_fast.convert(layout(tmp_path, make_image()), "docker-daemon:app:1")
    assert "1.12" in str(caught.value)


def test_nobody_listens(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "s"))
    dead.close()
    for path, problem in ((tmp_path / "s", "nobody listens"), (tmp_path / "none", "no socket")):
        with pytest.raises(DaemonError) as caught:
            occy_fast.convert(
                layout(tmp_path / problem, make_image()), "docker-daemon:app:1", access=Access(socket=str(path))
            )
        assert problem in caught.value.problem


def test_a_plan_reaches_a_relative_socket_from_elsewhere(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = layout(tmp_path, make_image("a"))
    monkeypatch.chdir(Path(daemon.path).parent)
    plan = occy_fast.plan(source, "docker-daemon:app:1", access=Access("d.sock"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOCKER_HOST")
    occy_fast.execute(pickle.loads(pickle.dumps(plan)))
    assert list(daemon.names()) == ["app:1"]
