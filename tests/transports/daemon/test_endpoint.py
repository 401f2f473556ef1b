from __future__ import annotations

from pathlib import Path

import pytest

from occy_fast import api
from occy_fast.errors import DaemonError, Unsupported, UsageError
from occy_fast.transports.daemon.endpoint import Endpoint, find_endpoint, parse_endpoint
from support.image_builders import make_image, oci_layout


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("/run/d.sock", {}, Endpoint(path="/run/d.sock")),
        ("unix:///run/d.sock", {}, Endpoint(path="/run/d.sock")),
        ("tcp://127.0.0.1", {}, Endpoint(host="127.0.0.1", port=2375)),
        ("tcp://[::1]:99", {}, Endpoint(host="::1", port=99)),
        ("http://h:99/", {}, Endpoint(host="h", port=99)),
        ("https://h", {}, Endpoint(host="h", port=2376, tls=True)),
        ("tcp://h", {"DOCKER_CERT_PATH": "/c"}, Endpoint(host="h", port=2376, tls=True, certificates="/c")),
        (
            "tcp://h:1",
            {"DOCKER_TLS_VERIFY": "1", "DOCKER_CONFIG": "/home/x"},
            Endpoint(host="h", port=1, tls=True, certificates="/home/x"),
        ),
    ],
)
def test_addresses(text: str, environ: dict[str, str], expected: Endpoint) -> None:
    assert parse_endpoint(text, environ) == expected
    assert parse_endpoint(str(expected), environ) == expected


@pytest.mark.parametrize("text", ["unix://", "tcp://", "npipe:////./pipe", "tcp://h:x", "tcp://h/path", "tcp://u@h", "tcp://:p@h"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError):
        parse_endpoint(text, {})


def test_ssh_is_told_how_to_be_reached() -> None:
    with pytest.raises(Unsupported) as caught:
        parse_endpoint("ssh://me@there", {})
    assert "ssh -L" in str(caught.value)


def test_the_caller_goes_before_the_environment_and_that_before_the_usual_places(tmp_path: Path) -> None:
    usual = tmp_path / "podman" / "podman.sock"
    usual.parent.mkdir()
    usual.touch()
    environ = {"DOCKER_HOST": "unix:///d", "CONTAINER_HOST": "unix:///c", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert find_endpoint("docker-daemon", "source", "/own", environ).path == "/own"
    assert find_endpoint("docker-daemon", "source", None, environ).path == "/d"
    assert find_endpoint("podman", "source", None, environ).path == "/c"
    environ["DOCKER_HOST"] = ""
    (tmp_path / "docker.sock").touch()
    usual = ("/var/run/docker.sock", f"{tmp_path}/docker.sock")
    assert find_endpoint("docker-daemon", "source", None, environ).path in usual


def test_no_socket_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.exists", lambda path: False)
    with pytest.raises(DaemonError) as caught:
        find_endpoint("docker-daemon", "source", None, {})
    assert "/var/run/docker.sock" in str(caught.value)
    assert "DOCKER_HOST" in str(caught.value)


@pytest.mark.parametrize("host", ["unix://nowhere.sock", ""])
def test_an_error_says_which_side_the_daemon_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr("occy_fast.transports.daemon.endpoint._usual_places", lambda engine, environ: ["/no/socket"])
    monkeypatch.setenv("DOCKER_HOST", host)
    layout = oci_layout(tmp_path / "in", [make_image("a")])
    with pytest.raises(DaemonError) as read:
        api.inspect("docker-daemon:app")
    with pytest.raises(DaemonError) as written:
        api.convert(f"oci:{layout}", "docker-daemon:app")
    assert (read.value.side, written.value.side) == ("source", "destination")
    assert ": source: " in str(read.value)
    assert ": destination: " in str(written.value)
