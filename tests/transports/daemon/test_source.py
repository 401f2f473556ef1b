from __future__ import annotations

import errno
import io
import json
import logging
import os
import socket
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast.context.access import Access
from occy_fast.errors import (
    AmbiguousReference,
    BadReference,
    Cancelled,
    DaemonError,
    NotFound,
    OccyError,
    ResourceError,
    TarTruncated,
    Unsupported,
    UsageError,
)
from occy_fast.image.image import Contents
from occy_fast.spec.digest import Digest
from occy_fast.transports.daemon.client import DaemonClient
from occy_fast.transports.daemon.endpoint import find_endpoint
from support.fake_daemon import FAULTS, Exchange, FakeDaemon, pieces
from support.image_builders import BuiltImage, archive_members, make_image, make_tar, sha256
from support.leaks import nothing_left, our_threads

BRIEF = Access(timeout=0.4)


def put(daemon: FakeDaemon, image: BuiltImage, *names: str) -> str:
    return daemon.add(image.config, image.tars, *names)


def config_in(layout: Path) -> bytes:
    index = json.loads((layout / "index.json").read_bytes())
    manifest = json.loads((layout / "blobs" / index["manifests"][0]["digest"].replace(":", "/")).read_bytes())
    return (layout / "blobs" / manifest["config"]["digest"].replace(":", "/")).read_bytes()


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


def test_the_archive_is_asked_for_bare(daemon: FakeDaemon, tmp_path: Path) -> None:
    """HTTP/1.0 has no chunks; what stands before a daemon may yet want to know whom it speaks for."""
    put(daemon, make_image(), "app:1")
    seen: list[tuple[str, str]] = []

    def look(fake: FakeDaemon, asked: Exchange) -> bool:
        seen.append((asked.version, asked.headers.get("host", "")))
        return False

    daemon.faults.append(look)
    occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out")
    assert seen[-1] == ("HTTP/1.0", "localhost")
    assert {version for version, _ in seen[:-1]} == {"HTTP/1.1"}


def test_small_pieces_come_as_few(daemon: FakeDaemon) -> None:
    """The kernel waits for the rest of a buffer: nothing here is called for each piece of a daemon's."""
    whole = os.urandom(100_000)

    def dribble(fake: FakeDaemon, asked: Exchange) -> bool:
        if not asked.path.endswith("/get"):
            return False
        asked.sock.sendall(BARE)
        for piece in pieces(whole, 1000):
            asked.sock.sendall(piece)
            time.sleep(0.001)                            # who reads finds one at a time
        fake.stopping.wait(20)
        return True

    daemon.faults.append(dribble)
    endpoint = find_endpoint("docker-daemon", daemon.path)
    with DaemonClient(endpoint, "docker-daemon:app:1", 5.0) as client:
        came, buffers = b"", 0
        for buffer in client.open_save("app:1"):
            came += buffer
            buffers += 1
            if len(came) == len(whole):
                break
    assert came == whole
    assert buffers < 50


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


def _image_id(image: BuiltImage) -> str:
    return "sha256:" + sha256(image.config)


@pytest.mark.parametrize("length", [12, 30, 64])
def test_an_id_may_be_short(daemon: FakeDaemon, tmp_path: Path, length: int) -> None:
    """As `docker images` prints it; an image of that name comes first, as for Docker."""
    image, other = make_image("a", "b"), make_image("c")
    put(daemon, image, "app:1")
    put(daemon, other, "app:2")
    short = sha256(image.config)[:length]
    result = occy_fast.convert(f"docker-daemon:{short}", f"oci:{tmp_path}/out")
    assert [layer.diff_id for layer in result.layers] == [Digest.parse(digest) for digest in image.diff_ids]
    for found in (occy_fast.inspect(f"docker-daemon:{short}"), occy_fast.inspect(f"docker-daemon:{_image_id(image)}")):
        assert found.images[0].config == _image_id(image)
    if length == 64:                                     # no image can be called so
        return
    put(daemon, other, f"{short}:latest")
    assert occy_fast.inspect(f"docker-daemon:{short}").images[0].config == _image_id(other)


