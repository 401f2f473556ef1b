"""Plans that run: from real files to real files, read back by other means."""

from __future__ import annotations

import bz2
import errno
import gzip
import json
import lzma
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from occy_fast import api
from occy_fast.errors import (
    Cancelled,
    DecompressionBomb,
    DigestMismatch,
    IntegrityError,
    NotFound,
    OutputError,
    PlanStale,
    TarAmbiguous,
    Unsupported,
    UsageError,
)
from occy_fast.running import execute as execute_module
from support.conversions import damage, foreign_archive
from support.image_builders import (
    docker_archive,
    dumps,
    make_image,
    make_layer,
    make_tar,
    oci_layout,
    sha256,
    write_manifest,
)
from support.outputs import Layout, read_archive, tree

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
SUFFIX = {"none": "", "gzip": "gzip", "zstd": "zstd"}


def oci_type(codec: str) -> str:
    return OCI_LAYER + ("+" + codec if codec != "none" else "")


@pytest.mark.parametrize("era", ["B", "C", "D"])
@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_archive_to_layout(tmp_path: Path, era: Any, codec: str) -> None:
    image = make_image("one", "two", size=70_000)
    source = docker_archive(tmp_path / "app.tar", [image], era)
    result = api.convert(f"docker-archive:{source}", f"oci:{tmp_path}/out:app", encoding=codec)
    written = Layout(tmp_path / "out").image("app")
    assert written.config == image.config
    assert written.tars == image.tars
    assert written.codecs == {codec}
    assert [layer[2] for layer in written.layers] == [oci_type(codec)] * 2
    assert str(result.digest) == "sha256:" + sha256(written.manifest_bytes)
    assert str(result.config_digest) == "sha256:" + sha256(image.config)
    assert [str(layer.diff_id) for layer in result.layers] == image.diff_ids


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("encoding", [None, "none", "gzip"])
def test_layout_to_archive(tmp_path: Path, codec: str, encoding: str | None) -> None:
    image = make_image("one", "two", codec=codec, size=70_000)
    oci_layout(tmp_path / "in", [image], ["app"])
    api.convert(f"oci:{tmp_path}/in:app", f"docker-archive:{tmp_path}/out.tar:app:1", encoding=encoding)
    images = read_archive(tmp_path / "out.tar")
    assert list(images) == ["app:1"]
    assert images["app:1"].config == image.config
    assert images["app:1"].tars == image.tars
    kept = encoding or codec
    assert images["app:1"].codecs == {"none" if kept == "zstd" else kept}


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_layers_of_the_right_codec_are_kept_unless_a_level_is_named(tmp_path: Path, codec: str) -> None:
    image = make_image("one", codec=codec, size=70_000)
    oci_layout(tmp_path / "in", [image], ["app"])
    kept = api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/kept:app", encoding=codec)
    assert [layer.kind for layer in kept.layers] == ["copy"]
    assert str(kept.digest) == image.descriptor()["digest"]
    made = api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/made:app", encoding=f"{codec}:1")
    assert [layer.kind for layer in made.layers] == ["recode"]
    assert made.layers[0].identity is not None
    assert Layout(tmp_path / "made").image("app").tars == image.tars


def test_docker_media_types(tmp_path: Path) -> None:
    image = make_image("one", "two", codec="gzip")
    oci_layout(tmp_path / "in", [image], ["app"])
    api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", format="docker")
    written = Layout(tmp_path / "out").image("app")
    assert written.manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert written.manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    assert [layer[2] for layer in written.layers] == [DOCKER_LAYER + ".gzip"] * 2
    assert written.config == image.config
    api.convert(f"oci:{tmp_path}/out:app", f"oci:{tmp_path}/back:app", format="oci")
    assert Layout(tmp_path / "back").image("app").manifest_bytes == image.manifest


def test_one_platform_of_an_index(tmp_path: Path) -> None:
    images = [make_image("one", "amd", codec="gzip"), make_image("one", "arm", codec="gzip", architecture="arm64")]
    oci_layout(tmp_path / "in", images, ["app"], nested=True)
    api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", platforms=["linux/arm64"])
    assert Layout(tmp_path / "out").image("app").manifest_bytes == images[1].manifest
    api.convert(f"oci:{tmp_path}/in:app", f"docker-archive:{tmp_path}/arm.tar:app:1", platforms=["linux/arm64"])
    assert read_archive(tmp_path / "arm.tar")["app:1"].config == images[1].config


