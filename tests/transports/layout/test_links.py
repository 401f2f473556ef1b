"""Symbolic links of a layout are followed inside it and where the caller allows, and nowhere else."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

import pytest

import occy_fast
from occy_fast import errors
from occy_fast.errors import BadArchive, LinkRefused, MissingBlob, OccyError, PlanStale, UsageError
from occy_fast.image.blob import FileRegion
from support.image_builders import docker_archive, make_image, oci_layout, sha256
from support.layouts import break_layout, read

IMAGE = make_image("a", names=("t/app:1",))


def blobs_of(layout: Path) -> list[Path]:
    return sorted((layout / "blobs/sha256").iterdir())


def link_blobs(layout: Path, store: Path, how: str) -> None:
    """Move every blob into *store*, and leave a link in its place."""
    for number, blob in enumerate(blobs_of(layout)):
        place = store / (f"h{number}-blob/data" if how == "nix" else blob.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        blob.rename(place)
        blob.symlink_to(os.path.relpath(place, blob.parent) if how == "relative" else place)


def move_and_link(layout: Path, store: Path, name: str) -> None:
    store.mkdir(parents=True, exist_ok=True)
    (layout / name).rename(store / Path(name).name)
    (layout / name).symlink_to(store / Path(name).name)


def linked(tmp_path: Path, how: str, store: Path) -> Path:
    layout = oci_layout(tmp_path / "layout", [IMAGE], ["t/app:1"])
    if how in ("relative", "absolute", "nix"):
        link_blobs(layout, store, how)
    elif how == "chain":
        link_blobs(layout, store / "first", "absolute")
        for blob in blobs_of(layout):
            hop = store / f"hop-{blob.name}"
            hop.symlink_to(os.readlink(blob))
            blob.unlink()
            blob.symlink_to(hop)
    elif how == "all":
        for name in ("blobs/sha256", "blobs", "index.json", "oci-layout"):
            move_and_link(layout, store, name)
    else:
        move_and_link(layout, store, how)
    return layout


WAYS = ["relative", "absolute", "nix", "chain", "blobs", "blobs/sha256", "index.json", "oci-layout", "all"]


def allowed_by(error: OccyError) -> list[str]:
    """Return the directories that a remedy names, as a shell reads it."""
    words = shlex.split(str(error.remedy).removeprefix("allow it: "))
    assert words[::2] == ["--follow-links"] * (len(words) // 2)
    return words[1::2]


@pytest.mark.parametrize("how", WAYS)
def test_a_link_out_of_the_layout_is_followed_only_where_it_is_allowed(tmp_path: Path, how: str) -> None:
    layout = linked(tmp_path, how, tmp_path / "a store/of blobs")
    for call in (occy_fast.inspect, lambda path: occy_fast.check(path, ["podman-4.3"])):
        with pytest.raises(LinkRefused, match="leads out of the layout") as caught:
            call(f"oci:{layout}")
    (finding,) = occy_fast.verify(str(layout)).errors
    assert isinstance(finding.error, LinkRefused)
    directories = allowed_by(caught.value)
    assert directories
    for source in (f"oci:{layout}", str(layout)):
        assert occy_fast.verify(source, follow_links=directories).ok
        assert occy_fast.check(source, ["podman-4.3"], deep=True, follow_links=directories).ok
        report = occy_fast.inspect(source, follow_links=directories)
        assert [image.config for image in report.images]
    occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path}/out", follow_links=directories)
    occy_fast.convert(f"oci:{layout}", f"docker-archive:{tmp_path}/out.tar", follow_links=directories, encoding="none")
    assert occy_fast.verify(f"oci:{tmp_path}/out").ok
    assert occy_fast.verify(str(tmp_path / "out.tar")).ok
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
    with occy_fast.open_image(str(layout), follow_links=map(Path, directories)) as contents:
        assert contents.images


@pytest.mark.parametrize("how", WAYS)
def test_a_link_that_stays_inside_is_followed(tmp_path: Path, how: str) -> None:
    layout = linked(tmp_path, how, tmp_path / "layout/store")
    assert occy_fast.verify(str(layout)).ok
    (tmp_path / "door").symlink_to("layout")
    assert occy_fast.verify(f"oci:{tmp_path}/door").ok


def test_a_directory_of_the_same_beginning_is_another(tmp_path: Path) -> None:
    layout = linked(tmp_path, "absolute", tmp_path / "store-of-others")
    (tmp_path / "store").mkdir()
    with pytest.raises(LinkRefused):
        occy_fast.inspect(str(layout), follow_links=[tmp_path / "store"])
    assert occy_fast.inspect(str(layout), follow_links=[tmp_path / "store", tmp_path / "store-of-others"]).images


@pytest.mark.parametrize("how", ["link", "directory", "dots"])
def test_what_is_allowed_leads_no_further(tmp_path: Path, how: str) -> None:
    """Links of the allowed directory count as the layout's own do."""
    layout, store = oci_layout(tmp_path / "layout", [IMAGE]), tmp_path / "store"
    blob = blobs_of(layout)[0]
    (tmp_path / "secret").mkdir()
    blob.rename(tmp_path / "secret/file")
    store.mkdir()
    if how == "link":
        (store / "x").symlink_to("../secret/file")
    elif how == "directory":
        (store / "d").symlink_to(tmp_path / "secret")
    blob.symlink_to(store / {"link": "x", "directory": "d/file", "dots": "../secret/file"}[how])
    with pytest.raises(LinkRefused) as caught:
        read_all(layout, [store])
    assert allowed_by(caught.value) == [str(tmp_path / "secret")]
    read_all(layout, [store, tmp_path / "secret"])


