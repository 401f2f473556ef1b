"""Archives from before Docker 1.10, read as dockerd 20.10 reads them."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
import tarfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard

import occy_fast
from occy_fast import api, errors
from occy_fast.context.progress import Progress
from occy_fast.engine import in_flight
from occy_fast.image.blob import Address, FileRegion
from occy_fast.image.image import Contents, Image
from occy_fast.spec.digest import Digest
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.streams.layer_pass import WorkerPool
from occy_fast.streams.tar import scan_region
from occy_fast.transports.archive.legacy_reader import LegacyArchive
from occy_fast.transports.archive.members import MemberTable
from support.image_builders import dumps, make_layer, make_tar, sha256
from support.opening import open_source

COMPRESS: dict[str, Any] = {
    "none": bytes,
    "gzip": lambda tar: gzip.compress(tar, mtime=0),
    "zstd": zstandard.ZstdCompressor(3).compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


def hex_id(name: str) -> str:
    return sha256(name.encode())


def v1_image(name: str, parent: str = "", **more: Any) -> dict[str, Any]:
    """Make the JSON of a v1 image."""
    document = {"id": hex_id(name), "created": "2014-01-01T00:00:00.50Z", "docker_version": "1.6.0", "os": "linux"}
    document |= {"architecture": "amd64", "container_config": {"Cmd": ["/bin/sh", "-c", f"make {name}"]}}
    return {**document, **({"parent": hex_id(parent)} if parent else {}), **more}


Members = list[tuple[str, bytes]]


def directory(name: str, parent: str = "", codec: str = "none", **more: Any) -> Members:
    """Return the members of one image."""
    id_ = hex_id(name)
    return [
        (f"{id_}/VERSION", b"1.0"),
        (f"{id_}/json", dumps(v1_image(name, parent, **more))),
        (f"{id_}/layer.tar", COMPRESS[codec](make_layer(name))),
    ]


def repositories(**names: dict[str, str]) -> Members:
    """Return `repositories`, of tags and names of images by repository."""
    document = {repository: {tag: hex_id(name) for tag, name in tags.items()} for repository, tags in names.items()}
    return [("repositories", dumps(document) + b"\n")]


def write(path: Path, *members: Members) -> Path:
    path.write_bytes(make_tar(pair for group in members for pair in group))
    return path


def read(path: Path, selector: str = "", limits: Limits = LIMITS) -> Contents:
    with open_source(f"docker-archive:{path}{selector}", limits) as source:
        return source.read()


def described(contents: Contents) -> list[tuple[tuple[str, ...], list[str]]]:
    """Return for each image its names and the commands in its history."""
    found = []
    for named in contents.images:
        image = named.root
        assert isinstance(image, Image)
        assert image.config is not None
        found.append((named.names, [(entry.created_by or "").rpartition(" ")[2] for entry in image.config.history]))
    return found


@pytest.mark.parametrize("name", ["chain3", "gzlayers", "nodockerver"])
def test_configs_are_those_of_dockerd(shared: Path, name: str) -> None:
    expected = json.loads((shared / "oracles/legacy-v1/expected_20.10.24.json").read_text())["images"]
    [named] = read(shared / f"oracles/legacy-v1/{name}.tar").images
    image = named.root
    assert isinstance(image, Image)
    assert image.config is not None
    known = expected[f"lg/{name}:latest"]
    assert named.names == (f"docker.io/lg/{name}:latest",)
    assert image.config.raw.decode() == known["config"]
    assert str(image.config_blob.digest) == known["image_id"]
    assert [str(layer.diff_id) for layer in image.layers] == json.loads(known["config"])["rootfs"]["diff_ids"]


def test_an_archive_without_repositories_has_an_image_without_a_name(shared: Path) -> None:
    [named] = read(shared / "oracles/legacy-v1/norepos.tar").images
    assert named.names == ()


def test_a_missing_parent_is_named(shared: Path) -> None:
    with pytest.raises(errors.BadArchive, match="b43064954c93974334dd4ff2faab215a93eaf7a05f3f39a65c1bd44c63170b01"):
        read(shared / "oracles/legacy-v1/missingparent.tar")


@pytest.mark.parametrize(
    "name",
    [
        "hostile/i036-legacy-only.tar",
        "images/moby/integration-cli/testdata/emptyLayer.tar",
    ],
)
def test_archives_of_the_corpus(shared: Path, name: str) -> None:
    [named] = read(shared / "corpus" / name).images
    assert len(named.names) == 1


@pytest.mark.parametrize("codec", list(COMPRESS))
def test_layers_of_any_encoding(tmp_path: Path, codec: str) -> None:
    path = write(tmp_path / "a.tar", directory("a"), directory("b", "a", codec), repositories(app={"1": "b"}))
    [named] = read(path).images
    image = named.root
    assert isinstance(image, Image)
    assert [str(layer.diff_id) for layer in image.layers] == [f"sha256:{sha256(make_layer(name))}" for name in "ab"]
    assert [layer.encoding.codec for layer in image.layers] == ["none", codec]
    assert image.layers[1].digest == (image.layers[1].diff_id if codec == "none" else None)
    assert str(image.platform) == "linux/amd64"


def tree(path: Path) -> Path:
    """Write an archive of several images: a trunk, two branches, one without a name."""
    return write(
        path,
        directory("left", "trunk"),
        directory("trunk", "root"),
        directory("right", "trunk"),
        directory("nameless", "root"),
        directory("root"),
        repositories(**{"app": {"V1": "left", "v1": "right", "2": "left"}, "example.com:5000/t/base": {"x": "trunk"}}),
    )


LEFT, RIGHT = ["root", "trunk", "left"], ["root", "trunk", "right"]


@pytest.mark.parametrize(
    ("selector", "images"),
    [
        (
            "",
            [
                (("docker.io/library/app:V1", "docker.io/library/app:2"), LEFT),
                (("docker.io/library/app:v1",), RIGHT),
                (("example.com:5000/t/base:x",), ["root", "trunk"]),
                ((), ["root", "nameless"]),
            ],
        ),
        (":@1", [(("docker.io/library/app:v1",), RIGHT)]),
        (":@3", [((), ["root", "nameless"])]),
        (":app:2", [(("docker.io/library/app:2",), LEFT)]),
        (":example.com:5000/t/base:x", [(("example.com:5000/t/base:x",), ["root", "trunk"])]),
    ],
)
def test_several_images_share_their_parents(tmp_path: Path, selector: str, images: list[Any]) -> None:
    assert described(read(tree(tmp_path / "a.tar"), selector)) == images


@pytest.mark.parametrize("selector", [":@4", ":app:3", ":base:x"])
def test_what_is_not_there_is_not_found(tmp_path: Path, selector: str) -> None:
    with pytest.raises(errors.NotFound):
        read(tree(tmp_path / "a.tar"), selector)


def test_only_layers_of_the_selected_image_are_read(tmp_path: Path) -> None:
    broken = [*without(directory("bad"), "layer.tar"), (f"{hex_id('bad')}/layer.tar", b"\x1f\x8b\x08\xff" * 99)]
    path = write(tmp_path / "a.tar", directory("good"), broken, repositories(good={"1": "good"}, bad={"1": "bad"}))
    assert len(read(path, ":good:1").images) == 1
    with pytest.raises(errors.CorruptStream, match=hex_id("bad")):
        read(path, ":bad:1")


def test_the_diff_ids_are_asked_for_once(tmp_path: Path) -> None:
    """Whoever saw the layers before need not read them again."""
    path = tree(tmp_path / "a.tar")
    asked: list[list[str]] = []

    def known(layers: Mapping[str, Address]) -> dict[str, Digest]:
        asked.append(sorted(layers))
        return {name: Digest.sha256(name.encode()) for name in layers}

    with path.open("rb") as file:
        members = MemberTable("here", LIMITS, lambda offset, size: FileRegion(str(path), offset, size))
        for entry in scan_region(file.fileno(), 0, path.stat().st_size, where="t", limits=LIMITS):
            members.add(entry)
        archive = LegacyArchive(members.clean_names(), "here", LIMITS)
        left, trunk = archive.read([hex_id("left"), hex_id("trunk")], known)
    assert asked == [sorted(f"{hex_id(name)}/layer.tar" for name in LEFT)]
    assert [digest for _, digest in trunk.layers] == [digest for _, digest in left.layers[:2]]


def test_names_may_have_dots_in_front_and_directories_entries(tmp_path: Path) -> None:
    members = [*directory("a"), *repositories(app={"1": "a"})]
    entries = [tarfile.TarInfo("./"), tarfile.TarInfo(f"./{hex_id('a')}/")]
    for entry in entries:
        entry.type = tarfile.DIRTYPE
    raw = b"".join(entry.tobuf(tarfile.USTAR_FORMAT) for entry in entries)
    (tmp_path / "a.tar").write_bytes(raw + make_tar((f"./{name}", data) for name, data in members))
    assert described(read(tmp_path / "a.tar")) == [(("docker.io/library/app:1",), ["a"])]


def test_a_layer_may_be_a_link_to_another_one(tmp_path: Path) -> None:
    link = tarfile.TarInfo(f"{hex_id('b')}/layer.tar")
    link.type, link.linkname = tarfile.SYMTYPE, f"../{hex_id('a')}/layer.tar"
    rest = [pair for pair in directory("b", "a") if not pair[0].endswith("layer.tar")]
    write(tmp_path / "a.tar", directory("a"), rest, repositories(app={"1": "b"}))
    raw = link.tobuf(tarfile.USTAR_FORMAT) + (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(raw)
    [named] = read(tmp_path / "a.tar").images
    image = named.root
    assert isinstance(image, Image)
    assert image.layers[0].diff_id == image.layers[1].diff_id


def without(members: Members, name: str) -> Members:
    return [pair for pair in members if not pair[0].endswith(name)]


A = hex_id("a")


@pytest.mark.parametrize(
    ("members", "error", "told"),
    [
        ([*directory("a", "a")], "BadArchive", "its own ancestor"),
        ([*directory("a", "b"), *directory("b", "c"), *directory("c", "b")], "BadArchive", "its own ancestor"),
        ([*directory("a", "none")], "BadArchive", hex_id("none")),
        ([*without(directory("a"), "json"), (f"{A}/json", b'{"Parent":"../../etc"}')], "BadArchive", "../../etc"),
        ([*without(directory("a"), "layer.tar"), *repositories()], "BadArchive", f"'{A}/json' without the layer.tar"),
        ([*without(directory("a"), "json"), *repositories()], "BadArchive", f"'{A}/layer.tar' without the json"),
        ([(f"{A}/VERSION", b"1.0"), *repositories()], "BadArchive", f"{A}/json"),
        ([*directory("a"), ("extra/file", b"")], "BadArchive", "extra/json"),
        ([*directory("a"), *directory("a")], "DuplicateEntry", A),
        ([*directory("a"), (f"{A}/json", b"{}")], "DuplicateEntry", A),
        ([*directory("a"), *repositories(app={"1": "b"})], "BadArchive", hex_id("b")),
        ([*directory("a"), *repositories(App={"1": "a"})], "BadReference", "App"),
        ([*directory("a"), *repositories(app={"-x": "a"})], "BadReference", "-x"),
        ([*directory("a"), *repositories(**{"app@sha256": {A: "a"}})], "BadReference", "app@sha256"),
        ([*directory("a"), ("repositories", b"[]")], None, ""),
        ([*directory("a"), ("repositories", b"[1]")], "BadManifest", "object"),
        ([*directory("a"), ("repositories", b"null")], None, ""),
        ([*directory("a"), ("repositories", b'{"app":null}')], None, ""),
        ([*directory("a"), ("repositories", b'{"app":["1"]}')], "BadManifest", "app"),
        ([*directory("a"), ("repositories", b'{"app":{"1":5}}')], "BadManifest", "app:1"),
        ([*directory("a"), ("repositories", b'{"app":{},"app":{}}')], "DuplicateKey", "app"),
        ([*directory("a"), ("repositories", b"{" + b" " * (1 << 20) + b"}")], "ManifestTooLarge", "repositories"),
        ([*directory("a", config={"Env": 5})], "BadManifest", "config.Env"),
        ([*directory("a", docker_version="1.9.0", rootfs={}, RootFS={})], "DuplicateKey", "RootFS"),
        ([*without(directory("a"), "json"), (f"{A}/json", b"{")], "BadJSON", A),
        ([*without(directory("a"), "json"), (f"{A}/json", b" " * (5 << 20))], "ConfigTooLarge", A),
        ([*repositories()], "BadArchive", "no image"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, members: Members, error: str | None, told: str) -> None:
    path = write(tmp_path / "a.tar", members)
    if error is None:
        assert described(read(path)) == [((), ["a"])]
        return
    with pytest.raises(getattr(errors, error)) as caught:
        read(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_empty_directory_is_refused_as_dockerd_does(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("zzz/")
    entry.type = tarfile.DIRTYPE
    write(tmp_path / "a.tar", directory("a"), repositories(app={"1": "a"}))
    raw = entry.tobuf(tarfile.USTAR_FORMAT) + (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(raw)
    with pytest.raises(errors.BadArchive, match="zzz/json"):
        read(tmp_path / "a.tar")


def test_manifest_json_is_preferred(tmp_path: Path) -> None:
    """`docker save` of 1.10 to 24 writes both."""
    path = write(tmp_path / "a.tar", directory("a"), repositories(app={"1": "a"}), [("manifest.json", b"[]")])
    with pytest.raises(errors.BadManifest, match="empty"):
        read(path)


def test_limits(tmp_path: Path) -> None:
    """Each at the limit and one past it."""
    path = tree(tmp_path / "a.tar")
    texts = sum(len(dumps(v1_image(name, parent))) for name, parent in [*zip(LEFT, ["", *LEFT], strict=False)])
    texts += len(dumps(v1_image("right", "trunk"))) + len(dumps(v1_image("nameless", "root")))
    configs = 0
    for named in read(path).images:
        assert isinstance(named.root, Image)
        configs += named.root.config_blob.size
    assert configs > texts
    read(path, limits=Limits(legacy_documents=configs))
    for value, limit in [(configs, "bytes of configs"), (texts, "bytes of v1 images")]:
        with pytest.raises(errors.LimitError) as caught:
            read(path, limits=Limits(legacy_documents=value - 1))
        assert (caught.value.limit, caught.value.allowed) == (limit, value - 1)
    read(path, limits=Limits(layer_count=3))
    with pytest.raises(errors.LimitError, match="number of layers"):
        read(path, limits=Limits(layer_count=2))


def test_the_caller_says_how_large_a_layer_may_be_and_how_many_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The diff_ids are taken while the plan is made, and that is held to what the conversion is."""
    path = write(tmp_path / "a.tar", directory("one"), repositories(app={"1": "one"}))
    asked: list[int | None] = []

    class CountedPool(WorkerPool):
        def __init__(self, workers: int | None = None) -> None:
            asked.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(in_flight, "WorkerPool", CountedPool)
    size = len(make_layer("one"))
    calls: list[Callable[..., object]] = [
        lambda **more: api.convert(str(path), f"oci:{tmp_path}/out", **more),
        lambda **more: api.verify(str(path), **more),
        lambda **more: api.check(str(path), ["docker-20.10"], **more),
    ]
    for call in calls:
        call(workers=1, max_layer=size)
    assert set(asked) == {1}
    assert len(asked) >= len(calls)
    with pytest.raises(errors.DecompressionBomb):
        calls[0](max_layer=size - 1)


