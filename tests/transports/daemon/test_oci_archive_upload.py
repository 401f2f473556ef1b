"""What a Docker with containerd's store is sent, what it knows the images by, and what a load that fails leaves."""

from __future__ import annotations

import gzip
import hashlib
import json
import pickle
from pathlib import Path

import pytest

import occy_fast
from occy_fast.cli import main
from occy_fast.context.access import Access
from occy_fast.errors import DaemonError, IntegrityError, PlanStale, Unsupported
from occy_fast.files.tar_writer import tar_header
from occy_fast.planning.steps import Skip
from support.daemon_images import BRIEF, layout
from support.fake_containerd import FakeContainerd, cut_off
from support.fake_daemon import Exchange, FakeDaemon
from support.image_builders import BuiltImage, docker_archive, dumps, make_image, oci_layout, sha256, write_manifest
from support.piping import piped

PATIENT = Access(retries=2, retry_delay=0)


def _manifest_id(image: BuiltImage) -> str:
    return "sha256:" + sha256(image.manifest)


def _index(tmp_path: Path, *images: BuiltImage) -> tuple[str, str]:
    """Return the locator of an index, and its digest."""
    made = oci_layout(tmp_path / "index", images, nested=True)
    return f"oci:{made}", json.loads((made / "index.json").read_bytes())["manifests"][0]["digest"]


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_manifest_and_layers_go_as_they_are(store: FakeContainerd, tmp_path: Path, codec: str) -> None:
    image = make_image("a", "b", codec=codec)
    result = occy_fast.convert(layout(tmp_path, image), "docker-daemon:app:1")
    assert str(result.digest) == _manifest_id(image)
    assert store.names() == {"app:1": _manifest_id(image)}
    assert {layer.kind for layer in result.layers} == {"copy"}
    blobs = [f"blobs/sha256/{sha256(blob)}" for blob in (*image.blobs, image.config, image.manifest)]
    assert store.loads == [[*blobs, "index.json"]]


def test_the_id_that_is_told_is_the_one_that_docker_knows(
    store: FakeContainerd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, told = make_image("a"), tmp_path / "digest"
    source = layout(tmp_path, image)
    main(["convert", source, "docker-daemon:app:1", "--digest-file", str(told)])
    out = capsys.readouterr().out
    assert f"image id  {_manifest_id(image)}" in out
    assert "sha256:" + sha256(image.config) not in out
    assert told.read_text().strip() == _manifest_id(image)
    main(["convert", source, "docker-daemon:app:1", "-q"])
    assert capsys.readouterr().out.split() in ([], [_manifest_id(image)])
    main(["convert", source, "docker-daemon:app:1", "--json"])
    assert json.loads(capsys.readouterr().out)["digest"] == _manifest_id(image)


def test_a_whole_index_and_what_is_chosen_of_it(store: FakeContainerd, tmp_path: Path) -> None:
    one, two = make_image("a"), make_image("b", architecture="arm64")
    source, digest = _index(tmp_path, one, two)
    result = occy_fast.convert(source, "docker-daemon:app:1")
    assert str(result.digest) == digest
    assert store.names() == {"app:1": digest}
    occy_fast.convert(source, "docker-daemon:arm:1", platforms=["linux/arm64"])
    assert store.names()["arm:1"] == _manifest_id(two)


def test_several_names_and_none(store: FakeContainerd, tmp_path: Path) -> None:
    one, two = make_image("a", names=("a:1", "x.io/a:2")), make_image("b", names=())
    archive = docker_archive(tmp_path / "a.tar", [one, two])
    result = occy_fast.convert(f"docker-archive:{archive}", "docker-daemon:")
    named, unnamed = map(str, result.digests)
    assert store.names() == {"a:1": named, "x.io/a:2": named}
    assert set(store.images) == {named, unnamed}


@pytest.mark.parametrize("compressed", [False, True])
def test_a_stream_waits_for_its_digests(store: FakeContainerd, tmp_path: Path, compressed: bool) -> None:
    image = make_image("a", "b", codec=["gzip", "zstd"])
    raw = docker_archive(tmp_path / "a.tar", [image], "D").read_bytes()
    with piped(tmp_path / "pipe", gzip.compress(raw) if compressed else raw) as pipe:
        plan = occy_fast.plan(str(pipe), "docker-daemon:app:1")
        assert "each blob waits in a temporary file without a name until its digest is known" in plan.notes
        result = occy_fast.execute(plan)
    assert store.names() == {"app:1": str(result.digest)}
    assert all(name == "index.json" or sha256(store.content["sha256:" + name[-64:]]) for name in store.loads[0])


def test_layers_whose_digest_nothing_says_wait(store: FakeContainerd, tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image("a", "b", codec=["gzip", "none"])])
    plan = occy_fast.plan(f"docker-archive:{archive}", "docker-daemon:")
    assert "1 copied layer in a temporary file without a name until the digest is known" in plan.notes
    occy_fast.execute(plan)
    assert list(store.names()) == ["app:1"]


