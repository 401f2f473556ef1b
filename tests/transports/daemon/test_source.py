from __future__ import annotations

import errno
import io
import logging
import os
import socket
import tarfile
import tempfile
from pathlib import Path

import pytest

import occy_fast
from occy_fast.context.access import Access
from occy_fast.errors import DaemonError, OccyError, ResourceError, Unsupported
from support.daemon_images import config_in, contents_of, put
from support.fake_daemon import Exchange, FakeDaemon
from support.image_builders import archive_members, make_image, make_tar, sha256
from support.leaks import nothing_left


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
@pytest.mark.parametrize("address", ["unix", "tcp://127.0.0.1:9"])
def test_what_runs_out_here_is_no_failure_of_the_daemon(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, address: str, number: int
) -> None:
    if address != "unix":
        monkeypatch.setenv("DOCKER_HOST", address)

    def refuse(*arguments: object, **more: object) -> socket.socket:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(ResourceError, match="not enough"):
        occy_fast.inspect("docker-daemon:app:1")


@pytest.mark.parametrize("encoding", [None, "gzip", "zstd"])
@pytest.mark.parametrize("transport", ["docker-daemon", "podman"])
def test_an_image_comes_out_as_it_is(daemon: FakeDaemon, tmp_path: Path, transport: str, encoding: str | None) -> None:
    image = make_image("a", "b", "a", size=100_000)
    put(daemon, image, "app:1")
    result = occy_fast.convert(f"{transport}:app:1", f"oci:{tmp_path}/out:x", encoding=encoding)
    assert str(result.config_digest) == "sha256:" + sha256(image.config)
    assert [str(layer.diff_id) for layer in result.layers] == image.diff_ids
    assert config_in(tmp_path / "out") == image.config
    assert not occy_fast.verify(f"oci:{tmp_path}/out").errors


def test_the_name_goes_along_and_an_id_has_none(daemon: FakeDaemon, tmp_path: Path) -> None:
    image = make_image()
    image_id = put(daemon, image, "t5/app:1", "other:2")
    assert occy_fast.convert("docker-daemon:t5/app:1", f"docker-archive:{tmp_path}/a.tar").names == (
        "docker.io/t5/app:1",
    )
    assert occy_fast.convert(f"docker-daemon:{image_id}", f"docker-archive:{tmp_path}/b.tar").names == ()


@pytest.mark.parametrize("era", ["B", "C", "D"])
def test_every_era_that_a_daemon_saves(daemon: FakeDaemon, tmp_path: Path, era: str) -> None:
    codec = ["gzip", "zstd"] if era == "D" else "none"
    image = make_image("a", "b", codec=codec)
    put(daemon, image, "app:1")
    daemon.archive = lambda found, name: make_tar(archive_members([image], era))  # type: ignore[method-assign]
    result = occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out")
    assert str(result.config_digest) == "sha256:" + sha256(image.config)
    assert not occy_fast.verify(f"oci:{tmp_path}/out").errors


def test_an_error_that_is_kept_keeps_no_thread_and_no_socket(daemon: FakeDaemon, tmp_path: Path) -> None:
    put(daemon, make_image(size=3_000_000), "app:1")
    daemon.archive = lambda found, name: os.urandom(3_000_000)  # type: ignore[method-assign]
    with nothing_left(in_time=True):
        with pytest.raises(OccyError) as kept:
            occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out")
        assert kept.value.__traceback__ is not None


