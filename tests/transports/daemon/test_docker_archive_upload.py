"""How images and their layers are called in what a graph driver loads."""

from __future__ import annotations

from pathlib import Path

import occy_fast
from support.daemon_images import image_id
from support.fake_daemon import FakeDaemon
from support.image_builders import docker_archive, make_image


def test_layers_without_digest(daemon: FakeDaemon, tmp_path: Path) -> None:
    """An archive does not say the digest of a gzip layer: it is known when the layer has gone by."""
    base = make_image("a")
    daemon.add(base.config, base.tars, "base:1")
    image = make_image("a", "b", codec="gzip")
    archive = docker_archive(tmp_path / "a.tar", [image])
    result = occy_fast.convert(f"docker-archive:{archive}", "docker-daemon:")
    assert [layer.kind for layer in result.layers] == ["skip", "copy"]
    assert daemon.names() == {"base:1": image_id(base), "app:1": image_id(image)}


def test_several_images_and_names(daemon: FakeDaemon, tmp_path: Path) -> None:
    one, two = make_image("a", names=("a:1", "x.io/a:2")), make_image("b", names=("b:1",))
    archive = docker_archive(tmp_path / "a.tar", [one, two])
    occy_fast.convert(f"docker-archive:{archive}", "docker-daemon:")
    assert daemon.names() == {"a:1": image_id(one), "x.io/a:2": image_id(one), "b:1": image_id(two)}
    occy_fast.convert(f"docker-archive:{archive}:b:1", "docker-daemon:c:1", tags=["d", "x.io/e:3"])
    assert {name for name, found in daemon.names().items() if found == image_id(two)} == {
        "b:1",
        "c:1",
        "d:latest",
        "x.io/e:3",
    }
