"""The shape of archives, as loaders meet them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from occy_fast.errors import ConfigTooLarge, LimitError, ManifestTooLarge, NotFound, OccyError, Unsupported
from occy_fast.image.loader_view import ListedLayer, Shape
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.transports.archive import view
from occy_fast.transports.archive.view import Onlooker, inside, leads_out
from occy_fast.transports.locator import parse_locator
from support.image_builders import docker_archive, dumps, make_image, make_layer, oci_layout
from support.opening import open_stream
from support.piping import piped

LAYER = make_layer()
ROOTFS = {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}
CONFIG = dumps({"os": "linux", "architecture": "amd64", "rootfs": ROOTFS})
LEGACY = "ab" * 32

Entry = tuple[str, bytes | str | None]


def survey(text: str, limits: Limits = LIMITS) -> Shape | None:
    """Look at what the locator *text* names."""
    return view.survey(parse_locator(text), limits)


def archive(path: Path, entries: list[Entry], hard: tuple[str, ...] = ()) -> Path:
    """Write a tar: bytes are a file, text is where a link leads, None is a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.LNKTYPE if name in hard else tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content if isinstance(content, bytes) else b""))
    path.write_bytes(out.getvalue())
    return path


def manifest(*layers: str, config: str = "config.json", **more: Any) -> bytes:
    return dumps([{"Config": config, "RepoTags": ["app:1"], "Layers": list(layers), **more}])


def shape_of(tmp_path: Path, *entries: Entry, hard: tuple[str, ...] = ()) -> Shape:
    """Return the shape that a file shows; an onlooker sees the same when it comes by."""
    path = archive(tmp_path / "a.tar", list(entries), hard)
    found = survey(f"docker-archive:{path}")
    assert found is not None
    with piped(tmp_path / "pipe", path.read_bytes()) as pipe:
        assert looked_on(pipe) == found
    return found


def looked_on(path: Path, limits: Limits = LIMITS) -> Shape:
    with open_stream(str(path), limits) as source:
        onlooker = Onlooker(source, limits)
        try:
            for _ in source.arrivals():
                pass
        except LimitError:
            raise
        except OccyError as error:
            return onlooker.shape(error)
        return onlooker.shape()


def only_layer(shape: Shape) -> ListedLayer:
    assert shape.images is not None
    [image] = shape.images
    return image.layers[-1]


@pytest.mark.parametrize(
    ("extra", "link", "present"),
    [
        ([("b/layer.tar", LAYER)], "", True),
        ([("./b/layer.tar", LAYER)], "", True),
        ([("a/layer.tar", LAYER), ("b/layer.tar", "../a/layer.tar")], "symbolic", True),
        ([("a/layer.tar", LAYER), ("b/layer.tar", "/a/layer.tar")], "absolute", True),
        ([("b/layer.tar", "../../etc/passwd")], "escaping", False),
        ([("a", LAYER), ("b/layer.tar", "../../../a")], "escaping", True),
        ([("b/layer.tar", "../gone")], "symbolic", False),
        ([("b/layer.tar", "layer.tar")], "symbolic", False),
        ([("b/layer.tar", None)], "", False),
        ([], "", False),
    ],
)
def test_a_path_is_followed_as_a_loader_does(tmp_path: Path, extra: list[Entry], link: str, present: bool) -> None:
    layer = only_layer(
        shape_of(tmp_path, *extra, ("config.json", CONFIG), ("manifest.json", manifest("b/layer.tar")))
    )
    assert (layer.link, layer.present) == (link, present)


def test_a_hard_link_leads_from_the_top(tmp_path: Path) -> None:
    entries: list[Entry] = [("a/layer.tar", LAYER), ("b/layer.tar", "a/layer.tar"), ("config.json", CONFIG)]
    layer = only_layer(
        shape_of(tmp_path, *entries, ("manifest.json", manifest("b/layer.tar")), hard=("b/layer.tar",))
    )
    assert (layer.link, layer.present) == ("hard", True)


def test_the_last_of_equal_names_counts(tmp_path: Path) -> None:
    shape = shape_of(
        tmp_path,
        ("manifest.json", b"[]"),
        ("config.json", CONFIG),
        ("l.tar", LAYER),
        ("manifest.json", manifest("l.tar")),
    )
    assert only_layer(shape).path == "l.tar"


def test_what_climbs_is_told_and_stays_inside(tmp_path: Path) -> None:
    shape = shape_of(tmp_path, ("../config.json", CONFIG), ("l.tar", LAYER), ("manifest.json", manifest("l.tar")))
    assert shape.climbing == ("../config.json",)
    assert shape.images is not None
    assert shape.images[0].present


