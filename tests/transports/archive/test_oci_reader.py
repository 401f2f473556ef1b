from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import (
    BadArchive,
    BadJSON,
    BadManifest,
    DigestMismatch,
    DuplicateEntry,
    ManifestTooLarge,
    MissingBlob,
    NotFound,
    OccyError,
    SizeMismatch,
    TarTruncated,
    Unsupported,
    UnsupportedFormat,
)
from occy_fast.image.blob import FileRegion
from occy_fast.image.image import Contents, Image, ImageIndex
from occy_fast.image.publication import Publication, PublishedBlob, PublishedIndex, PublishedRoot
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from support.image_builders import (
    OCI_INDEX,
    OCI_MANIFEST,
    BuiltImage,
    docker_archive,
    dumps,
    make_image,
    make_tar,
    oci_archive,
    oci_layout,
    sha256,
)
from support.opening import open_destination, open_source
from support.publishing import publication, published, write

GOLDEN = "c1041e4b045d039b20afe9742cb330754d6f153c1bced9b32e9f5a3a0f19115e"


def read(path: Path, selector: str = "") -> Contents:
    with open_source(f"oci-archive:{path}{selector}") as source:
        return source.read()


def members_of(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {m.name: b"/" if m.isdir() else tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def layout_members(image: BuiltImage, ref: str = "1") -> dict[str, bytes]:
    """Return a layout of one image as the members of an archive."""
    entry = image.descriptor(annotations={"org.opencontainers.image.ref.name": ref})
    return {
        **{f"blobs/sha256/{name}": data for name, data in image.all_blobs().items()},
        "index.json": dumps({"schemaVersion": 2, "manifests": [entry]}),
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
    }


def write_members(path: Path, members: dict[str, bytes]) -> Path:
    path.write_bytes(make_tar(members.items()))
    return path


def add_links(path: Path, links: dict[str, str], kind: bytes = tarfile.SYMTYPE) -> Path:
    with tarfile.open(path, "a") as tar:
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member, io.BytesIO())
    return path


def put(path: Path, *images: BuiltImage) -> dict[str, bytes]:
    with open_destination(f"oci-archive:{path}").stage() as stage:
        for image in images:
            for blob in image.blobs:
                if not stage.has(Digest.sha256(blob)):
                    write(stage, blob)
        stage.publish(publication(*images))
    return members_of(path)


# ------------------------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize("prefix", ["", "./", "/"])
def test_a_layout_in_a_tar(tmp_path: Path, prefix: str) -> None:
    """The names that tar gives to what it packs; absolute ones lead nowhere."""
    images = [make_image("a", codec="zstd"), make_image("b", docker=True)]
    layout = oci_layout(tmp_path / "layout", images, ["one", "docker.io/t5/two:2"])
    path = oci_archive(tmp_path / "a.tar", layout, prefix)
    if prefix == "/":
        with tarfile.open(path) as tar:
            assert not any(name.startswith("/") for name in tar.getnames())       # tarfile takes it away
    contents = read(path)
    assert contents.kind == "oci-archive"
    assert [(named.ref, named.names) for named in contents.images] == [
        ("one", ()),
        ("docker.io/t5/two:2", ("docker.io/t5/two:2",)),
    ]
    for named, image in zip(contents.images, images, strict=True):
        found = named.root
        assert isinstance(found, Image)
        assert found.manifest is not None
        assert found.manifest.raw == image.manifest
        with found.layers[0].blob.open() as region:
            assert region.read() == image.blobs[0]


@pytest.mark.parametrize(
    ("selector", "ref"), [(":one", "one"), (":@1", "docker.io/t5/two:2"), (":t5/two:2", "docker.io/t5/two:2")]
)
def test_one_image_is_selected_as_in_a_layout(tmp_path: Path, selector: str, ref: str) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a"), make_image("b")], ["one", "docker.io/t5/two:2"])
    path = oci_archive(tmp_path / "a.tar", layout)
    assert [named.ref for named in read(path, selector).images] == [ref]
    for wrong in (":none", ":@2"):
        with pytest.raises(NotFound):
            read(path, wrong)


def test_an_index_is_read_with_its_children(tmp_path: Path) -> None:
    images = [make_image("a"), make_image("b", architecture="arm64")]
    path = oci_archive(tmp_path / "a.tar", oci_layout(tmp_path / "o", images, ["multi"], nested=True))
    index = read(path).images[0].root
    assert isinstance(index, ImageIndex)
    assert [str(child.platform) for child in index.children if isinstance(child, Image)] == [
        "linux/amd64",
        "linux/arm64",
    ]


def test_where_both_documents_are_the_transport_says_which_is_read(tmp_path: Path) -> None:
    """docker save of 25 and later: the layout tells the ref, manifest.json the tags."""
    path = docker_archive(tmp_path / "a.tar", [make_image("a", names=("t5/app:1",))], "D")
    assert [named.ref for named in read(path).images] == ["1"]
    with open_source(str(path)) as source:
        contents = source.read()
    assert (contents.kind, [named.ref for named in contents.images]) == ("docker-archive", [None])


def test_each_transport_names_the_one_that_reads_the_file(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    packed = oci_archive(tmp_path / "oci.tar", layout)
    saved = docker_archive(tmp_path / "docker.tar", [make_image("a")])
    for locator, remedy in [
        (f"docker-archive:{packed}", f"oci-archive:{packed}"),
        (f"oci-archive:{saved}", f"docker-archive:{saved}"),
        (f"oci-archive:{layout}", f"oci:{layout}"),
        (f"oci:{packed}", f"oci-archive:{packed}"),
    ]:
        with pytest.raises(UnsupportedFormat) as caught, open_source(locator) as source:
            source.read()
        assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"oci-layout": None}, UnsupportedFormat),
        ({"oci-layout": b"{}"}, BadManifest),
        ({"oci-layout": b"{"}, BadJSON),
        ({"oci-layout": b'{"imageLayoutVersion":"2.0.0"}'}, UnsupportedFormat),
        ({"oci-layout": b" " * (64 << 10) + b"{}"}, BadManifest),
        ({"index.json": None}, BadManifest),
        ({"index.json": b"[]"}, BadManifest),
        ({"index.json": b" " * (4 << 20) + b"{}"}, ManifestTooLarge),
        ({"blobs": b""}, BadArchive),
        ({"blobs/sha256": b""}, BadArchive),
    ],
)
def test_what_is_no_layout(tmp_path: Path, changes: dict[str, bytes | None], error: type[OccyError]) -> None:
    changed = {**layout_members(make_image("a")), **changes}
    path = write_members(tmp_path / "a.tar", {name: data for name, data in changed.items() if data is not None})
    with pytest.raises(error):
        read(path)
    old = put(tmp_path / "old.tar", make_image("old"))
    with pytest.raises(error):
        occy_fast.convert(f"oci-archive:{path}", f"oci-archive:{tmp_path}/old.tar")
    assert members_of(tmp_path / "old.tar") == old
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "old.tar"]


