"""Images, indexes and artifacts from the documents that descriptors lead to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast import errors
from occy_fast.errors import (
    DigestMismatch,
    LimitError,
    SizeMismatch,
)
from occy_fast.image.blob import Blob
from occy_fast.image.image import Image, ImageIndex, Opaque
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.limits import LIMITS
from occy_fast.transports import documents
from support.image_builders import OCI_INDEX, OCI_MANIFEST, dumps, make_image, oci_layout, sha256
from support.layouts import only_image, read


def test_an_index_is_read_with_its_children(tmp_path: Path) -> None:
    images = [make_image("a"), make_image("b", architecture="arm64")]
    (named,) = read(oci_layout(tmp_path / "o", images, ["multi"], nested=True)).images
    assert named.ref == "multi"
    index = named.root
    assert isinstance(index, ImageIndex)
    assert [str(child.platform) for child in index.children] == ["linux/amd64", "linux/arm64"]
    assert index.descriptor is not None
    assert index.descriptor.digest == index.index.digest


def test_absent_children_are_opaque(tmp_path: Path) -> None:
    images = [make_image("a"), make_image("b", architecture="arm64"), make_image("c", architecture="s390x")]
    layout = oci_layout(tmp_path / "o", images, nested=True)
    (layout / "blobs/sha256" / sha256(images[1].manifest)).unlink()
    (layout / "blobs/sha256" / sha256(images[2].config)).unlink()
    index = read(layout).images[0].root
    assert isinstance(index, ImageIndex)
    assert [type(child) for child in index.children] == [Image, Opaque, Opaque]
    assert [child.blob for child in index.children if isinstance(child, Opaque)] == [None, None]


@pytest.mark.parametrize("what", ["manifest", "config"])
@pytest.mark.parametrize(("damage", "error"), [("flip", DigestMismatch), ("grow", SizeMismatch), ("cut", SizeMismatch)])
def test_damaged_documents_are_refused(tmp_path: Path, what: str, damage: str, error: type[Exception]) -> None:
    image = make_image("a")
    layout = oci_layout(tmp_path / "o", [image])
    raw = getattr(image, what)
    damaged = {"flip": raw[:-2] + bytes([raw[-2] ^ 1]) + raw[-1:], "grow": raw + b"\n", "cut": raw[:-1]}[damage]
    (layout / "blobs/sha256" / sha256(raw)).write_bytes(damaged)
    with pytest.raises(error):
        read(layout)


@pytest.mark.parametrize("to", ["oci", "docker-archive"])
@pytest.mark.parametrize("damage", [b"", b"x" * 10, b"x" * 100_000])
def test_a_layer_of_another_size_is_refused(tmp_path: Path, damage: bytes, to: str) -> None:
    image = make_image("a")
    layout = oci_layout(tmp_path / "o", [image])
    (layout / "blobs/sha256" / sha256(image.blobs[0])).write_bytes(damage)
    assert only_image(read(layout)).layers[0].size == len(image.blobs[0])        # so that verify can tell all there is
    with pytest.raises(SizeMismatch) as caught:
        occy_fast.convert(f"oci:{layout}", f"{to}:{tmp_path}/out")
    assert caught.value.exit_code == 4
    assert os.listdir(tmp_path) == ["o"]


@pytest.mark.parametrize("damage", [b"", b"x" * 10, b"x" * 100_000])
@pytest.mark.parametrize("kind", ["config", "layer", "opaque"])
def test_a_blob_of_another_size_is_refused_whatever_it_is_of(tmp_path: Path, kind: str, damage: bytes) -> None:
    """Blobs of an artifact, and one of a kind unknown here."""
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    blobs = {name: name.encode() * 10 for name in ("config", "layer", "opaque")}
    named = {
        name: {"mediaType": f"application/x-{name}", "digest": "sha256:" + sha256(data), "size": len(data)}
        for name, data in blobs.items()
    }
    manifest = dumps({"schemaVersion": 2, "config": named["config"], "layers": [named["layer"]]})
    entry = {"mediaType": OCI_MANIFEST, "digest": "sha256:" + sha256(manifest), "size": len(manifest)}
    index = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry, named["opaque"]]})
    root = {"mediaType": OCI_INDEX, "digest": "sha256:" + sha256(index), "size": len(index)}
    for data in (*blobs.values(), manifest, index):
        (layout / "blobs/sha256" / sha256(data)).write_bytes(data)
    (layout / "index.json").write_bytes(dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [root]}))
    assert occy_fast.verify(f"oci:{layout}").exit_code == 0
    (layout / "blobs/sha256" / sha256(blobs[kind])).write_bytes(damage)
    report = occy_fast.verify(f"oci:{layout}")
    assert [type(finding.error) for finding in report.errors] == [SizeMismatch]
    if kind != "opaque":                             # which stays behind
        with pytest.raises(SizeMismatch):
            occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path}/out")
        assert os.listdir(tmp_path) == ["o"]


@pytest.mark.parametrize(("depth", "fits"), [(8, True), (9, False)])
def test_depth_of_indexes(tmp_path: Path, depth: int, fits: bool) -> None:
    """index.json is not counted."""
    image = make_image("a")
    layout = oci_layout(tmp_path / "o", [image])
    entry = image.descriptor()
    for _ in range(depth):
        raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
        (layout / "blobs/sha256" / sha256(raw)).write_bytes(raw)
        entry = {"mediaType": OCI_INDEX, "digest": "sha256:" + sha256(raw), "size": len(raw)}
    (layout / "index.json").write_bytes(dumps({"schemaVersion": 2, "manifests": [entry]}))
    if fits:
        assert len(read(layout).images) == 1
    else:
        with pytest.raises(LimitError) as caught:
            read(layout)
        assert (caught.value.limit, caught.value.value) == ("depth of nested indexes", 9)


def test_a_diamond_of_indexes_is_read_in_linear_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three levels of ten entries each, all the same: a thousand paths, four documents; eight are too much to walk."""
    layout = nested(tmp_path / "o", 3, 10)
    reads = count_reads(monkeypatch)
    assert isinstance(read(layout).images[0].root, ImageIndex)
    assert len(reads) == 5                           # and the config
    layout = nested(tmp_path / "p", 8, 100)
    with pytest.raises(LimitError, match="number of manifests"):
        read(layout)
    assert len(reads) < 20


