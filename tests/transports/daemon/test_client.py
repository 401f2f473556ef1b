"""How a daemon is asked for an image: by name, id or short id, and what it says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import AmbiguousReference, BadReference, DaemonError, NotFound, UsageError
from occy_fast.spec.digest import Digest
from support.daemon_images import BRIEF, image_id, put
from support.fake_daemon import FAULTS, Exchange, FakeDaemon
from support.image_builders import make_image, sha256


@pytest.mark.parametrize("length", [12, 30, 64])
def test_an_id_may_be_short(daemon: FakeDaemon, tmp_path: Path, length: int) -> None:
    """As `docker images` prints it; an image of that name comes first, as for Docker."""
    image, other = make_image("a", "b"), make_image("c")
    put(daemon, image, "app:1")
    put(daemon, other, "app:2")
    short = sha256(image.config)[:length]
    result = occy_fast.convert(f"docker-daemon:{short}", f"oci:{tmp_path}/out")
    assert [layer.diff_id for layer in result.layers] == [Digest.parse(digest) for digest in image.diff_ids]
    for found in (occy_fast.inspect(f"docker-daemon:{short}"), occy_fast.inspect(f"docker-daemon:{image_id(image)}")):
        assert found.images[0].config == image_id(image)
    if length == 64:                                     # no image can be called so
        return
    put(daemon, other, f"{short}:latest")
    assert occy_fast.inspect(f"docker-daemon:{short}").images[0].config == image_id(other)


def test_only_an_id_is_sought_among_ids(daemon: FakeDaemon) -> None:
    """A name with a tag or a host is a name, for Docker as for Podman: another image would be no answer."""
    image = make_image("a")
    put(daemon, image, "app:1")
    short = sha256(image.config)[:12]
    for text in (f"{short}:latest", f"library/{short}", f"docker.io/library/{short}", short[:11], short.upper()):
        with pytest.raises((NotFound, BadReference)):
            occy_fast.inspect(f"docker-daemon:{text}")
    for text in (short, f"sha256:{short}"):
        assert occy_fast.inspect(f"docker-daemon:{text}").images


@pytest.mark.parametrize("call", [occy_fast.inspect, lambda name: occy_fast.check(name, ["k3s"])])
@pytest.mark.parametrize("name", ["app:1", "64b48d79ef81", "a" * 64, "sha256:" + "b" * 64])
def test_what_is_not_there_is_not_found(daemon: FakeDaemon, call: Callable[[str], object], name: str) -> None:
    """dockerd 20.10 fails with status 500 when it is to save an id that it does not have."""

    def fail(fake: FakeDaemon, asked: Exchange) -> bool:
        if asked.path.startswith("/images/sha256:") and asked.path.endswith("/get"):
            asked.say_json(500, {"message": "open /var/lib/docker/image: no such file or directory"})
            return True
        return False

    daemon.faults.append(fail)
    with pytest.raises(NotFound):
        call(f"docker-daemon:{name}")
    assert occy_fast.verify(f"docker-daemon:{name}").exit_code == 3


def test_a_short_id_of_two_images(daemon: FakeDaemon, tmp_path: Path) -> None:
    image = make_image("a")
    put(daemon, image, "app:1")
    [found] = daemon.images.values()
    twin = image_id(image)[:-1] + ("1" if image_id(image)[-1] == "0" else "0")
    daemon.images[twin] = found
    for call in (occy_fast.inspect, lambda source: occy_fast.convert(source, f"oci:{tmp_path}/out")):
        with pytest.raises(AmbiguousReference) as caught:
            call(f"docker-daemon:{sha256(image.config)[:12]}")
        assert caught.value.candidates == tuple(sorted([twin, image_id(image)]))


def test_an_image_that_is_not_there(daemon: FakeDaemon, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out")
    assert "app:1" in str(caught.value)
    with pytest.raises(NotFound):
        occy_fast.convert("docker-daemon:64b48d79ef81", f"oci:{tmp_path}/out")
    with pytest.raises(NotFound):
        occy_fast.inspect("docker-daemon:64b48d79ef81")
    with pytest.raises(UsageError):
        occy_fast.convert("docker-daemon:", f"oci:{tmp_path}/out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["hangs", "hangs up", "talks rubbish"])
def test_a_daemon_that_fails_before_the_archive(daemon: FakeDaemon, tmp_path: Path, kind: str) -> None:
    fault, words = FAULTS[kind]
    put(daemon, make_image(), "app:1")
    daemon.faults.append(lambda fake, asked: asked.path.endswith("/get") and fault(fake, asked))
    with pytest.raises(DaemonError) as caught:
        occy_fast.convert("docker-daemon:app:1", f"oci:{tmp_path}/out", access=BRIEF)
    assert words in caught.value.problem
    assert not (tmp_path / "out").exists()