def test_only_an_id_is_sought_among_ids(daemon: FakeDaemon) -> None:
    """A name with a tag or a host is a name, for Docker as for Podman: another image would be no answer."""
    image = make_image("a")
    put(daemon, image, "app:1")
    short = sha256(image.config)[:12]
    for text in (f"{short}:latest", f"library/{short}", f"docker.io/library/{short}", short[:11], short.upper()):
        with pytest.raises((NotFound, BadReference)):
            occy_fast.inspect(f"docker-daemon:{text}")
    for text in (short, f"sha256:{short}"):
        assert occy_fast.inspect(f"docker-daemon:{text}").images


@pytest.mark.parametrize("call", [occy_fast.inspect, lambda name: occy_fast.check(name, ["k3s"])])
@pytest.mark.parametrize("name", ["app:1", "64b48d79ef81", "a" * 64, "sha256:" + "b" * 64])
def test_what_is_not_there_is_not_found(daemon: FakeDaemon, call: Callable[[str], object], name: str) -> None:
    """dockerd 20.10 fails with status 500 when it is to save an id that it does not have."""

    def fail(fake: FakeDaemon, asked: Exchange) -> bool:
        if asked.path.startswith("/images/sha256:") and asked.path.endswith("/get"):
            asked.say_json(500, {"message": "open /var/lib/docker/image: no such file or directory"})
            return True
        return False

    daemon.faults.append(fail)
    with pytest.raises(NotFound):
        call(f"docker-daemon:{name}")
    assert occy_fast.verify(f"docker-daemon:{name}").exit_code == 3


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


def test_a_short_id_of_two_images(daemon: FakeDaemon, tmp_path: Path) -> None:
    image = make_image("a")
    put(daemon, image, "app:1")
    [found] = daemon.images.values()
    twin = _image_id(image)[:-1] + ("1" if _image_id(image)[-1] == "0" else "0")
    daemon.images[twin] = found
    for call in (occy_fast.inspect, lambda source: occy_fast.convert(source, f"oci:{tmp_path}/out")):
        with pytest.raises(AmbiguousReference) as caught:
            call(f"docker-daemon:{sha256(image.config)[:12]}")
        assert caught.value.candidates == tuple(sorted([twin, _image_id(image)]))


