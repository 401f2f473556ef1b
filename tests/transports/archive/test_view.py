"""How loaders meet archives: in a file, and in a stream."""

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

from occy_fast.errors import ConfigTooLarge, LimitError, ManifestTooLarge, NotFound, OccyError
from occy_fast.image.loader_view import ListedImage, ListedLayer, LoaderView
from occy_fast.spec.limits import LIMITS, Limits
from support.image_builders import docker_archive, dumps, make_image, make_layer, oci_layout
from support.opening import open_source, open_stream
from support.piping import piped

LAYER = make_layer()
ROOTFS = {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}
CONFIG = dumps({"os": "linux", "architecture": "amd64", "rootfs": ROOTFS})
LEGACY = "ab" * 32

Entry = tuple[str, bytes | str | None]


def view_of(locator: str, limits: Limits = LIMITS) -> LoaderView | None:
    """Return what a source shows of itself, a stream before it has come."""
    with open_source(locator, limits, for_loaders=True) as source:
        return source.loader_view()


def known_view_of(locator: str) -> LoaderView:
    found = view_of(locator)
    assert found is not None
    return found


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


def viewed(tmp_path: Path, *entries: Entry, hard: tuple[str, ...] = ()) -> LoaderView:
    """Return the view that a file gives; a stream gives the same once it has come."""
    path = archive(tmp_path / "a.tar", list(entries), hard)
    found = known_view_of(f"docker-archive:{path}")
    with piped(tmp_path / "pipe", path.read_bytes()) as pipe:
        assert streamed_view_of(pipe) == found
    return found


def streamed_view_of(path: Path, limits: Limits = LIMITS, selector: str = "") -> LoaderView | None:
    with open_stream(f"docker-archive:{path}{selector}", limits, for_loaders=True) as source:
        try:
            for _ in source.blobs():
                pass
        except LimitError:
            raise
        except OccyError as error:
            return source.loader_view(error)
        return source.loader_view()


def only_layer(view: LoaderView) -> ListedLayer:
    assert view.images is not None
    [image] = view.images
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
        viewed(tmp_path, *extra, ("config.json", CONFIG), ("manifest.json", manifest("b/layer.tar")))
    )
    assert (layer.link, layer.present) == (link, present)


def test_a_hard_link_leads_from_the_top(tmp_path: Path) -> None:
    entries: list[Entry] = [("a/layer.tar", LAYER), ("b/layer.tar", "a/layer.tar"), ("config.json", CONFIG)]
    layer = only_layer(
        viewed(tmp_path, *entries, ("manifest.json", manifest("b/layer.tar")), hard=("b/layer.tar",))
    )
    assert (layer.link, layer.present) == ("hard", True)


def test_the_last_of_equal_names_counts(tmp_path: Path) -> None:
    view = viewed(
        tmp_path,
        ("manifest.json", b"[]"),
        ("config.json", CONFIG),
        ("l.tar", LAYER),
        ("manifest.json", manifest("l.tar")),
    )
    assert only_layer(view).path == "l.tar"


def test_what_climbs_is_told_and_stays_inside(tmp_path: Path) -> None:
    view = viewed(tmp_path, ("../config.json", CONFIG), ("l.tar", LAYER), ("manifest.json", manifest("l.tar")))
    assert view.escaping == ("../config.json",)
    assert view.images is not None
    assert view.images[0].present


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
    found = viewed(tmp_path, ("manifest.json", raw)).images
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
    images = viewed(tmp_path, *entries, ("manifest.json", manifest())).images
    assert images is not None
    assert (images[0].present, images[0].readable, images[0].diff_ids) == (present, readable, diff_ids)


@pytest.mark.parametrize("place", ["manifest.json", "/manifest.json", "../manifest.json"])
@pytest.mark.parametrize(
    "raw", [b"", b"text", b"null", b" " * 600 + b"[]", b"\xef\xbb\xbf[]", "[]".encode("utf-16"), gzip.compress(b"[]")]
)
def test_a_manifest_of_any_kind_is_seen_alike(tmp_path: Path, place: str, raw: bytes) -> None:
    """In a file as when it comes by; Go's JSON has no mark of its encoding, and no encoding but UTF-8."""
    assert viewed(tmp_path, (place, raw)).images == (() if raw.strip() in (b"null", b"[]") else None)


@pytest.mark.parametrize("raw", [b"", b"text", b"null", b"[]", gzip.compress(CONFIG), LAYER, b"\xef\xbb\xbf" + CONFIG])
@pytest.mark.parametrize("place", ["config.json", "../config.json"])
def test_a_config_of_any_kind_is_seen_alike(tmp_path: Path, place: str, raw: bytes) -> None:
    view = viewed(tmp_path, (place, raw), ("l.tar", LAYER), ("manifest.json", manifest("l.tar", config=place)))
    assert view.images is not None
    assert not view.images[0].readable


def test_keys_are_read_in_any_case(tmp_path: Path) -> None:
    raw = dumps([{"config": "c", "repoTags": ["a:1"], "layers": ["l.tar"]}])
    images = viewed(tmp_path, ("c", CONFIG), ("l.tar", LAYER), ("manifest.json", raw)).images
    assert images is not None
    assert (images[0].tags, images[0].config, [layer.path for layer in images[0].layers]) == (("a:1",), "c", ["l.tar"])