def test_the_depth_of_a_v1_image_may_be_raised(tmp_path: Path) -> None:
    nested: Any = []
    for _ in range(70):
        nested = [nested]
    path = write(tmp_path / "a.tar", directory("one", extra=nested), repositories(app={"1": "one"}))
    with pytest.raises(errors.BadJSON, match="more than 64 levels deep"):
        read(path)
    assert len(read(path, limits=Limits(json_depth=100)).images) == 1


def test_more_layers_than_are_under_way_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "MOST", 2)
    names = [f"n{number}" for number in range(7)]
    groups = [directory(name, parent, "gzip") for name, parent in zip(names, ["", *names], strict=False)]
    [named] = read(write(tmp_path / "a.tar", *groups)).images
    image = named.root
    assert isinstance(image, Image)
    assert [str(layer.diff_id) for layer in image.layers] == [f"sha256:{sha256(make_layer(name))}" for name in names]


def contents_of(source: Path, **more: Any) -> Contents:
    with occy_fast.open_image(source, **more) as contents:
        return contents


WATCHED: dict[str, Callable[..., Any]] = {
    "open_image": contents_of,
    "inspect": occy_fast.inspect,
    "plan": lambda source, **more: occy_fast.plan(source, f"oci:{source}.out", **more),
    "convert": lambda source, **more: occy_fast.convert(source, f"oci:{source}.out", **more),
}


