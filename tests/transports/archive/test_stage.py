from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import stat
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import MissingBlob, Unsupported
from occy_fast.image.publication import Publication, PublishedIndex, PublishedRoot
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.platform import Platform
from occy_fast.transports.base import Stage
from support.image_builders import OCI_INDEX, archive_members, encode, make_image, make_tar, oci_layout, sha256
from support.opening import open_destination
from support.publishing import publication, published, write

GOLDEN = "cb4fe75850babcef4ea04b7f41445e5e16c79d9d5f396a37980e22cb155f8d36"


def stage(path: Path) -> Stage:
    return open_destination(f"docker-archive:{path}").stage()


def write_archive(path: Path, *images) -> dict[str, bytes]:
    with stage(path) as opened:
        for image in images:
            for blob in image.blobs:
                if not opened.has(Digest.sha256(blob)):
                    write(opened, blob)
        opened.publish(publication(*images))
    with tarfile.open(path) as tar:
        return {m.name: b"/" if m.isdir() else tar.extractfile(m).read() for m in tar}


def test_the_universal_profile(tmp_path: Path) -> None:
    image = make_image("a", "b", codec=("gzip", "none"), names=("t5/app:1", "app:2", "localhost:5000/x:3"))
    members = write_archive(tmp_path / "a.tar", image)
    assert list(members) == [
        "blobs",
        "blobs/sha256",
        *(f"blobs/sha256/{sha256(data)}" for data in (*image.blobs, image.config, image.manifest)),
        "index.json",
        "manifest.json",
        "oci-layout",
    ]
    for name, data in members.items():
        if name.startswith("blobs/sha256/"):
            assert name == f"blobs/sha256/{sha256(data)}"
    assert members["oci-layout"] == b'{"imageLayoutVersion":"1.0.0"}'
    assert json.loads(members["manifest.json"]) == [
        {
            "Config": f"blobs/sha256/{sha256(image.config)}",
            "RepoTags": ["t5/app:1", "app:2", "localhost:5000/x:3"],
            "Layers": [f"blobs/sha256/{sha256(blob)}" for blob in image.blobs],
        }
    ]
    index = json.loads(members["index.json"])
    assert index["schemaVersion"] == 2
    assert [
        (entry["annotations"]["io.containerd.image.name"], entry["annotations"]["org.opencontainers.image.ref.name"])
        for entry in index["manifests"]
    ] == [("docker.io/t5/app:1", "1"), ("docker.io/library/app:2", "2"), ("localhost:5000/x:3", "3")]
    for entry in index["manifests"]:
        assert entry["digest"] == "sha256:" + sha256(image.manifest)
        assert entry["size"] == len(image.manifest)
        assert entry["platform"] == {"architecture": "amd64", "os": "linux"}


def test_a_platform_that_is_none_is_not_written(tmp_path: Path) -> None:
    image = make_image("a", config_changes={"os": ""})
    bare = replace(published(image), platform=Platform("", "amd64"))
    with stage(tmp_path / "a.tar") as opened:
        write(opened, image.blobs[0])
        opened.publish(Publication((PublishedRoot(bare),)))
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert "platform" not in json.load(tar.extractfile("index.json"))["manifests"][0]


