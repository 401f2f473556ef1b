"""What the tests of this directory share: command lines, and readers that use nothing of the library."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
GREETING = "hello from a layer"


def run(*command: str | Path, env: dict[str, str] | None = None, expect: int = 0) -> str:
    """Run *command* and return what it printed; the test fails with all of its output where the status is another."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=120
    )
    told = f"{shlex.join(map(str, command))}\nexit status {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.returncode == expect, told
    return done.stdout


def occy(*arguments: str, expect: int = 0) -> str:
    """Run the library's own command line."""
    path = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
    return run(sys.executable, "-m", "occy_fast", *arguments, env={"PYTHONPATH": path}, expect=expect)


@dataclass(frozen=True)
class Known:
    """What stays the same however an image is stored: the digest of its config, and its diff_ids."""

    image_id: str
    diff_ids: tuple[str, ...]

    @classmethod
    def of_config(cls, raw: bytes) -> Known:
        return cls(f"sha256:{hashlib.sha256(raw).hexdigest()}", tuple(json.loads(raw)["rootfs"]["diff_ids"]))


def archive_images(path: Path) -> list[tuple[list[str], Known]]:
    """Read names and configs of a docker-archive, with nothing of the library."""
    with tarfile.open(path) as tar:

        def content(name: str) -> bytes:
            member = tar.extractfile(name)
            assert member is not None, name
            return member.read()

        entries = json.loads(content("manifest.json"))
        return [(entry["RepoTags"] or [], Known.of_config(content(entry["Config"]))) for entry in entries]


def layout_images(path: Path) -> list[tuple[dict[str, Any], Known]]:
    """Read manifests and configs of an OCI layout, with nothing of the library; every blob must have its digest."""
    blobs = {}
    for file in (path / "blobs" / "sha256").iterdir():
        raw = file.read_bytes()
        assert hashlib.sha256(raw).hexdigest() == file.name
        blobs[f"sha256:{file.name}"] = raw
    found = []
    for descriptor in json.loads((path / "index.json").read_bytes())["manifests"]:
        manifest = json.loads(blobs[descriptor["digest"]])
        assert [len(blobs[layer["digest"]]) for layer in manifest["layers"]] == [
            layer["size"] for layer in manifest["layers"]
        ]
        found.append((manifest, Known.of_config(blobs[manifest["config"]["digest"]])))
    return found


def unpack(archive: Path, layout: Path) -> Path:
    """Take an OCI archive apart, with nothing of the library."""
    with tarfile.open(archive) as tar:
        tar.extractall(layout, filter="data")
    return layout


def layout_place(layout: Path, family: str) -> str:
    """Name the image of *layout* as skopeo and podman find it.

    They look for a reference among OCI manifests only, and so do not find the Docker one that they write themselves;
    without a reference they take the only manifest there is, whatever it is.
    """
    return f"oci:{layout}:1" if family == "oci" else f"oci:{layout}"


@dataclass(frozen=True)
class Client:
    """A command line that talks to one service."""

    command: tuple[str, ...]
    env: dict[str, str]

    def __call__(self, *arguments: str | Path, expect: int = 0) -> str:
        return run(*self.command, *arguments, env=self.env, expect=expect)

    def known(self, name: str) -> Known:
        """Return what the service says about one of its images."""
        [image] = json.loads(self("inspect", "--type", "image", name))
        image_id = str(image["Id"])
        return Known(
            image_id if image_id.startswith("sha256:") else f"sha256:{image_id}", tuple(image["RootFS"]["Layers"])
        )

    def forget(self, known: Known) -> None:
        """Remove the image, so that nothing of it is there when it comes back."""
        self("rmi", "--force", known.image_id.removeprefix("sha256:"))

    def ids(self) -> set[str]:
        """Return the ids of all images."""
        listed = self("images", "--no-trunc", "--quiet").split()
        return {line if line.startswith("sha256:") else f"sha256:{line}" for line in listed}


@dataclass(frozen=True)
class Saved:
    """An image as `docker save` wrote it; the daemon has forgotten it."""

    path: Path
    name: str
    known: Known
