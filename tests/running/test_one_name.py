"""Several images under one name: joined where a name can stand for several platforms, refused where it cannot."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from occy_fast import api
from occy_fast.errors import AmbiguousReference, MissingPlatform
from support.image_builders import (
    OCI_INDEX,
    OCI_MANIFEST,
    BuiltImage,
    archive_members,
    docker_archive,
    dumps,
    make_image,
    make_tar,
    oci_archive,
    oci_layout,
    sha256,
)
from support.outputs import Layout, read_archive
from support.piping import piped

REF_NAME, IMAGE_NAME = "org.opencontainers.image.ref.name", "io.containerd.image.name"

AMD = make_image("amd", architecture="amd64", codec="gzip")
ARM = make_image("arm", architecture="arm64", codec="gzip")
OTHER = make_image("other", architecture="amd64", codec="gzip")


def entry(image: BuiltImage, ref: str | None = None, **more: Any) -> dict[str, Any]:
    annotations = more.pop("annotations", {}) | ({REF_NAME: ref} if ref is not None else {})
    return image.descriptor(**more) | ({"annotations": annotations} if annotations else {})


def layout(path: Path, *entries: dict[str, Any], images: tuple[BuiltImage, ...] = (AMD, ARM, OTHER)) -> Path:
    """Write a layout that has *images*, and an index.json of *entries*."""
    oci_layout(path, images)
    (path / "index.json").write_bytes(dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}))
    return path


def entries_of(path: Path) -> list[dict[str, Any]]:
    if path.is_dir():
        raw = (path / "index.json").read_bytes()
    else:
        with tarfile.open(path) as tar:
            member = tar.extractfile("index.json")
            assert member is not None
            raw = member.read()
    found: list[dict[str, Any]] = json.loads(raw)["manifests"]
    return found


def platforms(index: dict[str, Any]) -> list[str]:
    said = (child["platform"] for child in index["manifests"])
    return ["/".join(filter(None, map(each.get, ("os", "architecture", "variant")))) for each in said]


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
@pytest.mark.parametrize("said", [True, False], ids=["said", "from the configs"])
def test_platforms_of_one_ref_become_one_index(tmp_path: Path, kind: str, said: bool) -> None:
    told = [{"platform": {"os": "linux", "architecture": image.architecture}} if said else {} for image in (ARM, AMD)]
    source = layout(tmp_path / "in", entry(ARM, "app:1", **told[0]), entry(AMD, "app:1", **told[1]))
    result = api.convert(f"oci:{source}", f"{kind}:{tmp_path}/out")
    (found,) = entries_of(tmp_path / "out")
    assert found["annotations"] == {REF_NAME: "app:1", IMAGE_NAME: "docker.io/library/app:1"}
    assert (found["mediaType"], [found["digest"]]) == (OCI_INDEX, list(map(str, result.digests)))
    assert result.plan.notes == ("2 images of one name become one index: linux/arm64, linux/amd64",)
    if kind == "oci":
        written = Layout(tmp_path / "out")
        index = json.loads(written.blob(found))
        assert platforms(index) == ["linux/arm64", "linux/amd64"]
        assert [child["digest"] for child in index["manifests"]] == [each.descriptor()["digest"] for each in (ARM, AMD)]
        assert not any(REF_NAME in child.get("annotations", {}) for child in index["manifests"])
        assert [written.read(child).tars for child in index["manifests"]] == [ARM.tars, AMD.tars]
    assert api.verify(f"{kind}:{tmp_path}/out").exit_code == 0


@pytest.mark.parametrize("whole", ["file", "pipe"])
@pytest.mark.parametrize("era", ["B", "D"])
@pytest.mark.parametrize("encoding", [None, "zstd", "none"])
def test_items_of_one_tag_become_one_index(tmp_path: Path, whole: str, era: Any, encoding: str | None) -> None:
    raw = make_tar(archive_members([replace(AMD, names=("x:1",)), replace(ARM, names=("x:1",))], era))
    (tmp_path / "in.tar").write_bytes(raw)
    out = f"oci:{tmp_path}/out"
    if whole == "file":
        result = api.convert(f"docker-archive:{tmp_path}/in.tar", out, encoding=encoding)
    else:
        with piped(tmp_path / "pipe", raw) as pipe:
            result = api.convert(f"docker-archive:{pipe}", out, encoding=encoding)
    (found,) = entries_of(tmp_path / "out")
    assert [found["digest"]] == list(map(str, result.digests))
    assert found["annotations"] == {REF_NAME: "1", IMAGE_NAME: "docker.io/library/x:1"}
    written = Layout(tmp_path / "out")
    index = json.loads(written.blob(found))
    assert platforms(index) == ["linux/amd64", "linux/arm64"]
    assert [written.read(child).tars for child in index["manifests"]] == [AMD.tars, ARM.tars]
    assert [child["mediaType"] for child in index["manifests"]] == [OCI_MANIFEST] * 2


def test_a_name_goes_where_it_belongs(tmp_path: Path) -> None:
    """Of the tags that two items have, one is the same: that is the index's, the others stay with their images."""
    tags = [(AMD, ("x:1", "y:1")), (ARM, ("x:1", "z:1", "x:2")), (OTHER, ("w:1",)), (AMD, ("x:2",))]
    docker_archive(tmp_path / "in.tar", [replace(image, names=names) for image, names in tags])
    result = api.convert(f"docker-archive:{tmp_path}/in.tar", f"oci:{tmp_path}/out")
    found = {each["annotations"][IMAGE_NAME]: each for each in entries_of(tmp_path / "out")}
    assert {name: each["mediaType"] == OCI_INDEX for name, each in found.items()} == {
        f"docker.io/library/{name}": joined
        for name, joined in [("x:1", True), ("x:2", True), ("y:1", False), ("z:1", False), ("w:1", False)]
    }
    assert {each["digest"] for each in found.values()} == set(map(str, result.digests))
    assert set(result.names) == set(found)


