"""--verify destination: what is there already is proved there, and replaced where it is damaged."""

from __future__ import annotations

import errno
import gzip
import json
import logging
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from occy_fast import api
from occy_fast.cli import main
from occy_fast.errors import (
    DigestMismatch,
    InputError,
    IntegrityError,
    OccyError,
    OutputError,
    PlanStale,
    ResourceError,
    TarError,
    UsageError,
    is_shortage,
)
from occy_fast.transports.layout import stage as layout_stage
from support.children import with_descriptors
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
from support.leaks import nothing_left

PROVED: dict[str, Any] = {"verify": "destination", "workers": 2}
IMAGE = make_image("one", "two", "three", codec=["none", "gzip", "zstd"], size=70_000)


def torn(data: bytes) -> bytes:
    return bytes(len(data))


def flipped(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]


def half(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes(len(data) - len(data) // 2)


def bomb(data: bytes) -> bytes:
    """Return another good stream in the same size, as far as that goes."""
    return gzip.compress(bytes(1 << 20))[: len(data)].ljust(len(data), b"\0")


DAMAGES: list[Callable[[bytes], bytes]] = [torn, flipped, half, bomb, lambda data: data[:-1], lambda data: data + b"\0"]
names = ["torn", "flipped", "half", "another", "shorter", "longer"]
damages = pytest.mark.parametrize("damage", DAMAGES, ids=names)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """Return a source, and a destination that has its blobs already, under another image's name."""
    source, there = tmp_path / "in", tmp_path / "out"
    oci_layout(source, [IMAGE], ["app"])
    api.convert(f"oci:{source}:app", f"oci:{there}:old")
    return source, there


def blob_of(layout: Path, data: bytes) -> Path:
    return layout / "blobs/sha256" / sha256(data)


def state(path: Path) -> tuple[int, ...]:
    """Return what changes with a file, but not when it is read."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mode, status.st_mtime_ns, status.st_ctime_ns


def problems(layout: Path) -> list[str]:
    return [type(finding.error).__name__ for finding in api.verify(f"oci:{layout}").errors]


@damages
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("link", [False, True])
def test_a_damaged_layer_is_replaced(
    places: tuple[Path, Path], damage: Callable[[bytes], bytes], number: int, link: bool
) -> None:
    source, there = places
    blob = blob_of(there, IMAGE.blobs[number])
    blob.write_bytes(damage(IMAGE.blobs[number]))
    same_size = blob.stat().st_size == len(IMAGE.blobs[number])
    assert problems(there)
    if same_size:
        api.convert(f"oci:{source}:app", f"oci:{there}:new", verify="layers")
        assert problems(there), "nobody looked at it"
    with nothing_left():
        result = api.convert(f"oci:{source}:app", f"oci:{there}:new", verify="destination", link=link)
    assert problems(there) == []
    assert blob.read_bytes() == IMAGE.blobs[number]
    assert [outcome.replaced for outcome in result.layers] == [same_size and at == number for at in range(3)]
    assert result.layers[number].kind == ("adopt" if link else "copy")
    assert (blob.stat().st_ino == blob_of(source, IMAGE.blobs[number]).stat().st_ino) == link
    assert result.size_out == (0 if link else len(IMAGE.blobs[number]))
    assert sorted(os.listdir(there)) == ["blobs", "index.json", "oci-layout"]


@damages
@pytest.mark.parametrize("what", ["config", "manifest"])
def test_a_damaged_document_is_replaced(places: tuple[Path, Path], damage: Callable[[bytes], bytes], what: str) -> None:
    source, there = places
    blob = blob_of(there, getattr(IMAGE, what))
    blob.write_bytes(damage(getattr(IMAGE, what)))
    api.convert(f"oci:{source}:app", f"oci:{there}:new", verify="destination")
    assert problems(there) == []
    assert blob.read_bytes() == getattr(IMAGE, what)


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize(
    ("damage", "read"), [(torn, 1), (flipped, 1), (lambda data: data[:-1], 0)], ids=["torn", "flipped", "shorter"]
)
def test_what_a_failed_proof_has_read_is_counted(
    places: tuple[Path, Path], damage: Callable[[bytes], bytes], read: int, link: bool
) -> None:
    """An uncompressed layer is read to its end, whatever it holds; one of another size is not even begun."""
    source, there = places
    blob_of(there, IMAGE.blobs[0]).write_bytes(damage(IMAGE.blobs[0]))
    result = api.convert(f"oci:{source}:app", f"oci:{there}:new", verify="destination", link=link)
    sizes = [len(data) for data in IMAGE.blobs]
    assert result.size_in == sum(sizes) + read * sizes[0]
    assert [outcome.size_proved for outcome in result.layers] == [read * sizes[0], 0, 0]


def test_of_a_proof_that_ends_early_only_what_it_read(tmp_path: Path) -> None:
    """No more than the buffers that are read ahead, of a gzip layer whose first bytes are none."""
    noise = random.Random(0).randbytes(8 << 20)
    image = make_image(tars=[make_layer("a"), make_tar([("noise", noise)])], codec="gzip")
    oci_layout(tmp_path / "in", [image], ["a"])
    there = tmp_path / "out"
    api.convert(f"oci:{tmp_path}/in:a", f"oci:{there}:a")
    data = image.blobs[1]
    blob_of(there, data).write_bytes(bytes(len(data)))
    result = api.convert(f"oci:{tmp_path}/in:a", f"oci:{there}:b", verify="destination", workers=1)
    proved = result.layers[1].size_proved
    assert result.layers[1].replaced
    assert 0 < proved < len(data)
    assert result.size_in == sum(map(len, image.blobs)) + proved


def test_what_is_sound_stays_as_it_is(places: tuple[Path, Path]) -> None:
    source, there = places
    before = {path: state(path) for path in (blob_of(there, data) for data in IMAGE.blobs)}
    result = api.convert(f"oci:{source}:app", f"oci:{there}:new", verify="destination")
    assert {path: state(path) for path in before} == before
    assert [outcome.kind for outcome in result.layers] == ["skip"] * 3
    assert not any(outcome.replaced for outcome in result.layers)
    assert result.size_in == sum(map(len, IMAGE.blobs))
    assert result.size_out == 0


def test_the_sources_need_not_be_read_where_the_destinations_are_sound(places: tuple[Path, Path]) -> None:
    source, there = places
    plan = api.plan(f"oci:{source}:app", f"oci:{there}:new", verify="destination")
    for data in IMAGE.blobs:
        blob_of(source, data).unlink()
    api.execute(plan)
    assert problems(there) == []


def test_where_both_are_damaged_nothing_changes(places: tuple[Path, Path]) -> None:
    source, there = places
    for layout in places:
        blob_of(layout, IMAGE.blobs[1]).write_bytes(torn(IMAGE.blobs[1]))
    index = (there / "index.json").read_bytes()
    for link in (False, True):
        with nothing_left(), pytest.raises(IntegrityError, match=f"oci:{source}"):
            api.convert(f"oci:{source}:app", f"oci:{there}:new", verify="destination", link=link)
        assert (there / "index.json").read_bytes() == index
        assert blob_of(there, IMAGE.blobs[1]).read_bytes() == torn(IMAGE.blobs[1])
        assert sorted(os.listdir(there)) == ["blobs", "index.json", "oci-layout"]


def test_a_false_diff_id_is_found_at_the_destination(tmp_path: Path) -> None:
    """The bytes are those of the digest, at both ends, and the tar inside is another than the config says."""
    false = {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}
    image = make_image("a", codec="gzip", config_changes=false)
    oci_layout(tmp_path / "in", [image], ["a"])
    api.convert(f"oci:{tmp_path}/in:a", f"oci:{tmp_path}/out:a")
    with pytest.raises(DigestMismatch, match="diff_id"):
        api.convert(f"oci:{tmp_path}/in:a", f"oci:{tmp_path}/out:b", verify="destination")


def test_a_tar_that_readers_disagree_about_is_refused_there(tmp_path: Path) -> None:
    image = make_image(tars=[make_layer("a") + make_layer("b")])
    oci_layout(tmp_path / "in", [image], ["a"])
    api.convert(f"oci:{tmp_path}/in:a", f"oci:{tmp_path}/out:a")
    with pytest.raises(TarError):
        api.convert(f"oci:{tmp_path}/in:a", f"oci:{tmp_path}/out:b", verify="destination", strict=True)


def test_what_cannot_be_read_there_is_replaced(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source, there = places
    name, opened = sha256(IMAGE.blobs[1]), os.open

    def refuse(path: Any, *rest: Any, **more: Any) -> int:
        if str(path).startswith(str(there)) and name in str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    result = api.convert(f"oci:{source}:app", f"oci:{there}:new", verify="destination")
    assert [outcome.replaced for outcome in result.layers] == [False, True, False]
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "Input/output error; to be replaced" in record.getMessage()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_shortage_of_this_process_is_no_damage_there(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    source, there = places
    before = {path: state(path) for path in (blob_of(there, data) for data in IMAGE.blobs)}
    name, opened = sha256(IMAGE.blobs[1]), os.open

    def refuse(path: Any, *rest: Any, **more: Any) -> int:
        if str(path).startswith(str(there)) and name in str(path):
            raise OSError(number, os.strerror(number))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    with nothing_left(), pytest.raises(ResourceError if number == errno.ENOMEM else InputError) as caught:
        api.convert(f"oci:{source}:app", f"oci:{there}:new", verify="destination")
    assert is_shortage(caught.value)
    assert {path: state(path) for path in before} == before


def test_with_too_few_descriptors_nothing_is_replaced(places: tuple[Path, Path]) -> None:
    """From none on, one more each time, until it goes."""
    source, there = places
    before = {path: state(path) for path in (blob_of(there, data) for data in IMAGE.blobs)}
    ends: list[OccyError] = []
    for spare in range(40):
        try:
            with_descriptors(spare, lambda: bool(api.convert(f"oci:{source}:app", f"oci:{there}:new", **PROVED)))
        except (InputError, ResourceError) as error:
            ends.append(error)
            assert {path: state(path) for path in before} == before, spare
        else:
            break
    assert all(map(is_shortage, ends))
    assert set(map(type, ends)) == {InputError, ResourceError}
    assert {path: state(path) for path in before} == before


def test_what_cannot_be_replaced_is_named(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source, there = places
    name, rename = sha256(IMAGE.blobs[1]), os.rename
    blob_of(there, IMAGE.blobs[1]).write_bytes(torn(IMAGE.blobs[1]))

    def refuse(old: Any, new: Any, **more: Any) -> None:
        if new == name:                              # as of an immutable file
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        rename(old, new, **more)

    monkeypatch.setattr(os, "rename", refuse)
    with nothing_left(), pytest.raises(OutputError, match=f"{name}: cannot replace: Operation not permitted"):
        api.convert(f"oci:{source}:app", f"oci:{there}:new", verify="destination")
    assert list(json.loads((there / "index.json").read_bytes())["manifests"][0]["annotations"].values()) == ["old"]


def test_what_changes_after_its_proof_is_noticed(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source, there = places
    publish = layout_stage.OciLayoutStage.publish

    def late(stage: layout_stage.OciLayoutStage, publication: Any) -> None:
        blob_of(there, IMAGE.blobs[0]).write_bytes(torn(IMAGE.blobs[0]))
        publish(stage, publication)

    monkeypatch.setattr(layout_stage.OciLayoutStage, "publish", late)
    with pytest.raises(PlanStale, match="since it was proved"):
        api.convert(f"oci:{source}:app", f"oci:{there}:new", verify="destination")


def test_what_is_gone_by_then_is_brought(places: tuple[Path, Path]) -> None:
    source, there = places
    plan = api.plan(f"oci:{source}:app", f"oci:{there}:new", verify="destination")
    blob_of(there, IMAGE.blobs[2]).unlink()
    result = api.execute(plan)
    assert [outcome.replaced for outcome in result.layers] == [False, False, True]
    assert problems(there) == []


@pytest.mark.parametrize("fails", ["index.json", "blobs"])
def test_a_failure_leaves_each_blob_damaged_or_whole(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    source, there = places
    for data in IMAGE.blobs:
        blob_of(there, data).write_bytes(torn(data))
    index, rename, moved = (there / "index.json").read_bytes(), os.rename, []

    def failing(old: Any, new: Any, **more: Any) -> None:
        if len(new) == 64:
            moved.append(new)
        if (new == "index.json" == old and fails == new) or (fails == "blobs" and len(moved) == 3):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(old, new, **more)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OutputError):
        api.convert(f"oci:{source}:app", f"oci:{there}:new", verify="destination")
    assert (there / "index.json").read_bytes() == index
    assert all(blob_of(there, data).read_bytes() in (data, torn(data)) for data in IMAGE.blobs)
    monkeypatch.undo()
    api.convert(f"oci:{source}:app", f"oci:{there}:new", verify="destination")
    assert problems(there) == []


def test_several_at_once_mend_one_layout(places: tuple[Path, Path]) -> None:
    source, there = places
    for data in IMAGE.blobs:
        blob_of(there, data).write_bytes(torn(data))
    failures: list[BaseException] = []

    def mend(name: str) -> None:
        try:
            api.convert(f"oci:{source}:app", f"oci:{there}:{name}", verify="destination", workers=1)
        except PlanStale:                            # another one has replaced what was sound: once more
            mend(name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=mend, args=(f"n{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert problems(there) == []
    assert len(json.loads((there / "index.json").read_bytes())["manifests"]) == 7


def test_more_layers_than_are_under_way_at_once(tmp_path: Path) -> None:
    """One failing proof is told from the others, which end while it begins."""
    image = make_image(*(f"layer {number}" for number in range(40)), codec="gzip")
    oci_layout(tmp_path / "in", [image], ["a"])
    there = tmp_path / "out"
    api.convert(f"oci:{tmp_path}/in:a", f"oci:{there}:a")
    for data in image.blobs[::3]:
        blob_of(there, data).write_bytes(torn(data))
    states: list[Any] = []
    result = api.convert(f"oci:{tmp_path}/in:a", f"oci:{there}:b", verify="destination", progress=states.append)
    assert [outcome.replaced for outcome in result.layers] == [number % 3 == 0 for number in range(40)]
    assert problems(there) == []
    assert {layer.state for layer in states[-1].layers} == {"done"}


def test_a_source_that_fails_is_no_damage_at_the_destination(tmp_path: Path) -> None:
    """A layer that must come is bad at the source, while others are being proved: it is that which is told."""
    image = make_image(*(f"layer {number}" for number in range(20)))
    oci_layout(tmp_path / "in", [image], ["a"])
    there = tmp_path / "out"
    api.convert(f"oci:{tmp_path}/in:a", f"oci:{there}:a")
    blob_of(there, image.blobs[0]).unlink()
    blob_of(tmp_path / "in", image.blobs[0]).write_bytes(torn(image.blobs[0]))
    with pytest.raises(DigestMismatch, match=f"oci:{tmp_path}/in"):
        api.convert(f"oci:{tmp_path}/in:a", f"oci:{there}:b", verify="destination")


def test_artifacts_count_too(tmp_path: Path) -> None:
    source, there, data = tmp_path / "in", tmp_path / "out", b"signature" * 100
    oci_layout(source, [IMAGE], ["app"])
    config = b"{}"
    for each in (data, config):
        blob_of(source, each).write_bytes(each)
    part = {"mediaType": "text/plain", "digest": f"sha256:{sha256(data)}", "size": len(data)}
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": f"sha256:{sha256(config)}", "size": 2}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "text/plain",
        "config": empty,
        "layers": [part],
    }
    write_manifest(source, dumps(manifest))
    api.convert(f"oci:{source}", f"oci:{there}")
    for each in (data, config):
        blob_of(there, each).write_bytes(torn(each))
    api.convert(f"oci:{source}", f"oci:{there}", verify="destination")
    assert problems(there) == []


@pytest.mark.parametrize("packed", [False, True])
def test_of_an_archive_that_comes_by_once_too(tmp_path: Path, packed: bool) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image("one", "two")])
    if packed:
        archive = tmp_path / "a.tar.gz"
        archive.write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes()))
    there = tmp_path / "out"
    api.convert(str(archive), f"oci:{there}")
    for data in make_image("one", "two").blobs:
        blob_of(there, data).write_bytes(torn(data))
    api.convert(str(archive), f"oci:{there}", verify="destination")
    assert problems(there) == []


def test_archives_have_nothing_to_be_proved(tmp_path: Path) -> None:
    oci_layout(tmp_path / "in", [IMAGE], ["app"])
    for kind in ("docker-archive", "oci-archive"):
        for _ in range(2):
            api.convert(f"oci:{tmp_path}/in:app", f"{kind}:{tmp_path}/{kind}.tar", verify="destination")
        assert api.verify(f"{kind}:{tmp_path}/{kind}.tar").exit_code == 0


def test_what_the_command_says(places: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    source, there = places
    blob_of(there, IMAGE.blobs[1]).write_bytes(torn(IMAGE.blobs[1]))
    arguments = ["convert", f"oci:{source}:app", f"oci:{there}:new", "--verify", "destination"]
    assert main([*arguments, "--dry-run"]) == 0
    assert "there already, if proved there; else copy" in capsys.readouterr().out
    assert main([*arguments, "--dry-run", "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert {(step["step"], step["otherwise"]) for step in image["manifests"][0]["layers"]} == {("skip", "copy")}
    assert main(arguments) == 0
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[1] for row in words if row and row[0] in ("1", "2", "3")] == ["skip", "replaced", "skip"]
    blob_of(there, IMAGE.blobs[1]).write_bytes(torn(IMAGE.blobs[1]))
    assert main([*arguments, "--json"]) == 0
    assert [layer["replaced"] for layer in json.loads(capsys.readouterr().out)["layers"]] == [False, True, False]
    with pytest.raises(UsageError, match="blobs, layers, destination"):
        api.convert(f"oci:{source}", f"oci:{there}", verify="everything")  # type: ignore[arg-type]
