"""The programs a conversion is compared with, as far as this machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Shape = Literal["archive", "oci"]
Wish = Literal["gzip", "zstd", "zstd:2", "zstd:3", "docker", "plain"]
"""What the layers or the manifest are to become; "plain" asks for nothing."""

NAME = "localhost/benchmark:1"


@dataclass(frozen=True, slots=True)
class Task:
    """One conversion as every program understands it."""

    source_shape: Shape
    source: Path
    shape: Shape
    destination: Path
    wish: Wish


class Peer:
    """One program: whether it is here, and what it would run for a task."""

    name: str

    def version(self) -> str | None:
        """Return its version, None where it cannot be used on this machine."""
        raise NotImplementedError

    def before(self) -> list[list[str]]:
        """Return commands that bring it back to where it knows nothing of the image; their time does not count."""
        return []

    def commands(self, task: Task) -> list[list[str]] | None:
        """Return what it runs for *task*, None where it cannot do that."""
        raise NotImplementedError


class Skopeo(Peer):
    name = "skopeo"
    flags: dict[Wish, list[str]] = {  # noqa: RUF012
        "gzip": [],
        "zstd": ["--dest-compress-format", "zstd"],
        "zstd:2": ["--dest-compress-format", "zstd"],
        "zstd:3": ["--dest-compress-format", "zstd", "--dest-compress-level", "3"],
        "docker": ["--format", "v2s2"],
        "plain": [],
    }

    def version(self) -> str | None:
        return _version(["skopeo", "--version"])

    def commands(self, task: Task) -> list[list[str]] | None:
        places = (_skopeo_place(task.source_shape, task.source), _skopeo_place(task.shape, task.destination))
        # Where no policy is installed it would refuse to run; with one the option changes nothing.
        return [["skopeo", "--insecure-policy", "copy", "--quiet", *self.flags[task.wish], *places]]


class Docker(Peer):
    """A daemon, which reads and writes archives; DOCKER_HOST says which.

    It takes part only while it holds no image: what is removed between two runs must be nobody's.
    """

    name = "docker"

    def __init__(self) -> None:
        # The client of the distribution's daemon, where the machine has several.
        self.program = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"
        self.empty = False

    def version(self) -> str | None:
        version = _version([self.program, "version", "--format", "{{.Server.Version}}"])
        self.empty = self.empty or (version is not None and _version([self.program, "images", "--quiet"]) is None)
        return version if self.empty else None

    def before(self) -> list[list[str]]:
        return [["sh", "-c", f"{self.program} images --quiet | xargs -r {self.program} rmi --force >/dev/null 2>&1"]]

    def commands(self, task: Task) -> list[list[str]] | None:
        if (task.source_shape, task.shape, task.wish) != ("archive", "archive", "plain"):
            return None
        load, save = f"{self.program} load --quiet --input", f"{self.program} save --output"
        last = "| sed -n 's/^Loaded image[^:]*: //p' | tail -1"
        script = f'name=$({load} "$0" {last}) && {save} "$1" "$name"'
        return [["sh", "-c", script, str(task.source), str(task.destination)]]


class Occystrap(Peer):
    name = "occystrap"

    def version(self) -> str | None:
        if shutil.which("occystrap") is None:
            return None
        return _version(["occystrap", "--version"]) or "of unknown version"

    def commands(self, task: Task) -> list[list[str]] | None:
        if (task.source_shape, task.shape, task.wish) != ("archive", "archive", "plain"):
            return None
        return [["occystrap", "process", f"tar://{task.source}", f"tar://{task.destination}"]]


PEERS: tuple[Peer, ...] = (Skopeo(), Docker(), Occystrap())


def _skopeo_place(shape: Shape, path: Path) -> str:
    return f"docker-archive:{path}" if shape == "archive" else f"oci:{path}:1"


def _version(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    return words[-1] if done.returncode == 0 and words else None
