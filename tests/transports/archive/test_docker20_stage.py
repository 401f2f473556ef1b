"""The layout of Docker 1.10 to 24, against what dockerd 20.10.24 wrote itself."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from occy_fast import api
from occy_fast.errors import Unsupported, UsageError
from occy_fast.spec.digest import Digest
from support.image_builders import BuiltImage, make_image, oci_layout, sha256
from support.opening import open_destination
from support.publishing import publication, write

GOLDEN = "f4491cccb50a550984cf0ac6a3e24967e56368c0b0f1ede0943194ae43298e26"


def members_of(path: Path) -> dict[str, bytes | str]:
    """Return contents by name; of links, where they lead, and of directories nothing."""
    with tarfile.open(path) as tar:
        return {
            member.name: member.linkname
            if member.issym()
            else tar.extractfile(member).read()
            if member.isfile()
            else ""
            for member in tar
        }


def write_archive(path: Path, *images: BuiltImage) -> dict[str, bytes | str]:
    with open_destination(f"docker-archive:{path}", "docker-20.10").stage() as opened:
        for image in images:
            for blob in image.blobs:
                if not opened.has(Digest.sha256(blob)):
                    write(opened, blob)
        opened.publish(publication(*images))
    return members_of(path)


@pytest.mark.parametrize(
    "name",
    [
        "fixtures/docker-20.10.24-save.tar",
        *(f"oracles/docker-save/docker20.10.24-{name}.tar" for name in ("dup", "gz", "multitag", "simple", "untagged")),
    ],
)
@pytest.mark.parametrize("through", ["", "gzip", "zstd"])
def test_members_are_those_of_dockerd(shared: Path, tmp_path: Path, name: str, through: str) -> None:
    """Of its own archives, straight and through a layout of compressed layers."""
    source = f"docker-archive:{shared / name}"
    if through:
        api.convert(source, f"oci:{tmp_path}/layout", encoding=through)
        source = f"oci:{tmp_path}/layout"
    api.convert(source, f"docker-archive:{tmp_path}/a.tar", archive_layout="docker-20.10")
    original, written = members_of(shared / name), members_of(tmp_path / "a.tar")
    documents = ("manifest.json", "repositories")
    assert {key: value for key, value in written.items() if key not in documents} == {
        key: value for key, value in original.items() if key not in documents
    }
    assert ("repositories" in written) == ("repositories" in original)
    if "repositories" in original:
        assert json.loads(written["repositories"]) == json.loads(original["repositories"])

    def items(members: dict[str, bytes | str]) -> list[dict[str, object]]:
        return sorted(
            ({**item, "RepoTags": sorted(item["RepoTags"] or [])} for item in json.loads(members["manifest.json"])),
            key=str,
        )

    assert items(written) == [{key: item[key] for key in ("Config", "RepoTags", "Layers")} for item in items(original)]


def test_a_tar_in_several_places_is_there_once(tmp_path: Path) -> None:
    first = make_image("a", "b", "a", names=("x:1", "x:2", "localhost:5000/y:1"))
    other = make_image("a", "c", names=())
    members = write_archive(tmp_path / "a.tar", first, other)
    items = json.loads(members["manifest.json"])
    bottom, middle, top = (name.removesuffix("/layer.tar") for name in items[0]["Layers"])
    assert items[1]["Layers"][0] == f"{bottom}/layer.tar"
    assert members[f"{bottom}/layer.tar"] == first.tars[0]
    assert members[f"{middle}/layer.tar"] == first.tars[1]
    assert members[f"{top}/layer.tar"] == f"../{bottom}/layer.tar"
    assert json.loads(members[f"{top}/json"])["parent"] == middle
    assert items[1]["RepoTags"] is None
    assert json.loads(members["repositories"]) == {"localhost:5000/y": {"1": top}, "x": {"1": top, "2": top}}
    assert members[f"{sha256(first.config)}.json"] == first.config
    assert len([value for name, value in members.items() if name.endswith("layer.tar")]) == 4
    assert len([value for name, value in members.items() if name.endswith("/VERSION") and value == b"1.0"]) == 4


def test_an_image_without_names_has_no_repositories(tmp_path: Path) -> None:
    assert "repositories" not in write_archive(tmp_path / "a.tar", make_image("a", names=()))


def test_an_image_without_layers(tmp_path: Path) -> None:
    empty = BuiltImage((), (), ("empty:1",))
    members = write_archive(tmp_path / "a.tar", empty)
    assert json.loads(members["manifest.json"])[0]["Layers"] == []
    assert set(members) == {f"{sha256(empty.config)}.json", "manifest.json"}


def test_headers(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.tar", make_image("a", "a"))
    raw = (tmp_path / "a.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        for member in tar:
            assert raw[member.offset + 257 : member.offset + 265] == b"ustar\x0000"
            assert (member.mtime, member.uid, member.gid, member.pax_headers) == (0, 0, 0, {})
            assert member.mode == (0o755 if member.isdir() else 0o777 if member.issym() else 0o644)
    assert raw.endswith(bytes(1024))


def test_golden_bytes(tmp_path: Path) -> None:
    """If this breaks, archives made from the same image differ from those of earlier releases."""
    write_archive(tmp_path / "a.tar", make_image("a", "b", "a", names=("app:1",)))
    assert hashlib.sha256((tmp_path / "a.tar").read_bytes()).hexdigest() == GOLDEN


@pytest.mark.parametrize("encoding", ["gzip", "gzip:1", "zstd"])
def test_layers_are_uncompressed_and_nothing_else(tmp_path: Path, encoding: str) -> None:
    source = oci_layout(tmp_path / "layout", [make_image("a")])
    with pytest.raises(Unsupported, match="none"):
        api.convert(
            f"oci:{source}", f"docker-archive:{tmp_path}/a.tar", encoding=encoding, archive_layout="docker-20.10"
        )


def test_compressed_layers_become_plain_and_that_is_said(tmp_path: Path) -> None:
    source = oci_layout(tmp_path / "layout", [make_image("a", "b", codec="gzip")])
    target = f"docker-archive:{tmp_path}/a.tar:app:1"
    plan = api.plan(f"oci:{source}", target, archive_layout="docker-20.10")
    assert any("in the layout docker-20.10 cannot hold gzip: layers 1-2 become" in note for note in plan.notes)
    assert any("no place for manifests" in note for note in plan.notes)
    assert not api.plan(f"oci:{source}", target).notes
    with pytest.raises(Unsupported, match="gzip"):
        api.plan(f"oci:{source}", target, encoding="keep", archive_layout="docker-20.10")
    api.execute(plan)
    assert api.verify(f"docker-archive:{tmp_path}/a.tar").exit_code == 0
    assert "repositories" in members_of(tmp_path / "a.tar")


def test_a_config_that_docker_cannot_decode_does_not_fit(tmp_path: Path) -> None:
    image = make_image("a", config_changes={"created": "yesterday"})
    with pytest.raises(Unsupported, match="created"):
        write_archive(tmp_path / "a.tar", image)
    assert not (tmp_path / "a.tar").exists()


def test_only_docker_archives_have_a_layout(tmp_path: Path) -> None:
    source = oci_layout(tmp_path / "layout", [make_image("a")])
    with pytest.raises(UsageError, match=r"docker-20\.10"):
        api.convert(f"oci:{source}", f"oci:{tmp_path}/other", archive_layout="docker-20.10")
    with pytest.raises(UsageError, match=r"universal, docker-20\.10"):
        api.convert(f"oci:{source}", f"docker-archive:{tmp_path}/a.tar", archive_layout="docker-25")  # type: ignore[arg-type]
