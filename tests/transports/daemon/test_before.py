"""What is put back when a load fails."""

from __future__ import annotations

from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import DaemonError
from occy_fast.spec.digest import Digest
from occy_fast.transports.daemon.before import Before, Expected
from occy_fast.transports.daemon.client import DaemonClient
from occy_fast.transports.daemon.endpoint import find_endpoint
from support.daemon_images import BRIEF, image_id, layout
from support.fake_daemon import FAULTS, Exchange, FakeDaemon, hang_up
from support.image_builders import make_image


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("size", [3000, 3_000_000])
def test_a_daemon_that_fails_while_it_loads(daemon: FakeDaemon, tmp_path: Path, kind: str, size: int) -> None:
    fault, words = FAULTS[kind]
    before = make_image("before")
    daemon.add(before.config, before.tars, "app:1")
    image = make_image("a", "b", size=size)
    source = layout(tmp_path, image)
    daemon.faults.append(lambda fake, asked: asked.path.endswith("/load") and fault(fake, asked))
    with pytest.raises(DaemonError) as caught:
        occy_fast.convert(source, "docker-daemon:app:1", tags=["more:1"], access=BRIEF)
    assert caught.value.exit_code == 7
    assert words in caught.value.problem
    assert daemon.names() == {"app:1": image_id(before)}
    assert set(daemon.images) == {image_id(before)}


def test_a_daemon_that_says_all_is_well_and_does_nothing(daemon: FakeDaemon, tmp_path: Path) -> None:
    def ignore(fake: FakeDaemon, asked: Exchange) -> bool:
        if asked.path.endswith("/load"):
            for _ in asked.body():
                pass
            asked.say(200, b'{"stream":"Loaded image: app:1\\n"}\r\n')
        return asked.path.endswith("/load")

    daemon.faults.append(ignore)
    with pytest.raises(DaemonError) as caught:
        occy_fast.convert(layout(tmp_path, make_image()), "docker-daemon:app:1")
    assert "has not loaded" in caught.value.problem


def test_a_daemon_that_is_gone_is_asked_for_a_sign_of_life_only(daemon: FakeDaemon) -> None:
    """What stands between may hold a new connection and never answer, and putting names back has a minute."""
    endpoint = find_endpoint("docker-daemon", "destination", None)
    with DaemonClient(endpoint, "destination", "docker-daemon:app:1", 60.0) as client:
        before = Before(client, (Expected(Digest.sha256(b""), ("app:1",), None),))
        daemon.requests.clear()
        daemon.faults.append(hang_up)
        before.restore(client.connection.failure("it hung up"))
    assert set(daemon.requests) == {"GET /_ping"}


def test_an_image_that_the_daemon_cannot_show_is_removed(daemon: FakeDaemon, tmp_path: Path) -> None:
    """With one whose config it cannot decode in its store, Docker lists no image at all."""

    def refuse_to_show(fake: FakeDaemon, asked: Exchange) -> bool:
        shown = asked.method == "GET" and "/images/" in asked.path and asked.path.endswith("/json") and fake.images
        if shown:
            asked.say(500, b'{"message":"could not deserialize image config"}')
        return bool(shown)

    daemon.faults.append(refuse_to_show)
    with pytest.raises(DaemonError, match="could not deserialize"):
        occy_fast.convert(layout(tmp_path, make_image()), "docker-daemon:app:1")
    assert not daemon.images


def test_a_name_that_another_image_had_is_given_back_where_ours_cannot_be_shown(
    daemon: FakeDaemon, tmp_path: Path
) -> None:
    before = make_image("before")
    daemon.add(before.config, before.tars, "app:1")

    def refuse_to_show(fake: FakeDaemon, asked: Exchange) -> bool:
        ours = fake.names().get("app:1") != image_id(before)
        hidden = ours and asked.method == "GET" and asked.path.endswith("/json") and "app:1" in asked.path
        if hidden:
            asked.say(500, b'{"message":"could not deserialize image config"}')
        return hidden

    daemon.faults.append(refuse_to_show)
    with pytest.raises(DaemonError, match="could not deserialize"):
        occy_fast.convert(layout(tmp_path, make_image()), "docker-daemon:app:1")
    assert daemon.names() == {"app:1": image_id(before)}
