"""Real daemons and tools, started once for all tests by services.sh and stopped when they are through."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.consumers import GREETING, Client, Saved, archive_images

HERE = Path(__file__).resolve().parent

DOCKERFILE = f"""
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /srv/a && echo {GREETING} > /srv/a/greeting && ln /srv/a/greeting /srv/b && ln -s a/greeting /srv/c \\
    && chown 1000:2000 /srv/a && chmod 4755 /srv/a/greeting && echo gone > /srv/gone
RUN rm /srv/gone && echo more > "/srv/ein wenig länger als üblich"
ENV ANSWER=42
CMD ["cat", "/srv/b"]
"""


class Services:
    """What runs, by name; asking for what does not run skips the test and says why."""

    def __init__(self, lines: str) -> None:
        self.found = dict(line.partition("=")[::2] for line in lines.splitlines() if "=" in line)

    def __getitem__(self, name: str) -> str:
        if name not in self.found:
            pytest.skip(self.found.get(f"{name}_MISSING") or f"{name} is not available")
        return self.found[name]


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """Start all services in a directory of this run; in the one that OCCY_FAST_SERVICES names they stay."""
    script, kept = str(HERE / "services.sh"), os.environ.get("OCCY_FAST_SERVICES")
    directory = kept or tempfile.mkdtemp(prefix="occy-", dir="/tmp")
    try:
        started = subprocess.run(["bash", script, "start", directory], stdout=subprocess.PIPE, text=True, check=True)
        yield Services(started.stdout)
    finally:
        if not kept:
            subprocess.run(["bash", script, "stop", directory], check=True)


def docker_client(services: Services, name: str) -> Client:
    """Return the command line of the dockerd that *services* calls *name*."""
    env = {"DOCKER_HOST": services[f"{name}_HOST"], "DOCKER_BUILDKIT": "0"}
    client = Client(tuple(shlex.split(services[name])), env)
    assert client("version", "--format", "{{.Server.Version}}")
    return client


@pytest.fixture(scope="session")
def docker(services: Services) -> Client:
    return docker_client(services, "DOCKER")


@pytest.fixture(scope="session")
def docker26(services: Services) -> Client:
    """dockerd 26.1 with a graph driver, as docker is: an image's id is its config's digest."""
    return docker_client(services, "DOCKER26")


@pytest.fixture(scope="session")
def docker26_containerd(services: Services) -> Client:
    """dockerd 26.1 with containerd's store: an image's id is the digest of its manifest or index."""
    return docker_client(services, "DOCKER26_CONTAINERD")


@pytest.fixture(scope="session")
def podman(services: Services) -> Client:
    return Client(tuple(shlex.split(services["PODMAN"])), {})


@pytest.fixture(scope="session")
def podman5(services: Services) -> Client:
    return Client(tuple(shlex.split(services["PODMAN5"])), {})


@pytest.fixture(scope="session")
def skopeo(services: Services) -> Client:
    return Client((services["SKOPEO"], "--insecure-policy"), {})


@pytest.fixture(scope="session")
def skopeo118(services: Services) -> Client:
    return Client((services["SKOPEO118"], "--insecure-policy"), {})


@pytest.fixture(scope="session")
def umoci(services: Services) -> Client:
    return Client((services["UMOCI"],), {})


@pytest.fixture(scope="session")
def registry(services: Services) -> str:
    return services["REGISTRY"]


@pytest.fixture(scope="session")
def saved(services: Services, docker: Client, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Build a small image that can run: five layers, links, owners, a whiteout, an empty layer in its history."""
    directory = tmp_path_factory.mktemp("build")
    (directory / "Dockerfile").write_text(DOCKERFILE)
    (directory / "busybox").write_bytes(Path(services["BUSYBOX"]).read_bytes())
    (directory / "busybox").chmod(0o755)
    name = "example.com/interop:1"
    docker("build", "--network", "none", "--tag", name, directory)
    path = tmp_path_factory.mktemp("saved") / "image.tar"
    docker("save", "--output", path, name)
    known = docker.known(name)
    [(names, read)] = archive_images(path)
    assert (names, read) == ([name], known)
    docker.forget(known)
    return Saved(path, name, known)


@pytest.fixture
def tag() -> str:
    """Return a name that no other test uses."""
    return f"example.com/{uuid.uuid4().hex[:12]}:1"
