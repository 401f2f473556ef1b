"""Everything a locator reaches, proved again."""

from __future__ import annotations

import errno
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from occy_fast import api
from occy_fast.errors import (
    CorruptStream,
    DecompressionBomb,
    DigestMismatch,
    InputError,
    MissingBlob,
    NotFound,
    OccyError,
    ResourceError,
    TarError,
    is_shortage,
)
from occy_fast.streams.layer_pass import PassResult, Run
from support.children import unprivileged, with_descriptors
from support.image_builders import docker_archive, dumps, make_image, make_tar, oci_layout, sha256
from support.outputs import tree


def blob_of(layout: Path, data: bytes) -> Path:
    return layout / "blobs" / "sha256" / sha256(data)


def damage(path: Path, at: int = -10) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x20
    path.write_bytes(data)


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_nothing_is_wrong(tmp_path: Path, codec: str) -> None:
    images = [make_image("base", arch, codec=codec, architecture=arch) for arch in ("amd64", "arm64")]
    layout = oci_layout(tmp_path / "in", images, ["app"], nested=True)
    before = tree(tmp_path)
    report = api.verify(f"oci:{layout}")
    assert report.findings == ()
    assert (report.exit_code, report.images, report.layers) == (0, 2, 3)
    assert report.size == sum(len(blob) for blob in {*images[0].blobs, *images[1].blobs})
    assert tree(tmp_path) == before


@pytest.mark.parametrize("era", ["B", "C", "D"])
def test_archives(tmp_path: Path, era: Any) -> None:
    image = make_image("one", "two", codec="gzip" if era == "D" else "none")
    archive = docker_archive(tmp_path / "in.tar", [image], era)
    report = api.verify(str(archive))
    assert (report.findings, report.exit_code, report.layers) == ((), 0, 2)