def nested(layout: Path, levels: int, width: int) -> Path:
    """Write a layout of indexes inside one another, each of which names the next *width* times."""
    image = make_image("a")
    oci_layout(layout, [image])
    entry = image.descriptor()
    for _ in range(levels):
        raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] * width})
        (layout / "blobs/sha256" / sha256(raw)).write_bytes(raw)
        entry = {"mediaType": OCI_INDEX, "digest": "sha256:" + sha256(raw), "size": len(raw)}
    (layout / "index.json").write_bytes(dumps({"schemaVersion": 2, "manifests": [entry]}))
    return layout


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    reads: list[str] = []
    original = documents.read_blob

    def counted(blob: Blob, *arguments: Any, **more: Any) -> bytes:
        reads.append(str(blob.digest))
        return original(blob, *arguments, **more)

    monkeypatch.setattr(documents, "read_blob", counted)
    return reads


@pytest.mark.parametrize("top", [True, False])
def test_aliases_of_a_manifest_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, top: bool) -> None:
    """They differ in what the descriptor says, and each image says it."""
    image = make_image("a")
    layout = oci_layout(tmp_path / "o", [image])
    reads = count_reads(monkeypatch)

    def read_aliases(count: int) -> tuple[Any, ...]:
        entries = [image.descriptor(platform={"os": "linux", "architecture": f"a{at}"}) for at in range(count)]
        if not top:
            raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
            (layout / "blobs/sha256" / sha256(raw)).write_bytes(raw)
            entries = [{"mediaType": OCI_INDEX, "digest": "sha256:" + sha256(raw), "size": len(raw)}]
        (layout / "index.json").write_bytes(dumps({"schemaVersion": 2, "manifests": entries}))
        found = tuple(named.root for named in read(layout).images)
        return found if top else found[0].children

    found = read_aliases(50)
    assert [str(one.platform) for one in found] == [f"linux/a{at}" for at in range(50)]
    assert [one.descriptor.platform for one in found] == [one.platform for one in found]
    assert len(reads) == (2 if top else 3)
    with pytest.raises(LimitError, match="number of manifests"):
        read_aliases(10_001)
    assert len(reads) < 8


def test_an_index_of_too_many_is_refused_before_they_are_looked_for() -> None:
    manifests = [{**make_image("a").descriptor(), "digest": f"sha256:{at:064x}"} for at in range(10_001)]
    raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
    looked: list[Digest] = []
    reader = documents.DocumentReader(looked.append, "here", LIMITS)  # type: ignore[func-returns-value]
    with pytest.raises(LimitError, match="number of manifests"):
        reader.read(Descriptor(OCI_INDEX, Digest.sha256(raw), len(raw), data=raw))
    assert len(looked) < 5


def test_an_index_read_before_is_too_deep_below_others(tmp_path: Path) -> None:
    """Its own depth is seen first where it is not too deep, and added to what is above it later."""
    layout = oci_layout(tmp_path / "o", [make_image("a")])

    def put_index(*entries: dict[str, Any]) -> dict[str, Any]:
        raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)})
        (layout / "blobs/sha256" / sha256(raw)).write_bytes(raw)
        return {"mediaType": OCI_INDEX, "digest": "sha256:" + sha256(raw), "size": len(raw)}

    deep = make_image("a").descriptor()
    for _ in range(6):
        deep = put_index(deep)
    chain = deep
    for _ in range(2):
        chain = put_index(chain)
    root = put_index(deep, chain)
    (layout / "index.json").write_bytes(dumps({"schemaVersion": 2, "manifests": [root]}))
    with pytest.raises(LimitError) as caught:
        read(layout)
    assert (caught.value.limit, caught.value.value) == ("depth of nested indexes", 9)


def test_an_index_may_call_a_manifest_by_the_other_familys_word(tmp_path: Path) -> None:
    image = make_image("a", docker=True)
    layout = oci_layout(tmp_path / "o", [image])
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"][0]["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    (layout / "index.json").write_bytes(dumps(index))
    assert only_image(read(layout)).manifest.raw == image.manifest
    index["manifests"][0]["mediaType"] = OCI_INDEX
    (layout / "index.json").write_bytes(dumps(index))
    with pytest.raises(errors.MediaTypeConflict):
        read(layout)


def test_a_config_without_rootfs_makes_an_artifact(tmp_path: Path) -> None:
    found = only_image(read(oci_layout(tmp_path / "o", [make_image("a", config_changes={"rootfs": None})])))
    assert found.artifact
    assert found.config is None
    assert not only_image(read(oci_layout(tmp_path / "p", [make_image("a")]))).artifact
