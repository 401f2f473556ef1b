"""Images go into dockerd and podman, and out of them, over their sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from support import consumers
from support.consumers import GREETING, Client, Known, Saved, archive_images, layout_images
from support.counting_proxy import CountingProxy

pytestmark = pytest.mark.interop

Services = Mapping[str, str]
Occy = Callable[..., str]


@pytest.fixture
def occy(services: Services, docker: Client, podman: Client) -> Occy:
    """Return the library's command line, among whose environment are the daemons' sockets.

    The environment of podman's own command line must not know them: it would ask its daemon.
    """
    endpoint = f"unix://{services['PODMAN_SOCKET']}"
    sockets = {"DOCKER_HOST": services["DOCKER_HOST"], "CONTAINER_HOST": endpoint}

    def command(*arguments: str, expect: int = 0) -> str:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in sockets.items():
                patch.setenv(name, value)
            return consumers.occy(*arguments, expect=expect)

    return command


@pytest.fixture
def zstd_layout(occy: Occy, saved: Saved, tmp_path: Path) -> str:
    """Return an OCI image with zstd layers, as `docker buildx` makes them on demand."""
    locator = f"oci:{tmp_path}/zstd:1"
    occy("convert", "--compression", "zstd", f"docker-archive:{saved.path}", locator)
    return locator


def test_the_image_that_docker_20_10_refuses(
    occy: Occy, docker: Client, saved: Saved, zstd_layout: str, tag: str
) -> None:
    """The whole story: dockerd takes neither the layout nor its layers, and one command brings both to it."""
    layout = Path(zstd_layout.split(":")[1])
    archive = layout.with_suffix(".tar")
    with tarfile.open(archive, "w") as tar:
        for name in ("blobs", "index.json", "oci-layout"):
            tar.add(layout / name, name)
    docker("load", "--input", archive, expect=1)
    told = occy("check", zstd_layout, "--target", "docker-20.10.24", expect=10)
    assert "archive/tar: invalid tar header" in told     # dockerd's own words for a zstd layer

    occy("convert", zstd_layout, f"docker-daemon:{tag}")
    assert docker.known(tag) == saved.known
    assert docker("run", "--rm", "--network", "none", tag).strip() == GREETING
    occy("check", f"docker-daemon:{tag}", "--target", "docker-20.10.24")
    docker.forget(saved.known)


@pytest.mark.parametrize("compression", [(), ("--compression", "none"), ("--compression", "gzip")])
def test_podman_loads(
    occy: Occy, podman: Client, saved: Saved, zstd_layout: str, tag: str, compression: tuple[str, ...]
) -> None:
    occy("convert", *compression, zstd_layout, f"podman:{tag}")
    assert podman.known(tag) == saved.known
    podman.forget(saved.known)


def test_several_names_at_once(occy: Occy, docker: Client, saved: Saved, zstd_layout: str, tag: str) -> None:
    occy("convert", zstd_layout, f"docker-daemon:{tag}", "--tag", f"x.io/{tag}", "--repository-tag", "app")
    assert docker.known(tag) == docker.known(f"x.io/{tag}") == saved.known
    assert docker.known("ghcr.io/local/nanna-coder/app:latest") == saved.known
    docker.forget(saved.known)


def test_only_what_is_missing_crosses_the_socket(
    occy: Occy, docker: Client, saved: Saved, tag: str, tmp_path: Path, services: Services
) -> None:
    megabyte = 1 << 20
    name, archive = "example.com/derived:1", tmp_path / "derived.tar"
    docker("load", "--input", saved.path)
    for layer, size in (("base", 40 * megabyte), ("new", 10 * megabyte)):
        (tmp_path / "content").write_bytes(os.urandom(size))
        source = saved.name if layer == "base" else "example.com/base:1"
        (tmp_path / "Dockerfile").write_text(f"FROM {source}\nCOPY content /srv/{layer}\n")
        docker("build", "--network", "none", "--tag", f"example.com/{layer}:1", tmp_path)
    docker("tag", "example.com/new:1", name)
    known, base = docker.known(name), docker.known("example.com/base:1")
    docker("save", "--output", archive, name)
    docker.forget(known)

    with CountingProxy(services["DOCKER_HOST"].removeprefix("unix://")) as proxy:
        occy("convert", f"docker-archive:{archive}", f"docker-daemon:{tag}", "--socket", proxy.path)
        assert 10 * megabyte < proxy.crossed < 11 * megabyte
    assert docker.known(tag) == known
    assert docker("run", "--rm", "--network", "none", tag).strip() == GREETING
    docker.forget(known)
    docker.forget(base)
    docker.forget(saved.known)


def _short(known: Known) -> str:
    """Return an id as `docker images` prints it."""
    return known.image_id.removeprefix("sha256:")[:12]


@pytest.mark.parametrize("compression", [(), ("--compression", "zstd")])
def test_what_docker_has_comes_out(
    occy: Occy, docker: Client, saved: Saved, tmp_path: Path, compression: tuple[str, ...]
) -> None:
    docker("load", "--input", saved.path)
    occy("convert", *compression, f"docker-daemon:{saved.name}", f"oci:{tmp_path}/out:1")
    occy("convert", f"docker-daemon:{saved.known.image_id}", f"docker-archive:{tmp_path}/out.tar:{saved.name}")
    occy("convert", f"docker-daemon:{_short(saved.known)}", f"oci:{tmp_path}/short:1")
    docker.forget(saved.known)
    assert [known for _, known in layout_images(tmp_path / "short")] == [saved.known]
    assert [known for _, known in layout_images(tmp_path / "out")] == [saved.known]
    assert archive_images(tmp_path / "out.tar") == [([saved.name], saved.known)]
    occy("verify", f"oci:{tmp_path}/out")


def test_what_podman_has_comes_out(
    occy: Occy, podman: Client, docker: Client, saved: Saved, tag: str, tmp_path: Path
) -> None:
    occy("convert", f"docker-archive:{saved.path}", f"podman:{tag}")
    occy("convert", f"podman:{tag}", f"oci:{tmp_path}/out:1")
    occy("convert", f"podman:{_short(saved.known)}", f"oci:{tmp_path}/short:1")
    assert [known for _, known in layout_images(tmp_path / "short")] == [saved.known]
    assert [known for _, known in layout_images(tmp_path / "out")] == [saved.known]
    occy("convert", f"podman:{tag}", f"docker-daemon:{tag}")
    assert docker.known(tag) == saved.known
    docker.forget(saved.known)
    podman.forget(saved.known)


def test_an_image_that_is_not_there(occy: Occy, tag: str, tmp_path: Path) -> None:
    for transport in ("docker-daemon", "podman"):
        occy("convert", f"{transport}:{tag}", f"oci:{tmp_path}/out", expect=3)


# ------------------------------------------------------------------------------------------------------ failures


@pytest.fixture
def before(docker: Client, saved: Saved, tag: str, tmp_path: Path) -> Iterator[Known]:
    """Give *tag* to an image, which must still have it when loading another has failed."""
    docker("load", "--input", saved.path)
    (tmp_path / "Dockerfile").write_text(f"FROM {saved.name}\nRUN echo before > /srv/before\n")
    docker("build", "--network", "none", "--tag", tag, tmp_path)
    known = docker.known(tag)
    docker("rmi", saved.name)
    yield known
    docker.forget(known)


def state_of(services: Services) -> Path:
    return Path(services["DOCKER_HOST"].removeprefix("unix://")).parent


@pytest.fixture
def large(tmp_path: Path) -> str:
    """Return an image that no daemon has, of 24 MB."""
    rootfs = tmp_path / "large.tar"
    with tarfile.open(rootfs, "w") as tar:
        (tmp_path / "content").write_bytes(os.urandom(24 << 20))
        tar.add(tmp_path / "content", "content")
    import hashlib
    import json

    layer = rootfs.read_bytes()
    diff_id = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]}}
    ).encode()
    (tmp_path / "config.json").write_bytes(config)
    (tmp_path / "manifest.json").write_text(
        json.dumps([{"Config": "config.json", "RepoTags": None, "Layers": ["large.tar"]}])
    )
    archive = tmp_path / "archive.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("config.json", "large.tar", "manifest.json"):
            tar.add(tmp_path / name, name)
    return f"docker-archive:{archive}"


def test_a_daemon_whose_disk_is_full(
    occy: Occy, docker: Client, services: Services, before: Known, large: str, tag: str
) -> None:
    place = state_of(services) / "docker" / "tmp"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        occy("convert", large, f"docker-daemon:{tag}", "--timeout", "60", expect=7)
        assert not list(place.iterdir())
    finally:
        subprocess.run(["umount", place], check=True)
    assert docker.known(tag) == before


def test_a_daemon_that_hangs(
    occy: Occy, docker: Client, services: Services, before: Known, large: str, tag: str
) -> None:
    pid = int((state_of(services) / "dockerd.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        occy("convert", large, f"docker-daemon:{tag}", "--timeout", "1", expect=7)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert docker.known(tag) == before


def test_a_layer_that_is_not_what_it_says(occy: Occy, docker: Client, before: Known, large: str, tag: str) -> None:
    archive = Path(large.split(":")[1])
    raw = bytearray(archive.read_bytes())
    raw[len(raw) // 2] ^= 1
    archive.write_bytes(raw)
    images = docker.ids()
    occy("convert", large, f"docker-daemon:{tag}", expect=4)
    assert docker.known(tag) == before
    assert docker.ids() == images