def test_an_archive_from_before_docker_1_10_is_known_by_its_names(tmp_path: Path) -> None:
    layer: list[Entry] = [(LEGACY, None), (f"{LEGACY}/json", b"{}"), (f"{LEGACY}/layer.tar", LAYER)]
    assert viewed(tmp_path, *layer, ("repositories", b"{}")) == LoaderView("legacy", repositories=True)
    assert viewed(tmp_path, *layer, ("zzz", None)) == LoaderView("legacy", stray_directories=("zzz",))


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
    view = viewed(tmp_path, *layer, sign, *([("repositories", b"{}")] if named else []))
    assert (view.layout, view.reason) == ("broken", "")
    assert sign[0] in view.problem
    assert view.problem.endswith("cut short, save it again")
    assert viewed(tmp_path, *layer, sign, ("manifest.json", b"[]")).layout == "docker-archive"


def test_a_cut_between_two_members_is_in_no_loader_s_words(tmp_path: Path) -> None:
    whole = docker_archive(tmp_path / "a.tar", [make_image()]).read_bytes()
    for cut, reason in ((1100, "unexpected EOF"), (len(whole.rstrip(b"\0")) // 512 * 512 + 512, "")):
        (tmp_path / "b.tar").write_bytes(whole[:cut])
        found = known_view_of(str(tmp_path / "b.tar"))
        assert (found.layout, found.reason) == ("broken", reason)
        assert found.problem.endswith(f"at byte {cut} of the tar: cut short, copy or save it again")
        with piped(tmp_path / "pipe", whole[:cut]) as pipe:
            assert streamed_view_of(pipe) == found


def test_layouts_and_what_is_none(tmp_path: Path) -> None:
    built = make_image()
    assert view_of(f"oci:{oci_layout(tmp_path / 'layout', [built])}") == LoaderView("layout")
    assert viewed(tmp_path, ("index.json", b"{}"), ("oci-layout", b"{}")) == LoaderView("oci-archive")
    assert viewed(tmp_path, ("index.json", b"{}")) == LoaderView("oci-archive", versioned=False)
    assert viewed(tmp_path, ("passwd", b"x")) == LoaderView("empty")
    assert viewed(tmp_path, ("a", b"x"), ("etc/b", b"x"), ("Usr/b", b"x")) == LoaderView(
        "empty", stray_directories=("Usr",)
    )
    assert known_view_of(str(docker_archive(tmp_path / "dual.tar", [built], "C"))).dual
    (tmp_path / "garbage").write_bytes(b"x" * 700)
    broken = known_view_of(str(tmp_path / "garbage"))
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
    bare = known_view_of(str(plain))
    assert streamed_view_of(wrapped) == replace(bare, compression=codec)
    assert view_of(str(wrapped)) == LoaderView("docker-archive", codec)
    wrapped.write_bytes(wrapped.read_bytes()[:-20])
    cut = streamed_view_of(wrapped)
    assert cut is not None
    assert (cut.layout, cut.compression) == ("broken", codec)


def test_what_shows_nothing_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        view_of(f"docker-archive:{tmp_path / 'nothing'}")
    os.mkfifo(tmp_path / "pipe")
    assert view_of("docker-archive:-") is view_of(str(tmp_path / "pipe")) is None


@pytest.mark.parametrize(("selector", "chosen"), [("", [0, 1]), (":@1", [1]), (":b:1", [1]), (":c:1", [])])
def test_of_several_images_those_are_seen_that_are_selected(tmp_path: Path, selector: str, chosen: list[int]) -> None:
    path = docker_archive(tmp_path / "a.tar", [make_image(names=["a:1"]), make_image("b", names=["b:1"])])
    whole = known_view_of(f"docker-archive:{path}").images
    assert whole is not None
    expected: list[ListedImage] = [whole[at] for at in chosen]
    assert list(known_view_of(f"docker-archive:{path}{selector}").images or ()) == expected
    with piped(tmp_path / "pipe", path.read_bytes()) as pipe:
        found = streamed_view_of(pipe, selector=selector)
    assert found is not None
    assert list(found.images or ()) == expected


def test_limits_are_told_with_their_place(tmp_path: Path) -> None:
    path = str(docker_archive(tmp_path / "a.tar", [make_image()]))
    with pytest.raises(LimitError, match=r"a\.tar: members of an archive") as many:
        view_of(path, Limits(member_count=2))
    assert many.value.where == path
    with pytest.raises(LimitError, match=r"a\.tar: bytes of names in an archive"):
        view_of(path, Limits(member_names=100))
    with pytest.raises(ManifestTooLarge, match=r"a\.tar: manifest\.json"):
        view_of(path, Limits(docker_manifest=50))
    with pytest.raises(ConfigTooLarge, match=r"a\.tar: [0-9a-f]+\.json"):
        view_of(path, Limits(config=50))
    climbing = str(archive(tmp_path / "b.tar", [("../x", b"")] * 20))
    with pytest.raises(LimitError, match="members of an archive"):
        view_of(climbing, Limits(member_count=19))
    assert view_of(climbing, Limits(member_count=20)) is not None
    named = str(archive(tmp_path / "c.tar", [("é" * 10, b"")]))
    assert view_of(named, Limits(member_names=20)) is not None
    with pytest.raises(LimitError, match="bytes of names"):
        view_of(named, Limits(member_names=19))


def test_no_more_is_kept_of_an_entry_than_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(40):
            member = tarfile.TarInfo(f"{number}")
            member.pax_headers = {"comment": "c" * 500_000}
            tar.addfile(member)
    tracemalloc.start()
    try:
        view_of(str(path))
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