@pytest.mark.parametrize(
    ("raw", "images"),
    [
        (b"{", None),
        (b'{"Config":"x"}', None),
        (b"[1]", None),
        (b"null", 0),
        (b"[]", 0),
        (b"\xff", None),
        (b"[" * 9999, None),
    ],
)
def test_a_manifest_that_is_none_is_told(tmp_path: Path, raw: bytes, images: int | None) -> None:
    found = shape_of(tmp_path, ("manifest.json", raw)).images
    assert (None if found is None else len(found)) == images


@pytest.mark.parametrize(
    ("config", "present", "readable", "diff_ids"),
    [
        (None, False, False, ()),
        (b"no json", True, False, ()),
        (b"[]", True, False, ()),
        (b"{}", True, True, None),
        (b'{"rootfs":{"type":"layers"}}', True, True, ()),
        (CONFIG, True, True, ("sha256:" + "0" * 64,)),
    ],
)
def test_a_config_is_read_leniently(
    tmp_path: Path, config: bytes | None, present: bool, readable: bool, diff_ids: tuple[str, ...] | None
) -> None:
    entries: list[Entry] = [] if config is None else [("config.json", config)]
    images = shape_of(tmp_path, *entries, ("manifest.json", manifest())).images
    assert images is not None
    assert (images[0].present, images[0].readable, images[0].diff_ids) == (present, readable, diff_ids)


@pytest.mark.parametrize("place", ["manifest.json", "/manifest.json", "../manifest.json"])
@pytest.mark.parametrize(
    "raw", [b"", b"text", b"null", b" " * 600 + b"[]", b"\xef\xbb\xbf[]", "[]".encode("utf-16"), gzip.compress(b"[]")]
)
def test_a_manifest_of_any_kind_is_seen_alike(tmp_path: Path, place: str, raw: bytes) -> None:
    """In a file as when it comes by; Go's JSON has no mark of its encoding, and no encoding but UTF-8."""
    assert shape_of(tmp_path, (place, raw)).images == (() if raw.strip() in (b"null", b"[]") else None)


@pytest.mark.parametrize("raw", [b"", b"text", b"null", b"[]", gzip.compress(CONFIG), LAYER, b"\xef\xbb\xbf" + CONFIG])
@pytest.mark.parametrize("place", ["config.json", "../config.json"])
def test_a_config_of_any_kind_is_seen_alike(tmp_path: Path, place: str, raw: bytes) -> None:
    shape = shape_of(tmp_path, (place, raw), ("l.tar", LAYER), ("manifest.json", manifest("l.tar", config=place)))
    assert shape.images is not None
    assert not shape.images[0].readable


def test_keys_are_read_in_any_case(tmp_path: Path) -> None:
    raw = dumps([{"config": "c", "repoTags": ["a:1"], "layers": ["l.tar"]}])
    images = shape_of(tmp_path, ("c", CONFIG), ("l.tar", LAYER), ("manifest.json", raw)).images
    assert images is not None
    assert (images[0].tags, images[0].config, [layer.path for layer in images[0].layers]) == (("a:1",), "c", ["l.tar"])


def test_an_archive_from_before_docker_1_10_is_known_by_its_names(tmp_path: Path) -> None:
    layer: list[Entry] = [(LEGACY, None), (f"{LEGACY}/json", b"{}"), (f"{LEGACY}/layer.tar", LAYER)]
    assert shape_of(tmp_path, *layer, ("repositories", b"{}")) == Shape("legacy", repositories=True)
    assert shape_of(tmp_path, *layer, ("zzz", None)) == Shape("legacy", strays=("zzz",))