@pytest.mark.parametrize("name", ["index.json", "oci-layout"])
def test_what_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    original, sizes = FileRegion.read, []

    def read_counted(region: FileRegion) -> bytes:
        sizes.append(region.size)
        return original(region)

    monkeypatch.setattr(FileRegion, "read", read_counted)
    path = write_members(tmp_path / "a.tar", {**layout_members(make_image("a")), name: b" " * (5 << 20)})
    with pytest.raises(OccyError):
        read(path)
    assert max(sizes, default=0) < 100


@pytest.mark.parametrize("what", ["manifest", "config", "layer"])
@pytest.mark.parametrize(
    ("damage", "error"),
    [("flip", DigestMismatch), ("grow", SizeMismatch), ("cut", SizeMismatch), ("lose", MissingBlob)],
)
def test_damage_is_named_and_the_old_file_stays(
    tmp_path: Path, what: str, damage: str, error: type[OccyError]
) -> None:
    image = make_image("a")
    raw = {"manifest": image.manifest, "config": image.config, "layer": image.blobs[0]}[what]
    members = layout_members(image)
    name = f"blobs/sha256/{sha256(raw)}"
    damaged = {"flip": raw[:-2] + bytes([raw[-2] ^ 1]) + raw[-1:], "grow": raw + b"\n", "cut": raw[:-1], "lose": b""}
    if damage == "lose":
        del members[name]
    else:
        members[name] = damaged[damage]
    path = write_members(tmp_path / "a.tar", members)
    report = occy_fast.verify(f"oci-archive:{path}")
    assert error in {type(finding.error) for finding in report.errors}
    old = put(tmp_path / "old.tar", make_image("old"))
    with pytest.raises(error):
        occy_fast.convert(f"oci-archive:{path}", f"oci-archive:{tmp_path}/old.tar")
    assert members_of(tmp_path / "old.tar") == old
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "old.tar"]


def test_every_cut_is_an_error(tmp_path: Path) -> None:
    """Members are in the order of tar: the index is behind the blobs, and the end of the archive last."""
    whole = write_members(tmp_path / "whole.tar", layout_members(make_image("a", size=600))).read_bytes()
    end = len(whole.rstrip(b"\0"))
    for size in range(0, end, 97):
        (tmp_path / "a.tar").write_bytes(whole[:size])
        with pytest.raises(OccyError):
            occy_fast.convert(f"oci-archive:{tmp_path}/a.tar", f"oci:{tmp_path}/out")
    (tmp_path / "a.tar").write_bytes(whole[: 512 * 3 + 100])
    with pytest.raises(TarTruncated):
        read(tmp_path / "a.tar")
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "whole.tar"]


