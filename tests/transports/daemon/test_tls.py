"""Daemons behind TCP: with certificates as Docker lays them out, and without."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import DaemonError
from support.fake_daemon import FakeDaemon
from support.image_builders import make_image, oci_layout, sha256


@contextlib.contextmanager
def gate(daemon: FakeDaemon, context: ssl.SSLContext | None) -> Iterator[int]:
    """Pass connections on from a TCP port, out of TLS if there is a *context*; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def pass_on(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            opened.append(client)
            if context is not None:
                try:
                    client = context.wrap_socket(client, server_side=True)
                except OSError:
                    client.close()
                    continue
                opened.append(client)
            behind = socket.socket(socket.AF_UNIX)
            opened.append(behind)
            behind.connect(daemon.path)
            for pair in ((client, behind), (behind, client)):
                threads.append(threading.Thread(target=pass_on, args=pair, daemon=True))
                threads[-1].start()

    threads.append(threading.Thread(target=accept, daemon=True))
    threads[0].start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        threads[0].join(10)
        for each in opened:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)
        for each in opened:
            each.close()


def certificates(directory: Path) -> None:
    """Make an authority, and certificates of a server and a client."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    directory.mkdir()

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)

    new_key = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    authority = ("-addext", "keyUsage=critical,keyCertSign")
    own = ("-x509", "-days", "2", "-subj", "/CN=authority", *authority)
    openssl(*new_key, *own, "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("server", "cert"):
        openssl(*new_key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (directory / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    (directory / "cert.key").rename(directory / "key.pem")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    certificates(tmp_path / "certificates")
    return tmp_path / "certificates"


def server(place: Path, *, asks: bool = True) -> ssl.SSLContext:
    """Return what a server shows; it may ask its clients for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "server.pem", place / "server.key")
    context.load_verify_locations(place / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED if asks else ssl.CERT_NONE
    return context


def test_certificates_prove_both_sides(
    daemon: FakeDaemon, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image("a", "b", size=3_000_000)
    layout = oci_layout(tmp_path / "layout", [image])
    with gate(daemon, server(place)) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(place))
        occy_fast.convert(f"oci:{layout}", "docker-daemon:app:1")
        occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out")
    assert daemon.names() == {"app:1": "sha256:" + sha256(image.config)}
    assert not occy_fast.verify(f"oci:{tmp_path}/out").errors


def test_another_authority_is_not_believed(
    daemon: FakeDaemon, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates(tmp_path / "others")
    layout = oci_layout(tmp_path / "layout", [make_image("a")])
    with gate(daemon, server(place, asks=False)) as port:
        monkeypatch.setenv("DOCKER_HOST", f"https://127.0.0.1:{port}")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path / "others"))
        with pytest.raises(DaemonError) as caught:
            occy_fast.convert(f"oci:{layout}", "docker-daemon:app:1")
    assert "TLS fails" in caught.value.problem
    assert not daemon.requests


def test_certificates_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own are not taken in their place."""
    monkeypatch.setenv("DOCKER_HOST", "https://127.0.0.1:1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path / "none"))
    with pytest.raises(DaemonError, match="none', which is no directory"):
        occy_fast.inspect("docker-daemon:app:1")


def test_tcp_without_tls(daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_image("a")
    layout = oci_layout(tmp_path / "layout", [image])
    with gate(daemon, None) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        occy_fast.convert(f"oci:{layout}", "docker-daemon:app:1")
    assert daemon.names() == {"app:1": "sha256:" + sha256(image.config)}
