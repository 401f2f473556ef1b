"""A daemon of this process for every test that asks for one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.fake_containerd import FakeContainerd
from support.fake_daemon import FakeDaemon


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    """Return a daemon that DOCKER_HOST and CONTAINER_HOST name; a socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="occy-", dir="/tmp") as directory, FakeDaemon(Path(directory)) as fake:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{fake.path}")
        monkeypatch.setenv("CONTAINER_HOST", f"unix://{fake.path}")
        yield fake


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeContainerd]:
    """Return a daemon that DOCKER_HOST names; a socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="occy-", dir="/tmp") as directory, FakeContainerd(Path(directory)) as fake:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{fake.path}")
        yield fake