@pytest.mark.parametrize("name", ["index.json", "oci-layout", "blob"])
def test_a_member_that_is_there_twice(tmp_path: Path, name: str) -> None:
    image = make_image("a")
    members = layout_members(image)
    twice = f"blobs/sha256/{sha256(image.manifest)}" if name == "blob" else name
    path = tmp_path / "a.tar"
    path.write_bytes(make_tar([*members.items(), (twice, members[twice])]))
    with pytest.raises(DuplicateEntry):
        read(path)


def test_links_stay_inside(tmp_path: Path) -> None:
    """A blob may be a link to another member; documents may not, and nothing outside the archive is ever opened."""
    image = make_image("a")
    members = layout_members(image)
    name = f"blobs/sha256/{sha256(image.blobs[0])}"
    members["elsewhere"] = members.pop(name)
    for kind, target in [(tarfile.SYMTYPE, "../../elsewhere"), (tarfile.LNKTYPE, "elsewhere")]:
        path = add_links(write_members(tmp_path / "a.tar", members), {name: target}, kind)
        (layer,) = read(path).images[0].root.layers  # type: ignore[union-attr]
        with layer.blob.open() as region:
            assert region.read() == image.blobs[0]
    for target in ("/etc/passwd", "../../../../etc/passwd", "none", name):
        path = add_links(write_members(tmp_path / "a.tar", members), {name: target})
        with pytest.raises(BadArchive):
            read(path)
    for document in ("index.json", "oci-layout"):
        moved = {("moved" if key == document else key): data for key, data in layout_members(image).items()}
        path = add_links(write_members(tmp_path / "a.tar", moved), {document: "moved"})
        with pytest.raises(BadArchive):
            read(path)
    moved = {key.replace("blobs/", "real/"): data for key, data in layout_members(image).items()}
    for directory, target in (("blobs", "real"), ("blobs/sha256", "../real/sha256")):
        path = add_links(write_members(tmp_path / "a.tar", moved), {directory: target})
        with pytest.raises(BadArchive, match="a directory is expected"):
            read(path)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_layers_of_any_encoding_fit(tmp_path: Path, codec: str) -> None:
    """zstd layers go into an OCI archive as they are, by default and on demand."""
    layout = oci_layout(tmp_path / "o", [make_image("a", "b", codec=codec)], ["1"])
    result = occy_fast.convert(f"oci:{layout}", f"oci-archive:{tmp_path}/a.tar")
    assert [layer.kind for layer in result.layers] == ["copy", "copy"]
    occy_fast.convert(f"oci:{layout}", f"oci-archive:{tmp_path}/a.tar", encoding="zstd:3")
    assert {layer.encoding.codec for layer in read(tmp_path / "a.tar").images[0].root.layers} == {"zstd"}  # type: ignore[union-attr]
    assert occy_fast.verify(f"oci-archive:{tmp_path}/a.tar").exit_code == 0


# ------------------------------------------------------------------------------------------------------------ writing


def test_what_stands_in_the_archive(tmp_path: Path) -> None:
    one, two = make_image("a", codec="zstd", names=("t5/app:1",)), make_image("a", "b", names=())
    members = put(tmp_path / "a.tar", one, two)
    documents = (one.config, one.manifest, two.config, two.manifest)
    assert list(members) == [
        "blobs",
        "blobs/sha256",
        *(f"blobs/sha256/{sha256(data)}" for data in (*one.blobs, *two.blobs, *documents)),
        "index.json",
        "oci-layout",
    ]
    assert members["oci-layout"] == b'{"imageLayoutVersion":"1.0.0"}'
    annotations = {"io.containerd.image.name": "docker.io/t5/app:1", "org.opencontainers.image.ref.name": "1"}
    assert json.loads(members["index.json"]) == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [one.descriptor(annotations=annotations), two.descriptor()],
    }


def test_golden_bytes(tmp_path: Path) -> None:
    """If this breaks, archives made from the same image differ from those of earlier releases."""
    put(tmp_path / "a.tar", make_image("a", "b", names=("app:1",)))
    assert hashlib.sha256((tmp_path / "a.tar").read_bytes()).hexdigest() == GOLDEN


