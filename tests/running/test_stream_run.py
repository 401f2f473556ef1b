"""Conversions of what comes by once: the same as from the file, and nothing else left or published."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from occy_fast import api
from occy_fast.errors import (
    BadArchive,
    BadReference,
    Cancelled,
    CorruptStream,
    DecompressionBomb,
    DigestMismatch,
    IntegrityError,
    LayerCountMismatch,
    LimitError,
    MissingBlob,
    OccyError,
    OutputError,
    PlanStale,
    TarTruncated,
    Unsupported,
)
from occy_fast.image.blob import SAVE_FIRST
from occy_fast.image.image import Image
from occy_fast.planning.plan import StreamPlan
from occy_fast.spec.limits import Limits
from occy_fast.streams import layer_pass as layer_pass_module
from support.image_builders import (
    Era,
    archive_members,
    docker_archive,
    dumps,
    encode,
    make_image,
    make_layer,
    make_tar,
    oci_archive,
    oci_layout,
    sha256,
    write_manifest,
)
from support.outputs import Layout, read_archive, tree
from support.piping import piped
from support.real_archives import ARCHIVES

ENCODINGS = [None, "none", "gzip:1", "zstd"]


def hashes(path: Path) -> dict[str, str]:
    """Return every file below *path* with its digest."""
    return {name: sha256((path / name).read_bytes()) for name in tree(path) if (path / name).is_file()}


def convert(tmp_path: Path, raw: bytes, destination: str, **options: Any) -> Any:
    with piped(tmp_path / "pipe", raw) as pipe:
        return api.convert(f"docker-archive:{pipe}", destination, **options)


def assert_same_layouts(tmp_path: Path, raw: bytes, path: Path, encoding: str | None) -> None:
    expected = api.convert(f"docker-archive:{path}", f"oci:{tmp_path}/expected", encoding=encoding)
    found = convert(tmp_path, raw, f"oci:{tmp_path}/found", encoding=encoding)
    assert hashes(tmp_path / "found") == hashes(tmp_path / "expected")
    assert (found.digests, found.config_digest, found.names) == (
        expected.digests,
        expected.config_digest,
        expected.names,
    )
    assert [layer.digest for layer in found.layers] == [layer.digest for layer in expected.layers]
    assert (found.size_in, found.size_out) == (expected.size_in, expected.size_out)


@pytest.mark.parametrize("era", ["B", "C", "D"])
@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_same_layout_as_from_a_file(tmp_path: Path, era: Era, codec: str, encoding: str | None) -> None:
    images = [
        make_image("a", "b", codec=codec, names=["a:1", "a:2"], size=70_000),
        make_image("b", "c", codec=codec, names=["c:1"], docker=True),
    ]
    path = docker_archive(tmp_path / "app.tar", images, era)
    assert_same_layouts(tmp_path, path.read_bytes(), path, encoding)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, lambda raw: encode(raw, "zstd")])
def test_the_same_layout_from_an_archive_compressed_as_a_whole(tmp_path: Path, pack: Any) -> None:
    path = docker_archive(tmp_path / "app.tar", [make_image("a", "b", size=70_000)])
    assert_same_layouts(tmp_path, pack(path.read_bytes()), path, "zstd")
    (tmp_path / "packed").write_bytes(pack(path.read_bytes()))
    api.convert(str(tmp_path / "packed"), f"oci:{tmp_path}/again", encoding="zstd")
    assert hashes(tmp_path / "again") == hashes(tmp_path / "expected")


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_same_layout_from_real_archives(tmp_path: Path, shared: Path, name: str, encoding: str | None) -> None:
    assert_same_layouts(tmp_path, (shared / name).read_bytes(), shared / name, encoding)


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("encoding", [None, "none", "gzip"])
def test_into_an_archive(tmp_path: Path, codec: str, encoding: str | None) -> None:
    image = make_image("a", "b", codec=codec, size=70_000)
    convert(
        tmp_path, make_tar(archive_members([image])), f"docker-archive:{tmp_path}/out.tar:x:1", encoding=encoding
    )
    written = read_archive(tmp_path / "out.tar")["x:1"]
    assert written.config == image.config
    assert written.tars == image.tars


@pytest.mark.parametrize("pack", [lzma.compress, bz2.compress])
@pytest.mark.parametrize("encoding", [None, "zstd"])
def test_foreign_encodings(tmp_path: Path, pack: Any, encoding: str | None) -> None:
    image = make_image("a", size=70_000)
    members = [
        (name, pack(data) if name.endswith("layer.tar") else data) for name, data in archive_members([image])
    ]
    path = tmp_path / "app.tar"
    path.write_bytes(make_tar(members))
    assert_same_layouts(tmp_path, path.read_bytes(), path, encoding)


def test_layers_that_are_no_tars_are_kept_and_recoded(tmp_path: Path) -> None:
    """A file's layer may be anything that has the right digest, and small ones are kept like documents."""
    image = make_image(tars=[b"", b"no tar" * 500, bytes(1024)])
    path = docker_archive(tmp_path / "app.tar", [image])
    assert_same_layouts(tmp_path, path.read_bytes(), path, "zstd")