def read_all(layout: Path, follow_links: list[Path]) -> None:
    (named,) = occy_fast.inspect(str(layout), follow_links=follow_links).images
    assert named.layers


@pytest.mark.parametrize("target", ["nowhere", "/nowhere/at/all", "../../../gone", "sub/file"])
def test_a_link_to_nothing_is_a_missing_blob(
    tmp_path: Path, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    layout = oci_layout(tmp_path / "layout", [IMAGE])
    blob = layout / "blobs/sha256" / sha256(IMAGE.blobs[0])
    blob.unlink()
    blob.symlink_to(target)
    with pytest.raises(MissingBlob):
        occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path}/out")
    (finding,) = occy_fast.verify(str(layout)).errors
    assert isinstance(finding.error, MissingBlob)
    assert f"a symbolic link to {target}, where nothing is" in caplog.text


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("itself", "in a circle"),
        ("pair", "in a circle"),
        ("directory", "found a directory"),
        ("fifo", "found a pipe"),
        ("socket", "found a"),
        ("/dev/zero", "leads out"),
        ("/proc/self/fd/0", "into /proc"),
        ("/proc/self/exe", "into /proc"),
        ("/proc/thread-self/exe", "into /proc"),
    ],
)
@pytest.mark.parametrize("name", ["blob", "index.json", "oci-layout"])
def test_what_no_blob_is_behind_a_link(tmp_path: Path, target: str, told: str, name: str) -> None:
    layout = oci_layout(tmp_path / "layout", [IMAGE])
    place = layout / "blobs/sha256" / sha256(IMAGE.blobs[0]) if name == "blob" else layout / name
    place.unlink()
    if target == "directory":
        (layout / "x").mkdir()
    elif target in ("fifo", "socket"):
        os.mknod(layout / "x", (stat.S_IFIFO if target == "fifo" else stat.S_IFSOCK) | 0o600)
    elif target == "pair":
        (layout / "x").symlink_to(place)
    place.symlink_to(target if target.startswith("/") else place.name if target == "itself" else layout / "x")
    with pytest.raises((BadArchive, LinkRefused), match=told):
        occy_fast.inspect(str(layout))


@pytest.mark.parametrize("name", ["blobs", "blobs/sha256"])
def test_a_directory_that_is_a_link_to_a_file(tmp_path: Path, name: str) -> None:
    layout = oci_layout(tmp_path / "layout", [IMAGE])
    (layout / name).rename(layout / "aside")
    (layout / name).symlink_to(layout / "index.json")
    with pytest.raises(BadArchive, match="not a directory"):
        occy_fast.inspect(str(layout))


