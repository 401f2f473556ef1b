"""Daemons load and refuse layers as the model of their unpackers says: those made by hand, and generated ones."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occy_fast.kernels.unpack_problems import Unpacker
from support.consumers import Client
from support.unpack_layers import Stack, archive_of, random_stack, refused_by, stacks_by_hand

pytestmark = pytest.mark.interop

EVERYTHING = os.environ.get("FULL") == "1"


def stacks() -> Iterator[tuple[str, Stack]]:
    """Yield all of them where everything is asked for, else some of each sort."""
    yield from list(stacks_by_hand())[:: 1 if EVERYTHING else 9]
    for seed in range(300 if EVERYTHING else 25):
        yield f"random-{seed}", random_stack(seed)


def disagreements(client: Client, path: Path, refuses: Callable[[Stack], bool]) -> list[str]:
    """Load every image, remove it again, and return those of which the model says something else."""
    found: list[str] = []
    for name, stack in stacks():
        image = f"example.com/unpack/{name}:1"
        archive_of(stack, image, path)
        env = {**os.environ, **client.env}
        told = subprocess.run([*client.command, "load", "-i", str(path)], env=env, capture_output=True, text=True)
        if told.returncode == 0:
            client("rmi", "--force", image)
        if (told.returncode != 0) != refuses(stack):
            found.append(f"{name}: {told.stderr.strip() or 'loaded'}")
    return found


def test_docker_20_on_overlay2(docker: Client, tmp_path: Path) -> None:
    assert disagreements(docker, tmp_path / "a.tar", lambda stack: Unpacker.OVERLAY in refused_by(stack)) == []


def test_docker_26_on_overlay2(docker26: Client, tmp_path: Path) -> None:
    def refuses(stack: Stack) -> bool:
        return Unpacker.OVERLAY in refused_by(stack, new=True)

    assert disagreements(docker26, tmp_path / "a.tar", refuses) == []


def test_docker_26_with_containerd(docker26_containerd: Client, tmp_path: Path) -> None:
    def refuses(stack: Stack) -> bool:
        return Unpacker.SNAPSHOT in refused_by(stack)

    assert disagreements(docker26_containerd, tmp_path / "a.tar", refuses) == []


def test_podman_on_vfs(podman: Client, tmp_path: Path) -> None:
    def refuses(stack: Stack) -> bool:
        return Unpacker.COPY in refused_by(stack, podman=True)

    assert disagreements(podman, tmp_path / "a.tar", refuses) == []
