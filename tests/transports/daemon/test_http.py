"""Requests and answers as a daemon sends them: whole, in pieces, or not to the end."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import Cancelled, DaemonError, OccyError, TarTruncated
from occy_fast.transports.daemon.client import DaemonClient
from occy_fast.transports.daemon.endpoint import find_endpoint
from support.daemon_images import BARE, BRIEF, CHUNKED, config_in, contents_of, put
from support.fake_daemon import Exchange, FakeDaemon, pieces
from support.image_builders import make_image, sha256
from support.leaks import our_threads


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
    endpoint = find_endpoint("docker-daemon", "source", daemon.path)
    with DaemonClient(endpoint, "source", "docker-daemon:app:1", 5.0) as client:
        came, buffers = b"", 0
        for buffer in client.open_save("app:1"):
            came += buffer
            buffers += 1
            if len(came) == len(whole):
                break
    assert came == whole
    assert buffers < 50


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