def test_even_where_all_is_allowed_a_link_of_proc_is_refused(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "layout", [IMAGE])
    blob = blobs_of(layout)[0]
    with blob.open("rb") as file:
        blob.unlink()
        blob.symlink_to(f"/proc/{os.getpid()}/fd/{file.fileno()}")
        with pytest.raises(BadArchive, match="into /proc"):
            occy_fast.inspect(str(layout), follow_links=["/"])


def test_what_a_link_leads_to_never_becomes_a_hard_link(tmp_path: Path) -> None:
    store = tmp_path / "store"
    layout = linked(tmp_path, "relative", store)
    plan = occy_fast.plan(f"oci:{layout}", f"oci:{tmp_path}/out", link=True, follow_links=[store])
    assert any("symbolic links lead to them" in note for note in plan.notes)
    occy_fast.execute(plan)
    assert {path.stat().st_nlink for path in store.iterdir()} == {1}
    with occy_fast.open_image(str(layout), follow_links=[store]) as contents:
        addresses = [layer.blob.address for layer in contents.images[0].root.layers]
    assert all(isinstance(address, FileRegion) and address.borrowed for address in addresses)
    plain = oci_layout(tmp_path / "plain", [IMAGE])
    occy_fast.convert(f"oci:{plain}", f"oci:{tmp_path}/other", link=True)
    assert 2 in {path.stat().st_nlink for path in blobs_of(plain)}


def test_what_a_link_leads_to_is_noticed_when_it_is_swapped(tmp_path: Path) -> None:
    store = tmp_path / "store"
    layout = linked(tmp_path, "relative", store)
    plan = occy_fast.plan(f"oci:{layout}", f"oci:{tmp_path}/out", follow_links=[store])
    store.rename(tmp_path / "old")
    store.mkdir()
    for path in (tmp_path / "old").iterdir():
        (store / path.name).write_bytes(path.read_bytes())
    with pytest.raises(PlanStale):
        occy_fast.execute(plan)


def test_a_directory_swapped_for_a_link_in_between_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer may be an error, and is never a file from elsewhere."""
    from occy_fast.transports.layout import links

    store = tmp_path / "store/deep"
    layout = linked(tmp_path, "absolute", store)
    found = links._final_path

    def swapped(path: str, where: str) -> str:
        answer = found(path, where)
        if store.is_dir() and not store.is_symlink():
            store.rename(tmp_path / "elsewhere")
            store.symlink_to(tmp_path / "elsewhere")
        return answer

    monkeypatch.setattr(links, "_final_path", swapped)
    with pytest.raises(BadArchive):
        occy_fast.inspect(str(layout), follow_links=[tmp_path / "store"])


@pytest.mark.parametrize("how", ["symlinked blobs", "symlinked sha256", "symlinked index", "symlinked oci-layout"])
def test_nothing_is_written_to_a_layout_through_a_link(tmp_path: Path, how: str) -> None:
    source = oci_layout(tmp_path / "in", [make_image("b", names=("t/b:1",))])
    layout = oci_layout(tmp_path / "layout", [IMAGE])
    break_layout(layout, how)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with pytest.raises(BadArchive, match="symbolic link"):
        occy_fast.convert(f"oci:{source}", f"oci:{layout}")
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_links_are_followed_in_a_layout_alone(tmp_path: Path) -> None:
    docker_archive(tmp_path / "a.tar", [IMAGE])
    for call in (occy_fast.inspect, occy_fast.verify):
        with pytest.raises(UsageError, match="follow_links"):
            call(str(tmp_path / "a.tar"), follow_links=[tmp_path])


def test_no_one_is_told_to_allow_everything(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "layout", [IMAGE])
    for number, blob in enumerate(blobs_of(layout)):
        blob.unlink()
        blob.symlink_to(("/etc/passwd", "/usr/bin/env", "/bin/sh")[number % 3])
    with pytest.raises(LinkRefused) as caught:
        occy_fast.inspect(str(layout))
    assert "/" not in allowed_by(caught.value)


def test_layouts_without_links_are_no_business_of_theirs(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "layout", [IMAGE])
    (address,) = {layer.blob.address for layer in read(layout).images[0].root.layers}
    assert not address.borrowed
    assert issubclass(errors.LinkRefused, errors.Unsupported)