def test_an_image_that_is_not_there(daemon: FakeDaemon, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out")
    assert "app:1" in str(caught.value)
    with pytest.raises(NotFound):
        occy_fast.convert("docker-daemon:64b48d79ef81", f"oci:{tmp_path}/out")
    with pytest.raises(NotFound):
        occy_fast.inspect("docker-daemon:64b48d79ef81")
    with pytest.raises(UsageError):
        occy_fast.convert("docker-daemon:", f"oci:{tmp_path}/out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["hangs", "hangs up", "talks rubbish"])
def test_a_daemon_that_fails_before_the_archive(daemon: FakeDaemon, tmp_path: Path, kind: str) -> None:
    fault, words = FAULTS[kind]
    put(daemon, make_image(), "app:1")
    daemon.faults.append(lambda fake, asked: asked.path.endswith("/get") and fault(fake, asked))
    with pytest.raises(DaemonError) as caught:
        occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out", access=BRIEF)
    assert words in caught.value.problem
    assert not (tmp_path / "out").exists()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BARE = b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.mark.parametrize("head", [CHUNKED, BARE], ids=["chunked", "bare"])
@pytest.mark.parametrize("ending", ["hangs", "hangs up", "ends"])
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_an_archive_that_stops_midway(
    daemon: FakeDaemon, tmp_path: Path, ending: str, share: float, head: bytes
) -> None:
    """An early end inside the body is the daemon's failure; inside chunks that say they are all, the archive's."""
    image = make_image("a", "b", size=2_000_000)
    put(daemon, image, "app:1")

    def stop(fake: FakeDaemon, asked: Exchange) -> bool:
        if not asked.path.endswith("/get"):
            return False
        raw = fake.archive("sha256:" + sha256(image.config), "app:1")
        raw = raw[: int(len(raw) * share)]
        asked.sock.sendall(head + b"%x\r\n" % len(raw) * (head == CHUNKED) + raw)
        if ending == "ends" and head == CHUNKED:
            asked.sock.sendall(b"\r\n0\r\n\r\n")
        if ending == "hangs":
            fake.stopping.wait(20)
        else:
            asked.sock.shutdown(socket.SHUT_RDWR)
        return True

    daemon.faults.append(stop)
    with pytest.raises(OccyError) as caught:
        occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out", access=BRIEF)
    if ending != "ends" or head == BARE:
        assert isinstance(caught.value, DaemonError)
        assert ("no sign of life" if ending == "hangs" else "hung up inside its answer") in caught.value.problem
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("head", [CHUNKED, BARE], ids=["chunked", "bare"])
def test_the_end_of_the_archive_is_the_end(daemon: FakeDaemon, tmp_path: Path, head: bytes) -> None:
    """What a daemon does afterwards, as removing its own copy of the image, is not waited for."""
    image = make_image("a", "b", size=2_000_000)
    put(daemon, image, "app:1")

    def linger(fake: FakeDaemon, asked: Exchange) -> bool:
        if asked.path.endswith("/get"):
            raw = fake.archive("sha256:" + sha256(image.config), "app:1")
            asked.sock.sendall(head + b"%x\r\n" % len(raw) * (head == CHUNKED) + raw)
            fake.stopping.wait(20)
        return asked.path.endswith("/get")

    daemon.faults.append(linger)
    occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out", access=BRIEF)
    assert not occy_fast.verify(f"oci:{tmp_path}/out").errors
    assert not our_threads()


@pytest.mark.parametrize("command", ["convert", "inspect", "open_image", "verify"])
def test_a_daemon_that_takes_its_time_can_be_cancelled(daemon: FakeDaemon, tmp_path: Path, command: str) -> None:
    put(daemon, make_image(), "app:1")
    cancel = threading.Event()

    def hang(fake: FakeDaemon, asked: Exchange) -> bool:
        if asked.path.endswith("/get"):
            cancel.set()
            fake.stopping.wait(20)
        return asked.path.endswith("/get")

    daemon.faults.append(hang)
    run: Callable[..., object] = {
        "convert": lambda source, **more: occy_fast.convert(source, f"oci:{tmp_path}/out", **more),
        "inspect": occy_fast.inspect,
        "open_image": contents_of,
        "verify": occy_fast.verify,
    }[command]
    with pytest.raises(Cancelled):
        run("docker-daemon:app:1", cancel=cancel)


def contents_of(locator: str, **more: Any) -> Contents:
    with occy_fast.open_image(locator, **more) as contents:
        return contents


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


@pytest.mark.parametrize("framed", [True, False])
def test_an_answer_that_stops_between_two_members_is_no_archive(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, framed: bool
) -> None:
    """It would pass for a shorter archive; where its length was told, nothing else shows that it stops early."""
    if framed:
        monkeypatch.setattr(Exchange, "say_chunks", lambda asked, found: asked.say(200, b"".join(found)))
    image = make_image("a", "b")
    raw = daemon.archive(put(daemon, image, "app:1"), "app:1")
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        members = tar.getmembers()
    end = members[-1].offset_data + -(-members[-1].size // 512) * 512
    for cut in (*(member.offset for member in members[1:]), end):
        monkeypatch.setattr(daemon, "archive", lambda *_, cut=cut: raw[:cut])
        with pytest.raises(TarTruncated if framed else DaemonError):
            occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out")
        assert os.listdir(tmp_path) == []
        if framed:
            [finding] = occy_fast.check("docker-daemon:app:1", ["docker-29"]).findings
            assert (finding.rule, finding.says) == ("unreadable", "")
    monkeypatch.setattr(daemon, "archive", lambda *_: raw[: end + (512 if framed else 1024)])
    occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out")
    assert config_in(tmp_path / "out") == image.config