def test_every_header_is_plain_ustar(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.tar", make_image("a"))
    raw = (tmp_path / "a.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        for member in tar:
            header = raw[member.offset : member.offset + 512]
            assert header[257:265] == b"ustar\x0000"
            assert (member.mtime, member.uid, member.gid, member.pax_headers) == (0, 0, 0, {})
            assert member.mode == (0o755 if member.isdir() else 0o644)
            assert member.offset_data == member.offset + 512
    assert raw.endswith(bytes(1024))


def test_an_image_without_names_has_null_tags_and_no_ref_name(tmp_path: Path) -> None:
    image = make_image("a", names=())
    path = tmp_path / "a.tar"
    with stage(path) as opened:
        write(opened, image.blobs[0])
        opened.publish(Publication((PublishedRoot(published(image), (), "latest"),)))
    with tarfile.open(path) as tar:
        assert json.load(tar.extractfile("manifest.json"))[0]["RepoTags"] is None
        assert "annotations" not in json.load(tar.extractfile("index.json"))["manifests"][0]


def test_names_of_one_image_stand_in_one_item(tmp_path: Path) -> None:
    one, other = make_image("a", names=("a:1",)), make_image("a", names=("a:2",))
    third = make_image("c", names=("c:1",))
    members = write_archive(tmp_path / "a.tar", one, third, other)
    assert [item["RepoTags"] for item in json.loads(members["manifest.json"])] == [["a:1", "a:2"], ["c:1"]]


def test_a_shared_layer_is_there_once(tmp_path: Path) -> None:
    members = write_archive(tmp_path / "a.tar", make_image("a", "b", names=("x:1",)), make_image("a", names=("y:1",)))
    assert len([name for name in members if name.startswith("blobs/sha256/")]) == 2 + 2 * 2


def test_bytes_do_not_depend_on_who_is_first(tmp_path: Path) -> None:
    """Blobs stand where they were opened, whoever commits first; equal ones leave no gap."""
    image = make_image("a", "b", "c", size=9000)
    digests = set()
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)):
        path = tmp_path / "a.tar"
        with stage(path) as opened:
            blobs = [image.blobs[0], image.blobs[1], image.blobs[0], image.blobs[2]]
            sinks = [opened.open_blob(len(blob)) for blob in blobs]
            for number in order:
                os.pwrite(sinks[number].fd, blobs[number], sinks[number].offset)
                sinks[number].commit(Digest.sha256(blobs[number]), len(blobs[number]))
            opened.publish(publication(image))
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_golden_bytes(tmp_path: Path) -> None:
    """If this breaks, archives made from the same image differ from those of earlier releases."""
    write_archive(tmp_path / "a.tar", make_image("a", "b", names=("app:1",)))
    assert hashlib.sha256((tmp_path / "a.tar").read_bytes()).hexdigest() == GOLDEN


def test_while_a_blob_of_unknown_size_is_open_no_other_is_opened(tmp_path: Path) -> None:
    with stage(tmp_path / "a.tar") as opened:
        sink = opened.open_blob(None)
        with pytest.raises(RuntimeError, match="unknown size"):
            opened.open_blob(10)
        opened.put_bytes(Digest.sha256(b"{}"), b"{}")
        sink.abort()
        opened.open_blob(10)


def test_a_blob_that_is_open_keeps_the_archive_from_being_published(tmp_path: Path) -> None:
    image = make_image("a")
    with pytest.raises(AssertionError), stage(tmp_path / "a.tar") as opened:
        write(opened, image.blobs[0])
        opened.open_blob(10)
        opened.publish(publication(image))
    assert os.listdir(tmp_path) == []


def test_indexes_and_artifacts_do_not_fit(tmp_path: Path) -> None:
    image = published(make_image("a"))
    index = PublishedIndex(Descriptor(OCI_INDEX, Digest.sha256(b"{}"), 2), b"{}", (image,))
    with stage(tmp_path / "a.tar") as opened:
        write(opened, make_image("a").blobs[0])
        with pytest.raises(Unsupported, match="platform"):
            opened.publish(Publication((PublishedRoot(index),)))
    assert os.listdir(tmp_path) == []


