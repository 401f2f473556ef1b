"""Archives cut between two members, or without their manifest.json: no command takes them for other images."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from occy_fast import api
from occy_fast.cli import main
from occy_fast.errors import BadArchive, IntegrityError, OccyError, TarTruncated, UnsupportedFormat
from occy_fast.image.v1 import chain_of_config
from occy_fast.spec.digest import Digest
from support.image_builders import (
    archive_members,
    dumps,
    legacy_members,
    make_image,
    make_layer,
    make_tar,
    oci_archive,
    oci_layout,
    sha256,
)
from support.piping import piped

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda raw: gzip.compress(raw, 1),
    "zstd": zstandard.ZstdCompressor(1).compress,
    "xz": lambda raw: lzma.compress(raw, preset=0),
    "bzip2": bz2.compress,
}
IMAGES = [make_image("one", "two", names=["a:1"]), make_image("one", names=["b:1"])]


def in_directories(layers: tuple[bytes, ...], *, late: bool) -> Iterator[tuple[str, bytes]]:
    """Yield the directories that Docker 1.10 to 24 write for layers; with *late* what is beside the tars comes last."""
    ids = [sha256(layer) for layer in layers]
    tars = [(f"{id_}/layer.tar", layer) for id_, layer in zip(ids, layers, strict=True)]
    rest = [(f"{id_}/json", dumps({"id": id_, **({"parent": below} if below else {})})) for id_, below in chained(ids)]
    yield from [*tars, *rest] if late else [pair for pairs in zip(rest, tars, strict=True) for pair in pairs]


def chained(ids: list[str]) -> list[tuple[str, str]]:
    return list(zip(ids, ["", *ids], strict=False))


def saved(kind: str) -> list[tuple[str, bytes]]:
    """Return the members of an archive of two layers, as tools of a kind order them: manifest.json comes late."""
    image = IMAGES[0]
    config = sha256(image.config)
    if kind in ("B", "C", "D"):
        return archive_members(IMAGES, kind)  # type: ignore[arg-type]
    if kind in ("20.10", "crane legacy", "layers first"):
        directories = list(in_directories(image.tars, late=kind == "layers first"))
        layers = [name for name, _ in directories if name.endswith("layer.tar")]
        configs = [(f"{config}.json", image.config)]
        members = [*configs, *directories] if kind == "crane legacy" else [*directories, *configs]
    elif kind == "crane":
        layers = [f"{sha256(tar)}.tar.gz" for tar in image.tars]
        members = [(f"sha256:{config}", image.config), *zip(layers, map(gzip.compress, image.tars), strict=True)]
    else:
        assert kind == "nix", kind
        layers = [f"{sha256(tar)}/layer.tar" for tar in image.tars]
        members = [*zip(layers, image.tars, strict=True), (f"{config}.json", image.config)]
    called = next(name for name, raw in members if raw == image.config)
    manifest = dumps([{"Config": called, "RepoTags": ["a:1"], "Layers": layers}])
    return [*members, ("manifest.json", manifest), ("repositories", dumps({"a": {"1": sha256(image.tars[-1])}}))]


KINDS = ["B", "C", "D", "20.10", "crane legacy", "layers first", "crane", "nix"]


def borders(raw: bytes) -> list[int]:
    """Return where members begin, the first left out, and where the last one ends."""
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        members = tar.getmembers()
    last = members[-1]
    return [member.offset for member in members[1:]] + [last.offset_data + -(-last.size // 512) * 512]


def answers(source: str, directory: Path) -> Iterator[OccyError]:
    """Yield what each command that reads it whole makes of an archive: an error, and nothing beside it."""
    calls: list[Callable[[], object]] = [
        lambda: api.inspect(source),
        lambda: api.convert(source, f"oci:{directory}/out", verify="layers"),
        lambda: api.convert(source, f"docker-archive:{directory}/out.tar", encoding="none"),
    ]
    before = sorted(os.listdir(directory))
    for call in calls:
        with pytest.raises(IntegrityError) as caught:
            call()
        yield caught.value
        assert sorted(os.listdir(directory)) == before
    [finding] = api.verify(source).findings
    assert finding.error is not None
    yield finding.error
    for deep in (False, True):
        checked = api.check(source, ["docker-20.10", "docker-29", "singularity-ce"], deep=deep)
        assert [(found.rule, found.severity, found.says, found.fix) for found in checked.findings] == [
            ("broken-archive", "error", "", None)
        ] * 3
        assert not checked.unknown
        assert "cut short" in checked.findings[0].problem


@pytest.mark.parametrize("kind", KINDS)
def test_every_border_of_a_file(tmp_path: Path, kind: str) -> None:
    raw = make_tar(saved(kind))
    for cut in borders(raw):
        (tmp_path / "a.tar").write_bytes(raw[:cut])
        for error in answers(str(tmp_path / "a.tar"), tmp_path):
            assert isinstance(error, TarTruncated)
            assert (error.where, error.offset) == (str(tmp_path / "a.tar"), cut)
        with pytest.raises(TarTruncated):
            api.plan(str(tmp_path / "a.tar"), f"oci:{tmp_path}/out")
    (tmp_path / "a.tar").write_bytes(raw[: borders(raw)[-1] + 512])
    assert not api.verify(str(tmp_path / "a.tar")).errors


@pytest.mark.parametrize("kind", ["B", "20.10", "D"])
@pytest.mark.parametrize("pack", ["pipe", *PACK])
def test_every_border_of_what_comes_by_once(tmp_path: Path, kind: str, pack: str) -> None:
    raw = make_tar(saved(kind))
    for cut in borders(raw):
        if pack != "pipe":
            (tmp_path / "a.tar.x").write_bytes(PACK[pack](raw[:cut]))
            with pytest.raises(TarTruncated) as caught:
                api.convert(str(tmp_path / "a.tar.x"), f"oci:{tmp_path}/out")
            assert caught.value.offset == cut
            found = api.check(str(tmp_path / "a.tar.x"), ["docker-29"]).errors
            assert [finding.rule for finding in found] == ["broken-archive"]
            continue
        for call in (api.inspect, lambda source: api.convert(source, f"oci:{tmp_path}/out")):
            with piped(tmp_path / "pipe", raw[:cut]) as pipe, pytest.raises(TarTruncated) as caught:
                call(str(pipe))
            assert caught.value.offset == cut
        assert os.listdir(tmp_path) == []


def test_every_border_of_an_oci_archive(tmp_path: Path) -> None:
    raw = oci_archive(tmp_path / "whole.tar", oci_layout(tmp_path / "layout", IMAGES, ["a", "b"])).read_bytes()
    for cut in borders(raw):
        (tmp_path / "a.tar").write_bytes(raw[:cut])
        for prefix in ("", "oci-archive:"):
            for error in answers(f"{prefix}{tmp_path}/a.tar", tmp_path):
                assert isinstance(error, TarTruncated)


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_archive_that_lost_its_manifest(tmp_path: Path, kind: str) -> None:
    """Its end is there, and what is left of the documents would do for an archive from before Docker 1.10."""
    members = [pair for pair in saved(kind) if pair[0] not in ("manifest.json", "index.json", "oci-layout")]
    for rest in (members, [pair for pair in members if pair[0] != "repositories"]):
        (tmp_path / "a.tar").write_bytes(make_tar(rest))
        for error in answers(str(tmp_path / "a.tar"), tmp_path):
            assert isinstance(error, BadArchive)
            assert "no manifest.json" in str(error)
            assert "save it again" in str(error)
        with piped(tmp_path / "pipe", make_tar(rest)) as pipe, pytest.raises(BadArchive, match=r"no manifest\.json"):
            api.convert(str(pipe), f"oci:{tmp_path}/out")


@pytest.mark.parametrize("kind", ["crane legacy", "crane", "nix", "B", "C", "D"])
def test_zeros_behind_a_cut_make_no_archive(tmp_path: Path, kind: str) -> None:
    """As in a file that had its full size before it was filled: what is missing is zeros."""
    raw = make_tar(saved(kind))
    (tmp_path / "a.tar").write_bytes(raw)
    whole = {image.config for image in api.inspect(str(tmp_path / "a.tar")).images}
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        end = tar.getmember("manifest.json").offset
    for cut in (border for border in borders(raw) if border <= end):
        (tmp_path / "a.tar").write_bytes(raw[:cut] + bytes(len(raw) - cut))
        try:                                             # a layout that is whole but for oci-layout has the same images
            found = {image.config for image in api.inspect(str(tmp_path / "a.tar")).images}
        except (BadArchive, UnsupportedFormat):
            found = set()
        assert found in (set(), whole)
        assert api.check(str(tmp_path / "a.tar"), ["docker-20.10"]).errors


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("names_os", [True, False])
def test_zeros_behind_whole_directories_make_no_archive(tmp_path: Path, count: int, names_os: bool) -> None:
    """What Docker 20.10 saves begins with directories that alone are one from before 1.10; their ids tell."""
    image = make_image(*(f"layer {number}" for number in range(count)))
    config = json.loads(image.config)
    if not names_os:
        del config["os"]
    layers = chain_of_config(dumps(config), [Digest.parse(diff_id) for diff_id in image.diff_ids])
    members: list[tuple[str, bytes]] = []
    for layer, tar in zip(layers, image.tars, strict=True):
        members += [(f"{layer.id}/VERSION", b"1.0"), (f"{layer.id}/json", layer.json), (f"{layer.id}/layer.tar", tar)]
        (tmp_path / "a.tar").write_bytes(make_tar(members) + bytes(1 << 20))
        with pytest.raises(BadArchive, match=r"ids that Docker 1\.10 and later give them.*save it again"):
            api.convert(str(tmp_path / "a.tar"), f"oci:{tmp_path}/out")
        assert api.check(str(tmp_path / "a.tar"), ["docker-20.10"], deep=True).exit_code == 10
    assert not (tmp_path / "out").exists()


def test_archives_from_before_docker_1_10_are_read_as_they_were(tmp_path: Path) -> None:
    for named in (True, False):
        raw = make_tar(legacy_members(named))
        for zeros in (1, 2, 20):
            (tmp_path / "a.tar").write_bytes(raw[: borders(raw)[-1]] + bytes(512 * zeros))
            assert not api.verify(str(tmp_path / "a.tar")).errors
        (tmp_path / "a.tar").write_bytes(raw[: borders(raw)[-1]])
        for error in answers(str(tmp_path / "a.tar"), tmp_path):
            assert isinstance(error, TarTruncated)


def test_other_tars_are_no_cut_archives(tmp_path: Path) -> None:
    for name in ("etc/passwd", "app/json", "blobs/a", "app/layer.tar", "json", "0123.json", f"lib/{'0' * 64}.json"):
        (tmp_path / "a.tar").write_bytes(make_tar([(name, make_layer())]))
        with pytest.raises(UnsupportedFormat, match=r"without manifest\.json|a tar around an archive"):
            api.inspect(str(tmp_path / "a.tar"))


def test_a_layer_needs_no_end(tmp_path: Path) -> None:
    """Its tar is read as Go reads it, which takes the end of the bytes for the end of the tar."""
    tar = make_layer()
    bare = tar[: borders(tar)[-1]]
    (tmp_path / "a.tar").write_bytes(make_tar(archive_members([make_image(tars=[bare])])))
    assert not api.verify(str(tmp_path / "a.tar")).errors
    api.convert(str(tmp_path / "a.tar"), f"oci:{tmp_path}/out", encoding="zstd", verify="layers")


def test_what_the_command_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = make_tar(saved("20.10"))
    path = tmp_path / "a.tar"
    path.write_bytes(raw[: borders(raw)[-3]])
    assert main(["inspect", str(path)]) == 4
    assert "copy or save it again: it is cut short" in capsys.readouterr().err
    assert main(["check", str(path), "--target", "docker-20.10"]) == 10
    assert capsys.readouterr().out.splitlines() == [
        str(path),
        "docker-20.10: it is broken, whoever reads it",
        "  error    broken-archive: archive: it stops without an end of archive (a block of zeros) at byte "
        f"{len(path.read_bytes())} of the tar: cut short, copy or save it again",
    ]