def test_what_stands_beside_an_image_under_its_name_goes_into_its_index(tmp_path: Path) -> None:
    digest = AMD.descriptor()["digest"]
    about = {"vnd.docker.reference.digest": digest, "vnd.docker.reference.type": "attestation-manifest"}
    nowhere = {"platform": {"os": "unknown", "architecture": "unknown"}}
    source = layout(tmp_path / "in", entry(AMD, "app"), entry(OTHER, "app", annotations=about, **nowhere))
    api.convert(f"oci:{source}", f"oci:{tmp_path}/out")
    (found,) = entries_of(tmp_path / "out")
    index = json.loads(Layout(tmp_path / "out").blob(found))
    assert platforms(index) == ["linux/amd64", "unknown/unknown"]
    assert index["manifests"][1]["annotations"] == about
    api.convert(f"oci:{source}:app", f"docker-archive:{tmp_path}/out.tar:app:1")
    assert [written.tars for written in read_archive(tmp_path / "out.tar").values()] == [AMD.tars]


APP = [entry(AMD, "1", annotations={IMAGE_NAME: name}) for name in ("app:1", "docker.io/library/app:1")]


@pytest.mark.parametrize(
    "make",
    [
        lambda path: f"oci:{layout(path, entry(AMD, 'app'), entry(AMD, 'app'), entry(ARM))}",
        lambda path: f"oci:{layout(path, entry(AMD), entry(AMD), entry(ARM, 'app'))}",
        lambda path: f"oci:{layout(path, *APP, entry(ARM))}",
        lambda path: f"docker-archive:{docker_archive(path, [AMD, AMD, replace(ARM, names=('b:2',))])}",
    ],
    ids=["a ref twice", "without a name twice", "an image's name twice", "an item twice"],
)
@pytest.mark.parametrize("out", ["oci:{}", "oci-archive:{}", "docker-archive:{}"])
def test_what_stands_there_twice_is_kept_once(tmp_path: Path, make: Callable[[Path], str], out: str) -> None:
    result = api.convert(make(tmp_path / "in"), out.format(tmp_path / "out"))
    assert [each["digest"] for each in entries_of(tmp_path / "out")] == list(map(str, result.digests))
    assert len(set(result.digests)) == 2


def test_an_index_has_the_images_that_stand_in_it(tmp_path: Path) -> None:
    """Some exporters list an index and, under the same name, what is in it."""
    source = oci_layout(tmp_path / "in", [AMD, ARM], ["app"], nested=True)
    (whole,) = entries_of(source)
    (source / "index.json").write_bytes(
        dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry(AMD, "app"), whole, entry(ARM, "app")]})
    )
    result = api.convert(f"oci:{source}", f"oci:{tmp_path}/out")
    assert list(map(str, result.digests)) == [whole["digest"]]
    assert [each["digest"] for each in entries_of(tmp_path / "out")] == [whole["digest"]]


