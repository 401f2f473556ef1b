from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast import errors
from occy_fast.errors import (
    BadArchive,
    DigestMismatch,
    InputError,
    LimitError,
    MissingBlob,
    NotFound,
    OutputError,
    PlanStale,
    SizeMismatch,
    UnsupportedFormat,
)
from occy_fast.files.staged import is_temporary_name
from occy_fast.image.blob import Blob
from occy_fast.image.image import Contents, Image, ImageIndex, Opaque
from occy_fast.image.publication import Publication, PublishedIndex, PublishedRoot
from occy_fast.spec.descriptor import REF_NAME, Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.limits import LIMITS
from occy_fast.transports import documents
from occy_fast.transports.layout import index_file
from support.image_builders import OCI_INDEX, OCI_MANIFEST, BuiltImage, dumps, make_image, oci_layout, sha256
from support.opening import open_destination, open_source
from support.publishing import publication, published, write


def read(path: Path, selector: str = "") -> Contents:
    with open_source(f"oci:{path}{selector}") as source:
        return source.read()


def only_image(contents: Contents) -> Image:
    (named,) = contents.images
    assert isinstance(named.root, Image)
    return named.root


def put(path: Path, *images: BuiltImage, ref: str | None = None) -> None:
    with open_destination(f"oci:{path}").stage() as stage:
        for image in images:
            for blob in image.blobs:
                if not stage.has(Digest.sha256(blob), len(blob)):
                    write(stage, blob)
        roots = publication(*images).roots
        if ref is not None:
            roots = tuple(PublishedRoot(root.root, (), ref) for root in roots)
        stage.publish(Publication(roots))


def refs(path: Path) -> list[str | None]:
    entries = json.loads((path / "index.json").read_bytes())["manifests"]
    return [entry.get("annotations", {}).get("org.opencontainers.image.ref.name") for entry in entries]


def tree(path: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(path)): p.read_bytes() if p.is_file() else None for p in sorted(path.rglob("*"))}


# ------------------------------------------------------------------------------------------------------------- reading


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


def replace_manifest(layout: Path, manifest: object) -> None:
    raw = dumps(manifest)
    (layout / "blobs/sha256" / sha256(raw)).write_bytes(raw)
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"][0].update({"digest": "sha256:" + sha256(raw), "size": len(raw)})
    (layout / "index.json").write_bytes(dumps(index))


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


def break_layout(layout: Path, what: str) -> None:
    outside = layout.parent / "outside"
    if what == "symlinked index":
        (layout / "index.json").rename(outside)
        (layout / "index.json").symlink_to(outside)
    elif what == "symlinked oci-layout":
        (layout / "oci-layout").rename(outside)
        (layout / "oci-layout").symlink_to(outside)
    elif what == "symlinked blobs":
        (layout / "blobs").rename(outside)
        (layout / "blobs").symlink_to(outside)
    elif what == "symlinked sha256":
        (layout / "blobs/sha256").rename(outside)
        (layout / "blobs/sha256").symlink_to(outside)
    elif what == "symlinked blob":
        blob = next((layout / "blobs/sha256").iterdir())
        blob.rename(outside)
        blob.symlink_to(outside)
    elif what == "blobs is a file":
        shutil.rmtree(layout / "blobs")
        (layout / "blobs").write_bytes(b"")
    elif what == "blob is a fifo":
        blob = next((layout / "blobs/sha256").iterdir())
        blob.unlink()
        os.mkfifo(blob)
    elif what == "index is a fifo":
        (layout / "index.json").unlink()
        os.mkfifo(layout / "index.json")
    elif what == "index is a directory":
        (layout / "index.json").unlink()
        (layout / "index.json").mkdir()


@pytest.mark.parametrize(
    "what",
    [
        "symlinked index",
        "symlinked oci-layout",
        "symlinked blobs",
        "symlinked sha256",
        "symlinked blob",
        "blobs is a file",
        "blob is a fifo",
        "index is a fifo",
        "index is a directory",
    ],
)
def test_only_regular_files_below_real_directories(tmp_path: Path, what: str) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    break_layout(layout, what)
    with pytest.raises(BadArchive):
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
        ("oci-layout", None, "UnsupportedFormat"),
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


def test_a_link_to_what_is_not_there_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    os.symlink("deep/real", tmp_path / "o")
    put(tmp_path / "o", make_image("a"))
    assert (tmp_path / "o").is_symlink()
    assert len(read(tmp_path / "deep/real").images) == 1
    put(tmp_path / "o", make_image("b", names=("b:1",)))
    assert len(read(tmp_path / "o").images) == 2
    assert sorted(os.listdir(tmp_path)) == ["deep", "o"]
    assert os.listdir(tmp_path / "deep") == ["real"]


