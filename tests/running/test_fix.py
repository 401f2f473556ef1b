"""The command that would make an image readable: what it names, and when there is none."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

import occy_fast
from occy_fast.cli import main
from support.consumers import archive_images
from support.image_builders import archive_members, docker_archive, make_image, make_tar, oci_archive, oci_layout
from support.piping import piped


@pytest.mark.parametrize(
    "name", ["app:1.tar", "a:b:c", "lay:5", "./a:b/app.tar", "a:b/app.tar", "a:b/lay", "-app.tar", "a b'c.tar"]
)
def test_a_mend_never_names_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What stands behind a colon would be a selector, and behind a dash an option."""
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    built = make_image(codec="zstd")
    (oci_layout if "lay" in name else docker_archive)(tmp_path / name, [built])
    taken = name.removeprefix("./").partition(":")[0] if ":" in name else "other"
    other = docker_archive(tmp_path / taken, [make_image()])
    before, there = other.read_bytes(), set(os.listdir(tmp_path))
    source = f"./{name}" if name.startswith("-") else name
    [command] = {finding.fix for finding in occy_fast.check(source, ["docker-20.10"]).findings}
    assert command is not None
    assert main(shlex.split(command)[1:]) == 0
    assert other.read_bytes() == before
    [made] = set(os.listdir(tmp_path)) - there
    assert not occy_fast.check(made, ["docker-20.10"]).findings


def test_a_dash_in_front_is_no_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the library takes it."""
    monkeypatch.chdir(tmp_path)
    docker_archive(tmp_path / "-app.tar", [make_image(codec="zstd")])
    [command] = {finding.fix for finding in occy_fast.check("-app.tar", ["docker-20.10"]).findings}
    assert command is not None
    assert main(shlex.split(command)[1:]) == 0


def test_no_mend_where_no_locator_can_say_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path with a colon is named alone, and one of several images is not."""
    monkeypatch.chdir(tmp_path)
    images = [make_image("a", names=("a:1",)), make_image("b", names=("b:1",))]
    for name, mended in (("a:b.tar", False), ("ab.tar", True)):
        docker_archive(tmp_path / name, images)
        findings = occy_fast.check(name, ["skopeo-1.9"]).findings
        assert [finding.rule for finding in findings] == ["several-images"]
        assert bool(findings[0].fix) == mended


@pytest.mark.parametrize(("kind", "target"), [("oci", "docker-20.10"), ("oci-archive", "apptainer-1.4")])
def test_a_ref_that_nobody_may_write_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    oci_layout(tmp_path / "lay", [make_image(codec="zstd")], ["a~b weird"])
    if kind == "oci-archive":
        oci_archive(tmp_path / "arch", tmp_path / "lay")
    place = "lay" if kind == "oci" else "arch"
    [command] = {finding.fix for finding in occy_fast.check(f"{kind}:{place}:a~b weird", [target]).findings}
    assert command is not None
    assert main(shlex.split(command)[1:]) == 0


@pytest.mark.parametrize("path", [".", "./", "../layout", "../layout/.", "../layout/../layout/"])
def test_a_mend_stands_beside_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    layout = oci_layout(tmp_path / "layout", [make_image(codec="zstd")], ["v1"])
    monkeypatch.chdir(layout)
    [command] = {finding.fix for finding in occy_fast.check(path, ["docker-20.10"]).findings}
    assert command is not None
    assert main(shlex.split(command)[1:]) == 0
    assert sorted(os.listdir(tmp_path)) == ["layout", "layout-docker-20.10.tar"]
    assert sorted(os.listdir(layout)) == ["blobs", "index.json", "oci-layout"]


def test_a_mend_of_what_came_by_is_beside_nothing(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image(codec="zstd")])
    with piped(tmp_path / "pipe", archive.read_bytes()) as pipe:
        [command] = {finding.fix for finding in occy_fast.check(str(pipe), ["docker-20.10"]).findings}
    assert command is not None
    assert shlex.split(command)[3] == "docker-archive:image-docker-20.10.tar"
    with archive.open("rb") as file:
        [command] = {finding.fix for finding in occy_fast.check(f"/dev/fd/{file.fileno()}", ["docker-20.10"]).findings}
    assert command is not None
    assert shlex.split(command)[3] == "docker-archive:image-docker-20.10.tar"


def test_a_tar_without_an_image_is_not_mended(tmp_path: Path) -> None:
    legacy = make_tar([("a" * 64 + "/VERSION", b"1.0"), ("a" * 64 + "/json", b"{}")])
    without = make_tar(member for member in archive_members([make_image()]) if member[0] != "manifest.json")
    for raw in (legacy, without):
        (tmp_path / "a.tar").write_bytes(raw)
        checked = occy_fast.check(str(tmp_path / "a.tar"), ["docker-20.10"])
        assert checked.errors
        assert {finding.fix for finding in checked.findings} == {None}


@pytest.mark.parametrize("target", ["docker-20.10", "docker-1.10"])
@pytest.mark.parametrize(
    ("place", "ref", "called"),
    [
        ("My App_2", None, "my-app-2:latest"),
        ("layout", "a~b weird", "layout:latest"),
        ("layout", "app", "layout:app"),
        ("layout", "example.com/app:2", "example.com/app:2"),
        ("...", None, "image:latest"),
        ("archive.tar.gz", None, "archive:latest"),
        ("tagged.tar", "tagged:3", "tagged:3"),
    ],
)
def test_what_is_mended_for_a_daemon_is_a_file_with_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, ref: str | None, called: str, target: str
) -> None:
    """The command as it is printed; docker load reads no directory, and an image without a name is hard to run."""
    monkeypatch.chdir(tmp_path)
    if ".tar" in place:
        docker_archive(tmp_path / place, [make_image(codec="zstd", names=() if ref is None else (ref,))])
    else:
        oci_layout(tmp_path / place, [make_image(codec="zstd")], [ref])
    [command] = {finding.fix for finding in occy_fast.check(place, [target]).findings}
    assert command is not None
    words = shlex.split(command)
    assert words[3].startswith("docker-archive:")
    assert main(words[1:]) == 0
    checked = occy_fast.check(words[3], [target], deep=True)
    assert checked.findings == ()
    [(names, _)] = archive_images(Path(words[3].partition(":")[2]))
    assert names == [called]


def test_who_pulls_or_copies_a_directory_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    oci_layout(tmp_path / "layout", [make_image(codec="zstd")], ["v1"])
    [command] = {finding.fix for finding in occy_fast.check("layout", ["apptainer-1.4"]).findings}
    assert shlex.split(command or "")[3].startswith("oci:")
