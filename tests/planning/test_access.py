"""How a daemon is reached: what is printed, logged and pickled of it holds no secret."""

from __future__ import annotations

import copy
import gzip
import json
import logging
import pickle
from pathlib import Path

import pytest

from image_builders import make_image, oci_layout
from occy_fast import Access, api
from occy_fast.errors import OccyError, UsageError
from occy_fast.planning.plan_document import explain_document

SECRETS = [
    "tcp://user:hunter2@daemon.example:2375",
    "https://hunter2@daemon.example",
    "https://:hunter2@daemon.example:2376",
    "https://daemon.example:2376/?token=hunter2",
    "https://user:pass/hunter2@daemon.example:2376",
    "https://user:p@ss:hunter2@daemon.example",
    "ssh://user:hunter2@daemon.example",
    "user:hunter2@daemon.example:2375",
]
PATHS = ["/run/a:b@c/docker.sock", "unix:///run/user@1000/docker.sock", "unix://@abstract", "docker.sock"]


@pytest.mark.parametrize("socket", SECRETS)
def test_no_secret_is_printed(socket: str) -> None:
    access = Access(socket, timeout=7.0)
    for text in (repr(access), str(access), f"{access}", f"{[access]}", f"{access!r:>9}"):
        assert "hunter2" not in text
        assert "daemon.example" in text
        assert "timeout=7.0" in text


@pytest.mark.parametrize("socket", SECRETS[:-1])
def test_none_is_in_a_plan(tmp_path: Path, socket: str) -> None:
    layout = oci_layout(tmp_path / "in", [make_image("a")], ["a"])
    (tmp_path / "packed.tar.gz").write_bytes(gzip.compress(b"what comes by once is not read for its plan"))
    for source in (f"oci:{layout}", f"{tmp_path}/packed.tar.gz"):
        planned = api.plan(source, f"oci:{tmp_path}/out")
        object.__setattr__(planned, "access", Access(socket))
        texts = [repr(planned), str(planned), planned.explain(), json.dumps(explain_document(planned))]
        assert [text for text in texts if "hunter2" in text] == []
        assert b"hunter2" not in pickle.dumps(planned)


@pytest.mark.parametrize("socket", SECRETS[:-2])
def test_none_is_in_an_error_or_a_log(
    tmp_path: Path, socket: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = oci_layout(tmp_path / "in", [make_image("a")], ["a"])
    caplog.set_level(logging.DEBUG, "occy_fast")
    for access in (Access(socket, timeout=1.0), Access(timeout=1.0)):
        monkeypatch.setenv("DOCKER_HOST", socket)
        with pytest.raises(OccyError) as caught:
            api.convert(f"oci:{layout}", "docker-daemon:a:1", access=access)
        assert isinstance(caught.value, UsageError)
        for text in (str(caught.value), repr(caught.value), caplog.text):
            assert "hunter2" not in text


@pytest.mark.parametrize("socket", [*PATHS, None, "tcp://daemon.example:2375", "https://[::1]:2376"])
def test_what_is_no_secret_stays(socket: str | None) -> None:
    access = Access(socket, 3.0, 2, 1.0)
    assert repr(access) == f"Access(socket={socket!r}, timeout=3.0, retries=2, retry_delay=1.0)"
    assert pickle.loads(pickle.dumps(access)) == access == copy.copy(access)
