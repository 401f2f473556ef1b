from __future__ import annotations

import io
import os
import tarfile
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
    UnsupportedFormat,
)
from occy_fast.image.blob import FileRegion
from occy_fast.image.image import Image, ImageIndex
from support.image_builders import (
    BuiltImage,
    dumps,
    make_image,
    make_tar,
    oci_archive,
    oci_layout,
    sha256,
)
from support.oci_archives import members_of, put, read, write_members


def layout_members(image: BuiltImage, ref: str = "1") -> dict[str, bytes]:
    """Return a layout of one image as the members of an archive."""
    entry = image.descriptor(annotations={"org.opencontainers.image.ref.name": ref})
    return {
        **{f"blobs/sha256/{name}": data for name, data in image.all_blobs().items()},
        "index.json": dumps({"schemaVersion": 2, "manifests": [entry]}),
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
    }


def add_links(path: Path, links: dict[str, str], kind: bytes = tarfile.SYMTYPE) -> Path:
    with tarfile.open(path, "a") as tar:
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member, io.BytesIO())
    return path


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


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"oci-layout": None, "index.json": None}, UnsupportedFormat),
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
