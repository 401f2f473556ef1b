"""skopeo reads what the library writes, and the library what skopeo writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from consumers import Client, Known, Saved, archive_images, layout_images, layout_place, occy

pytestmark = pytest.mark.interop


def _config(skopeo: Client, locator: str) -> Known:
    return Known.of_config(skopeo("inspect", "--config", "--raw", locator).encode())


@pytest.mark.parametrize(
    ("family", "compression"),
    [
        ("oci", "none"),
        ("oci", "gzip"),
        ("oci", "zstd"),
        ("docker", "none"),
        ("docker", "gzip"),
    ],  # not zstd: 1.9 knows no Docker type for it
)
def test_skopeo_reads_a_layout(skopeo: Client, saved: Saved, tmp_path: Path, compression: str, family: str) -> None:
    """Copying to `dir:` makes skopeo read every blob and compare it with its digest."""
    layout, copied = tmp_path / "layout", tmp_path / "copied"
    options = ("--compression", compression, "--format", family)
    occy("convert", *options, f"docker-archive:{saved.path}", f"oci:{layout}:1")
    place = layout_place(layout, family)
    assert _config(skopeo, place) == saved.known
    inspected = json.loads(skopeo("inspect", place))
    [(manifest, known)] = layout_images(layout)
    assert known == saved.known
    assert inspected["Layers"] == [layer["digest"] for layer in manifest["layers"]]
    skopeo("copy", place, f"dir:{copied}")
    assert json.loads((copied / "manifest.json").read_bytes())["layers"] == manifest["layers"]


@pytest.mark.parametrize(
    "options", [("--compression", "none"), ("--compression", "gzip"), ("--archive-layout", "docker-20.10")]
)
def test_skopeo_reads_an_archive(
    skopeo: Client, saved: Saved, tag: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """skopeo hashes every layer, decoded, to find the diff_ids of the copy."""
    made, copied = tmp_path / "made.tar", tmp_path / "copied"
    occy("convert", *options, f"docker-archive:{saved.path}", f"docker-archive:{made}:{tag}")
    assert json.loads(skopeo("list-tags", f"docker-archive:{made}"))["Tags"] == [tag]
    assert _config(skopeo, f"docker-archive:{made}:{tag}") == saved.known
    skopeo("copy", f"docker-archive:{made}:{tag}", f"oci:{copied}:1")
    [(_, known)] = layout_images(copied)
    assert known.diff_ids == saved.known.diff_ids


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--dest-compress-format", "zstd"),
        ("--format", "v2s2"),
    ],
    ids=["gzip", "zstd", "docker"],
)
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_what_skopeo_wrote_is_read(
    skopeo: Client, saved: Saved, tmp_path: Path, flags: tuple[str, ...], compression: str
) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    skopeo("copy", *flags, f"docker-archive:{saved.path}", f"oci:{theirs}:1")
    occy("verify", f"oci:{theirs}")
    [(_, before)] = layout_images(theirs)
    options = ("--compression", compression, "--verify", "layers", "--format", "oci")
    occy("convert", *options, f"oci:{theirs}:1", f"oci:{ours}:1")
    occy("verify", f"oci:{ours}")
    [(_, after)] = layout_images(ours)
    assert after == before
    assert after.diff_ids == saved.known.diff_ids


def test_an_archive_of_skopeo_is_read(skopeo: Client, saved: Saved, tag: str, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.tar", tmp_path / "ours.tar"
    skopeo("copy", f"docker-archive:{saved.path}", f"docker-archive:{theirs}:{tag}")
    occy("convert", f"docker-archive:{theirs}", f"docker-archive:{ours}")
    assert archive_images(ours) == archive_images(theirs)
    assert archive_images(ours)[0][1].diff_ids == saved.known.diff_ids


def test_layers_that_skopeo_mislabels_are_found(skopeo: Client, saved: Saved, tmp_path: Path) -> None:
    """From an archive it stores bare tars, and calls them gzip."""
    theirs = tmp_path / "theirs"
    skopeo("copy", "--dest-oci-accept-uncompressed-layers", f"docker-archive:{saved.path}", f"oci:{theirs}:1")
    [(manifest, known)] = layout_images(theirs)
    stored = [layer["digest"] for layer in manifest["layers"] if layer["mediaType"].endswith("+gzip")]
    if set(stored) & set(known.diff_ids):
        occy("verify", f"oci:{theirs}", expect=4)
    else:
        occy("verify", f"oci:{theirs}")