UNTOLD = replace(OTHER, config_changes={"architecture": ""})
V7 = make_image("v7", architecture="arm", config_changes={"variant": "v7"})
V6 = make_image("v6", architecture="arm", config_changes={"variant": "v6"})
BARE = make_image("bare", architecture="arm")                # which means v7
X86 = make_image("x86", architecture="x86_64")
SERVERS = [
    make_image(version, config_changes={"os": "windows", "os.version": version})
    for version in ("10.0.17763", "10.0.20348")
]


@pytest.mark.parametrize(
    "images",
    [(AMD, OTHER), (AMD, ARM, OTHER), (V7, BARE), (AMD, X86), (AMD, UNTOLD)],
    ids=["two", "two of three", "the usual variant", "another word", "a platform nobody knows"],
)
@pytest.mark.parametrize("out", ["oci:{}", "oci-archive:{}", "docker-archive:{}", "oci:{}:new"])
def test_equal_platforms_are_ambiguous(tmp_path: Path, images: tuple[BuiltImage, ...], out: str) -> None:
    source = layout(tmp_path / "in", *(entry(image, "app:1") for image in images), images=images)
    archive = docker_archive(tmp_path / "in.tar", images)
    for selector in ("oci:{0}", "oci:{0}:app:1", "docker-archive:{1}", "docker-archive:{1}:app"):
        locator = selector.format(source, archive)
        if locator.endswith(":app"):
            docker_archive(tmp_path / "in.tar", [replace(image, names=("app:latest",)) for image in images])
        with pytest.raises(AmbiguousReference) as caught:
            api.convert(locator, out.format(tmp_path / "out"))
        assert [text.split()[0] for text in caught.value.candidates] == [f"@{at}" for at in range(len(images))]
        place = source if locator.startswith("oci:") else archive
        assert f"choose one, as {locator.partition(':')[0]}:{place}:@0 does" in (caught.value.remedy or "")
        assert not (tmp_path / "out").exists()


def test_a_remedy_does_what_it_says(tmp_path: Path) -> None:
    source = layout(tmp_path / "in", entry(OTHER, "b"), *(entry(image, "app:1") for image in (AMD, OTHER, ARM)))
    with pytest.raises(AmbiguousReference, match=r"choose one, as oci:\S+:@1 does, or .* --platform linux/arm64 does"):
        api.convert(f"oci:{source}:app:1", f"oci:{tmp_path}/out")
    api.convert(f"oci:{source}:app:1", f"oci:{tmp_path}/out", platforms=["linux/arm64"])
    assert [each["digest"] for each in entries_of(tmp_path / "out")] == [ARM.descriptor()["digest"]]
    api.convert(f"oci:{source}:@1", f"oci:{tmp_path}/second")
    assert [each["digest"] for each in entries_of(tmp_path / "second")] == [AMD.descriptor()["digest"]]
    with pytest.raises(AmbiguousReference):
        api.convert(f"oci:{source}:app:1", f"oci:{tmp_path}/out", platforms=["linux/amd64"])
    with pytest.raises(MissingPlatform, match="offered are: linux/amd64, linux/arm64"):
        api.convert(f"oci:{source}:app:1", f"oci:{tmp_path}/out", platforms=["linux/s390x"])


@pytest.mark.parametrize("images", [(V6, V7), tuple(SERVERS), (AMD, ARM, V6)], ids=["variants", "versions", "three"])
def test_what_differs_in_part_of_its_platform_is_another(tmp_path: Path, images: tuple[BuiltImage, ...]) -> None:
    source = layout(tmp_path / "in", *(entry(image, "app") for image in images), images=images)
    api.convert(f"oci:{source}", f"oci:{tmp_path}/out")
    (found,) = entries_of(tmp_path / "out")
    index = json.loads(Layout(tmp_path / "out").blob(found))
    assert [child["digest"] for child in index["manifests"]] == [each.descriptor()["digest"] for each in images]
    with pytest.raises(AmbiguousReference, match="name one, as --platform"):
        api.convert(f"oci:{source}", f"docker-archive:{tmp_path}/out.tar:app:1")
    api.convert(f"oci:{source}", f"docker-archive:{tmp_path}/out.tar:app:1", platforms=[index_platform(images[-1])])
    assert read_archive(tmp_path / "out.tar")["app:1"].config == images[-1].config