def test_blobs_that_werecut_off_are_resumed(store: FakeContainerd, tmp_path: Path) -> None:
    image = make_image("a", size=5000)
    blob = image.blobs[0]
    cut_off(store, tar_header(f"blobs/sha256/{sha256(blob)}", len(blob)), blob[:2000])
    assert store.unfinished
    occy_fast.convert(layout(tmp_path, image), "docker-daemon:app:1")
    assert store.content["sha256:" + sha256(blob)] == blob


def test_a_false_beginning_of_a_blob_is_gone_with_the_next_try(store: FakeContainerd, tmp_path: Path) -> None:
    """A damaged source was sent until its damage showed; what is whole has the same digest."""
    image = make_image("a", size=5000)
    blob = image.blobs[0]
    cut_off(store, tar_header(f"blobs/sha256/{sha256(blob)}", len(blob)), b"x" * 2000)
    occy_fast.convert(layout(tmp_path, image), "docker-daemon:app:1", access=PATIENT)
    assert store.names() == {"app:1": _manifest_id(image)}
    assert store.content["sha256:" + sha256(blob)] == blob


def test_a_failed_load_moves_no_name(store: FakeContainerd, tmp_path: Path) -> None:
    before, broken = make_image("before"), make_image("a", "b")
    occy_fast.convert(layout(tmp_path / "before", before), "docker-daemon:app:1")
    store.broken = {"sha256:" + sha256(broken.blobs[1])}
    with pytest.raises(DaemonError) as caught:
        occy_fast.convert(layout(tmp_path, broken), "docker-daemon:app:1", tags=["new:1"])
    assert "unpacking" in caught.value.problem
    assert store.names() == {"app:1": _manifest_id(before)}
    assert set(store.images) == {_manifest_id(before)}


def test_an_image_that_is_there_gets_another_name(store: FakeContainerd, tmp_path: Path) -> None:
    image, other = make_image("a"), make_image("b")
    source = layout(tmp_path, image)
    occy_fast.convert(source, "docker-daemon:app:1")
    occy_fast.convert(layout(tmp_path / "other", other), "docker-daemon:taken:1")
    occy_fast.convert(source, "docker-daemon:taken:1")
    assert store.names() == {"app:1": _manifest_id(image), "taken:1": _manifest_id(image)}
    assert _manifest_id(other) in store.images       # as Docker does: without its name it stays


@pytest.mark.parametrize("request_path", ["/tag", "/json"])
def test_a_daemon_that_fails_after_the_load(store: FakeContainerd, tmp_path: Path, request_path: str) -> None:
    """Names that were given already go back."""
    before, image = make_image("before"), make_image("a")
    occy_fast.convert(layout(tmp_path / "before", before), "docker-daemon:a:1")
    failing = [False]

    def fail_once(fake: FakeDaemon, asked: Exchange) -> bool:
        if fake.loads[1:] and asked.path.endswith(request_path) and "/z" in asked.path + str(asked.query):
            failing[0] = True
            asked.say_json(500, {"message": "database is locked"})
            return True
        return False

    store.faults.append(fail_once)
    with pytest.raises(DaemonError):
        occy_fast.convert(layout(tmp_path, image), "docker-daemon:a:1", tags=["z:1"], access=Access(retries=0))
    assert failing[0]
    store.faults.clear()
    assert store.names()["a:1"] == _manifest_id(before)


def test_a_damaged_layer_leaves_no_image(store: FakeContainerd, tmp_path: Path) -> None:
    image = make_image("a", "b", codec="gzip")
    source = layout(tmp_path, image)
    path = tmp_path / "layout/blobs/sha256" / sha256(image.blobs[1])
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(IntegrityError):
        occy_fast.convert(source, "docker-daemon:app:1")
    assert not store.images


def test_a_daemon_that_hangs(store: FakeContainerd, tmp_path: Path) -> None:
    store.faults.append(lambda fake, asked: asked.path == "/images/load" and not fake.stopping.wait(20))
    with pytest.raises(DaemonError):
        occy_fast.convert(layout(tmp_path, make_image()), "docker-daemon:app:1", access=BRIEF)
    assert not store.images