@pytest.mark.parametrize(("number", "works"), [(errno.ENOLCK, True), (errno.EOPNOTSUPP, True), (errno.EIO, False)])
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, works: bool) -> None:
    """Where there are none it works without; an error of them is told before anything is written."""
    put(tmp_path / "o", make_image("a"))
    before = tree(tmp_path)

    def refuse(fd: int, operation: int) -> None:
        raise OSError(number, "injected")

    monkeypatch.setattr(fcntl, "flock", refuse)
    if works:
        put(tmp_path / "o", make_image("b", names=("b:1",)))
        assert len(read(tmp_path / "o").images) == 2
        return
    with pytest.raises(OutputError) as caught:
        open_destination(f"oci:{tmp_path}/o").stage()
    assert caught.value.operation == "lock"
    assert tree(tmp_path) == before


@pytest.mark.parametrize("written", [5, 7])
def test_a_blob_of_another_size_is_not_committed(tmp_path: Path, written: int) -> None:
    with open_destination(f"oci:{tmp_path}/o").stage() as stage:
        sink = stage.open_blob(None)
        os.pwrite(sink.fd, b"x" * written, 0)
        with pytest.raises(SizeMismatch) as caught:
            sink.commit(Digest.sha256(b"x" * 6), 6)
        assert (caught.value.expected, caught.value.found) == (6, written)
        assert not stage.has(Digest.sha256(b"x" * 6))
        sink.abort()


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_layouts_of_real_tools(shared: Path, tmp_path: Path, name: str) -> None:
    with tarfile.open(shared / f"fixtures/skopeo-1.22-dev-oci-layout-{name}.tar") as tar:
        tar.extractall(tmp_path / "o", filter="data")
    image = only_image(read(tmp_path / "o", ":one"))
    assert image.config_blob.digest is not None
    assert image.config_blob.digest.hex == "50f2eee4f879f985823ebdfe7e3dd33f85cb17b0c32dac567cc36bff041e1c3c"
    assert [layer.encoding.codec for layer in image.layers] == [name] * len(image.layers)


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


# ------------------------------------------------------------------------------------------------------------- writing


def test_a_new_layout_is_complete(tmp_path: Path) -> None:
    image = make_image("a", "b", codec="zstd", names=("app:1",))
    put(tmp_path / "o", image)
    assert set(tree(tmp_path)) == {
        "o",
        "o/blobs",
        "o/blobs/sha256",
        "o/index.json",
        "o/oci-layout",
        *(f"o/blobs/sha256/{name}" for name in image.all_blobs()),
    }
    for name, data in image.all_blobs().items():
        assert (tmp_path / "o/blobs/sha256" / name).read_bytes() == data
    assert (tmp_path / "o/oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'
    index = json.loads((tmp_path / "o/index.json").read_bytes())
    assert index == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            image.descriptor(
                annotations={
                    "io.containerd.image.name": "docker.io/library/app:1",
                    "org.opencontainers.image.ref.name": "1",
                }
            )
        ],
    }


def test_modes_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        put(tmp_path / "o", make_image("a"))
    finally:
        os.umask(before)
    modes = {path.is_dir(): path.stat().st_mode & 0o777 for path in (tmp_path / "o").rglob("*")}
    assert modes == {True: 0o750, False: 0o640}
    assert (tmp_path / "o").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("path", ["o", "o/", "deep/../o"])
def test_an_empty_directory_is_filled(tmp_path: Path, path: str) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "o").mkdir(mode=0o700)
    inode = (tmp_path / "o").stat().st_ino
    with open_destination(f"oci:{tmp_path}/{path}").stage() as stage:
        image = make_image("a")
        write(stage, image.blobs[0])
        stage.publish(publication(image))
    assert (tmp_path / "o").stat().st_ino == inode
    assert sorted(os.listdir(tmp_path / "o")) == ["blobs", "index.json", "oci-layout"]
    only_image(read(tmp_path / "o"))


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "thesis.tex").write_bytes(b"x")
    with pytest.raises(UnsupportedFormat, match="neither empty nor an OCI layout"):
        open_destination(f"oci:{tmp_path}/o").stage()
    assert os.listdir(tmp_path / "o") == ["thesis.tex"]