def test_what_nothing_names_is_dropped(tmp_path: Path) -> None:
    image = make_image("a")
    for destination in (f"oci:{tmp_path}/out", f"docker-archive:{tmp_path}/out.tar"):
        stray = [("stray/layer.tar", make_layer("stray")), ("stray/other", b"x" * (5 << 20))]
        members = [*archive_members([image]), *stray]
        convert(tmp_path, make_tar(members), destination, encoding="gzip")
    assert len(os.listdir(tmp_path / "out/blobs/sha256")) == 3
    api.convert(
        f"docker-archive:{docker_archive(tmp_path / 'app.tar', [image])}",
        f"docker-archive:{tmp_path}/expected.tar",
        encoding="gzip",
    )
    assert (tmp_path / "out.tar").read_bytes() == (tmp_path / "expected.tar").read_bytes()


def test_a_broken_member_that_nothing_names_harms_nobody(tmp_path: Path) -> None:
    broken = encode(make_layer("stray"), "gzip")[:-1]
    members = [*archive_members([make_image("a")]), ("stray/layer.tar", broken)]
    convert(tmp_path, make_tar(members), f"oci:{tmp_path}/out")
    assert len(os.listdir(tmp_path / "out/blobs/sha256")) == 3


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("encoding", [None, "zstd:3"])
def test_layers_that_are_not_what_the_config_says(tmp_path: Path, codec: str, encoding: str | None) -> None:
    image = make_image("a", "b", codec=codec)
    members = [
        (name, encode(make_layer("other"), codec) if data == image.blobs[1] else data)
        for name, data in archive_members([image])
    ]
    with pytest.raises(DigestMismatch):
        convert(tmp_path, make_tar(members), f"oci:{tmp_path}/out", encoding=encoding)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_layers_that_are_cut(tmp_path: Path, codec: str) -> None:
    image = make_image("a", "b", codec=codec)
    members = [
        (name, data[:-1] if data == image.blobs[1] else data) for name, data in archive_members([image])
    ]
    with pytest.raises(CorruptStream):
        convert(tmp_path, make_tar(members), f"oci:{tmp_path}/out", encoding="none")
    assert os.listdir(tmp_path) == []


def without_layers(members: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in members.items() if not name.endswith("layer.tar")}


def with_no_layers_named(members: dict[str, bytes]) -> dict[str, bytes]:
    (item,) = json.loads(members["manifest.json"])
    return members | {"manifest.json": dumps([item | {"Layers": []}])}


def without_manifest(members: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in members.items() if name != "manifest.json"}


@pytest.mark.parametrize(
    ("change", "error"),
    [(without_layers, MissingBlob), (with_no_layers_named, LayerCountMismatch), (without_manifest, BadArchive)],
)
def test_documents_that_do_not_fit(tmp_path: Path, change: Any, error: type[OccyError]) -> None:
    members = change(dict(archive_members([make_image("a")])))
    with pytest.raises(error):
        convert(tmp_path, make_tar(members.items()), f"oci:{tmp_path}/out")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("pack", [None, gzip.compress, bz2.compress])