def test_several_images_go_together(tmp_path: Path) -> None:
    images = [make_image("base", "one", names=["one:1"]), make_image("base", "two", names=["two:1", "two:latest"])]
    docker_archive(tmp_path / "in.tar", images)
    api.convert(f"docker-archive:{tmp_path}/in.tar", f"oci:{tmp_path}/out")
    api.convert(f"oci:{tmp_path}/out", f"docker-archive:{tmp_path}/back.tar")
    back = read_archive(tmp_path / "back.tar")
    assert {image.config for image in back.values()} == {image.config for image in images}
    assert len([name for name in tree(tmp_path / "out") if name.startswith("blobs/sha256/")]) == 3 + 2 * 2


@pytest.mark.parametrize(("codec", "compress"), [("xz", lzma.compress), ("bzip2", bz2.compress)])
@pytest.mark.parametrize("encoding", [None, "gzip", "zstd:2"])
def test_foreign_encodings(tmp_path: Path, codec: str, compress: Any, encoding: str | None) -> None:
    image = foreign_archive(tmp_path / "in.tar", compress)
    result = api.convert(f"docker-archive:{tmp_path}/in.tar", f"oci:{tmp_path}/out:app", encoding=encoding)
    assert [str(layer.step.layer.encoding) for layer in result.layers] == [codec]
    written = Layout(tmp_path / "out").image("app")
    assert written.tars == image.tars
    assert written.codecs == {(encoding or "none").partition(":")[0]}