def test_a_file_is_no_layout(tmp_path: Path) -> None:
    (tmp_path / "o").write_bytes(b"x")
    with pytest.raises(OutputError):
        open_destination(f"oci:{tmp_path}/o").stage()
    assert (tmp_path / "o").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_a_broken_layout_is_left_alone(tmp_path: Path, name: str) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    (layout / name).write_bytes(b"{")
    before = tree(tmp_path)
    with pytest.raises(errors.BadJSON):
        open_destination(f"oci:{layout}").stage()
    assert tree(tmp_path) == before


def test_an_image_is_added_to_a_layout(tmp_path: Path) -> None:
    old, new = make_image("a", "b", names=("old:1",)), make_image("a", "c", names=("new:2",))
    put(tmp_path / "o", old)
    put(tmp_path / "o", new)
    assert refs(tmp_path / "o") == ["1", "2"]
    assert [named.names for named in read(tmp_path / "o").images] == [
        ("docker.io/library/old:1",),
        ("docker.io/library/new:2",),
    ]
    assert set(tree(tmp_path / "o/blobs/sha256")) == set(old.all_blobs()) | set(new.all_blobs())


def test_a_reference_is_replaced_where_it_stands(tmp_path: Path) -> None:
    put(tmp_path / "o", make_image("a"), ref="one")
    put(tmp_path / "o", make_image("b"), ref="two")
    put(tmp_path / "o", make_image("c"), ref="one")
    assert refs(tmp_path / "o") == ["one", "two"]
    assert only_image(read(tmp_path / "o", ":one")).manifest.raw == make_image("c").manifest


def test_references_stay_unique(tmp_path: Path) -> None:
    """Two images with the same tag under different names get their full names as ref names."""
    put(tmp_path / "o", make_image("a", names=("a:1",)))
    put(tmp_path / "o", make_image("b", names=("b:1",)))
    put(tmp_path / "o", make_image("c", names=("b:1",)))
    assert refs(tmp_path / "o") == ["1", "docker.io/library/b:1"]
    assert only_image(read(tmp_path / "o", ":b:1")).manifest.raw == make_image("c").manifest
    assert only_image(read(tmp_path / "o", ":1")).manifest.raw == make_image("a").manifest


def test_a_reference_is_not_taken_from_another_image(tmp_path: Path) -> None:
    put(tmp_path / "o", make_image("a"), ref="1")
    put(tmp_path / "o", make_image("b", names=("b:1",)))
    assert refs(tmp_path / "o") == ["1", "docker.io/library/b:1"]


def test_an_image_without_name_is_added_once(tmp_path: Path) -> None:
    for seed in ("a", "b", "a"):
        put(tmp_path / "o", make_image(seed, names=()))
    assert refs(tmp_path / "o") == [None, None]


def test_what_is_unknown_in_an_index_survives(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")], ["old"])
    index = json.loads((layout / "index.json").read_bytes())
    index["annotations"] = {"z": "1", "a": "2"}
    index["x-unknown"] = [1.5, {"b": None}]
    index["manifests"][0]["x"] = "y"
    (layout / "index.json").write_bytes(json.dumps(index, indent=3).encode())
    put(layout, make_image("b", names=("new:1",)))
    found = json.loads((layout / "index.json").read_bytes())
    assert found["manifests"][:1] == index["manifests"]
    assert list(found) == list(index)
    assert {**found, "manifests": None} == {**index, "manifests": None}


def test_an_index_without_a_list_is_added_to(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "o", [])
    (layout / "index.json").write_bytes(b'{"schemaVersion":2,"manifests":null}')
    put(layout, make_image("b"), ref="new")
    assert refs(layout) == ["new"]


def test_an_index_is_published_with_its_children(tmp_path: Path) -> None:
    images = [make_image("a"), make_image("b", architecture="arm64")]
    children = [image.descriptor() for image in images]
    raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [*children, children[0]]})
    index = PublishedIndex(Descriptor(OCI_INDEX, Digest.sha256(raw), len(raw)), raw, tuple(map(published, images)))
    with open_destination(f"oci:{tmp_path}/o").stage() as stage:
        for image in images:
            write(stage, image.blobs[0])
        stage.publish(Publication((PublishedRoot(index, (), "multi"),)))
    found = read(tmp_path / "o", ":multi").images[0].root
    assert isinstance(found, ImageIndex)
    assert found.index.raw == raw
    assert len(found.children) == 3