def test_no_cut_goes_unseen(tmp_path: Path, pack: Any) -> None:
    """A pipe that ends early is an error wherever it ends, up to the first of the zeros that end an archive."""
    raw = make_tar(archive_members([make_image("a", size=600)]))
    end = len(raw.rstrip(b"\0")) // 512 * 512 + 512
    stream = pack(raw) if pack else raw
    for cut in (*range(0, len(stream) if pack else end + 512, 7 if pack else 97), *([] if pack else [end, end + 511])):
        with pytest.raises(IntegrityError) as caught:
            convert(tmp_path, stream[:cut], f"oci:{tmp_path}/out")
        assert isinstance(caught.value, TarTruncated | CorruptStream)
        assert os.listdir(tmp_path) == []


def test_an_existing_layout_is_added_to(tmp_path: Path) -> None:
    first, second = make_image("a", names=["a:1"]), make_image("a", "b", names=["b:2"])
    for image in (first, second, second):
        convert(tmp_path, make_tar(archive_members([image])), f"oci:{tmp_path}/out")
    layout = Layout(tmp_path / "out")
    assert layout.image("1").tars == first.tars
    assert layout.image("2").tars == second.tars
    assert len(os.listdir(tmp_path / "out/blobs/sha256")) == 6


def test_the_plan_is_rules_and_touches_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")                       # whoever opened it to the end would wait for ever
    plan = api.plan(f"docker-archive:{tmp_path}/pipe", f"oci:{tmp_path}/out", encoding="zstd")
    assert isinstance(plan, StreamPlan)
    assert "none -> zstd:3" in plan.explain()
    assert os.listdir(tmp_path) == ["pipe"]


def test_the_result_has_the_plan_that_the_manifest_made(tmp_path: Path) -> None:
    raw = make_tar(archive_members([make_image("a", "b")]))
    result = convert(tmp_path, raw, f"oci:{tmp_path}/out", encoding="zstd")
    assert [type(step).__name__ for step in result.plan.steps] == ["Recode", "Recode"]


@pytest.mark.parametrize("demand", ["keep", None])
def test_what_is_refused_is_refused_when_it_is_needed(tmp_path: Path, demand: Any) -> None:
    options = {"encoding": demand} if demand else {"format": "docker"}
    destination = f"docker-archive:{tmp_path}/out.tar" if demand else f"oci:{tmp_path}/out"
    needed = archive_members([make_image("a", codec="zstd")])
    with pytest.raises(Unsupported, match="zstd"):
        convert(tmp_path, make_tar(needed), destination, **options)
    assert os.listdir(tmp_path) == []
    stray = [*archive_members([make_image("a")]), ("stray", encode(make_layer("stray"), "zstd"))]
    convert(tmp_path, make_tar(stray), destination, **options)


def test_a_layer_too_large_to_be_kept_that_is_no_tar(tmp_path: Path) -> None:
    image = make_image(tars=[b"no tar" * (1 << 20)])
    raw = make_tar(archive_members([image]))
    with pytest.raises(Unsupported) as caught:
        convert(tmp_path, raw, f"oci:{tmp_path}/out", encoding="zstd")
    assert caught.value.remedy == SAVE_FIRST
    assert os.listdir(tmp_path) == []
    convert(tmp_path, raw, f"oci:{tmp_path}/out")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_pass_module, "RATIO_FLOOR", 1 << 20)
    bomb = archive_members([make_image(tars=[make_tar([("zeros", bytes(2 << 20))])], codec="zstd")])
    with pytest.raises(DecompressionBomb):
        convert(tmp_path, make_tar(bomb), f"oci:{tmp_path}/out", limits=Limits(ratio=100))
    with pytest.raises(DecompressionBomb):
        convert(tmp_path, make_tar(archive_members([make_image("a")])), f"oci:{tmp_path}/out", max_layer=1000)
    assert os.listdir(tmp_path) == []