@pytest.mark.parametrize("workers", [1, 4])
def test_every_finding_is_told(tmp_path: Path, workers: int) -> None:
    image = make_image("one", "two", "three", "four", codec=["none", "gzip", "zstd", "gzip"], size=50_000)
    layout = oci_layout(tmp_path / "in", [image], ["app"])
    for blob in image.blobs[:3]:
        damage(blob_of(layout, blob), len(blob) // 2)
    blob_of(layout, image.blobs[3]).unlink()
    report = api.verify(f"oci:{layout}", workers=workers)
    assert len(report.errors) == 4
    for blob in image.blobs:
        assert [sha256(blob) in str(finding.error) for finding in report.errors].count(True) == 1
    assert {type(finding.error) for finding in report.errors} <= {DigestMismatch, CorruptStream, MissingBlob}
    assert (report.exit_code, report.layers) == (4, 0)


def test_only_missing_blobs(tmp_path: Path) -> None:
    image = make_image("one", "two")
    layout = oci_layout(tmp_path / "in", [image], ["app"])
    for blob in image.blobs:
        blob_of(layout, blob).unlink()
    report = api.verify(f"oci:{layout}")
    assert [type(finding.error) for finding in report.errors] == [MissingBlob, MissingBlob]
    assert report.exit_code == 3


def test_a_false_diff_id(tmp_path: Path) -> None:
    liar = make_image(
        "one", codec="gzip", config_changes={"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}
    )
    report = api.verify(f"oci:{oci_layout(tmp_path / 'in', [liar], ['app'])}")
    (finding,) = report.errors
    assert isinstance(finding.error, DigestMismatch)
    assert "diff_id" in finding.where


def test_documents_that_cannot_be_read(tmp_path: Path) -> None:
    image = make_image("one")
    layout = oci_layout(tmp_path / "in", [image], ["app"])
    damage(blob_of(layout, image.config))
    report = api.verify(f"oci:{layout}")
    assert report.exit_code == 4
    assert sha256(image.config) in str(report.errors[0].error)


def test_what_is_not_there_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        api.verify(f"oci:{tmp_path}/nowhere")


def test_a_bad_tar_is_told_and_its_digests_are_proved_all_the_same(tmp_path: Path) -> None:
    tar = bytearray(make_tar([("file", b"x" * 600)]))
    tar[148:156] = b"0000000\0"
    bad = make_image(tars=[bytes(tar)], codec="gzip")
    report = api.verify(f"oci:{oci_layout(tmp_path / 'in', [bad], ['app'])}")
    assert [isinstance(finding.error, TarError) for finding in report.errors] == [True]
    assert report.layers == 1
    damage(blob_of(tmp_path / "in", bad.blobs[0]), 5)
    assert len(api.verify(f"oci:{tmp_path}/in").errors) >= 1


def test_strictness(tmp_path: Path) -> None:
    """A size on a directory: Go takes none of it, other readers skip as many bytes."""
    raw = bytearray(make_tar([("folder", b""), ("file", b"y")]))
    raw[156:157] = b"5"
    raw[124:136] = b"00000001000\0"
    raw[148:156] = b"        "
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    layout = oci_layout(tmp_path / "in", [make_image(tars=[bytes(raw)])], ["app"])
    assert [type(each.error).__name__ for each in api.verify(f"oci:{layout}").errors] == ["TarAmbiguous"]
    assert api.verify(f"oci:{layout}", strict=False).errors == ()


def test_a_layer_beyond_the_limit(tmp_path: Path) -> None:
    image = make_image("one", codec="zstd", size=100_000)
    layout = oci_layout(tmp_path / "in", [image], ["app"])
    report = api.verify(f"oci:{layout}", max_layer=50_000)
    assert [type(finding.error) for finding in report.errors] == [DecompressionBomb]
    assert report.exit_code == 6


def test_a_sparse_index_is_a_warning(tmp_path: Path) -> None:
    images = [make_image("one", arch, architecture=arch) for arch in ("amd64", "arm64")]
    layout = oci_layout(tmp_path / "in", images, ["app"], nested=True)
    for data in (images[1].manifest, images[1].config, images[1].blobs[1]):
        blob_of(layout, data).unlink()
    report = api.verify(f"oci:{layout}")
    assert [finding.severity for finding in report.findings] == ["warning"]
    assert report.exit_code == 0


def test_an_empty_history_of_layers_is_a_warning(tmp_path: Path) -> None:
    image = make_image("one", "two", config_changes={"history": [{"created_by": "one of two"}]})
    report = api.verify(f"oci:{oci_layout(tmp_path / 'in', [image], ['app'])}")
    assert [finding.severity for finding in report.findings] == ["warning"]


def test_blobs_of_an_artifact_are_proved(tmp_path: Path) -> None:
    image = make_image("one")
    manifest = json.loads(image.manifest)
    manifest["config"]["mediaType"] = "application/vnd.example.config+json"
    manifest["layers"][0]["mediaType"] = "application/vnd.example.thing"
    raw = dumps(manifest)
    layout = oci_layout(tmp_path / "in", [image])
    blob_of(layout, raw).write_bytes(raw)
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"][0].update({"digest": "sha256:" + sha256(raw), "size": len(raw)})
    (layout / "index.json").write_bytes(dumps(index))
    assert api.verify(f"oci:{layout}").findings == ()
    damage(blob_of(layout, image.blobs[0]))
    assert [type(finding.error) for finding in api.verify(f"oci:{layout}").errors] == [DigestMismatch]
    damage(blob_of(layout, image.config))
    assert [type(finding.error) for finding in api.verify(f"oci:{layout}").errors] == [DigestMismatch] * 2


def test_a_child_of_unknown_kind_is_proved(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "in", [make_image("one")], ["app"], nested=True)
    thing = b"of a kind that nobody knows"
    blob_of(layout, thing).write_bytes(thing)
    top = json.loads((layout / "index.json").read_bytes())
    index = json.loads((layout / "blobs" / "sha256" / top["manifests"][0]["digest"][7:]).read_bytes())
    index["manifests"].append(
        {"mediaType": "application/vnd.example.thing", "digest": "sha256:" + sha256(thing), "size": len(thing)}
    )
    raw = dumps(index)
    blob_of(layout, raw).write_bytes(raw)
    top["manifests"][0].update({"digest": "sha256:" + sha256(raw), "size": len(raw)})
    (layout / "index.json").write_bytes(dumps(top))
    assert api.verify(f"oci:{layout}").findings == ()
    damage(blob_of(layout, thing))
    assert [type(finding.error) for finding in api.verify(f"oci:{layout}").errors] == [DigestMismatch]


def test_equal_claims_are_no_reason_to_read_one_of_two_members(tmp_path: Path) -> None:
    """Two members of one size, and the config says of both what is true of one; both orders are forgeries."""
    good, bad = (make_tar([("file", text)]) for text in (b"good", b"evil"))
    for first, second in ((good, bad), (bad, good)):
        forged = make_image(tars=[first, second], config_changes={"rootfs": {"type": "layers", "diff_ids": []}})
        diff_id = "sha256:" + sha256(good)
        forged.config_changes["rootfs"]["diff_ids"] += [diff_id, diff_id]
        report = api.verify(str(docker_archive(tmp_path / "in.tar", [forged])))
        assert [type(finding.error) for finding in report.errors] == [DigestMismatch]
        assert (report.layers, report.exit_code) == (1, 4)


def test_equal_images_of_unequal_members_are_read_both(tmp_path: Path) -> None:
    tars = [make_tar([("file", text)]) for text in (b"good", b"evil")]
    rootfs = {"type": "layers", "diff_ids": ["sha256:" + sha256(tars[0])]}
    images = [
        make_image(tars=[tar], names=[name], config_changes={"rootfs": rootfs})
        for tar, name in zip(tars, ("app:1", "app:2"), strict=True)
    ]
    report = api.verify(str(docker_archive(tmp_path / "in.tar", images)))
    assert [type(finding.error) for finding in report.errors] == [DigestMismatch]
    assert (report.images, report.layers) == (2, 1)


def test_a_disk_that_cannot_be_read_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = oci_layout(tmp_path / "in", [make_image("one", "two", "three")], ["app"])
    wait, calls = Run.wait, []

    def failing(run: Run, *rest: Any) -> PassResult:
        calls.append(run)
        outcome = wait(run, *rest)
        if len(calls) == 2:
            raise InputError("a layer", errno.EIO, "its file")
        return outcome

    monkeypatch.setattr(Run, "wait", failing)
    report = api.verify(f"oci:{layout}")
    (finding,) = report.errors
    assert isinstance(finding.error, InputError)
    assert "Input/output error" in finding.problem
    assert (report.layers, report.exit_code) == (2, 11)
    calls.clear()
    with pytest.raises(InputError, match="Input/output error"):
        api.convert(f"oci:{layout}", f"oci:{tmp_path}/out")


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("mode", [0o000, 0o200])
def test_a_layer_that_may_not_be_read_is_told_by_name_and_the_others_are_read(
    tmp_path: Path, codec: str, mode: int
) -> None:
    image = make_image("one", "two", "three", codec=codec)
    layout = oci_layout(tmp_path / "in", [image], ["app"])
    blob = blob_of(layout, image.blobs[1])
    blob.chmod(mode)
    layer = f"layer sha256:{blob.name}"
    report = unprivileged(lambda: api.verify(f"oci:{layout}"))
    (finding,) = report.errors
    assert isinstance(finding.error, InputError)
    assert (finding.where, finding.error.errno, finding.error.path) == (f"oci:{layout}: {layer}", 13, str(blob))
    assert (report.images, report.layers, report.exit_code) == (1, 2, 11)
    shown = unprivileged(lambda: api.inspect(f"oci:{layout}"))
    assert [layer.encoding for layer in shown.images[0].layers or ()] == [codec] * 3
    for options in ({}, {"encoding": "gzip"}, {"encoding": "zstd"}, {"link": True}, {"target": "docker-29"}):
        with pytest.raises(InputError, match=f"{layer}: {blob}: cannot be read: Permission denied"):
            unprivileged(lambda: api.convert(f"oci:{layout}", f"oci:{tmp_path}/out", **options))  # noqa: B023
        assert not (tmp_path / "out").exists()
    for deep in (False, True):
        with pytest.raises(InputError, match=f"{layer}: {blob}: cannot be read"):
            unprivileged(lambda: api.check(f"oci:{layout}", ["docker-29"], deep=deep))  # noqa: B023


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_a_part_of_an_archive_that_cannot_be_read_does_not_end_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad sector under the first bytes of a layer; the digests of the others are taken."""
    image = make_image("one", "two", "three", size=10_000)
    layout = oci_layout(tmp_path / "in", [image], ["app"])
    archive = tmp_path / "a.tar"
    api.convert(f"oci:{layout}", f"{kind}:{archive}")
    bad, read = archive.read_bytes().index(image.blobs[1]), os.pread

    def failing(fd: int, length: int, offset: int) -> bytes:
        if offset == bad and os.path.samestat(os.fstat(fd), archive.stat()):
            raise InputError("a layer", errno.EIO, "its file")
        return read(fd, length, offset)

    monkeypatch.setattr(os, "pread", failing)
    contents = api.inspect(f"{kind}:{archive}")
    assert len(contents.images[0].layers or ()) == 3
    assert api.verify(f"{kind}:{archive}").layers == 3      # the pass reads by itself, and finds it sound


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
@pytest.mark.parametrize("what", ["config", "manifest", "layer"])
def test_a_shortage_of_this_process_says_nothing_of_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, what: str
) -> None:
    image = make_image("one", "two", "three")
    layout, opened = oci_layout(tmp_path / "in", [image], ["app"]), os.open
    name = sha256(image.blobs[1] if what == "layer" else getattr(image, what))

    def refuse(path: Any, *rest: Any, **more: Any) -> int:
        if name in str(path):
            raise OSError(number, os.strerror(number))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    for call in (lambda: api.verify(f"oci:{layout}"), lambda: api.check(f"oci:{layout}", ["docker-29"], deep=True)):
        with pytest.raises(ResourceError if number == errno.ENOMEM else InputError) as caught:
            call()
        assert is_shortage(caught.value)


def test_with_too_few_descriptors_an_image_is_not_judged(tmp_path: Path) -> None:
    """From none on, one more each time, until it goes."""
    layout = oci_layout(tmp_path / "in", [make_image("one", "two", "three")], ["app"])
    ends: list[OccyError] = []
    for spare in range(40):
        try:
            code = with_descriptors(spare, lambda: api.verify(f"oci:{layout}", workers=2).exit_code)
        except (InputError, ResourceError) as error:
            ends.append(error)
        else:
            assert code == 0
            break
    assert all(map(is_shortage, ends))
    assert InputError in map(type, ends)


def test_progress_tells_of_every_layer(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "in", [make_image("one", "two")], ["app"])
    reports: list[Any] = []
    api.verify(f"oci:{layout}", progress=reports.append)
    assert [(each.kind, each.state) for each in reports[-1].layers] == [("verify", "done")] * 2


def overwritten(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda blob: bytes(len(blob)),
        lambda blob: b"\xff" * len(blob),
        lambda blob: overwritten(blob, 4),
        lambda blob: overwritten(blob, len(blob) // 2),
        lambda blob: overwritten(blob, len(blob) - 1),
        lambda blob: blob[: len(blob) // 2].ljust(len(blob), b"\0"),
        lambda blob: gzip.compress(bytes(1 << 22), 9)[: len(blob)].ljust(len(blob), b"\0"),
    ],
    ids=["zeros", "ones", "head", "middle", "tail", "cut", "bomb"],
)
def test_a_wrong_blob_is_a_wrong_digest_and_nothing_else(
    tmp_path: Path, codec: str, wrong: Callable[[bytes], bytes]
) -> None:
    image = make_image("one", "two", codec=codec, size=20_000)
    layout = oci_layout(tmp_path / "in", [image], ["app"])
    blob_of(layout, image.blobs[0]).write_bytes(wrong(image.blobs[0]))
    report = api.verify(f"oci:{layout}", max_layer=1 << 20)
    assert [type(finding.error) for finding in report.errors] == [DigestMismatch]
    assert (report.layers, report.exit_code) == (1, 4)


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_what_is_wrong_inside_the_right_blob_is_told(tmp_path: Path, codec: str) -> None:
    """The digest holds: the tar was bad, or the stream, when the image was made."""
    tar = bytearray(make_tar([("file", b"x" * 600)]))
    tar[148:156] = b"0000000\0"
    layout = oci_layout(tmp_path / "tar", [make_image(tars=[bytes(tar)], codec=codec)], ["app"])
    (finding,) = api.verify(f"oci:{layout}").errors
    assert isinstance(finding.error, TarError)
    if codec == "none":
        return
    image = make_image("one", codec=codec)
    cut = image.blobs[0][:-2]
    manifest = json.loads(image.manifest)
    manifest["layers"][0] |= {"digest": "sha256:" + sha256(cut), "size": len(cut)}
    layout = oci_layout(tmp_path / "cut", [image])
    blob_of(layout, cut).write_bytes(cut)
    raw = dumps(manifest)
    blob_of(layout, raw).write_bytes(raw)
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"][0] |= {"digest": "sha256:" + sha256(raw), "size": len(raw)}
    (layout / "index.json").write_bytes(dumps(index))
    (finding,) = api.verify(f"oci:{layout}").errors
    assert isinstance(finding.error, CorruptStream)


@pytest.mark.parametrize("packed", [False, True])
def test_a_wrong_tar_in_an_archive_is_a_wrong_digest(tmp_path: Path, packed: bool) -> None:
    """Its digest is its diff_id, in a file and as it comes by."""
    image = make_image("one", "two")
    archive = docker_archive(tmp_path / "a.tar", [image])
    data = archive.read_bytes()
    at = data.index(image.tars[0][:512])
    data = data[: at + 148] + b"0000000\0" + data[at + 156 :]
    archive.write_bytes(gzip.compress(data) if packed else data)
    report = api.verify(str(archive))
    assert [type(finding.error) for finding in report.errors] == [DigestMismatch]