@pytest.mark.parametrize(
    "sign",
    [
        (f"{'cd' * 32}.json", b"{}"),
        (f"{'cd' * 32}.tar", LAYER),
        (f"{'cd' * 32}.tar.gz", LAYER),
        (f"sha256:{'cd' * 32}", b"{}"),
        (f"blobs/sha256/{'cd' * 32}", b"{}"),
        (f"{'cd' * 32}/json", b"{}"),
        (f"{'cd' * 32}/layer.tar", LAYER),
        (f"{'cd' * 32}/layer.tar", f"../{LEGACY}/layer.tar"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_a_newer_archive_without_its_manifest_is_broken(tmp_path: Path, sign: Entry, named: bool) -> None:
    layer: list[Entry] = [(LEGACY, None), (f"{LEGACY}/json", b"{}"), (f"{LEGACY}/layer.tar", LAYER)]
    shape = shape_of(tmp_path, *layer, sign, *([("repositories", b"{}")] if named else []))
    assert (shape.layout, shape.reason) == ("broken", "")
    assert sign[0] in shape.problem
    assert shape.problem.endswith("cut short, save it again")
    assert shape_of(tmp_path, *layer, sign, ("manifest.json", b"[]")).layout == "docker-archive"


def test_a_cut_between_two_members_is_in_no_loader_s_words(tmp_path: Path) -> None:
    whole = docker_archive(tmp_path / "a.tar", [make_image()]).read_bytes()
    for cut, reason in ((1100, "unexpected EOF"), (len(whole.rstrip(b"\0")) // 512 * 512 + 512, "")):
        (tmp_path / "b.tar").write_bytes(whole[:cut])
        found = survey(str(tmp_path / "b.tar"))
        assert found is not None
        assert (found.layout, found.reason) == ("broken", reason)
        assert found.problem.endswith(f"at byte {cut} of the tar: cut short, copy or save it again")
        with piped(tmp_path / "pipe", whole[:cut]) as pipe:
            assert looked_on(pipe) == found


def test_layouts_and_what_is_none(tmp_path: Path) -> None:
    built = make_image()
    assert survey(f"oci:{oci_layout(tmp_path / 'layout', [built])}") == Shape("layout")
    assert shape_of(tmp_path, ("index.json", b"{}"), ("oci-layout", b"{}")) == Shape("oci-archive")
    assert shape_of(tmp_path, ("etc/passwd", b"x")) == Shape("empty")
    dual = survey(str(docker_archive(tmp_path / "dual.tar", [built], "C")))
    assert dual is not None
    assert dual.dual
    (tmp_path / "garbage").write_bytes(b"x" * 700)
    broken = survey(str(tmp_path / "garbage"))
    assert broken is not None
    assert (broken.layout, bool(broken.problem)) == ("broken", True)


COMPRESS = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


@pytest.mark.parametrize("codec", COMPRESS)
def test_a_compressed_archive_has_the_same_shape(tmp_path: Path, codec: str) -> None:
    plain = docker_archive(tmp_path / "a.tar", [make_image(codec=["gzip", "zstd"])])
    wrapped = tmp_path / "b.tar.x"
    wrapped.write_bytes(COMPRESS[codec](plain.read_bytes()))
    bare = survey(str(plain))
    assert bare is not None
    assert looked_on(wrapped) == replace(bare, wrapped=codec)
    assert survey(str(wrapped)) == Shape("docker-archive", codec)
    wrapped.write_bytes(wrapped.read_bytes()[:-20])
    cut = looked_on(wrapped)
    assert (cut.layout, cut.wrapped) == ("broken", codec)


def test_what_cannot_be_looked_at(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        survey(f"docker-archive:{tmp_path / 'nothing'}")
    with pytest.raises(Unsupported):
        survey("docker-archive:-")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unsupported):
        survey(str(tmp_path / "pipe"))


def test_limits_are_told_with_their_place(tmp_path: Path) -> None:
    path = str(docker_archive(tmp_path / "a.tar", [make_image()]))
    with pytest.raises(LimitError, match=r"a\.tar: members of an archive") as many:
        survey(path, Limits(member_count=2))
    assert many.value.where == path
    with pytest.raises(LimitError, match=r"a\.tar: bytes of names in an archive"):
        survey(path, Limits(member_names=100))
    with pytest.raises(ManifestTooLarge, match=r"a\.tar: manifest\.json"):
        survey(path, Limits(docker_manifest=50))
    with pytest.raises(ConfigTooLarge, match=r"a\.tar: [0-9a-f]+\.json"):
        survey(path, Limits(config=50))
    climbing = str(archive(tmp_path / "b.tar", [("../x", b"")] * 20))
    with pytest.raises(LimitError, match="members of an archive"):
        survey(climbing, Limits(member_count=19))
    assert survey(climbing, Limits(member_count=20)) is not None
    named = str(archive(tmp_path / "c.tar", [("é" * 10, b"")]))
    assert survey(named, Limits(member_names=20)) is not None
    with pytest.raises(LimitError, match="bytes of names"):
        survey(named, Limits(member_names=19))


def test_no_more_is_kept_of_an_entry_than_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(40):
            member = tarfile.TarInfo(f"{number}")
            member.pax_headers = {"comment": "c" * 500_000}
            tar.addfile(member)
    tracemalloc.start()
    try:
        survey(str(path))
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("path", "clean", "out"),
    [("a/b", "a/b", False), ("./a", "a", False), ("../a", "a", True), ("a/../../b", "b", True), ("a/../b", "b", False)],
)
def test_names_are_kept_inside(path: str, clean: str, out: bool) -> None:
    assert (inside(path), leads_out(path)) == (clean, out)