def test_no_temporary_file(daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file")

    for name in ("TemporaryFile", "NamedTemporaryFile", "mkstemp", "mkdtemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    put(daemon, make_image("a", "b", size=3_000_000), "app:1")
    occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out", encoding="gzip")


def test_the_plan_says_what_the_daemon_says(daemon: FakeDaemon, tmp_path: Path) -> None:
    image = make_image("a", "b")
    put(daemon, image, "app:1")
    plan = occy_fast.plan("docker-daemon:app:1", f"oci:{tmp_path}/out")
    for diff_id in image.diff_ids:
        assert diff_id in plan.explain()
    assert not [line for line in daemon.requests if line.endswith("/get")]


def test_the_archive_counts_where_the_daemon_said_otherwise(
    daemon: FakeDaemon, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image, other = make_image("a", "b"), make_image("c")
    put(daemon, image, "app:1")
    daemon.archive = lambda found, name: make_tar(archive_members([other]))  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING, "occy_fast"):
        result = occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out")
    assert str(result.config_digest) == "sha256:" + sha256(other.config)
    assert "other layers than were announced" in caplog.text
    assert "other layers than were announced" in result.plan.notes[-1]


def test_from_one_daemon_into_another(daemon: FakeDaemon, tmp_path: Path) -> None:
    image = make_image("a", "b")
    image_id = put(daemon, image, "app:1")
    occy_fast.convert("docker-daemon:app:1", "podman:new/app:2")
    assert daemon.names() == {"app:1": image_id, "new/app:2": image_id}


def test_inspect_and_verify(daemon: FakeDaemon) -> None:
    image = make_image("a", "b")
    put(daemon, image, "app:1")
    shown = occy_fast.inspect("docker-daemon:app:1")
    assert shown.kind == "docker-daemon"
    assert [layer.diff_id for layer in shown.images[0].layers or ()] == image.diff_ids
    assert not occy_fast.verify("docker-daemon:app:1").errors


def test_a_daemon_that_cannot_be_spoken_to_is_no_finding(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    def old(_: FakeDaemon, asked: Exchange) -> bool:
        asked.say(200, b"OK", API_Version="1.20")
        return True

    daemon.faults.append(old)
    for deep in (False, True):
        with pytest.raises(Unsupported):
            occy_fast.check("docker-daemon:app:1", ["docker-20.10"], deep=deep)
    monkeypatch.setenv("DOCKER_HOST", "ssh://host")
    with pytest.raises(Unsupported):
        occy_fast.check("docker-daemon:app:1", ["docker-20.10"])


def test_a_deep_look_takes_one_archive(daemon: FakeDaemon) -> None:
    put(daemon, make_image("a", "b"), "app:1")
    assert occy_fast.check("docker-daemon:app:1", ["docker-20.10"], deep=True).deep
    assert sum(asked.endswith("/get") for asked in daemon.requests) == 1


@pytest.mark.parametrize("command", ["convert", "inspect", "verify", "check", "open_image"])
def test_what_fails_in_passing_is_asked_for_again(daemon: FakeDaemon, tmp_path: Path, command: str) -> None:
    put(daemon, make_image(), "app:1")
    failures = [1, 1]                                    # the first is taken for a connection that grew old
    run = {
        "convert": lambda access: occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out", access=access),
        "inspect": lambda access: occy_fast.inspect("docker-daemon:app:1", access=access),
        "open_image": lambda access: contents_of("docker-daemon:app:1", access=access),
        "verify": lambda access: occy_fast.verify("docker-daemon:app:1", access=access),
        "check": lambda access: occy_fast.check("docker-daemon:app:1", ["docker-20.10"], access=access),
    }[command]

    def hang_up(fake: FakeDaemon, asked: Exchange) -> bool:
        if asked.path.endswith("/get") and failures:
            failures.pop()
            asked.sock.shutdown(socket.SHUT_RDWR)
            return True
        return False

    daemon.faults.append(hang_up)
    with pytest.raises(DaemonError):
        run(Access())
    failures += [1, 1]
    run(Access(retries=1, retry_delay=0))
    assert not failures


def test_the_archive_of_the_fake_is_one(daemon: FakeDaemon) -> None:
    image = make_image("a", "b")
    with tarfile.open(fileobj=io.BytesIO(daemon.archive(put(daemon, image), None))) as tar:
        assert tar.getnames()[-1] == "manifest.json"


def test_what_the_layout_has_is_only_proved(daemon: FakeDaemon, tmp_path: Path) -> None:
    image = make_image("a", "b", "c")
    put(daemon, image, "app:1")
    assert [layer.kind for layer in occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out:1").layers] == [
        "copy",
        "copy",
        "copy",
    ]
    again = occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out:2")
    assert [layer.kind for layer in again.layers] == ["skip", "skip", "skip"]
    assert again.size_out == 0
    assert not occy_fast.verify(f"oci:{tmp_path}/out").errors


def test_what_the_other_daemon_has_is_not_sent(daemon: FakeDaemon, tmp_path: Path) -> None:
    """Both are this one: the image's own layers are there, and only its documents are sent."""
    image_id = put(daemon, make_image("a", "b", size=200_000), "app:1")
    result = occy_fast.convert("docker-daemon:app:1", "docker-daemon:new/app:2")
    assert [layer.kind for layer in result.layers] == ["skip", "skip"]
    assert daemon.received < 10_000
    assert daemon.names() == {"app:1": image_id, "new/app:2": image_id}


def test_an_archive_with_other_layers_under_the_names_that_were_announced(
    daemon: FakeDaemon, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What went by unwritten is needed after all: it is asked for once more."""
    image, other = make_image("a", "b"), make_image("a", "c")
    put(daemon, image, "app:1")
    occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out:1")
    original = daemon.archive
    there = daemon.add(other.config, other.tars, "other:1")
    daemon.archive = lambda found, name: original(there, name)  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING, "occy_fast"):
        result = occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out:2")
    assert "once more" in caplog.text
    assert str(result.config_digest) == "sha256:" + sha256(other.config)
    assert not occy_fast.verify(f"oci:{tmp_path}/out:2").errors


def test_what_a_target_does_not_run_is_found_and_refused(daemon: FakeDaemon, tmp_path: Path) -> None:
    put(daemon, make_image(config_changes={"os": "windows"}), "app:1")
    checked = occy_fast.check("docker-daemon:app:1", ["docker-20.10.24"])
    assert [(finding.rule, str(finding.place)) for finding in checked.errors] == [("windows", "config")]
    with pytest.raises(Unsupported, match=r"\(windows\)"):
        occy_fast.convert("docker-daemon:app:1", f"docker-archive:{tmp_path}/a.tar", target="docker-20.10.24")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_a_socket(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name, words, passes in (("file", "a file stands there, and no socket", False), ("none", "no socket", True)):
        with pytest.raises(DaemonError) as caught:
            occy_fast.inspect("docker-daemon:app:1", access=Access(socket=str(tmp_path / name)))
        assert words in caught.value.problem
        assert caught.value.retryable is passes          # a daemon that starts makes its socket a moment later