def test_blobs_that_are_there_are_present(tmp_path: Path) -> None:
    image = make_image("a", "b")
    destination = open_destination(f"oci:{tmp_path}/o")
    digests = [Digest.sha256(blob) for blob in image.blobs]
    assert destination.present(digests) == {}
    put(tmp_path / "o", make_image("a"))
    assert {digest: region.size for digest, region in destination.present(digests).items()} == {
        digests[0]: len(image.blobs[0])
    }
    with destination.stage() as stage:
        assert stage.has(digests[0], len(image.blobs[0]))
        assert not stage.has(digests[0], 1)
        assert not stage.has(digests[1])


def test_a_damaged_blob_of_another_size_is_replaced(tmp_path: Path) -> None:
    image = make_image("a")
    put(tmp_path / "o", image)
    blob = tmp_path / "o/blobs/sha256" / sha256(image.blobs[0])
    blob.write_bytes(b"half")
    put(tmp_path / "o", image)
    assert blob.read_bytes() == image.blobs[0]


@pytest.mark.parametrize("what", ["symlinked blobs", "symlinked sha256", "blobs is a file", "symlinked index"])
def test_nothing_is_written_through_links(tmp_path: Path, what: str) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    break_layout(layout, what)
    before = tree(tmp_path)
    with pytest.raises(BadArchive):
        put(layout, make_image("b", names=("b:1",)))
    assert tree(tmp_path) == before


def test_a_layout_made_meanwhile_is_added_to(tmp_path: Path) -> None:
    first, second = make_image("a", names=("a:1",)), make_image("b", names=("b:2",))
    with open_destination(f"oci:{tmp_path}/o").stage() as stage:
        write(stage, first.blobs[0])
        put(tmp_path / "o", second)
        stage.publish(publication(first))
    assert refs(tmp_path / "o") == ["2", "1"]
    assert [len(image.root.layers) for image in read(tmp_path / "o").images] == [1, 1]
    assert os.listdir(tmp_path) == ["o"]


def test_something_else_made_meanwhile_is_left_alone(tmp_path: Path) -> None:
    image = make_image("a")
    with pytest.raises(UnsupportedFormat), open_destination(f"oci:{tmp_path}/o").stage() as stage:
        write(stage, image.blobs[0])
        (tmp_path / "o").mkdir()
        (tmp_path / "o" / "mine").write_bytes(b"")
        stage.publish(publication(image))
    assert tree(tmp_path) == {"o": None, "o/mine": b""}


def test_a_blob_that_vanished_is_missed(tmp_path: Path) -> None:
    """What was there when the plan was made is checked again under the lock."""
    image = make_image("a", names=("new:1",))
    put(tmp_path / "o", make_image("a", "b", names=("old:1",)))
    before = (tmp_path / "o/index.json").read_bytes()
    with pytest.raises(MissingBlob), open_destination(f"oci:{tmp_path}/o").stage() as stage:
        assert stage.has(Digest.sha256(image.blobs[0]))
        (tmp_path / "o/blobs/sha256" / sha256(image.blobs[0])).unlink()
        stage.publish(publication(image))
    assert (tmp_path / "o/index.json").read_bytes() == before


SOURCE = str(Path(occy_fast.__file__).parents[1])
TESTS = str(Path(__file__).parents[2])
RUN = f"""
import sys
sys.path[:0] = [{SOURCE!r}, {TESTS!r}]
from pathlib import Path
from support.image_builders import make_image
from support.publishing import publication, write
from support.opening import open_destination

def put(locator, seed, number):
    image = make_image("common", f"{{seed}}-{{number}}", names=(f"{{seed}}:{{number}}",))
    with open_destination(locator).stage() as stage:
        for blob in image.blobs:
            write(stage, blob)
        stage.publish(publication(image))
"""


def test_two_writers_at_once(tmp_path: Path) -> None:
    """Every reference of both is there in the end, whoever came first."""
    code = RUN + f"for number in range(12): put('oci:{tmp_path}/o', sys.argv[1], number)"
    runs = [subprocess.Popen([sys.executable, "-c", code, seed]) for seed in ("x", "y", "z")]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    names = {name for named in read(tmp_path / "o").images for name in named.names}
    assert names == {f"docker.io/library/{seed}:{number}" for seed in "xyz" for number in range(12)}
    assert sorted(os.listdir(tmp_path / "o")) == ["blobs", "index.json", "oci-layout"]
    assert os.listdir(tmp_path) == ["o"]


CALLS = ["open", "mkdir", "rename", "link", "unlink", "fsync", "pwrite", "ftruncate", "rmdir"]