def test_an_index_and_what_it_does_not_bring(tmp_path: Path) -> None:
    image = make_image("a")
    child = replace(published(image), artifact=True)
    raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [image.descriptor()]})
    index = PublishedIndex(Descriptor(OCI_INDEX, Digest.sha256(raw), len(raw)), raw, (child,))
    with open_destination(f"oci-archive:{tmp_path}/a.tar").stage() as stage:
        write(stage, image.blobs[0])
        stage.publish(Publication((PublishedRoot(index, (), "all"),)))
    members = members_of(tmp_path / "a.tar")
    assert members[f"blobs/sha256/{sha256(raw)}"] == raw
    assert json.loads(members["index.json"])["manifests"][0]["digest"] == "sha256:" + sha256(raw)
    with pytest.raises(MissingBlob), open_destination(f"oci-archive:{tmp_path}/a.tar").stage() as stage:
        stage.publish(Publication((PublishedRoot(index, (), "all"),)))
    assert members_of(tmp_path / "a.tar") == members


@pytest.mark.parametrize("transport", ["oci", "oci-archive"])
@pytest.mark.parametrize("nested", [False, True])
def test_what_is_no_image_must_have_been_staged(tmp_path: Path, transport: str, nested: bool) -> None:
    blob = PublishedBlob(Descriptor("text/plain", Digest.sha256(b"text"), 4))
    raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [blob.descriptor.document()]})
    index = PublishedIndex(Descriptor(OCI_INDEX, Digest.sha256(raw), len(raw)), raw, (blob,))
    wanted = Publication((PublishedRoot(index if nested else blob, (), "it"),))
    destination = open_destination(f"{transport}:{tmp_path}/out")
    with pytest.raises(MissingBlob), destination.stage() as stage:
        stage.publish(wanted)
    assert os.listdir(tmp_path) == []
    with destination.stage() as stage:
        write(stage, b"text")
        stage.publish(wanted)
    assert occy_fast.verify(f"{transport}:{tmp_path}/out").exit_code == 0


def test_an_archive_is_replaced_and_not_added_to(tmp_path: Path) -> None:
    put(tmp_path / "a.tar", make_image("old", names=("old:1",)))
    put(tmp_path / "a.tar", make_image("a", names=("new:1",)))
    assert [named.names for named in read(tmp_path / "a.tar").images] == [("docker.io/library/new:1",)]


def test_an_archive_may_be_its_own_source(tmp_path: Path) -> None:
    image = make_image("a", names=("app:1",))
    put(tmp_path / "a.tar", image)
    occy_fast.convert(f"oci-archive:{tmp_path}/a.tar", f"oci-archive:{tmp_path}/a.tar", encoding="gzip")
    found = read(tmp_path / "a.tar").images[0].root
    assert isinstance(found, Image)
    assert [str(layer.diff_id) for layer in found.layers] == image.diff_ids


def test_long_digests_do_not_fit(tmp_path: Path) -> None:
    digest = Digest("sha512", hashlib.sha512(b"{}").hexdigest())
    stage = open_destination(f"oci-archive:{tmp_path}/a.tar").stage()
    with stage, pytest.raises(Unsupported, match="sha512 digests do not fit an OCI archive"):
        stage.put_bytes(digest, b"{}")
    assert os.listdir(tmp_path) == []


def test_an_artifact_goes_from_archive_to_archive(tmp_path: Path) -> None:
    """With a referrer of it, whose subject it is; a docker-archive holds neither."""
    blobs: dict[str, bytes] = {}

    def artifact(text: bytes, subject: dict[str, object] | None) -> dict[str, object]:
        empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:" + sha256(b"{}"), "size": 2}
        layer = {"mediaType": "text/plain", "digest": "sha256:" + sha256(text), "size": len(text)}
        document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty, "layers": [layer]}
        raw = dumps(document if subject is None else {**document, "subject": subject})
        blobs.update({sha256(data): data for data in (b"{}", text, raw)})
        return {"mediaType": OCI_MANIFEST, "digest": "sha256:" + sha256(raw), "size": len(raw)}

    first = artifact(b"chart", None)
    second = artifact(b"signature", dict(first))
    index = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [first, second]})
    members = {f"blobs/sha256/{name}": data for name, data in blobs.items()}
    layout = b'{"imageLayoutVersion":"1.0.0"}'
    path = write_members(tmp_path / "a.tar", {**members, "index.json": index, "oci-layout": layout})
    occy_fast.convert(f"oci-archive:{path}", f"oci-archive:{tmp_path}/b.tar")
    written = members_of(tmp_path / "b.tar")
    assert {name: data for name, data in written.items() if name.startswith("blobs/sha256/")} == members
    assert json.loads(written["index.json"])["manifests"] == [first, second]
    with pytest.raises(Unsupported, match="artifacts"):
        occy_fast.convert(f"oci-archive:{path}", f"docker-archive:{tmp_path}/c.tar")
