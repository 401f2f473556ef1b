"""skopeo reads what the library writes, and the library what skopeo writes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from support.consumers import Client, Known, Saved, archive_images, layout_images, layout_place, occy, unpack

OCI_INDEX = "application/vnd.oci.image.index.v1+json"

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


@pytest.mark.parametrize(
    ("family", "compression"),
    [
        ("oci", "none"),
        ("oci", "gzip"),
        ("oci", "zstd"),
        ("docker", "none"),
        ("docker", "gzip"),
    ],
)
def test_skopeo_reads_an_oci_archive(
    skopeo: Client, saved: Saved, tmp_path: Path, compression: str, family: str
) -> None:
    made, copied = tmp_path / "made.tar", tmp_path / "copied"
    options = ("--compression", compression, "--format", family)
    occy("convert", *options, f"docker-archive:{saved.path}", f"oci-archive:{made}:1")
    place = f"oci-archive:{made}:1" if family == "oci" else f"oci-archive:{made}"
    assert _config(skopeo, place) == saved.known
    skopeo("copy", place, f"dir:{copied}")
    [(manifest, known)] = layout_images(unpack(made, tmp_path / "layout"))
    assert known == saved.known
    assert json.loads((copied / "manifest.json").read_bytes())["layers"] == manifest["layers"]


@pytest.mark.parametrize("zstd", [False, True])
def test_an_oci_archive_of_skopeo_is_read(skopeo: Client, saved: Saved, tmp_path: Path, zstd: bool) -> None:
    theirs, ours = tmp_path / "theirs.tar", tmp_path / "ours.tar"
    flags = ("--dest-compress-format", "zstd") if zstd else ()
    skopeo("copy", *flags, f"docker-archive:{saved.path}", f"oci-archive:{theirs}:a/b:1")
    occy("verify", f"oci-archive:{theirs}")
    occy("convert", str(theirs), f"oci-archive:{ours}")
    found = [layout_images(unpack(path, tmp_path / path.stem)) for path in (theirs, ours)]
    assert found[0] == found[1]
    skopeo("inspect", f"oci-archive:{ours}:a/b:1")
    occy("convert", f"oci-archive:{ours}:a/b:1", f"docker-archive:{tmp_path}/back.tar")
    assert archive_images(tmp_path / "back.tar")[0][1].diff_ids == saved.known.diff_ids


def test_skopeo_takes_every_image_of_an_index(skopeo: Client, saved: Saved, tmp_path: Path) -> None:
    """The same image for two platforms, one of them by name alone, in an index that the library recodes."""
    layout = tmp_path / "layout"
    occy("convert", f"docker-archive:{saved.path}", f"oci:{layout}")
    document = json.loads((layout / "index.json").read_bytes())
    [entry] = document["manifests"]
    child = {key: entry[key] for key in ("mediaType", "digest", "size")}
    children = [{**child, "platform": {"os": "linux", "architecture": name}} for name in ("amd64", "s390x")]
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}).encode()
    digest = hashlib.sha256(raw).hexdigest()
    (layout / "blobs" / "sha256" / digest).write_bytes(raw)
    entry.update({"mediaType": OCI_INDEX, "digest": f"sha256:{digest}", "size": len(raw)})
    (layout / "index.json").write_bytes(json.dumps(document).encode())
    occy("convert", "--compression", "gzip", f"oci:{layout}", f"oci-archive:{tmp_path}/made.tar:all")
    skopeo("copy", "--all", f"oci-archive:{tmp_path}/made.tar:all", f"dir:{tmp_path}/copied")
    copied = json.loads((tmp_path / "copied" / "manifest.json").read_bytes())
    assert [child["platform"]["architecture"] for child in copied["manifests"]] == ["amd64", "s390x"]
    skopeo("--override-arch", "s390x", "inspect", f"oci-archive:{tmp_path}/made.tar:all")


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
