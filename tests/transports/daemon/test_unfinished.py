"""What is left of a load that was cut off, and what comes of the next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import occy_fast
from occy_fast.files.tar_writer import tar_header, tar_member
from occy_fast.transports.daemon.client import DaemonClient
from occy_fast.transports.daemon.endpoint import find_endpoint
from occy_fast.transports.daemon.unfinished import clear_unfinished
from support.daemon_images import layout
from support.fake_containerd import FakeContainerd, cut_off
from support.image_builders import make_image


@pytest.mark.parametrize("size", [1, 100, 511, 600, 5000])
@pytest.mark.parametrize("same", [False, True])
def test_what_is_left_of_an_interrupted_index_is_cleared(
    store: FakeContainerd, tmp_path: Path, size: int, same: bool
) -> None:
    """It is kept under its name, and would be taken for the beginning of ours, or refused for its size."""
    image = make_image("a")
    if same:
        occy_fast.convert(layout(tmp_path / "first", image), "docker-daemon:app:1")
        size = len(json.dumps({"manifests": []})) + size
    cut_off(store, tar_member("oci-layout", b"{}"), tar_header("index.json", size + 7), b"[" * size)
    assert "index.json" in store.unfinished
    result = occy_fast.convert(layout(tmp_path, image), "docker-daemon:app:1")
    assert store.names() == {"app:1": str(result.digest)}
    assert not store.unfinished


@pytest.mark.parametrize("name", ["layer-1", "index.json", "0/layer.tar"])
@pytest.mark.parametrize(("sent", "size"), [(0, 3), (600, 700), (2000, 100_000)])
def test_any_member_can_be_cleared(store: FakeContainerd, name: str, sent: int, size: int) -> None:
    cut_off(store, tar_header(name, size), b"[" * sent)
    assert name in store.unfinished
    with DaemonClient(find_endpoint("docker-daemon", "destination", None), "destination", "d", 5) as client:
        clear_unfinished(client, name, ("oci-layout", b"{}"))
    assert not store.unfinished
    assert not store.images


def test_what_is_too_large_is_left_alone(store: FakeContainerd) -> None:
    """What a daemon says of a size is not taken for what is to be sent."""
    store.unfinished["index.json"] = (b"", 1 << 40)
    with DaemonClient(find_endpoint("docker-daemon", "destination", None), "destination", "d", 5) as client:
        clear_unfinished(client, "index.json")
    assert store.received < 10_000
