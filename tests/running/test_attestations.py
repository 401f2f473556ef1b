"""What speaks of an image goes with it, or is left out; and what is neither image nor index goes along."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from occy_fast import api
from occy_fast.errors import (
    AmbiguousReference,
    DigestMismatch,
    MediaTypeConflict,
    SizeMismatch,
    Unsupported,
    UsageError,
)
from occy_fast.planning.goal_words import make_goal
from support.image_builders import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, BuiltImage, dumps, make_image, sha256
from support.outputs import read_archive

SUBJECT = "vnd.docker.reference.digest"
REF_NAME = "org.opencontainers.image.ref.name"
Entry = dict[str, Any]


class Store:
    """Blobs, and the layout that is made of them."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def add(self, kind: str, data: bytes, **more: Any) -> Entry:
        self.blobs[sha256(data)] = data
        return {"mediaType": kind, "digest": "sha256:" + sha256(data), "size": len(data), **more}

    def image(self, image: BuiltImage) -> Entry:
        self.blobs.update(image.all_blobs())
        return image.descriptor(platform={"architecture": image.architecture, "os": "linux"})

    def attestation(self, of: Entry) -> Entry:
        """Add what BuildKit puts beside an image: a manifest whose layer is a statement on it."""
        statement = dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"digest": of["digest"]}]})
        layer = self.add("application/vnd.in-toto+json", statement)
        rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
        config = self.add(OCI_CONFIG, dumps({"architecture": "unknown", "os": "unknown", "rootfs": rootfs}))
        raw = dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]})
        annotations = {SUBJECT: of["digest"], "vnd.docker.reference.type": "attestation-manifest"}
        platform = {"architecture": "unknown", "os": "unknown"}
        return self.add(OCI_MANIFEST, raw, annotations=annotations, platform=platform)

    def signature(self, of: Entry) -> Entry:
        """Add an artifact that names the manifest it speaks of as its subject."""
        empty = self.add("application/vnd.oci.empty.v1+json", b"{}")
        document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty, "layers": [empty]}
        subject = {key: of[key] for key in ("mediaType", "digest", "size")}
        return self.add(OCI_MANIFEST, dumps({**document, "artifactType": "application/x-sig", "subject": subject}))

    def index(self, *entries: Entry) -> Entry:
        return self.add(OCI_INDEX, dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}))

    def layout(self, path: Path, *entries: Entry) -> str:
        (path / "blobs/sha256").mkdir(parents=True)
        for name, data in self.blobs.items():
            (path / "blobs/sha256" / name).write_bytes(data)
        (path / "index.json").write_bytes(dumps({"schemaVersion": 2, "manifests": list(entries)}))
        (path / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
        return f"oci:{path}"


class Packed:
    """An OCI archive, read without the library."""

    def __init__(self, path: Path) -> None:
        with tarfile.open(path) as tar:
            self.members = {m.name: tar.extractfile(m).read() for m in tar if m.isreg()}  # type: ignore[union-attr]
        self.entries: list[Entry] = json.loads(self.members["index.json"])["manifests"]

    def blob(self, entry: Entry) -> bytes:
        return self.members["blobs/" + entry["digest"].replace(":", "/")]

    def children(self, entry: Entry) -> list[Entry]:
        found: list[Entry] = json.loads(self.blob(entry))["manifests"]
        return found


def ref(entry: Entry, name: str) -> Entry:
    return {**entry, "annotations": {**entry.get("annotations", {}), REF_NAME: name}}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def built(store: Store) -> list[Entry]:
    """Two platforms, each with its attestation, as BuildKit lists them."""
    images = [store.image(make_image("a", "b")), store.image(make_image("c", "b", architecture="arm64"))]
    return [*images, *map(store.attestation, images)]


def test_a_whole_index_keeps_its_bytes(store: Store, built: list[Entry], tmp_path: Path) -> None:
    index = ref(store.index(*built), "1")
    api.convert(store.layout(tmp_path / "in", index), f"oci-archive:{tmp_path}/out.tar")
    packed = Packed(tmp_path / "out.tar")
    assert packed.entries == [index]
    assert {name: packed.members[f"blobs/sha256/{name}"] for name in store.blobs} == store.blobs


def test_one_platform_comes_with_what_speaks_of_it(store: Store, built: list[Entry], tmp_path: Path) -> None:
    """Also what speaks of the attestation: a signature whose subject it is. Children keep their bytes."""
    signature = store.signature(built[3])
    index = ref(store.index(*built, signature, store.signature(built[2])), "1")
    source = store.layout(tmp_path / "in", index)
    plan = api.plan(source, f"oci-archive:{tmp_path}/out.tar", platforms=["linux/arm64"])
    assert plan.notes == ("stays behind: linux/amd64", "stays behind: 2 attestations or artifacts of the index")
    api.execute(plan)
    packed = Packed(tmp_path / "out.tar")
    assert packed.children(packed.entries[0]) == [built[1], built[3], signature]
    for entry in (built[1], built[3], signature):
        assert packed.blob(entry) == store.blobs[entry["digest"][7:]]
    assert packed.entries[0]["annotations"] == {REF_NAME: "1"}


@pytest.mark.parametrize("platforms", [(), ("all",), ("linux/amd64", "linux/arm64")])
def test_attestations_are_left_out_on_demand(
    store: Store, built: list[Entry], tmp_path: Path, platforms: tuple[str, ...]
) -> None:
    source = store.layout(tmp_path / "in", store.index(*built))
    plan = api.plan(source, f"oci-archive:{tmp_path}/out.tar", attestations="drop", platforms=platforms)
    assert plan.notes == ("left out: 2 attestations",)
    api.execute(plan)
    packed = Packed(tmp_path / "out.tar")
    assert packed.children(packed.entries[0]) == built[:2]
    assert f"blobs/sha256/{built[2]['digest'][7:]}" not in packed.members


def test_one_platform_without_its_attestation_is_an_image(store: Store, built: list[Entry], tmp_path: Path) -> None:
    source = store.layout(tmp_path / "in", store.index(*built))
    api.convert(source, f"oci-archive:{tmp_path}/out.tar", attestations="drop", platforms=["linux/amd64"])
    assert [entry["digest"] for entry in Packed(tmp_path / "out.tar").entries] == [built[0]["digest"]]


def test_what_speaks_of_a_recoded_image_still_finds_it(store: Store, built: list[Entry], tmp_path: Path) -> None:
    """The annotation follows the manifest, and the attestation keeps its bytes: a note says what it speaks of."""
    source = store.layout(tmp_path / "in", store.index(*built))
    plan = api.plan(source, f"oci-archive:{tmp_path}/a.tar", encoding="zstd")
    told = f"an attestation speaks of the manifest as it was: {built[0]['digest'][:19]}"
    assert told in plan.notes
    api.execute(plan)
    packed = Packed(tmp_path / "a.tar")
    children = packed.children(packed.entries[0])
    assert [entry["digest"] for entry in children[2:]] == [entry["digest"] for entry in built[2:]]
    assert [entry["annotations"][SUBJECT] for entry in children[2:]] == [entry["digest"] for entry in children[:2]]
    assert {entry["digest"] for entry in children[:2]}.isdisjoint(entry["digest"] for entry in built)
    api.convert(f"oci-archive:{tmp_path}/a.tar", f"oci-archive:{tmp_path}/b.tar", platforms=["linux/arm64"])
    packed = Packed(tmp_path / "b.tar")
    assert packed.children(packed.entries[0]) == [children[1], children[3]]


def test_a_docker_archive_takes_the_image_alone(store: Store, built: list[Entry], tmp_path: Path) -> None:
    source = store.layout(tmp_path / "in", store.index(built[0], built[2]))
    plan = api.plan(source, f"docker-archive:{tmp_path}/out.tar:app:1")
    assert plan.notes == ("stays behind: 1 attestation or artifact of the index; oci: and oci-archive: hold all of it",)
    api.execute(plan)
    assert read_archive(tmp_path / "out.tar")["app:1"].config == make_image("a", "b").config


@pytest.mark.parametrize("nested", [False, True])
def test_an_index_inside_an_index(store: Store, built: list[Entry], tmp_path: Path, nested: bool) -> None:
    """What is under it counts as if it stood in the outer one."""
    inner = store.index(built[1], built[3])
    source = store.layout(tmp_path / "in", ref(store.index(built[0], built[2], inner), "1"))
    wanted = ["linux/arm64"] if nested else ["linux/amd64"]
    api.convert(source, f"oci-archive:{tmp_path}/out.tar", platforms=wanted)
    packed = Packed(tmp_path / "out.tar")
    children = packed.children(packed.entries[0])
    assert children == ([inner] if nested else [built[0], built[2]])
    assert (f"blobs/sha256/{built[1]['digest'][7:]}" in packed.members) == nested
    assert api.verify(f"oci-archive:{tmp_path}/out.tar").exit_code == 0


def test_one_manifest_for_two_platforms(store: Store, built: list[Entry], tmp_path: Path) -> None:
    """The name that is not asked for does not come with the other."""
    alias = {**built[0], "platform": {"architecture": "s390x", "os": "linux"}}
    source = store.layout(tmp_path / "in", store.index(built[0], alias, built[1]))
    api.convert(source, f"oci-archive:{tmp_path}/out.tar", platforms=["linux/s390x", "linux/arm64"])
    packed = Packed(tmp_path / "out.tar")
    assert packed.children(packed.entries[0]) == [alias, built[1]]


class TestBesideTheImage:
    """As `docker save --platform` of 29 writes it, and a layout that keeps signatures without an index of their own."""

    @pytest.fixture
    def entries(self, store: Store, built: list[Entry]) -> list[Entry]:
        speaking = {**built[2], "annotations": {"io.containerd.manifest.subject": built[0]["digest"]}}
        del speaking["platform"]
        return [ref(built[0], "app"), speaking]

    @pytest.mark.parametrize("selector", ["", ":app", ":@0"])
    def test_it_goes_along(self, store: Store, entries: list[Entry], tmp_path: Path, selector: str) -> None:
        source = store.layout(tmp_path / "in", *entries) + selector
        api.convert(source, f"oci-archive:{tmp_path}/out.tar:new", encoding="gzip")
        image, speaking = Packed(tmp_path / "out.tar").entries
        assert image["annotations"] == {REF_NAME: "new"}
        assert speaking == {**entries[1], "annotations": {"io.containerd.manifest.subject": image["digest"]}}
        assert image["digest"] != entries[0]["digest"]

    def test_what_stays_as_it_is_is_told(self, store: Store, entries: list[Entry], tmp_path: Path) -> None:
        source = store.layout(tmp_path / "in", *entries)
        plan = api.plan(source, f"oci-archive:{tmp_path}/out.tar", encoding="zstd")
        assert "stays as it is: 1 attestation or artifact beside the image" in plan.notes

    def test_it_is_left_out(self, store: Store, entries: list[Entry], tmp_path: Path) -> None:
        source = store.layout(tmp_path / "in", *entries)
        plan = api.plan(source, f"oci-archive:{tmp_path}/out.tar", attestations="drop")
        assert plan.notes == ("left out: 1 attestation",)
        api.execute(plan)
        assert Packed(tmp_path / "out.tar").entries == entries[:1]

    def test_a_docker_archive_does_not_mind(self, store: Store, entries: list[Entry], tmp_path: Path) -> None:
        signature = store.signature(entries[0])
        source = store.layout(tmp_path / "in", signature, *entries)
        plan = api.plan(source, f"docker-archive:{tmp_path}/out.tar:app:1")
        behind = "stays behind: 2 attestations or artifacts beside the image"
        assert plan.notes == (f"{behind}; oci: and oci-archive: hold all of it",)
        api.execute(plan)
        assert list(read_archive(tmp_path / "out.tar")) == ["app:1"]

    def test_another_platform_leaves_it(self, store: Store, built: list[Entry], tmp_path: Path) -> None:
        """Signatures of both images stand in an index of their own, as the tag of a registry without referrers."""
        signatures = [store.signature(entry) for entry in built[:2]]
        tags = [ref(store.index(signature), f"sha256-{number}") for number, signature in enumerate(signatures)]
        source = store.layout(tmp_path / "in", ref(store.index(*built[:2]), "app"), *tags)
        api.convert(source, f"oci-archive:{tmp_path}/out.tar", platforms=["linux/arm64"])
        entries = Packed(tmp_path / "out.tar").entries
        assert [(entry["digest"], entry["annotations"][REF_NAME]) for entry in entries] == [
            (built[1]["digest"], "app"),
            (tags[1]["digest"], "sha256-1"),
        ]

    def test_two_images_stay_two(self, store: Store, built: list[Entry], entries: list[Entry], tmp_path: Path) -> None:
        source = store.layout(tmp_path / "in", *entries, ref(built[1], "other"))
        with pytest.raises(AmbiguousReference, match="several images"):
            api.plan(source, f"oci-archive:{tmp_path}/out.tar:app")

    def test_an_artifact_that_speaks_of_nothing_here_is_one(self, store: Store, tmp_path: Path) -> None:
        absent = {"mediaType": OCI_MANIFEST, "digest": "sha256:" + "0" * 64, "size": 100}
        image = store.image(make_image("a"))
        source = store.layout(tmp_path / "in", ref(image, "app"), store.signature(absent))
        with pytest.raises(Unsupported, match=r"choose an image: @0 \(app, linux/amd64, sha256:[0-9a-f]{12}\)\)"):
            api.plan(source, f"docker-archive:{tmp_path}/out.tar")


class TestNeitherImageNorIndex:
    """A build cache is an index of layers; layouts name blobs of any kind."""

    KIND = "application/x-anything"

    def test_it_goes_along(self, store: Store, tmp_path: Path) -> None:
        image, blob = store.image(make_image("a")), store.add(self.KIND, b"anything at all")
        layer = store.add("application/vnd.oci.image.layer.v1.tar+gzip", b"no gzip, and nobody looks")
        entries = [ref(store.index(image, layer), "cache"), ref(blob, "blob")]
        source = store.layout(tmp_path / "in", *entries)
        plan = api.plan(source, f"oci-archive:{tmp_path}/out.tar", encoding="keep")
        assert plan.notes == ()
        assert f"no image, but {self.KIND}" in plan.explain()
        api.execute(plan)
        packed = Packed(tmp_path / "out.tar")
        assert packed.entries == entries
        assert {name: packed.members[f"blobs/sha256/{name}"] for name in store.blobs} == store.blobs
        api.convert(f"oci-archive:{tmp_path}/out.tar", f"oci:{tmp_path}/back", link=True)
        assert api.verify(f"oci:{tmp_path}/back").exit_code == 0
        assert api.plan(f"oci:{tmp_path}/back", f"oci:{tmp_path}/in").copied_bytes == 0

    def test_it_is_proved_on_its_way(self, store: Store, tmp_path: Path) -> None:
        blob = store.add(self.KIND, b"anything at all")
        source = store.layout(tmp_path / "in", ref(store.image(make_image("a")), "app"), blob)
        place = tmp_path / "in/blobs/sha256" / blob["digest"][7:]
        place.write_bytes(b"longer than it says it is")
        with pytest.raises(SizeMismatch):
            api.convert(source, f"oci-archive:{tmp_path}/out.tar")
        place.write_bytes(b"ANYTHING AT ALL")
        with pytest.raises(DigestMismatch):
            api.convert(source, f"oci-archive:{tmp_path}/out.tar")
        assert not (tmp_path / "out.tar").exists()

    @pytest.mark.parametrize("index", [True, False])
    def test_a_manifest_is_not_taken_for_it(
        self, store: Store, built: list[Entry], tmp_path: Path, index: bool
    ) -> None:
        """A letter of index.json that has changed must not cost an image its layers."""
        entry = store.index(built[0]) if index else store.image(make_image("d"))
        wrong = {**entry, "mediaType": entry["mediaType"].replace("image", "imagf")}
        source = store.layout(tmp_path / "in", built[1], wrong)
        with pytest.raises(MediaTypeConflict):
            api.convert(source, f"oci-archive:{tmp_path}/out.tar")
        assert api.verify(source).exit_code == 4

    def test_alone_it_goes_where_blobs_do(self, store: Store, tmp_path: Path) -> None:
        blob = store.add(self.KIND, b"anything at all")
        source = store.layout(tmp_path / "in", ref(store.image(make_image("a")), "app"), ref(blob, "blob"))
        api.plan(f"{source}:blob", f"oci-archive:{tmp_path}/out.tar")
        with pytest.raises(Unsupported):
            api.plan(f"{source}:blob", f"docker-archive:{tmp_path}/out.tar")
        with pytest.raises(Unsupported, match="choose an image"):
            api.plan(source, f"docker-archive:{tmp_path}/out.tar")
        api.plan(f"{source}:app", f"docker-archive:{tmp_path}/out.tar")
        with pytest.raises(Unsupported, match="travels as it is"):
            api.plan(source, f"oci-archive:{tmp_path}/out.tar", encoding="zstd")


def test_words_that_mean_nothing() -> None:
    with pytest.raises(UsageError, match="known are: keep, drop"):
        make_goal(attestations="leave")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'all' stands beside"):
        make_goal(platforms=["all", "linux/amd64"])
    assert make_goal(platforms=["all"]) == make_goal()