def killed_at(call: int, locator: str, image: BuiltImage) -> bool:
    """Write *image* in another process, and kill it at one of its calls; False if it came to its end before."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = call

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def count(*arguments: object, **more: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **more)

        return count

    try:
        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))
        put_at(locator, image)
    finally:
        os._exit(0)


def put_at(locator: str, image: BuiltImage) -> None:
    with open_destination(locator).stage() as stage:
        for blob in image.blobs:
            write(stage, blob)
        stage.publish(publication(image))


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory where fsync takes no time, if there is one: hundreds of runs follow."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as directory:
        yield Path(directory)


@pytest.mark.parametrize(
    ("transport", "before"),
    [
        ("oci", "nothing"),
        ("oci", "an old one"),
        ("oci", "an empty directory"),
        ("docker-archive", "nothing"),
        ("docker-archive", "an old one"),
    ],
)
def test_killed_at_every_call(memory: Path, transport: str, before: str) -> None:
    """The old or the complete new, never anything else; and the next run cleans up."""
    locator = f"{transport}:{memory}/o"
    for call in range(1000):
        for path in memory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if before == "an old one":
            put_at(locator, make_image("old", names=("old:1",)))
        elif before == "an empty directory":
            (memory / "o").mkdir()
        was_killed = killed_at(call, locator, make_image("one", "two", names=("new:2",)))
        old, new = (name in names_at(locator) for name in ("docker.io/library/old:1", "docker.io/library/new:2"))
        if transport == "oci":
            assert old == (before == "an old one")
        else:
            assert old == (before == "an old one" and not new)
        if not was_killed:
            assert new
            assert call > 20
            return
        put_at(locator, make_image("again", names=("again:3",)))
        assert not [path for path in memory.rglob("*") if is_temporary_name(path.name)]
        assert "docker.io/library/again:3" in names_at(locator)
    pytest.fail("the calls never end")


def names_at(locator: str) -> set[str]:
    """Return what is there, once it is known to be whole; nothing where there is nothing."""
    path = Path(locator.partition(":")[2])
    if not path.exists() or (path.is_dir() and not (path / "index.json").exists()):
        return set()
    with open_source(locator) as source:
        contents = source.read()
    for named in contents.images:
        for layer in named.root.layers:
            with layer.blob.open() as region:
                assert Digest.sha256(region.read()) == layer.digest
    return {name for named in contents.images for name in named.names}


@pytest.mark.parametrize("speaking", [False, True])
def test_thousands_of_references_are_not_compared_with_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speaking: bool
) -> None:
    """Each entry is compared with few others, whatever their number, when it is read and when it is written."""
    count = 600
    layout = oci_layout(tmp_path / "in", [make_image("a")], ["r0"])
    index = json.loads((layout / "index.json").read_bytes())
    (entry,) = index["manifests"]
    index["manifests"] = [with_notes(entry, {REF_NAME: f"r{number}"}) for number in range(count)]
    if speaking:
        about = {"vnd.docker.reference.digest": entry["digest"]}
        index["manifests"] += [with_notes(entry, {**about, "n": f"{number}"}) for number in range(count)]
    (layout / "index.json").write_bytes(dumps(index))
    compared, looked = 0, 0
    equal, ref_of = Descriptor.__eq__, index_file._ref

    def count_equal(one: Descriptor, other: object) -> bool:
        nonlocal compared
        compared += 1
        return equal(one, other)

    def count_look(entry: dict[str, Any]) -> str | None:
        nonlocal looked
        looked += 1
        return ref_of(entry)

    monkeypatch.setattr(Descriptor, "__eq__", count_equal)
    contents = read(layout)
    assert [named.position for named in contents.images] == list(range(len(index["manifests"])))
    assert compared < 20 * count
    monkeypatch.setattr(index_file, "_ref", count_look)
    occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path}/out")
    occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path}/out")
    assert looked < 40 * count
    assert sum(named.ref is not None for named in read(tmp_path / "out").images) == count


def with_notes(entry: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    return {**entry, "annotations": annotations}


def test_entries_in_the_same_words_have_the_first_ones_place(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "in", [make_image("a")], ["a"])
    index = json.loads((layout / "index.json").read_bytes())
    entry = index["manifests"][0]
    index["manifests"] = [entry, with_notes(entry, {REF_NAME: "b"}), entry]
    (layout / "index.json").write_bytes(dumps(index))
    assert [named.position for named in read(layout).images] == [0, 1, 0]
