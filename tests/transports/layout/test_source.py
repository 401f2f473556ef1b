"""OCI layouts as they are read: images, names, selectors, and layouts that other tools wrote."""

from __future__ import annotations

import errno
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from occy_fast import errors
from occy_fast.errors import (
    InputError,
    MissingBlob,
    NotFound,
)
from occy_fast.image.image import Image, ImageIndex
from support.image_builders import dumps, make_image, oci_layout, sha256
from support.layouts import only_image, read, replace_manifest


@pytest.mark.parametrize("docker", [False, True])
@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_layouts_are_read(tmp_path: Path, codec: str, docker: bool) -> None:
    image = make_image("a", "b", codec=codec, docker=docker)
    found = only_image(read(oci_layout(tmp_path / "o", [image], ["1"])))
    assert found.manifest is not None
    assert found.config is not None
    assert (found.manifest.raw, found.config.raw) == (image.manifest, image.config)
    assert [layer.encoding.codec for layer in found.layers] == [codec, codec]
    assert [str(layer.diff_id) for layer in found.layers] == image.diff_ids
    for layer, blob in zip(found.layers, image.blobs, strict=True):
        with layer.blob.open() as region:
            assert region.read() == blob
    assert str(found.platform) == "linux/amd64"


def test_a_layer_is_what_its_bytes_say(tmp_path: Path) -> None:
    """Tools exist that write zstd layers under the media type of gzip."""
    image = make_image("a", codec="zstd")
    manifest = json.loads(image.manifest)
    manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip"
    layout = oci_layout(tmp_path / "o", [image])
    replace_manifest(layout, manifest)
    layer = only_image(read(layout)).layers[0]
    assert layer.encoding.codec == "zstd"
    assert layer.media_type.endswith("+gzip")


@pytest.mark.parametrize("what", ["manifest", "config"])
def test_an_absent_document_of_a_root_is_missing(tmp_path: Path, what: str) -> None:
    image = make_image("a")
    layout = oci_layout(tmp_path / "o", [image])
    (layout / "blobs/sha256" / sha256(getattr(image, what))).unlink()
    with pytest.raises(MissingBlob, match=sha256(getattr(image, what))):
        read(layout)


def test_an_absent_layer_is_missing_when_it_is_opened(tmp_path: Path) -> None:
    image = make_image("a")
    layout = oci_layout(tmp_path / "o", [image])
    (layout / "blobs/sha256" / sha256(image.blobs[0])).unlink()
    (layer,) = only_image(read(layout)).layers
    assert layer.blob.address is None
    with pytest.raises(MissingBlob):
        layer.blob.open()


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (":one", ["one"]),
        (":@1", ["docker.io/t5/two:2"]),
        (":docker.io/t5/two:2", ["docker.io/t5/two:2"]),
        (":t5/two:2", ["docker.io/t5/two:2"]),
        (":@2", [None]),
        ("", ["one", "docker.io/t5/two:2", None]),
    ],
)
def test_selectors(tmp_path: Path, selector: str, expected: list[str | None]) -> None:
    images = [make_image("a"), make_image("b"), make_image("c")]
    layout = oci_layout(tmp_path / "o", images, ["one", "docker.io/t5/two:2", None])
    assert [named.ref for named in read(layout, selector).images] == expected


@pytest.mark.parametrize("selector", [":@2", ":none", ":onee"])
def test_what_is_not_there_is_not_found(tmp_path: Path, selector: str) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a"), make_image("b")], ["one", "two"])
    with pytest.raises(NotFound):
        read(layout, selector)


def test_a_reference_that_two_images_have_selects_both(tmp_path: Path) -> None:
    images = [make_image("a"), make_image("b"), make_image("b"), make_image("b")]
    layout = oci_layout(tmp_path / "o", images, ["other", "one", "one", "two"])
    assert [named.position for named in read(layout, ":one").images] == [1]           # the same entry twice
    layout = oci_layout(tmp_path / "p", [make_image("a"), make_image("b"), make_image("c")], ["two", "one", "one"])
    assert [named.position for named in read(layout, ":one").images] == [1, 2]
    assert read(layout, ":two").images[0].ref == "two"