@pytest.mark.parametrize("function", WATCHED)
def test_what_is_decoded_for_a_plan_is_watched_and_can_be_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    monkeypatch.setattr(in_flight, "MOST", 2)
    names = [f"n{number}" for number in range(7)]
    groups = [directory(name, parent, "gzip") for name, parent in zip(names, ["", *names], strict=False)]
    path = write(tmp_path / "a.tar", *groups)
    seen: list[Progress] = []
    assert WATCHED[function](path, progress=seen.append)
    planned = [progress for progress in seen if progress.layers and progress.layers[0].kind == "read"]
    assert {layer.state for layer in planned[-1].layers} == {"done"}
    assert planned[-1].source == planned[-1].total > 0
    cancel, stopped = threading.Event(), []

    def stop(progress: Progress) -> None:
        if progress.layers:                              # it is known by then what is to be read
            stopped.append(progress)
            cancel.set()

    shutil.rmtree(f"{path}.out", ignore_errors=True)
    with pytest.raises(errors.Cancelled):
        WATCHED[function](path, progress=stop, cancel=cancel)
    assert "waiting" in {layer.state for layer in stopped[-1].layers}
    assert [name.name for name in tmp_path.iterdir()] == ["a.tar"]


def test_an_image_may_have_several_names(tmp_path: Path) -> None:
    names = {"app": {"1": "a"}, "other": {"1": "a"}, "library/app": {"1": "a"}}
    path = write(tmp_path / "a.tar", directory("a"), repositories(**names))
    [named] = read(path).images
    assert named.names == ("docker.io/library/app:1", "docker.io/library/other:1")


def test_one_that_comes_by_once_gives_the_same_images(tmp_path: Path) -> None:
    path = tree(tmp_path / "a.tar")
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(path.read_bytes()))
    for name in ("a.tar", "a.tar.gz"):
        api.convert(f"docker-archive:{tmp_path / name}", f"oci:{tmp_path / name}.oci", encoding="zstd:1")
    at_rest, passed = ((tmp_path / f"{name}.oci/index.json").read_bytes() for name in ("a.tar", "a.tar.gz"))
    assert passed == at_rest
    with pytest.raises(errors.Unsupported, match="diff_id"):  # nobody looks inside for an inspection
        read(tmp_path / "a.tar.gz")