def test_other_digests_than_sha256(store: FakeContainerd, tmp_path: Path) -> None:
    source = tmp_path / "layout"
    image = make_image("a")
    oci_layout(source, [image])
    blob = image.blobs[0]
    name = hashlib.sha512(blob).hexdigest()
    (source / "blobs/sha512").mkdir()
    (source / "blobs/sha512" / name).write_bytes(blob)
    manifest = json.loads(image.manifest)
    manifest["layers"][0]["digest"] = f"sha512:{name}"
    write_manifest(source, dumps(manifest))
    with pytest.raises(Unsupported) as caught:
        occy_fast.convert(f"oci:{source}", "docker-daemon:app:1")
    assert "sha512" in str(caught.value)
    assert not store.images


class TestWhatIsThere:
    """From API 1.48 on, Docker says of every manifest whether all of its content is there."""

    @pytest.fixture
    def store(self, store: FakeContainerd) -> FakeContainerd:
        store.api = "1.48"
        return store

    def test_nothing_of_an_image_that_is_there(self, store: FakeContainerd, tmp_path: Path) -> None:
        image = make_image("a", "b", size=50_000, codec="gzip")
        source = layout(tmp_path, image)
        occy_fast.convert(source, "docker-daemon:app:1")
        plan = occy_fast.plan(source, "docker-daemon:app:2")
        assert all(isinstance(step, Skip) for step in plan.steps)
        assert "there already, as its manifest is" in plan.explain()
        store.received = 0
        result = occy_fast.execute(pickle.loads(pickle.dumps(plan)))
        assert store.received < 10_000
        assert store.names() == {"app:1": str(result.digest), "app:2": str(result.digest)}

    def test_what_is_missing_of_an_index(self, store: FakeContainerd, tmp_path: Path) -> None:
        one, two = make_image("a"), make_image("b", architecture="arm64")
        occy_fast.convert(layout(tmp_path, one), "docker-daemon:app:1")
        source, digest = _index(tmp_path, one, two)
        result = occy_fast.convert(source, "docker-daemon:app:1")
        assert [layer.kind for layer in result.layers] == ["skip", "copy"]
        assert store.names() == {"app:1": digest}

    def test_an_image_of_which_a_layer_is_missing(self, store: FakeContainerd, tmp_path: Path) -> None:
        image = make_image("a", "b")
        source = layout(tmp_path, image)
        occy_fast.convert(source, "docker-daemon:app:1")
        del store.content["sha256:" + sha256(image.blobs[0])]
        result = occy_fast.convert(source, "docker-daemon:app:1")
        assert {layer.kind for layer in result.layers} == {"copy"}

    def test_a_manifest_that_changes_is_another(self, store: FakeContainerd, tmp_path: Path) -> None:
        source = layout(tmp_path, make_image("a", codec="none"))
        occy_fast.convert(source, "docker-daemon:app:1")
        result = occy_fast.convert(source, "docker-daemon:app:1", encoding="gzip")
        assert {layer.kind for layer in result.layers} == {"recode"}

    def test_what_is_gone_since_the_plan(self, store: FakeContainerd, tmp_path: Path) -> None:
        image = make_image("a")
        source = layout(tmp_path, image)
        occy_fast.convert(source, "docker-daemon:app:1")
        plan = occy_fast.plan(source, "docker-daemon:app:2")
        store.images.clear()
        with pytest.raises(PlanStale):
            occy_fast.execute(plan)
        assert not store.images

    @pytest.mark.parametrize("told", [[{"Id": 1}], [{"Manifests": {}}], [{"Manifests": [1, {"Descriptor": []}]}], [7]])
    def test_what_cannot_be_understood_is_not_relied_on(
        self, store: FakeContainerd, tmp_path: Path, told: object
    ) -> None:
        def say(fake: FakeDaemon, asked: Exchange) -> bool:
            if "manifests" not in asked.query:
                return False
            asked.say_json(200, told)
            return True

        source = layout(tmp_path, make_image("a"))
        occy_fast.convert(source, "docker-daemon:app:1")
        store.faults.append(say)
        result = occy_fast.convert(source, "docker-daemon:app:1")
        assert {layer.kind for layer in result.layers} == {"copy"}

    def test_an_older_daemon_is_sent_everything(self, store: FakeContainerd, tmp_path: Path) -> None:
        store.api = "1.47"
        source = layout(tmp_path, make_image("a"))
        occy_fast.convert(source, "docker-daemon:app:1")
        result = occy_fast.convert(source, "docker-daemon:app:1")
        assert {layer.kind for layer in result.layers} == {"copy"}