def test_long_digests_do_not_fit(tmp_path: Path) -> None:
    data = b"{}"
    digest = Digest("sha512", hashlib.sha512(data).hexdigest())
    with stage(tmp_path / "a.tar") as opened:
        with pytest.raises(Unsupported, match="sha512"):
            opened.put_bytes(digest, data)
        sink = opened.open_blob(2)
        with pytest.raises(Unsupported, match="sha512"):
            sink.commit(digest, 2)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_umask_decides_the_mode(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_archive(tmp_path / "a.tar", make_image("a"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.tar").stat().st_mode) == 0o666 & ~umask


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "real.tar").write_bytes(make_tar([("manifest.json", b"[]")]))
    os.symlink("deep/real.tar", tmp_path / "a.tar")
    write_archive(tmp_path / "a.tar", make_image("a"))
    assert (tmp_path / "a.tar").is_symlink()
    assert tarfile.is_tarfile(tmp_path / "deep" / "real.tar")
    assert sorted(os.listdir(tmp_path / "deep")) == ["real.tar"]


@pytest.mark.parametrize("kind", ["directory", "fifo", "slash"])
def test_only_a_regular_file_is_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.tar"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(Unsupported):
        open_destination(f"docker-archive:{path}" + ("/" if kind == "slash" else "")).stage()
    assert os.listdir(tmp_path) == ["a.tar"]


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_a_file_that_is_no_archive_is_not_replaced(tmp_path: Path, transport: str) -> None:
    source = f"oci:{oci_layout(tmp_path / 'in', [make_image()])}"
    path = tmp_path / "letter.txt"
    path.write_bytes(b"dear reader, " * 100)
    early = occy_fast.plan(source, f"{transport}:{tmp_path}/early.tar")
    (tmp_path / "early.tar").write_bytes(b"dear reader, " * 100)
    with pytest.raises(Unsupported, match="a file stands there that is no archive"):
        occy_fast.execute(early)                         # a plan may be older than what it would replace
    assert (tmp_path / "early.tar").read_bytes() == b"dear reader, " * 100
    for other in (b"dear reader, " * 100, bytes(32_768) + b"disk", gzip.compress(b"a dump " * 100), b"\x1f\x8b\x08"):
        path.write_bytes(other)
        for call in (occy_fast.plan, occy_fast.convert):
            with pytest.raises(Unsupported, match="a file stands there that is no archive"):
                call(source, f"{transport}:{path}")
        assert path.read_bytes() == other
    packed = make_tar(archive_members([make_image("old")]))
    for archive in (b"", bytes(1024), packed, gzip.compress(packed), encode(packed, "zstd"), lzma.compress(packed)):
        path.write_bytes(archive)
        noted = [note for note in occy_fast.plan(source, f"{transport}:{path}").notes if "is replaced" in note]
        assert noted == ([f"{path} is there, and is replaced"] if archive else [])
        occy_fast.convert(source, f"{transport}:{path}")
        assert tarfile.is_tarfile(path)


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_what_an_archive_can_hold_depends_on_nothing_that_is_there(tmp_path: Path, transport: str) -> None:
    destination = open_destination(f"{transport}:{tmp_path}/a.tar")
    before = destination.capabilities()
    assert destination.notes() == ()
    (tmp_path / "a.tar").write_bytes(b"dear reader, " * 100)
    assert destination.capabilities() == before
    with pytest.raises(Unsupported, match="no archive"):
        destination.notes()


def test_an_archive_may_be_its_own_source(tmp_path: Path) -> None:
    image = make_image("a")
    write_archive(tmp_path / "a.tar", image)
    with (tmp_path / "a.tar").open("rb") as old:
        write_archive(tmp_path / "a.tar", image)
        assert hashlib.sha256(old.read()).digest() == hashlib.sha256((tmp_path / "a.tar").read_bytes()).digest()


def test_nothing_is_published_without_its_layers(tmp_path: Path) -> None:
    with pytest.raises(MissingBlob), stage(tmp_path / "a.tar") as opened:
        opened.publish(publication(make_image("a")))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_a_name_that_promises_a_compression_is_noted(tmp_path: Path, transport: str) -> None:
    source = f"oci:{oci_layout(tmp_path / 'in', [make_image()])}"
    plan = occy_fast.plan(source, f"{transport}:{tmp_path}/a.tar.gz")
    assert any("a.tar.gz is written as a plain tar" in note for note in plan.notes)
    assert not any("plain tar" in note for note in occy_fast.plan(source, f"{transport}:{tmp_path}/a.tar").notes)
