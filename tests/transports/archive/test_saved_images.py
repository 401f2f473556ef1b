"""manifest.json and index.json of one archive: what both list goes, and one broken image is in nobody's way."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast.errors import BadReference, MissingBlob, NotFound, OccyError, Unsupported
from occy_fast.image.graph import real_images
from occy_fast.image.image import ImageIndex
from support.docker_archives import read
from support.image_builders import (
    OCI_INDEX,
    BuiltImage,
    archive_members,
    docker_archive,
    dumps,
    make_image,
    make_tar,
    sha256,
)
from support.piping import piped

AMD = make_image("amd", names=("team/app:3",))
ARM = make_image("arm", names=("team/app:3",), architecture="arm64")
S390 = make_image("s390", names=("team/app:3",), architecture="s390x")
OTHER = make_image("other", names=("team/other:1",))


def index_of(*images: BuiltImage) -> bytes:
    children = [image.descriptor(platform={"os": "linux", "architecture": image.architecture}) for image in images]
    return dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})


def entry(raw: bytes, name: str | None = None) -> dict[str, Any]:
    """Describe an index as index.json lists it."""
    found: dict[str, Any] = {"mediaType": OCI_INDEX, "digest": f"sha256:{sha256(raw)}", "size": len(raw)}
    if name is not None:
        found["annotations"] = {"io.containerd.image.name": f"docker.io/{name}"}
    return found


def archive(
    path: Path,
    listed: Sequence[BuiltImage],
    stored: Sequence[BuiltImage],
    entries: Sequence[dict[str, Any]],
    blobs: Sequence[bytes] = (),
) -> Path:
    """Write an archive whose manifest.json has the *listed* images, and whose index.json has *entries*."""
    members = dict(archive_members(listed, "D"))
    for image in stored:
        members |= {f"blobs/sha256/{name}": data for name, data in image.all_blobs().items()}
    members |= {f"blobs/sha256/{sha256(raw)}": raw for raw in blobs}
    members["index.json"] = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)})
    path.write_bytes(make_tar(sorted(members.items())))
    return path


def two_platforms(path: Path) -> Path:
    raw = index_of(AMD, ARM)
    return archive(path, [AMD], [ARM], [entry(raw, "team/app:3")], [raw])


def one_of_three_absent(path: Path) -> Path:
    raw = index_of(AMD, S390, ARM)
    return archive(path, [AMD], [ARM], [entry(raw, "team/app:3")], [raw])


def both_listed(path: Path) -> Path:
    raw = index_of(AMD, ARM)
    return archive(path, [AMD, ARM], [], [entry(raw, "team/app:3")], [raw])


def nested(path: Path) -> Path:
    inner = index_of(AMD, ARM)
    outer = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry(inner)]})
    return archive(path, [AMD], [ARM], [entry(outer, "team/app:3")], [inner, outer])


SEVERAL = [two_platforms, one_of_three_absent, both_listed, nested]


def platforms_in(locator: str) -> list[list[str]]:
    with occy_fast.open_image(locator) as contents:
        return [[str(image.platform) for image in real_images(named.root)] for named in contents.images]


@pytest.mark.parametrize("make", SEVERAL)
def test_all_platforms_go_where_a_layout_holds_them(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path / "in.tar")
    for at, source in enumerate([str(path), f"docker-archive:{path}:team/app:3", f"docker-archive:{path}:@0"]):
        occy_fast.convert(source, f"oci:{tmp_path}/out{at}")
        assert platforms_in(f"oci:{tmp_path}/out{at}:3") == [["linux/amd64", "linux/arm64"]]
    with piped(tmp_path / "pipe", path.read_bytes()) as pipe:
        occy_fast.convert(f"docker-archive:{pipe}", f"oci:{tmp_path}/streamed")
    assert platforms_in(f"oci:{tmp_path}/streamed:3") == [["linux/amd64", "linux/arm64"]]


@pytest.mark.parametrize("make", SEVERAL)
def test_what_stays_behind_is_told_and_can_be_had(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path / "in.tar")
    plan = occy_fast.plan(str(path), f"docker-archive:{tmp_path}/out.tar")
    assert "stays behind: linux/arm64; oci: and oci-archive: hold all of it, --platform chooses" in plan.notes
    occy_fast.execute(plan)
    assert platforms_in(str(tmp_path / "out.tar")) == [["linux/amd64"]]
    occy_fast.convert(str(path), f"docker-archive:{tmp_path}/arm.tar", platforms=["linux/arm64"])
    assert platforms_in(str(tmp_path / "arm.tar")) == [["linux/arm64"]]


@pytest.mark.parametrize("make", SEVERAL)
def test_verify_looks_at_every_platform(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path / "in.tar")
    assert occy_fast.verify(str(path)).images == 2
    [blob] = ARM.blobs
    raw = path.read_bytes()
    path.write_bytes(raw.replace(blob[600:700], bytes(100)))
    assert not occy_fast.verify(str(path)).ok


def test_a_listed_image_of_an_index_can_be_chosen(tmp_path: Path) -> None:
    path = both_listed(tmp_path / "in.tar")
    for at, platform in enumerate(["linux/amd64", "linux/arm64"]):
        occy_fast.convert(f"docker-archive:{path}:@{at}", f"docker-archive:{tmp_path}/out.tar")
        assert platforms_in(str(tmp_path / "out.tar")) == [[platform]]


def test_images_that_only_index_json_names_come_behind_the_others(tmp_path: Path) -> None:
    path = archive(tmp_path / "in.tar", [AMD], [OTHER], [_named(AMD), _named(OTHER)])
    names = [named.names for named in read(path).images]
    assert names == [("docker.io/team/app:3",), ("docker.io/team/other:1",)]
    occy_fast.convert(f"docker-archive:{path}:@1", f"docker-archive:{tmp_path}/out.tar")
    assert read(tmp_path / "out.tar").images[0].names == ("docker.io/team/other:1",)
    with pytest.raises(NotFound, match="image @2 of 2"):
        read(path, ":@2")


def test_images_that_only_manifest_json_lists_stay(tmp_path: Path) -> None:
    nameless = make_image("nameless", names=())
    path = archive(tmp_path / "in.tar", [AMD, nameless], [], [_named(AMD)])
    assert [named.names for named in read(path).images] == [("docker.io/team/app:3",), ()]


def test_names_of_both_are_kept(tmp_path: Path) -> None:
    path = archive(tmp_path / "in.tar", [make_image("amd", names=("team/app:3",))], [], [_named(AMD, "team/app:4")])
    assert read(path).images[0].names == ("docker.io/team/app:3", "docker.io/team/app:4")


def test_a_manifest_with_its_layers_in_another_order_is_no_second_image(tmp_path: Path) -> None:
    image = make_image("one", "two", names=("team/app:3",))
    manifest = json.loads(image.manifest)
    manifest["layers"].reverse()
    raw = dumps(manifest)
    stored = {**_named(image), "digest": f"sha256:{sha256(raw)}", "size": len(raw)}
    path = archive(tmp_path / "in.tar", [image], [], [stored], [raw])
    [named] = read(path).images
    assert not isinstance(named.root, ImageIndex)
    assert [str(layer.diff_id) for layer in named.root.layers] == image.diff_ids  # type: ignore[union-attr]


def _named(image: BuiltImage, name: str | None = None) -> dict[str, Any]:
    return image.descriptor(annotations={"io.containerd.image.name": f"docker.io/{name or image.names[0]}"})


# -------------------------------------------------------------------------------------------------- broken neighbours


def config_gone(items: list[dict[str, Any]]) -> None:
    items[1]["Config"] = "gone.json"


def layer_gone(items: list[dict[str, Any]]) -> None:
    items[1]["Layers"] = ["gone.tar"]


def count_wrong(items: list[dict[str, Any]]) -> None:
    items[1]["Layers"] = []


def no_object(items: list[Any]) -> None:
    items[1] = 5


def badly_named(items: list[dict[str, Any]]) -> None:
    items[1]["RepoTags"] = ["Upper:1"]


def leads_out(items: list[dict[str, Any]]) -> None:
    items[1]["Layers"] = ["../../etc/passwd"]


BROKEN = [config_gone, layer_gone, count_wrong, no_object, leads_out]


def with_neighbour(path: Path, spoil: Callable[[list[Any]], None]) -> Path:
    members = dict(archive_members([make_image("good", names=("good:1",)), make_image("bad", names=("bad:1",))]))
    items = json.loads(members["manifest.json"])
    spoil(items)
    members["manifest.json"] = dumps(items)
    path.write_bytes(make_tar(members.items()))
    return path


@pytest.mark.parametrize("spoil", [*BROKEN, badly_named])
@pytest.mark.parametrize("selector", [":good:1", ":@0"])
def test_a_broken_neighbour_is_in_nobodys_way(
    tmp_path: Path, selector: str, spoil: Callable[[list[Any]], None]
) -> None:
    path = with_neighbour(tmp_path / "in.tar", spoil)
    plan = occy_fast.plan(f"docker-archive:{path}{selector}", f"oci:{tmp_path}/out")
    assert any("manifest.json[1]" in note for note in plan.notes) == (spoil is not badly_named)
    assert occy_fast.execute(plan).names == ("docker.io/library/good:1",)
    report = occy_fast.verify(f"docker-archive:{path}{selector}")
    assert report.ok
    assert {finding.severity for finding in report.findings} == ({"warning"} if spoil is not badly_named else set())
    with piped(tmp_path / "pipe", path.read_bytes()) as pipe:
        occy_fast.convert(f"docker-archive:{pipe}{selector}", f"oci:{tmp_path}/streamed")


@pytest.mark.parametrize("spoil", [*BROKEN, badly_named])
def test_the_whole_is_not_without_it(tmp_path: Path, spoil: Callable[[list[Any]], None]) -> None:
    path = with_neighbour(tmp_path / "in.tar", spoil)
    with pytest.raises(OccyError):
        occy_fast.convert(str(path), f"oci:{tmp_path}/out")
    assert not occy_fast.verify(str(path)).ok
    assert not (tmp_path / "out").exists()


def test_the_broken_one_is_told_when_it_is_chosen(tmp_path: Path) -> None:
    path = with_neighbour(tmp_path / "in.tar", config_gone)
    for selector in (":bad:1", ":@1"):
        with pytest.raises(MissingBlob, match=r"gone\.json"):
            occy_fast.convert(f"docker-archive:{path}{selector}", f"oci:{tmp_path}/out")


def test_a_name_that_is_replaced_does_not_matter(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "in.tar", [make_image(names=("Upper:1",))])
    with pytest.raises(BadReference):
        occy_fast.convert(str(path), f"docker-archive:{tmp_path}/out.tar")
    named = occy_fast.convert(str(path), f"docker-archive:{tmp_path}/a.tar:app:1")
    tagged = occy_fast.convert(str(path), f"docker-archive:{tmp_path}/b.tar", tags=["app:1"])
    assert named.names == tagged.names == ("docker.io/library/app:1",)


@pytest.mark.parametrize("selector", [":good:1", ":@0"])
def test_an_archive_does_not_take_its_own_place_without_its_other_images(tmp_path: Path, selector: str) -> None:
    path = docker_archive(tmp_path / "a.tar", [make_image("a", names=("good:1",)), make_image("b", names=("other:1",))])
    before = path.read_bytes()
    with pytest.raises(Unsupported, match="1 other image of it would be lost"):
        occy_fast.convert(f"docker-archive:{path}{selector}", f"docker-archive:{path}")
    assert path.read_bytes() == before
    occy_fast.convert(f"docker-archive:{path}", f"docker-archive:{path}")
    assert len(read(path).images) == 2
