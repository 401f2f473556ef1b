"""Images in a daemon, and what comes of them elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import occy_fast
from occy_fast.context.access import Access
from occy_fast.image.image import Contents
from support.fake_daemon import FakeDaemon
from support.image_builders import BuiltImage, oci_layout, sha256

BRIEF = Access(timeout=0.4)


def put(daemon: FakeDaemon, image: BuiltImage, *names: str) -> str:
    return daemon.add(image.config, image.tars, *names)


def config_in(layout: Path) -> bytes:
    index = json.loads((layout / "index.json").read_bytes())
    manifest = json.loads((layout / "blobs" / index["manifests"][0]["digest"].replace(":", "/")).read_bytes())
    return (layout / "blobs" / manifest["config"]["digest"].replace(":", "/")).read_bytes()


def image_id(image: BuiltImage) -> str:
    return "sha256:" + sha256(image.config)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BARE = b"HTTP/1.0 200 OK\r\n\r\n"


def contents_of(locator: str, **more: Any) -> Contents:
    with occy_fast.open_image(locator, **more) as contents:
        return contents


def layout(path: Path, *images: BuiltImage) -> str:
    return f"oci:{oci_layout(path / 'layout', images)}"
