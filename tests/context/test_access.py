"""How a daemon is reached: what is printed, logged and pickled of it holds no secret, as none is taken."""

from __future__ import annotations

import copy
import logging
import pickle
from pathlib import Path

import pytest

from occy_fast import Access, api
from occy_fast.cli import main
from occy_fast.errors import OccyError, UsageError
from occy_fast.transports.daemon.endpoint import parse_endpoint
from support.image_builders import make_image, oci_layout

SECRETS = [
    "tcp://user:hunter2@daemon.example:2375",
    "https://hunter2@daemon.example",
    "https://:hunter2@daemon.example:2376",
    "https://daemon.example:2376/?token=hunter2",
    "https://user:pass/hunter2@daemon.example:2376",
    "https://user:p@ss:hunter2@daemon.example",
    "ssh://user:hunter2@daemon.example",
    "user:hunter2@daemon.example:2375",
    "user:hunter2@daemon.example",
    "hunter2@daemon.example:2375",
    "tcp://user:hunter 2@daemon.example:2375",
    "tcp://user:hunter2@",
    "tcp://daemon.example:2375?hunter2",
    "ssh://me@daemon.example/?token=hunter2",
    "ssh://me@user:hunter2@daemon.example",
]
PATHS = [
    "/run/a:b@c/docker.sock",
    "unix:///run/user@1000/docker.sock",
    "unix://@abstract",
    "docker.sock",
    "./a:b@c",
    "user@1000.sock",
]


@pytest.mark.parametrize("socket", SECRETS)
def test_an_address_with_a_secret_is_refused_and_not_repeated(socket: str) -> None:
    for attempt in (lambda: Access(socket), lambda: parse_endpoint(socket, {})):
        with pytest.raises(UsageError, match="a login or a query") as caught:
            attempt()
        assert caught.value.remedy
        for text in (str(caught.value), repr(caught.value), pickle.dumps(caught.value).decode("latin-1")):
            assert "hunter" not in text


@pytest.mark.parametrize("socket", SECRETS)
def test_nor_is_it_where_the_environment_has_it(
    tmp_path: Path, socket: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = oci_layout(tmp_path / "in", [make_image("a")], ["a"])
    caplog.set_level(logging.DEBUG, "occy_fast")
    monkeypatch.setenv("DOCKER_HOST", socket)
    with pytest.raises(OccyError) as caught:
        api.convert(f"oci:{layout}", "docker-daemon:a:1", access=Access(timeout=1.0))
    assert isinstance(caught.value, UsageError)
    for text in (str(caught.value), repr(caught.value), caplog.text):
        assert "hunter" not in text


@pytest.mark.parametrize("socket", SECRETS)
@pytest.mark.parametrize("json", [False, True])
def test_the_command_refuses_it(socket: str, json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "docker-daemon:a:1", "--socket", socket, *(["--json"] if json else [])]) == 2
    printed = capsys.readouterr()
    assert "a login or a query" in printed.err
    assert "hunter" not in printed.out + printed.err


@pytest.mark.parametrize("socket", [*PATHS, None, "tcp://daemon.example:2375", "https://[::1]:2376", "ssh://me@there"])
def test_what_is_no_secret_stays(socket: str | None) -> None:
    access = Access(socket, 3.0, 2, 1.0)
    assert repr(access) == f"Access(socket={socket!r}, timeout=3.0, retries=2, retry_delay=1.0)"
    assert pickle.loads(pickle.dumps(access)) == access == copy.copy(access) == copy.deepcopy(access)


@pytest.mark.parametrize(
    ("socket", "located"),
    [
        ("d.sock", "/there/d.sock"),
        ("unix://run/d.sock", "/there/run/d.sock"),
        ("/run/d.sock", "/run/d.sock"),
        ("unix:///run/d.sock", "unix:///run/d.sock"),
        ("tcp://daemon.example:2375", "tcp://daemon.example:2375"),
        ("ssh://me@there", "ssh://me@there"),
        (None, None),
    ],
)
def test_a_relative_socket_starts_in_the_directory_that_is_named(socket: str | None, located: str | None) -> None:
    access = Access(socket, 3.0)
    assert access.within("/there") == Access(located, 3.0)
    assert access.is_relative == (socket != located)
    assert access.within("") is access
