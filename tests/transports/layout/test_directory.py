"""A layout's files are regular, below real directories, and stay what they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from occy_fast import errors
from occy_fast.errors import (
    BadArchive,
    LinkRefused,
    PlanStale,
)
from support.image_builders import make_image, oci_layout, sha256
from support.layouts import break_layout, only_image, read


@pytest.mark.parametrize(
    "what",
    [
        "blobs is a file",
        "blob is a fifo",
        "index is a fifo",
        "index is a directory",
    ],
)
def test_only_regular_files_in_directories(tmp_path: Path, what: str) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    break_layout(layout, what)
    with pytest.raises(BadArchive):
        read(layout)


@pytest.mark.parametrize(
    "what", ["symlinked index", "symlinked oci-layout", "symlinked blobs", "symlinked sha256", "symlinked blob"]
)
def test_no_link_out_of_it_is_followed_unasked(tmp_path: Path, what: str) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    break_layout(layout, what)
    with pytest.raises(LinkRefused):
        read(layout)


def test_the_layout_itself_may_be_a_link(tmp_path: Path) -> None:
    image = make_image("a")
    oci_layout(tmp_path / "real", [image])
    (tmp_path / "o").symlink_to("real")
    with only_image(read(tmp_path / "o")).layers[0].blob.open() as region:
        assert region.read() == image.blobs[0]


def test_a_blob_swapped_after_reading_is_noticed(tmp_path: Path) -> None:
    image = make_image("a")
    layout = oci_layout(tmp_path / "o", [image])
    (layer,) = only_image(read(layout)).layers
    blob = layout / "blobs/sha256" / sha256(image.blobs[0])
    blob.unlink()
    blob.write_bytes(image.blobs[0])
    os.utime(blob, ns=(5, 5))
    with pytest.raises(PlanStale):
        layer.blob.open()


@pytest.mark.parametrize(
    ("name", "raw", "error"),
    [
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}', "UnsupportedFormat"),
        ("oci-layout", b'{"imageLayoutVersion":1}', "BadManifest"),
        ("oci-layout", b"[]", "BadManifest"),
        ("oci-layout", b"x", "BadJSON"),
        ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}' + b" " * (64 << 10), "BadManifest"),
        ("index.json", None, "BadManifest"),
        ("index.json", b"{", "BadJSON"),
        ("index.json", b'{"schemaVersion":2,"manifests":[]}' + b" " * (4 << 20), "ManifestTooLarge"),
        ("index.json", b'{"schemaVersion":2,"manifests":[],"layers":[]}', "MediaTypeConflict"),
    ],
)
def test_broken_layouts_are_refused(tmp_path: Path, name: str, raw: bytes | None, error: str) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    if raw is None:
        (layout / name).unlink()
    else:
        (layout / name).write_bytes(raw)
    with pytest.raises(getattr(errors, error)):
        read(layout)
