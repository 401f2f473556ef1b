"""Archives whose manifest.json and index.json name different things, and images that cannot be read among others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import occy_fast
from occy_fast.cli import main
from occy_fast.errors import DigestMismatch, MissingBlob, NotFound, OccyError
from occy_fast.image.graph import check_readable, leaves
from occy_fast.image.image import Image, ImageIndex, NamedImage, Opaque, Unreadable
from support.docker_archives import read
from support.dual_archives import (
    Entry,
    attestation,
    blob_name,
    child,
    digests,
    dual_archive,
    entry,
    index,
    item,
)
from support.image_builders import OCI_MANIFEST, dumps, make_image, sha256
from support.piping import piped

AMD = make_image("amd", codec="gzip")
ARM = make_image("arm", codec="gzip", architecture="arm64")
OTHER = make_image("other")
BOTH = index(child(AMD), child(ARM), name="team/app:3")
NAME = "docker.io/team/app:3"


def shown(named: NamedImage) -> tuple[object, ...]:
    kind = type(named.root).__name__
    platforms = tuple(str(leaf.platform) for leaf in leaves(named.root) if isinstance(leaf, Image))
    return kind, platforms, tuple(name.removeprefix("docker.io/") for name in named.names), named.beside


def digest(made: Entry) -> str:
    return str(made[0]["digest"])


CASES: dict[str, tuple[list[Entry], list[Entry], list[tuple[object, ...]]]] = {
    "one platform of an index": (
        [item(AMD, "team/app:3")],
        [BOTH],
        [("ImageIndex", ("linux/amd64", "linux/arm64"), ("team/app:3",), False)],
    ),
    "an image and its attestation": (
        [item(AMD, "team/app:3")],
        [index(child(AMD), attestation(AMD), name="team/app:3")],
        [("ImageIndex", ("linux/amd64", "unknown/unknown"), ("team/app:3",), False)],
    ),
    "an untagged second image that index.json leaves out": (
        [item(AMD, "app:1"), item(OTHER)],
        [entry(AMD, "app:1")],
        [("Image", ("linux/amd64",), ("library/app:1",), False), ("Image", ("linux/amd64",), (), False)],
    ),
    "an image that only index.json names": (
        [item(AMD, "app:1")],
        [entry(OTHER, "other:1"), entry(AMD, "app:1")],
        [
            ("Image", ("linux/amd64",), ("library/app:1",), False),
            ("Image", ("linux/amd64",), ("library/other:1",), True),
        ],
    ),
    "tags of one item that index.json tells apart": (
        [item(AMD, "team/app:3", "team/app:4", "amd:1"), item(OTHER, "other:1")],
        [entry(AMD, "amd:1"), BOTH, index(child(AMD), child(ARM), name="team/app:4"), entry(OTHER, "other:1")],
        [
            ("ImageIndex", ("linux/amd64", "linux/arm64"), ("team/app:3", "team/app:4"), False),
            ("Image", ("linux/amd64",), ("library/other:1",), False),
            ("Image", ("linux/amd64",), ("library/amd:1",), True),
        ],
    ),
    "a name that only index.json has": (
        [item(AMD, "team/app:3")],
        [BOTH, index(child(AMD), child(ARM), name="team/app:latest")],
        [("ImageIndex", ("linux/amd64", "linux/arm64"), ("team/app:3", "team/app:latest"), False)],
    ),
    "both platforms listed": (
        [item(AMD, "team/app:3"), item(ARM, "team/app:3")],
        [index(child(AMD), child(ARM))],
        [("ImageIndex", ("linux/amd64", "linux/arm64"), ("team/app:3",), False)] * 2,
    ),
    "both platforms listed under names of their own": (
        [item(AMD, "amd:1"), item(ARM, "arm:1")],
        [BOTH],
        [
            ("Image", ("linux/amd64",), ("library/amd:1",), False),
            ("Image", ("linux/arm64",), ("library/arm:1",), False),
            ("ImageIndex", ("linux/amd64", "linux/arm64"), ("team/app:3",), True),
        ],
    ),
    "one platform of an index that has its own name too": (
        [item(AMD, "team/app:3"), item(ARM, "arm:1")],
        [BOTH, entry(ARM, "arm:1")],
        [
            ("ImageIndex", ("linux/amd64", "linux/arm64"), ("team/app:3",), False),
            ("Image", ("linux/arm64",), ("library/arm:1",), False),
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_both_together_are_one_set(tmp_path: Path, case: str) -> None:
    items, entries, expected = CASES[case]
    contents = read(dual_archive(tmp_path / "a.tar", items, entries))
    assert [shown(named) for named in contents.images] == expected
    assert [named.position for named in contents.images] == list(range(len(expected)))
    assert contents.passed_over == ()


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_lost_on_the_way_to_a_layout(tmp_path: Path, case: str) -> None:
    """Every manifest of index.json is there afterwards, and every config of manifest.json."""
    items, entries, _ = CASES[case]
    path = dual_archive(tmp_path / "a.tar", items, entries)
    occy_fast.convert(str(path), f"oci:{tmp_path}/out")
    written = {file.name for file in (tmp_path / "out/blobs/sha256").iterdir()}
    assert {digest(each)[7:] for each in entries} <= written
    assert {listed["Config"][13:] for listed, _ in items} <= written
    assert all(set(each[1]) <= written for each in entries)
    again = occy_fast.convert(str(path), f"oci-archive:{tmp_path}/out.tar")
    assert set(map(str, again.digests)) == set(digests(tmp_path / "out"))


def test_what_stands_for_an_index_is_what_manifest_json_lists(tmp_path: Path) -> None:
    (named,) = read(dual_archive(tmp_path / "a.tar", [item(ARM, "team/app:3")], [BOTH])).images
    assert isinstance(named.root, ImageIndex)
    assert named.default is not None
    assert str(named.default.digest) == ARM.descriptor()["digest"]


def test_children_that_are_not_there_are_absent(tmp_path: Path) -> None:
    gone = ARM.descriptor()["digest"][7:]
    lean = index(child(AMD), child(ARM), name="team/app:3")
    path = dual_archive(tmp_path / "a.tar", [item(AMD, "team/app:3")], [lean], changed={f"blobs/sha256/{gone}": None})
    (named,) = read(path).images
    assert [type(leaf) for leaf in leaves(named.root)] == [Image, Opaque]
    result = occy_fast.convert(str(path), f"docker-archive:{tmp_path}/out.tar")
    assert result.names == (NAME,)


def test_the_numbers_of_what_manifest_json_lists_are_its_own(tmp_path: Path) -> None:
    items = [item(OTHER), item(AMD, "team/app:3")]
    path = dual_archive(tmp_path / "a.tar", items, [entry(make_image("x"), "x:1"), BOTH])
    assert [shown(named)[2] for named in read(path).images] == [(), ("team/app:3",), ("library/x:1",)]
    assert isinstance(read(path, ":@0").images[0].root, Image)
    assert isinstance(read(path, ":@1").images[0].root, ImageIndex)
    assert read(path, ":@2").images[0].names == ("docker.io/library/x:1",)
    assert read(path, ":x:1").images[0].position == 2
    with pytest.raises(NotFound, match="of 3"):
        read(path, ":@3")


def test_what_speaks_of_a_chosen_image_comes_with_it(tmp_path: Path) -> None:
    path = dual_archive(
        tmp_path / "a.tar", [item(AMD, "app:1"), item(OTHER)], [entry(AMD, "app:1"), attestation(AMD)]
    )
    assert [named.position for named in read(path, ":app:1").images] == [0, 2]
    assert [named.position for named in read(path, ":@1").images] == [1]


def wrong_order() -> Entry:
    """Return an entry whose manifest has the layers in another order, as Docker 25.0.0 writes it."""
    image = make_image("a", "b", "c", names=("app:1",))
    manifest = json.loads(image.manifest)
    manifest["layers"].reverse()
    raw = dumps(manifest)
    found = {"mediaType": OCI_MANIFEST, "digest": "sha256:" + sha256(raw), "size": len(raw)}
    return found, {**image.all_blobs(), sha256(raw): raw}


def test_manifest_json_is_right_where_they_disagree(tmp_path: Path) -> None:
    image = make_image("a", "b", "c")
    wrong, blobs = wrong_order()
    annotations = {"annotations": {"io.containerd.image.name": "docker.io/library/app:1"}}
    for at, made in enumerate(([(wrong, blobs)], [({**wrong, **annotations}, blobs)])):
        (named,) = read(dual_archive(tmp_path / f"{at}.tar", [item(image, "app:1")], made)).images
        assert isinstance(named.root, Image)
        assert named.root.manifest is None
        assert [str(layer.digest) for layer in named.root.layers] == image.diff_ids
    contents = read(dual_archive(tmp_path / "a.tar", [item(image, "app:1")], [index((wrong, blobs), name="app:1")]))
    assert [shown(named)[0] for named in contents.images] == ["Image"]
    assert "which is right" in contents.passed_over[0].problem


def test_a_root_that_is_not_there_is_told(tmp_path: Path) -> None:
    gone = entry(OTHER, "other:1")
    path = dual_archive(tmp_path / "a.tar", [item(AMD, "app:1")], [entry(AMD, "app:1"), gone], changed={
        blob_name(gone): None
    })
    contents = read(path)
    assert [shown(named)[2] for named in contents.images] == [("library/app:1",)]
    problem = f"{digest(gone)} is in index.json, but not in the archive"
    assert [finding.problem for finding in contents.passed_over] == [problem]
    plan = occy_fast.plan(str(path), f"oci:{tmp_path}/out")
    assert problem in plan.notes
    assert occy_fast.verify(str(path)).ok


def broken(tmp_path: Path, kind: str) -> Path:
    """Write an archive whose second image cannot be read."""
    listed, second, changed = item(OTHER, "bad:1"), entry(OTHER, "bad:1"), {}
    config = f"blobs/sha256/{sha256(OTHER.config)}"
    if kind == "its config is missing":
        changed[config] = None
    elif kind == "its config is damaged":
        changed[config] = OTHER.config[:-1] + b" "
    elif kind == "its layer is missing":
        changed[f"blobs/sha256/{sha256(OTHER.blobs[0])}"] = None
    elif kind == "its manifest is damaged":
        changed[blob_name(second)] = OTHER.manifest[:-1] + b" "
    elif kind == "its item is no image":
        listed = ({"Config": 5, "RepoTags": ["bad:1"], "Layers": []}, {})
    elif kind == "its item is no object":
        listed = (["bad:1"], {})  # type: ignore[assignment]
    elif kind == "its path leads out":
        listed = item(OTHER, "bad:1", Config="../../../config.json")
    elif kind == "it lists too many layers":
        listed = item(OTHER, "bad:1", Layers=listed[0]["Layers"] * 2)
    return dual_archive(
        tmp_path / "in.tar", [item(AMD, "good:1"), listed], [entry(AMD, "good:1"), second], changed=changed
    )


KINDS = [
    "its config is missing",
    "its config is damaged",
    "its layer is missing",
    "its manifest is damaged",
    "its item is no image",
    "its item is no object",
    "its path leads out",
    "it lists too many layers",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("selector", [":good:1", ":@0"])
def test_a_broken_neighbour_is_in_nobody_s_way(tmp_path: Path, kind: str, selector: str) -> None:
    path = broken(tmp_path, kind)
    locator = f"docker-archive:{path}{selector}"
    contents = read(path, selector)
    assert [named.names for named in contents.images] == [("docker.io/library/good:1",)]
    assert contents.passed_over
    assert all(finding.severity == "warning" for finding in contents.passed_over)
    plan = occy_fast.plan(locator, f"oci:{tmp_path}/out")
    assert any("which was not asked for, cannot be read" in note for note in plan.notes)
    assert list(map(str, occy_fast.execute(plan).digests)) == [AMD.descriptor()["digest"]]
    report = occy_fast.verify(locator)
    assert report.ok
    assert len(report.findings) == len(contents.passed_over)
    if kind != "its item is no object":              # of which no loader reads a list
        assert not occy_fast.check(locator, ["docker-20.10"], deep=True).errors


@pytest.mark.parametrize("kind", KINDS)
def test_of_the_whole_each_image_s_own_trouble_is_told(tmp_path: Path, kind: str) -> None:
    path = broken(tmp_path, kind)
    for destination in ("oci:{}/out", "docker-archive:{}/out.tar"):
        with pytest.raises(OccyError) as caught:
            occy_fast.convert(str(path), destination.format(tmp_path))
        assert caught.value.exit_code in (3, 4)
    assert not (tmp_path / "out").exists()
    with pytest.raises(type(caught.value)):
        occy_fast.inspect(str(path))
    with pytest.raises(type(caught.value)), occy_fast.open_image(str(path)):
        pass
    report = occy_fast.verify(str(path))
    assert {type(finding.error) for finding in report.errors} == {type(caught.value)}
    assert all(finding.place.image not in (0, None) for finding in report.errors)
    assert report.layers >= len(AMD.blobs)


@pytest.mark.parametrize("kind", KINDS)
def test_who_asks_for_the_broken_one_is_told_why(tmp_path: Path, kind: str) -> None:
    with pytest.raises(OccyError) as caught:
        check_readable(read(broken(tmp_path, kind), ":@1"))
    assert caught.value.exit_code in (3, 4)


def test_a_broken_manifest_of_the_chosen_name_is_its_own(tmp_path: Path) -> None:
    """manifest.json alone could be read, and the image would be another one."""
    whole = entry(AMD, "good:1")
    path = dual_archive(
        tmp_path / "a.tar", [item(AMD, "good:1")], [whole], changed={blob_name(whole): AMD.manifest[:-1] + b" "}
    )
    for selector in (":good:1", ":@0", ""):
        contents = read(path, selector)
        assert [type(named.root) for named in contents.images] == [Image, Unreadable]
        with pytest.raises(DigestMismatch):
            check_readable(contents)


BAD_NAMES = ["-rf:1", "Bad Name:1", "T5/Upper:1", "a\nb:1"]


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_a_name_that_is_replaced_does_not_matter(tmp_path: Path, bad: str) -> None:
    path = dual_archive(tmp_path / "a.tar", [item(AMD, bad)], [entry(AMD)])
    with pytest.raises(occy_fast.errors.BadReference):
        occy_fast.convert(str(path), f"docker-archive:{tmp_path}/out.tar")
    assert not (tmp_path / "out.tar").exists()
    named = occy_fast.convert(str(path), f"docker-archive:{tmp_path}/out.tar:new:1")
    assert named.names == ("docker.io/library/new:1",)
    tagged = occy_fast.convert(str(path), f"docker-archive:{tmp_path}/tagged.tar", tags=("new:2",))
    assert tagged.names == ("docker.io/library/new:2",)
    (finding,) = occy_fast.verify(str(path)).errors
    assert isinstance(finding.error, occy_fast.errors.BadReference)


@pytest.mark.parametrize("bad", BAD_NAMES)
@pytest.mark.parametrize("selector", [":good:1", ":@0"])
def test_a_badly_named_neighbour_is_in_nobody_s_way(tmp_path: Path, bad: str, selector: str) -> None:
    images = [replace(AMD, names=("good:1",)), replace(OTHER, names=(bad,))]
    listed = [item(image, *image.names) for image in images]
    path = dual_archive(tmp_path / "a.tar", listed, [entry(AMD, "good:1")])
    result = occy_fast.convert(f"docker-archive:{path}{selector}", f"docker-archive:{tmp_path}/out.tar")
    assert result.names == ("docker.io/library/good:1",)


def test_missing_is_told_as_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingBlob):
        read(broken(tmp_path, "its config is missing"), ":bad:1")


@pytest.mark.parametrize("form", ["docker-archive:{}", "docker-archive:{}:team/app:3", "docker-archive:{}:@0"])
def test_what_stays_behind_of_a_stream_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], form: str
) -> None:
    """What is in a pipe shows only once it has come by, and a note of it as well."""
    path = dual_archive(tmp_path / "in.tar", [item(AMD, "team/app:3")], [BOTH])
    with piped(tmp_path / "pipe", path.read_bytes()) as pipe:
        assert main(["convert", form.format(pipe), f"docker-archive:{tmp_path}/out.tar"]) == 0
    assert capfd.readouterr().err.count("note: stays behind: linux/arm64; oci: and oci-archive: hold all of it") == 1