def index_platform(image: BuiltImage) -> str:
    config = json.loads(image.config)
    version = f"({config['os.version']})" if "os.version" in config else ""
    return "/".join(filter(None, (config["os"] + version, config["architecture"], config.get("variant"))))


@pytest.mark.parametrize(
    ("first", "second"), [("x", "docker.io/library/x:latest"), ("library/x:latest", "x"), ("index.docker.io/x", "x")]
)
def test_names_that_become_one_are_one(tmp_path: Path, first: str, second: str) -> None:
    docker_archive(tmp_path / "in.tar", [replace(AMD, names=(first,)), replace(OTHER, names=(second,))])
    for out in ("docker-archive", "oci", "oci-archive"):
        with pytest.raises(AmbiguousReference, match=r"2 images are called 'docker\.io/library/x:latest'"):
            api.convert(f"docker-archive:{tmp_path}/in.tar", f"{out}:{tmp_path}/out")
    both = layout(tmp_path / "in", entry(AMD, "x:latest"), entry(OTHER, "docker.io/library/x:latest"))
    with pytest.raises(AmbiguousReference, match=r"2 images are called 'docker\.io/library/x:latest'"):
        api.convert(f"oci:{both}", f"docker-archive:{tmp_path}/out")
    result = api.convert(f"oci:{both}", f"oci:{tmp_path}/out")        # two words in a layout
    assert [each["annotations"][REF_NAME] for each in entries_of(tmp_path / "out")] == [
        "x:latest",
        "docker.io/library/x:latest",
    ]
    assert len(result.digests) == 2


@pytest.mark.parametrize("tags", [("z:1",), ("z:1", "y:1")])
def test_further_names_are_for_one_image(tmp_path: Path, tags: tuple[str, ...]) -> None:
    docker_archive(tmp_path / "in.tar", [replace(AMD, names=("x:1",)), replace(OTHER, names=("y:1",))])
    with pytest.raises(AmbiguousReference, match="has several images, and the destination names one"):
        api.convert(f"docker-archive:{tmp_path}/in.tar", f"docker-archive:{tmp_path}/out", tags=tags)


def test_a_tag_alone_is_no_name_where_the_image_has_one(tmp_path: Path) -> None:
    """containerd and Docker write the tag as ref name, whatever the image is called."""
    source = layout(
        tmp_path / "in",
        entry(AMD, "1", annotations={IMAGE_NAME: "docker.io/library/app:1"}),
        entry(OTHER, "1", annotations={IMAGE_NAME: "docker.io/library/web:1"}),
    )
    for kind in ("oci", "oci-archive"):
        result = api.convert(f"oci:{source}", f"{kind}:{tmp_path}/{kind}")
        found = entries_of(tmp_path / kind)
        assert [each["annotations"] for each in found] == [
            {IMAGE_NAME: "docker.io/library/app:1", REF_NAME: "1"},
            {IMAGE_NAME: "docker.io/library/web:1", REF_NAME: "docker.io/library/web:1"},
        ]
        assert [each["digest"] for each in found] == list(map(str, result.digests))
    api.convert(f"oci:{source}", f"docker-archive:{tmp_path}/out.tar")
    assert set(read_archive(tmp_path / "out.tar")) == {"app:1", "web:1"}


@pytest.mark.parametrize("turned", [False, True])
def test_a_ref_that_another_image_has_for_its_tag_is_kept(tmp_path: Path, turned: bool) -> None:
    entries = [entry(AMD, "1", annotations={IMAGE_NAME: "docker.io/library/app:1"}), entry(OTHER, "1")]
    source = layout(tmp_path / "in", *(reversed(entries) if turned else entries))
    result = api.convert(f"oci:{source}", f"oci:{tmp_path}/out")
    found = {each["annotations"][REF_NAME]: each["digest"] for each in entries_of(tmp_path / "out")}
    assert found == {"1": OTHER.descriptor()["digest"], "docker.io/library/app:1": AMD.descriptor()["digest"]}
    assert set(found.values()) == set(map(str, result.digests))