def test_a_pipe_that_says_nothing_can_be_left(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    cancel = threading.Event()
    timer = threading.Timer(0.05, cancel.set)
    timer.start()
    with pytest.raises(Cancelled):
        api.convert(f"docker-archive:{tmp_path}/pipe", f"oci:{tmp_path}/out", cancel=cancel)
    timer.join()
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_pipe_that_falls_silent_inside_a_layer_can_be_left(tmp_path: Path) -> None:
    raw = make_tar(archive_members([make_image("a", size=3 << 20)]))
    os.mkfifo(tmp_path / "pipe")
    cancel = threading.Event()
    left = threading.Event()

    def write() -> None:
        with open(tmp_path / "pipe", "wb") as file:
            file.write(raw[: 1 << 20])
            file.flush()
            cancel.set()
            left.wait()

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(Cancelled):
        api.convert(f"docker-archive:{tmp_path}/pipe", f"oci:{tmp_path}/out", encoding="zstd", cancel=cancel)
    left.set()
    writer.join()
    assert os.listdir(tmp_path) == ["pipe"]


def test_progress_tells_layers_as_they_come(tmp_path: Path) -> None:
    seen: list[Any] = []
    raw = make_tar(archive_members([make_image("a", "b", size=70_000)]))
    convert(tmp_path, raw, f"oci:{tmp_path}/out", encoding="zstd", progress=seen.append)
    assert [layer.state for layer in seen[-1].layers] == ["done", "done"]
    assert all(layer.kind == "recode" for layer in seen[-1].layers)
    assert seen[-1].source == seen[-1].total > 140_000


def test_a_destination_that_cannot_be_written(tmp_path: Path) -> None:
    raw = make_tar(archive_members([make_image("a")]))
    with pytest.raises(OutputError):
        convert(tmp_path, raw, f"oci:{tmp_path}/none/out")


@pytest.mark.parametrize("codec", ["none", "gzip"])
@pytest.mark.parametrize("era", ["B", "D"])
def test_verified_as_in_a_file(tmp_path: Path, codec: str, era: Era) -> None:
    """Every finding about a file is one about the pipe, and the other way round."""
    image = make_image("a", "b", codec=codec, size=700)
    bad_tar = make_tar([("a/../b", b"1")]).replace(b"ustar\x0000", b"ustar  \0")
    replacements = {
        "whole": None,
        "other": encode(make_layer("other"), codec),
        "cut": image.blobs[1][:-20],
        "cut tar": encode(image.tars[1][:900], codec),
        "flipped": image.blobs[1][:-3] + b"~" + image.blobs[1][-2:],
        "no tar": encode(b"~" * 3000, codec),
        "bad tar": encode(bad_tar, codec),
    }
    for name, blob in replacements.items():
        members = [
            (path, blob if blob is not None and data == image.blobs[1] else data)
            for path, data in archive_members([image], era)
        ]
        file = tmp_path / "app.tar"
        file.write_bytes(make_tar(members))
        at_rest = api.verify(str(file))
        with piped(tmp_path / "pipe", file.read_bytes()) as pipe:
            passing = api.verify(f"docker-archive:{pipe}")
        assert bool(passing.errors) is (name != "whole")
        assert passing.exit_code == at_rest.exit_code
        told, found = ({type(each.error) for each in report.findings} for report in (passing, at_rest))
        if told == {CorruptStream}:              # what has gone by cannot be read again for the digest of it all
            assert found in ({CorruptStream}, {DigestMismatch}), name
        else:
            assert told == found, name
        assert (passing.images, passing.layers, passing.size) == (at_rest.images, at_rest.layers, at_rest.size), name


@pytest.mark.parametrize("name", ARCHIVES)
def test_real_archives_verified(tmp_path: Path, shared: Path, name: str) -> None:
    expected = api.verify(str(shared / name))
    with piped(tmp_path / "pipe", (shared / name).read_bytes()) as pipe:
        report = api.verify(str(pipe))
    assert report.findings == ()
    assert (report.images, report.layers, report.size) == (expected.images, expected.layers, expected.size)


def test_limits_hold_for_the_plan_too(tmp_path: Path) -> None:
    image = make_image(*map(str, range(5)))
    raw = make_tar(archive_members([image]))
    convert(tmp_path, raw, f"oci:{tmp_path}/out", limits=Limits(layer_count=5))
    with pytest.raises(LimitError, match="number of layers"):
        convert(tmp_path, raw, f"oci:{tmp_path}/other", limits=Limits(layer_count=4))


@pytest.mark.parametrize(
    ("written", "read"),
    [("App:1", "docker.io/library/app:1"), ("App:V1", "docker.io/library/app:V1"), ("H:5/App", "h:5/app:latest")],
)
def test_a_target_puts_names_right_as_they_come_by(tmp_path: Path, written: str, read: str) -> None:
    """The repository in small letters; a tag keeps its own."""
    members = dict(archive_members([make_image("a", names=("app:1",))]))
    members["manifest.json"] = members["manifest.json"].replace(b"app:1", written.encode())
    raw = make_tar(members.items())
    with pytest.raises(BadReference):
        convert(tmp_path, raw, f"docker-archive:{tmp_path}/out.tar")
    result = convert(tmp_path, raw, f"docker-archive:{tmp_path}/out.tar", target="docker-20.10.24")
    assert result.names == (read,)


def test_an_artifact_that_comes_by_is_no_tar(tmp_path: Path) -> None:
    """Read strictly as if it were a layer's, it cannot be had any more; and nobody is told that it is broken."""
    image = make_image(tars=[b"no tar " * 1000], codec="gzip")
    manifest = json.loads(image.manifest)
    manifest["config"]["mediaType"] = "application/vnd.example.config+json"
    manifest["layers"][0]["mediaType"] = "application/vnd.example.thing"
    layout = write_manifest(oci_layout(tmp_path / "in", [image], ["thing"]), dumps(manifest))
    raw = oci_archive(tmp_path / "in.tar", layout).read_bytes()
    for strict in (False, True):
        with piped(tmp_path / "pipe", raw) as pipe:
            if strict:
                with pytest.raises(Unsupported, match="save it to a file first"):
                    api.convert(f"oci-archive:{pipe}", f"oci:{tmp_path}/strict:thing", strict=True)
            else:
                api.convert(f"oci-archive:{pipe}", f"oci:{tmp_path}/out:thing")
    assert api.convert(f"oci-archive:{tmp_path}/in.tar", f"oci:{tmp_path}/strict:thing", strict=True).digest


def test_a_plan_of_rules_is_stale_for_an_archive_that_is_compressed_no_more(tmp_path: Path) -> None:
    raw = docker_archive(tmp_path / "plain", [make_image()]).read_bytes()
    (tmp_path / "a.tar").write_bytes(gzip.compress(raw))
    plan = api.plan(str(tmp_path / "a.tar"), f"oci:{tmp_path}/out")
    (tmp_path / "a.tar").write_bytes(raw)
    with pytest.raises(PlanStale, match="is a plain archive now"):
        api.execute(plan)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("era", ["B", "C", "D"])
@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_zstd_of_a_stream_with_dockers_manifest_comes_with_oci_media_types(
    tmp_path: Path, codec: str, kind: str, era: Era
) -> None:
    """Hardly anything reads zstd under Docker's; manifest, config and layers change together, of each image."""
    built = [make_image(name, codec=codec, docker=True, names=(f"{name}:1",)) for name in ("a", "b")]
    raw = docker_archive(tmp_path / "a.tar", built, era).read_bytes()
    with piped(tmp_path / "pipe", raw) as pipe:
        api.convert(f"docker-archive:{pipe}", f"{kind}:{tmp_path}/out", encoding="zstd")
    with api.open_image(f"{kind}:{tmp_path}/out") as contents:
        roots = [named.root for named in contents.images]
    assert len(roots) == 2
    for root in roots:
        assert isinstance(root, Image)
        assert root.manifest is not None
        assert root.manifest.media_type == "application/vnd.oci.image.manifest.v1+json"
        assert root.manifest.config.media_type == "application/vnd.oci.image.config.v1+json"
        types = {layer.media_type for layer in root.layers}
        assert types == {"application/vnd.oci.image.layer.v1.tar+zstd"}
