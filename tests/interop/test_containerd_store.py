"""dockerd with containerd's store takes manifests as they are, and no load that is cut off spoils the next."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from support.consumers import ROOT, Client, occy
from support.image_builders import BuiltImage, make_image, make_layer, oci_layout, sha256

pytestmark = pytest.mark.interop

TIMES = 20 if os.environ.get("FULL") else 3


def _socket(docker: Client) -> str:
    return docker.env["DOCKER_HOST"].removeprefix("unix://")


def _convert(docker: Client, source: str, name: str, *options: str, expect: int = 0) -> str:
    return occy("convert", source, f"docker-daemon:{name}", "--socket", _socket(docker), *options, expect=expect)


def _inspect(docker: Client, name: str) -> dict[str, object]:
    [found] = json.loads(docker("image", "inspect", name))
    assert isinstance(found, dict)
    return found


def _manifest_id(image: BuiltImage) -> str:
    return "sha256:" + sha256(image.manifest)


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_an_image_keeps_its_manifest(docker26_containerd: Client, tag: str, tmp_path: Path, codec: str) -> None:
    image = make_image("a", "b", codec=codec)
    answer = json.loads(_convert(docker26_containerd, f"oci:{oci_layout(tmp_path / 'l', [image])}", tag, "--json"))
    found = _inspect(docker26_containerd, tag)
    assert found["Id"] == answer["digest"] == _manifest_id(image)
    assert found["RepoDigests"] == [f"{tag.rpartition(':')[0]}@{_manifest_id(image)}"]
    docker26_containerd("rmi", tag)


def test_a_whole_index(docker26_containerd: Client, tag: str, tmp_path: Path) -> None:
    images = [make_image("a"), make_image("b", architecture="arm64")]
    source = oci_layout(tmp_path / "l", images, nested=True)
    answer = json.loads(_convert(docker26_containerd, f"oci:{source}", tag, "--json"))
    digest = json.loads((source / "index.json").read_bytes())["manifests"][0]["digest"]
    assert _inspect(docker26_containerd, tag)["Id"] == answer["digest"] == digest
    docker26_containerd("rmi", tag)


def test_a_load_that_fails_moves_no_name(docker26_containerd: Client, tag: str, tmp_path: Path) -> None:
    before = make_image("before")
    _convert(docker26_containerd, f"oci:{oci_layout(tmp_path / 'before', [before])}", tag)
    broken = make_image(tars=(make_layer("a"), b"no tar" * 1000))
    _convert(docker26_containerd, f"oci:{oci_layout(tmp_path / 'l', [broken])}", tag, "--verify", "blobs", expect=7)
    assert _inspect(docker26_containerd, tag)["Id"] == _manifest_id(before)
    docker26_containerd("image", "inspect", _manifest_id(broken), expect=1)
    docker26_containerd("rmi", tag)


@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL", "cut"])
def test_what_is_interrupted_spoils_nothing(
    docker26_containerd: Client, tag: str, tmp_path: Path, how: str
) -> None:
    """At a random moment of the load; the next one, of another image, works, and so does the same once more."""
    chance = random.Random(os.environ.get("SEED") or how)
    interrupted = 0
    for number in range(TIMES):
        image = make_image(f"{tag}{number}", "b", size=chance.choice((3_000, 3_000_000)), codec="gzip")
        other = make_image(f"{tag}{number}", f"other{number}", size=4_000)
        source = f"oci:{oci_layout(tmp_path / f'l{number}', [image])}"
        interrupted += _interrupt(docker26_containerd, source, tag, how, chance)
        for each, place in ((other, f"oci:{oci_layout(tmp_path / f'o{number}', [other])}"), (image, source)):
            _convert(docker26_containerd, place, tag, "--retries", "0")
            assert _inspect(docker26_containerd, tag)["Id"] == _manifest_id(each)
        docker26_containerd("rmi", "--force", _manifest_id(other), _manifest_id(image))
    assert interrupted


def _interrupt(docker: Client, source: str, name: str, how: str, chance: random.Random) -> bool:
    """Begin a load and end it too early; return whether it was too early."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with _Gate(_socket(docker), chance.randrange(200, 40_000) * chance.choice((1, 1, 100))) as gate:
        command = [sys.executable, "-m", "occy_fast", "convert", source, f"docker-daemon:{name}"]
        command += ["--socket", gate.path, "--retries", "0"]
        running = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while running.poll() is None and not gate.reached.wait(0.01):
            pass
        if how != "cut" and running.poll() is None:
            running.send_signal(signal.Signals[how])
            time.sleep(0.1)
        gate.cut()
        return running.wait(60) != 0


class _Gate:
    """A socket before a daemon's, that lets so many bytes of requests pass, holds the rest back, and can be cut."""

    def __init__(self, target: str, allowed: int) -> None:
        self._target, self._allowed = target, allowed
        self._directory = tempfile.TemporaryDirectory(prefix="occy-", dir="/tmp")
        self.path = f"{self._directory.name}/gate.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._mutex = threading.Lock()
        self.reached, self._cut = threading.Event(), threading.Event()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        for thread in self._threads:                     # each is in the list before the one that started it ends
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()
        self._directory.cleanup()

    def cut(self) -> None:
        """Hang up on both sides of every connection, and let nobody in from now on."""
        with self._mutex:
            self._cut.set()
            for each in (self._listener, *self._sockets):
                self._hang_up(each)

    @staticmethod
    def _hang_up(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                daemon = socket.socket(socket.AF_UNIX)
                with self._mutex:
                    self._sockets += [client, daemon]
                    if self._cut.is_set():               # whoever came in while all were sent away would wait forever
                        self._hang_up(client)
                        return
                daemon.connect(self._target)
                self._start(self._pass_on, client, daemon, True)
                self._start(self._pass_on, daemon, client, False)

    def _pass_on(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                with self._mutex:
                    taken = min(len(piece), self._allowed) if counted else len(piece)
                    self._allowed -= taken if counted else 0
                sink.sendall(piece[:taken])
                if taken < len(piece):
                    self.reached.set()
                    self._cut.wait()
                    return
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)