@pytest.mark.parametrize("encoding", [None, "gzip", "zstd"])
def test_a_false_diff_id_of_an_archive_s_layer_is_always_found(tmp_path: Path, encoding: str | None) -> None:
    liar = make_image("one", config_changes={"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}})
    docker_archive(tmp_path / "in.tar", [liar])
    with pytest.raises(IntegrityError):
        api.convert(f"docker-archive:{tmp_path}/in.tar", f"oci:{tmp_path}/out:app", encoding=encoding)
    assert tree(tmp_path) == ["in.tar"]


def test_a_compressed_layer_of_an_archive_has_no_digest_to_trust_so_it_is_decoded(tmp_path: Path) -> None:
    image = make_image("one", codec="gzip")
    liar = make_image(
        "one", codec="gzip", config_changes={"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}
    )
    docker_archive(tmp_path / "good.tar", [image])
    docker_archive(tmp_path / "bad.tar", [liar])
    result = api.convert(f"docker-archive:{tmp_path}/good.tar", f"oci:{tmp_path}/out:app")
    assert str(result.layers[0].digest) == "sha256:" + sha256(image.blobs[0])
    with pytest.raises(DigestMismatch, match="diff_id"):
        api.convert(f"docker-archive:{tmp_path}/bad.tar", f"oci:{tmp_path}/bad:app")


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("encoding", [None, "zstd:1", "none"])
@pytest.mark.parametrize("place", ["oci:{}/out:app", "docker-archive:{}/out.tar:app:1"])
def test_a_damaged_layer_leaves_the_old_output(tmp_path: Path, codec: str, encoding: str | None, place: str) -> None:
    destination = place.format(tmp_path)
    if encoding == "zstd:1" and destination.startswith("docker-archive"):
        encoding = "gzip:1"
    good = make_image("good")
    image = make_image("one", "two", codec=codec, size=300_000)
    oci_layout(tmp_path / "good", [good], ["app"])
    oci_layout(tmp_path / "in", [image], ["app"])
    api.convert(f"oci:{tmp_path}/good:app", destination)
    before = snapshot(tmp_path)
    blob = tmp_path / "in" / "blobs" / "sha256" / sha256(image.blobs[1])
    damage(blob, len(image.blobs[1]) // 2)
    before[str(blob.relative_to(tmp_path))] = blob.read_bytes()
    with pytest.raises(IntegrityError) as caught:
        api.convert(f"oci:{tmp_path}/in:app", destination, encoding=encoding)
    assert sha256(image.blobs[1]) in str(caught.value)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_same_bytes_for_any_number_of_workers(tmp_path: Path, workers: int) -> None:
    image = make_image("one", "two", "three", codec=["gzip", "zstd", "none"], size=3_000_000)
    oci_layout(tmp_path / "in", [image], ["app"])
    for name, count in (("one", 1), ("many", workers)):
        api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/{name}:app", encoding="zstd:1", workers=count)
        archive = f"docker-archive:{tmp_path}/{name}.tar:a:1"
        api.convert(f"oci:{tmp_path}/in:app", archive, encoding="gzip:1", workers=count)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "many.tar").read_bytes()
    assert (tmp_path / "one" / "index.json").read_bytes() == (tmp_path / "many" / "index.json").read_bytes()


def test_a_plan_crosses_processes(tmp_path: Path) -> None:
    image = make_image("one", codec="gzip")
    oci_layout(tmp_path / "in", [image], ["app"])
    plan = api.plan(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", encoding="zstd", platforms=["linux/amd64"])
    assert pickle.loads(pickle.dumps(plan)) == plan
    hash(plan)
    api.execute(pickle.loads(pickle.dumps(plan)))
    assert Layout(tmp_path / "out").image("app").tars == image.tars


def test_a_source_that_changed_since_the_plan(tmp_path: Path) -> None:
    image = make_image("one", codec="gzip")
    oci_layout(tmp_path / "in", [image], ["app"])
    plan = api.plan(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app")
    blob = tmp_path / "in" / "blobs" / "sha256" / sha256(image.blobs[0])
    os.utime(blob, ns=(1, 1))
    with pytest.raises(PlanStale):
        api.execute(plan)
    assert not (tmp_path / "out").exists()


def test_cancelled_before_the_start(tmp_path: Path) -> None:
    oci_layout(tmp_path / "in", [make_image("one")], ["app"])
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", cancel=cancel)
    assert not (tmp_path / "out").exists()


# A member behind the end of the archive: some readers go on to it.
AMBIGUOUS = make_layer("first") + make_layer("hidden")


@pytest.mark.parametrize("link", [False, True], ids=["copied", "linked"])
@pytest.mark.parametrize("encoding", [None, "gzip:1", "zstd:1", "none"])
@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_strict_reading_is_on_demand(tmp_path: Path, codec: str, encoding: str | None, link: bool) -> None:
    """Whatever becomes of a layer, its tar is looked at where that is asked for, and nothing is left of a failure."""
    good, bad = (make_image(name, tars=[tar], codec=codec) for name, tar in (("g", make_layer()), ("b", AMBIGUOUS)))
    oci_layout(tmp_path / "good", [good], ["app"])
    oci_layout(tmp_path / "bad", [bad], ["app"])
    api.convert(f"oci:{tmp_path}/good:app", f"oci:{tmp_path}/out:good", encoding=encoding, link=link, strict=True)
    before = tree(tmp_path / "out")
    with pytest.raises(TarAmbiguous, match="behind the end of the archive"):
        api.convert(f"oci:{tmp_path}/bad:app", f"oci:{tmp_path}/out:bad", encoding=encoding, link=link, strict=True)
    assert tree(tmp_path / "out") == before
    result = api.convert(f"oci:{tmp_path}/bad:app", f"oci:{tmp_path}/out:bad", encoding=encoding, link=link)
    assert [str(layer.diff_id) for layer in result.layers] == bad.diff_ids
    with pytest.raises(TarAmbiguous):  # also where nothing is to be written
        api.convert(f"oci:{tmp_path}/bad:app", f"oci:{tmp_path}/out:again", encoding=encoding, strict=True)


@pytest.mark.parametrize("encoding", [None, "zstd:1"])
def test_strict_reading_of_what_comes_by_once(tmp_path: Path, encoding: str | None) -> None:
    for name, tar in (("good", make_layer()), ("bad", AMBIGUOUS)):
        archive = docker_archive(tmp_path / name, [make_image(name, tars=[tar])])
        (tmp_path / f"{name}.tar.gz").write_bytes(gzip.compress(archive.read_bytes()))
    api.convert(f"{tmp_path}/good.tar.gz", f"oci:{tmp_path}/out:app", encoding=encoding, strict=True)
    before = tree(tmp_path / "out")
    with pytest.raises(TarAmbiguous, match="behind the end of the archive"):
        api.convert(f"{tmp_path}/bad.tar.gz", f"oci:{tmp_path}/out:app", encoding=encoding, strict=True)
    assert tree(tmp_path / "out") == before
    api.convert(f"{tmp_path}/bad.tar.gz", f"oci:{tmp_path}/out:app", encoding=encoding)


def test_a_layer_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_image("one", codec="gzip", size=100_000)
    size = len(image.tars[0])
    oci_layout(tmp_path / "in", [image], ["app"])
    api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", encoding="zstd", max_layer=size)
    with pytest.raises(DecompressionBomb) as caught:
        api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out2:app", encoding="zstd", max_layer=size - 1)
    assert caught.value.allowed == size - 1
    monkeypatch.setenv("OCCY_FAST_MAX_LAYER", str(size - 1))
    with pytest.raises(DecompressionBomb):
        api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out2:app", encoding="zstd")
    monkeypatch.setenv("OCCY_FAST_MAX_LAYER", "lots")
    with pytest.raises(UsageError):
        api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out2:app", encoding="zstd")


@pytest.mark.parametrize("text", ["9" * 23, str(1 << 63), "0", "-1", "", "\u0663"])
def test_a_limit_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    oci_layout(tmp_path / "in", [make_image("one", codec="gzip")], ["app"])
    monkeypatch.setenv("OCCY_FAST_MAX_LAYER", text)
    for attempt in (
        lambda: api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app"),
        lambda: api.verify(f"oci:{tmp_path}/in:app"),
    ):
        with pytest.raises(UsageError):
            attempt()
    assert not (tmp_path / "out").exists()


def test_the_largest_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oci_layout(tmp_path / "in", [make_image("one", codec="gzip")], ["app"])
    monkeypatch.setenv("OCCY_FAST_MAX_LAYER", str((1 << 63) - 1))
    assert api.verify(f"oci:{tmp_path}/in:app").findings == ()
    api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", encoding="zstd")


@pytest.mark.parametrize("workers", [0, -1, 1000])
def test_workers_that_cannot_be(tmp_path: Path, workers: int) -> None:
    oci_layout(tmp_path / "in", [make_image("one")], ["app"])
    source, out = f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app"
    plan = api.plan(source, out)
    for attempt in (
        lambda: api.convert(source, out, workers=workers),
        lambda: api.plan(source, out, workers=workers),
        lambda: api.execute(plan, workers=workers),
        lambda: api.verify(source, workers=workers),
    ):
        with pytest.raises(UsageError, match="1 to 256"):
            attempt()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", ["oci", "docker"])
def test_an_image_without_layers_as_go_writes_it(tmp_path: Path, family: Any) -> None:
    image = make_image(tars=[b""], config_changes={"rootfs": {"type": "layers", "diff_ids": None}, "history": None})
    manifest = json.loads(image.manifest)
    manifest["layers"] = None
    write_manifest(oci_layout(tmp_path / "in", [image], ["app"]), dumps(manifest))
    api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", format=family, encoding="zstd")
    (entry,) = Layout(tmp_path / "out").index["manifests"]
    written = json.loads(Layout(tmp_path / "out").blob(entry))
    assert written["layers"] is None
    assert family in entry["mediaType"]


@pytest.mark.parametrize("destination", ["oci:out:app", "oci-archive:out:app", "docker-archive:out:app:1"])
@pytest.mark.parametrize("source", ["oci:layout:app", "docker-archive:in.tar", "in.tar", "in:1.tar.gz"])
def test_a_plan_of_relative_paths_means_the_same_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, destination: str
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    image = make_image("one", "two", size=70_000)
    oci_layout(here / "layout", [image], ["app"])
    archive = docker_archive(here / "in.tar", [image])
    (here / "in:1.tar.gz").write_bytes(gzip.compress(archive.read_bytes()))
    monkeypatch.chdir(here)
    plan = api.plan(source, destination, encoding="gzip")
    assert (plan.source, plan.destination) == (source, destination)
    monkeypatch.chdir(elsewhere)
    result = api.execute(pickle.loads(pickle.dumps(plan)))
    assert str(result.config_digest) == "sha256:" + sha256(image.config)
    assert (here / "out").exists()
    assert not os.listdir(elsewhere)


def test_only_a_plan_of_relative_paths_has_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oci_layout(tmp_path / "in", [make_image("one")], ["app"])
    monkeypatch.chdir(tmp_path)
    assert api.plan(f"oci:{tmp_path}/in", f"oci:{tmp_path}/out").directory == ""
    assert api.plan(f"oci:{tmp_path}/in", "oci:out").directory == str(tmp_path)
    assert api.plan("oci:in", f"oci:{tmp_path}/out").directory == str(tmp_path)


def test_where_it_was_made_a_plan_calls_paths_what_the_caller_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oci_layout(tmp_path / "in", [make_image("one")], ["app"])
    monkeypatch.chdir(tmp_path)
    plan = api.plan("oci:in", "docker-archive:gone/out.tar")
    for directory, path in ((tmp_path, "gone/out.tar"), (tmp_path / "in", f"{tmp_path}/gone/out.tar")):
        monkeypatch.chdir(directory)
        with pytest.raises(OutputError) as caught:
            api.execute(plan)
        assert caught.value.path == path


@pytest.mark.parametrize("destination", ["oci:out", "docker-archive:out.tar"])
def test_a_source_without_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, destination: str) -> None:
    monkeypatch.chdir(tmp_path)
    oci_layout(tmp_path / "in", [])
    with pytest.raises(NotFound):
        api.convert("oci:in", destination)
    assert os.listdir(tmp_path) == ["in"]


def test_an_artifact_travels_alone(tmp_path: Path) -> None:
    image = make_image("one")
    manifest = json.loads(image.manifest)
    manifest["config"]["mediaType"] = "application/vnd.example.config+json"
    manifest["layers"][0]["mediaType"] = "application/vnd.example.thing"
    write_manifest(oci_layout(tmp_path / "in", [image], ["thing"]), dumps(manifest))
    result = api.convert(f"oci:{tmp_path}/in:thing", f"oci:{tmp_path}/out:thing")
    assert str(result.digest) == "sha256:" + sha256(dumps(manifest))
    assert str(result.config_digest) == manifest["config"]["digest"]
    with pytest.raises(Unsupported, match="travels as it is"):
        api.convert(f"oci:{tmp_path}/in:thing", f"oci:{tmp_path}/out2:thing", encoding="zstd")


def test_an_archive_copies_what_a_layout_would_link(tmp_path: Path) -> None:
    image = make_image("one", codec="gzip")
    oci_layout(tmp_path / "in", [image], ["app"])
    plan = api.plan(f"oci:{tmp_path}/in:app", f"docker-archive:{tmp_path}/out.tar:app:1", link=True)
    assert plan.copied_bytes == len(image.blobs[0])
    assert api.execute(plan).size_out == plan.copied_bytes


def test_what_cannot_fit_is_refused_before_it_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oci_layout(tmp_path / "in", [make_image("one", codec="gzip")], ["app"])
    monkeypatch.setattr(execute_module, "free_space", lambda directory: 100)
    with pytest.raises(OutputError) as caught:
        api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app")
    assert caught.value.errno == errno.ENOSPC
    assert not (tmp_path / "out").exists()


def snapshot(path: Path) -> dict[str, bytes | None]:
    return {name: (path / name).read_bytes() if (path / name).is_file() else None for name in tree(path)}


@pytest.mark.parametrize("name", ["{}.json", "sha256:{}", "{}"])
def test_a_config_is_not_what_its_name_says(tmp_path: Path, name: str) -> None:
    """Tools edit a config and leave its name: that is read, but who wants proof is told, and so is who verifies."""
    image = make_image("one")
    edited = image.config.replace(b"/bin/true", b"/bin/trve")
    layer = sha256(image.tars[0])
    item = {"Config": name.format(sha256(image.config)), "RepoTags": ["app:1"], "Layers": [f"{layer}/layer.tar"]}
    for config in (image.config, edited):
        members = [(item["Config"], config), (f"{layer}/layer.tar", image.tars[0]), ("manifest.json", dumps([item]))]
        (tmp_path / "in.tar").write_bytes(make_tar(members))
        source = f"docker-archive:{tmp_path}/in.tar"
        assert str(api.convert(source, f"oci:{tmp_path}/out").config_digest) == "sha256:" + sha256(config)
        report = api.verify(source)
        assert report.exit_code == 0
        warned = [finding.error for finding in report.findings if isinstance(finding.error, DigestMismatch)]
        assert len(warned) == (config is edited)
        if config is edited:
            with pytest.raises(DigestMismatch) as caught:
                api.convert(source, f"oci:{tmp_path}/out2", verify="layers")
            assert str(caught.value.found) == "sha256:" + sha256(edited)
        else:
            api.convert(source, f"oci:{tmp_path}/out1", verify="layers")