def test_names(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "o", [make_image(name) for name in "abcd"], ["1", "localhost/x:one", None, "../x"])
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"][0]["annotations"]["io.containerd.image.name"] = "docker.io/t5/app:1"
    (layout / "index.json").write_bytes(dumps(index))
    assert [(named.names, named.ref) for named in read(layout).images] == [
        (("docker.io/t5/app:1",), "1"),
        (("localhost/x:one",), "localhost/x:one"),
        ((), None),
        ((), "../x"),
    ]


@pytest.mark.parametrize("where", ["find", "read", "open"])
def test_no_error_of_the_system_escapes_from_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    image = make_image("a")
    layout = oci_layout(tmp_path / "o", [image])
    digest = sha256(image.config)
    name = {"find": "stat", "read": "pread", "open": "open"}[where]
    original = getattr(os, name)

    def refuse(path: Any, *arguments: Any, **more: Any) -> Any:
        if name == "pread" or digest in str(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return original(path, *arguments, **more)

    monkeypatch.setattr(os, name, refuse)
    with pytest.raises(InputError, match="Permission denied"):
        read(layout)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_layouts_of_real_tools(shared: Path, tmp_path: Path, name: str) -> None:
    with tarfile.open(shared / f"fixtures/skopeo-1.22-dev-oci-layout-{name}.tar") as tar:
        tar.extractall(tmp_path / "o", filter="data")
    image = only_image(read(tmp_path / "o", ":one"))
    assert image.config_blob.digest is not None
    assert image.config_blob.digest.hex == "50f2eee4f879f985823ebdfe7e3dd33f85cb17b0c32dac567cc36bff041e1c3c"
    assert [layer.encoding.codec for layer in image.layers] == [name] * len(image.layers)


def test_the_corpus_of_layouts(shared: Path) -> None:
    """What skopeo reads under a ref is read, with the same manifest."""
    cases = json.loads((shared / "corpus/images/expected.json").read_text())["layouts"]
    compared = 0
    for case in cases:
        for ref, observed in case["skopeo"].items():
            layout = shared / "corpus" / case["path"]
            if observed["rc"] != 0:
                continue
            node = read(layout, f":{ref}" if ref else "").images[0].root
            manifests = list(images_of(node)) if isinstance(node, ImageIndex) else [node]
            assert observed["manifest_sha256"] in [image.manifest.digest.hex for image in manifests], (layout, ref)
            compared += 1
    assert compared > 20


def images_of(node: ImageIndex) -> Iterator[Image]:
    for child in node.children:
        if isinstance(child, Image):
            yield child
        elif isinstance(child, ImageIndex):
            yield from images_of(child)


AT_VERIFY = {"DigestMismatch", "DecompressionBomb", "MissingBlob", "ForeignLayerRefused"}  # what only layers show


def test_hostile_layouts(shared: Path, tmp_path: Path) -> None:
    cases = json.loads((shared / "corpus/hostile/expected.json").read_text())["cases"]
    refused = 0
    for case in cases:
        if case["cls"] not in ("oci-archive", "oci-layout"):
            continue
        layout = tmp_path / case["id"]
        with tarfile.open(shared / "corpus/hostile" / case["file"]) as tar:
            try:
                tar.extractall(layout, filter="data")
            except tarfile.FilterError:              # links out: they belong to the archive's tests
                continue
        error = error_of(layout)
        if error is None:
            assert case["expect"] != "refuse" or set(case["errors"]) & AT_VERIFY, case["id"]
        else:
            assert error in case["errors"], case["id"]
            refused += 1
    assert refused > 12


def error_of(layout: Path) -> str | None:
    """Return the name of the error that reading raises."""
    try:
        read(layout)
    except errors.OccyError as error:
        return type(error).__name__
    return None
