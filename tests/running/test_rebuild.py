"""Documents that are made again, and those that keep their bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from occy_fast import api
from occy_fast.errors import ManifestTooLarge
from occy_fast.spec.limits import Limits
from support.conversions import layout_of
from support.image_builders import dumps, make_image, oci_layout, sha256
from support.outputs import Layout


def test_an_index_is_pruned_and_its_entries_follow_their_images(tmp_path: Path) -> None:
    images = [make_image("one", arch, architecture=arch) for arch in ("amd64", "arm64", "s390x")]
    oci_layout(tmp_path / "in", images, ["app"], nested=True)
    api.convert(
        f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", platforms=["linux/s390x", "linux/amd64"], encoding="gzip"
    )
    layout = Layout(tmp_path / "out")
    index = json.loads(layout.blob(layout.entries()["app"]))
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == ["amd64", "s390x"]
    for entry, image in zip(index["manifests"], (images[0], images[2]), strict=True):
        written = layout.read(entry)
        assert written.config == image.config
        assert (written.codecs, written.tars) == ({"gzip"}, image.tars)


def test_a_whole_index_keeps_its_bytes(tmp_path: Path) -> None:
    images = [make_image("one", arch, architecture=arch) for arch in ("amd64", "arm64")]
    source = oci_layout(tmp_path / "in", images, ["app"], nested=True)
    result = api.convert(f"oci:{source}:app", f"oci:{tmp_path}/out:app")
    assert str(result.digest) == Layout(source).entries()["app"]["digest"]


def test_annotations_and_unknown_fields_survive_recoding(tmp_path: Path) -> None:
    image = make_image("one", "two", codec="gzip")
    manifest = json.loads(image.manifest)
    manifest["annotations"] = {"who": "me"}
    manifest["x-unknown"] = [1, {"deep": True}]
    manifest["layers"][0]["annotations"] = {"kept": "yes", "containerd.io/snapshot/stargz/toc.digest": "sha256:dead"}
    manifest["layers"][1]["annotations"] = {"io.github.containers.zstd-chunked.manifest-position": "1:2:3:4"}
    layout_of(tmp_path / "in", image, dumps(manifest))
    api.convert(f"oci:{tmp_path}/in", f"oci:{tmp_path}/out", encoding="zstd")
    written = Layout(tmp_path / "out").image().manifest
    assert written["annotations"] == {"who": "me"}
    assert written["x-unknown"] == [1, {"deep": True}]
    assert written["layers"][0]["annotations"] == {"kept": "yes"}
    assert "annotations" not in written["layers"][1]


@pytest.mark.parametrize("kind", ["manifest", "index"])
def test_what_is_made_is_not_larger_than_every_reader_accepts(tmp_path: Path, kind: str) -> None:
    """What keeps its bytes is written as it was read, by whoever allows that."""
    image, note = make_image("one"), {"note": "x" * (4 << 20)}
    if kind == "manifest":
        layout_of(tmp_path / "in", image, dumps(json.loads(image.manifest) | {"annotations": note}))
    else:
        layout = oci_layout(tmp_path / "in", [image], ["app"], nested=True)
        top = json.loads((layout / "index.json").read_bytes())
        [entry] = top["manifests"]
        index = dumps(json.loads((layout / "blobs/sha256" / entry["digest"][7:]).read_bytes()) | {"annotations": note})
        (layout / "blobs/sha256" / sha256(index)).write_bytes(index)
        entry |= {"digest": "sha256:" + sha256(index), "size": len(index)}
        (layout / "index.json").write_bytes(dumps(top))
    source, more = f"oci:{tmp_path}/in", Limits(manifest=8 << 20)
    api.convert(source, f"oci:{tmp_path}/kept", limits=more)
    with pytest.raises(ManifestTooLarge) as caught:
        api.convert(source, f"oci:{tmp_path}/made", encoding="gzip", limits=more)
    assert caught.value.where == f"oci:{tmp_path}/made: the {kind} that was made"
    assert not (tmp_path / "made").exists()
