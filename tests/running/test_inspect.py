"""What a locator shows, as one object."""

from __future__ import annotations

from pathlib import Path

from occy_fast import api
from support.image_builders import docker_archive, full_name, make_image, oci_layout, sha256


def test_an_index(tmp_path: Path) -> None:
    images = [make_image("base", arch, codec="zstd", architecture=arch) for arch in ("amd64", "arm64")]
    layout = oci_layout(tmp_path / "in", images, ["app"], nested=True)
    shown = api.inspect(f"oci:{layout}").to_json()
    assert (shown["schema"], shown["kind"], shown["locator"]) == (1, "oci", f"oci:{layout}")
    assert [entry["platform"] for entry in shown["images"]] == ["linux/amd64", "linux/arm64"]
    for entry, image in zip(shown["images"], images, strict=True):
        assert entry["ref"] == "app"
        assert entry["digest"] == image.descriptor()["digest"]
        assert entry["config"] == "sha256:" + sha256(image.config)
        assert entry["index"].startswith("sha256:")
        assert entry["layers"] == [
            {
                "digest": "sha256:" + sha256(blob),
                "diff_id": diff_id,
                "size": len(blob),
                "encoding": "zstd",
                "media_type": "application/vnd.oci.image.layer.v1.tar+zstd",
            }
            for blob, diff_id in zip(image.blobs, image.diff_ids, strict=True)
        ]


def test_what_an_old_archive_does_not_tell_is_null(tmp_path: Path) -> None:
    image = make_image("one", "two", codec=["none", "gzip"], names=["app:1", "app:latest"])
    (entry,) = api.inspect(str(docker_archive(tmp_path / "in.tar", [image]))).to_json()["images"]
    assert (entry["digest"], entry["media_type"], entry["index"]) == (None, None, None)
    assert entry["names"] == [full_name("app:1"), full_name("app:latest")]
    assert entry["ref"] == full_name("app:1")
    assert [layer["digest"] for layer in entry["layers"]] == [image.diff_ids[0], None]
    assert [layer["encoding"] for layer in entry["layers"]] == ["none", "gzip"]


def test_an_absent_child_of_an_index(tmp_path: Path) -> None:
    images = [make_image("one", arch, architecture=arch) for arch in ("amd64", "arm64")]
    layout = oci_layout(tmp_path / "in", images, ["app"], nested=True)
    (layout / "blobs" / "sha256" / sha256(images[1].manifest)).unlink()
    shown = api.inspect(f"oci:{layout}").images
    assert [(entry.digest, entry.layers is None) for entry in shown] == [
        (images[0].descriptor()["digest"], False),
        (images[1].descriptor()["digest"], True),
    ]