def test_a_name_in_the_destination_is_another_image_s(tmp_path: Path) -> None:
    """A layout that has web:1 under the ref name 1 keeps it when app:1 comes."""
    there = layout(tmp_path / "out", entry(OTHER, "1", annotations={IMAGE_NAME: "docker.io/library/web:1"}))
    source = layout(tmp_path / "in", entry(AMD, "1", annotations={IMAGE_NAME: "docker.io/library/app:1"}))
    for _ in range(2):
        api.convert(f"oci:{source}", f"oci:{there}")
        assert [each["digest"] for each in entries_of(there)] == [each.descriptor()["digest"] for each in (OTHER, AMD)]


def test_images_without_a_name_go_under_the_one_they_get(tmp_path: Path) -> None:
    source = layout(tmp_path / "in", entry(AMD), entry(ARM))
    api.convert(f"oci:{source}", f"oci:{tmp_path}/out:app")
    (found,) = entries_of(tmp_path / "out")
    assert platforms(json.loads(Layout(tmp_path / "out").blob(found))) == ["linux/amd64", "linux/arm64"]
    api.convert(f"oci:{source}", f"docker-archive:{tmp_path}/out.tar:app:1", platforms=["linux/arm64"])
    assert read_archive(tmp_path / "out.tar")["app:1"].tars == ARM.tars
    two = layout(tmp_path / "two", entry(AMD), entry(OTHER))
    with pytest.raises(AmbiguousReference, match="has several images"):
        api.convert(f"oci:{two}", f"oci:{tmp_path}/second:app")
    saved = docker_archive(tmp_path / "saved.tar", [replace(AMD, names=()), replace(ARM, names=())])
    with pytest.raises(AmbiguousReference, match=r"has several images.*saved\.tar:@0 does"):    # by their ids, say
        api.convert(str(saved), f"oci:{tmp_path}/fourth:app")
    named = layout(tmp_path / "named", entry(AMD, "one"), entry(ARM, "two"))
    with pytest.raises(AmbiguousReference, match="has several images"):
        api.convert(f"oci:{named}", f"docker-archive:{tmp_path}/third:app")


def test_an_index_of_one_name_takes_a_format(tmp_path: Path) -> None:
    docker = [replace(image, docker=True) for image in (AMD, ARM)]
    source = layout(tmp_path / "in", *(entry(image, "app") for image in docker), images=tuple(docker))
    kept = api.convert(f"oci:{source}", f"oci:{tmp_path}/out")
    (found,) = entries_of(tmp_path / "out")
    assert found["mediaType"] == "application/vnd.docker.distribution.manifest.list.v2+json"
    assert [str(kept.digest)] == [found["digest"]]
    api.convert(f"oci:{source}", f"oci:{tmp_path}/oci", format="oci")
    (found,) = entries_of(tmp_path / "oci")
    index = json.loads(Layout(tmp_path / "oci").blob(found))
    assert [child["mediaType"] for child in index["manifests"]] == [OCI_MANIFEST] * 2
    assert found["mediaType"] == OCI_INDEX
    assert platforms(index) == ["linux/amd64", "linux/arm64"]


def test_an_index_and_another_image_of_its_name_are_ambiguous(tmp_path: Path) -> None:
    source = oci_layout(tmp_path / "in", [AMD, ARM], ["app"], nested=True)
    for data in OTHER.all_blobs().values():
        (source / "blobs" / "sha256" / sha256(data)).write_bytes(data)
    (whole,) = entries_of(source)
    (source / "index.json").write_bytes(
        dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [whole, entry(OTHER, "app")]})
    )
    packed = oci_archive(tmp_path / "in.tar", source)
    candidates = r"@0 \(app, an index, sha256:.*\), @1 \(app, linux/amd64, sha256:"
    for locator in (f"oci:{source}", f"oci:{source}:app", f"oci-archive:{packed}"):
        with pytest.raises(AmbiguousReference, match=candidates):
            api.convert(locator, f"oci:{tmp_path}/out")


def test_the_plan_says_what_is_made(tmp_path: Path) -> None:
    source = layout(tmp_path / "in", entry(AMD, "app"), entry(ARM, "app"))
    text = str(api.plan(f"oci:{source}", f"oci:{tmp_path}/out"))
    assert "\napp\n  oci index of 2, made\n" in text
    assert text.endswith("note: 2 images of one name become one index: linux/amd64, linux/arm64")
