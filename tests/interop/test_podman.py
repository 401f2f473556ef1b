"""podman loads, pulls and runs what the library writes, and the library reads what podman saves."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.consumers import GREETING, Client, Saved, archive_images, layout_images, layout_place, occy, unpack

pytestmark = pytest.mark.interop


@pytest.fixture(params=["podman", "podman5"])
def each_podman(request: pytest.FixtureRequest) -> Client:
    client: Client = request.getfixturevalue(request.param)
    return client


def _runs(podman: Client, name: str, *command: str) -> str:
    # podman raises limits to the highest there are, which root without CAP_SYS_RESOURCE may not.
    limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
    options = ("--rm", "--network", "none", "--pull", "never", "--log-driver", "none", *limits)
    return podman("run", *options, name, *command)


@pytest.mark.parametrize(
    "options", [("--compression", "none"), ("--compression", "gzip"), ("--archive-layout", "docker-20.10")]
)
def test_podman_loads_an_archive(
    each_podman: Client, saved: Saved, tag: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    made = tmp_path / "made.tar"
    occy("convert", *options, f"docker-archive:{saved.path}", f"docker-archive:{made}:{tag}")
    each_podman("load", "--input", made)
    assert each_podman.known(tag) == saved.known
    assert _runs(each_podman, tag).strip() == GREETING
    each_podman.forget(saved.known)


@pytest.mark.parametrize(
    ("family", "compression"),
    [
        ("oci", "none"),
        ("oci", "gzip"),
        ("oci", "zstd"),
        ("docker", "none"),
        ("docker", "gzip"),
    ],  # not zstd: 4.3 knows no Docker type for it
)
def test_podman_pulls_a_layout(
    each_podman: Client, saved: Saved, tmp_path: Path, compression: str, family: str
) -> None:
    layout = tmp_path / "layout"
    options = ("--compression", compression, "--format", family)
    occy("convert", *options, f"docker-archive:{saved.path}", f"oci:{layout}:1")
    each_podman("pull", "--quiet", layout_place(layout, family))
    assert saved.known.image_id in each_podman.ids()
    name = saved.known.image_id.removeprefix("sha256:")
    assert each_podman.known(name) == saved.known
    assert _runs(each_podman, name).strip() == GREETING
    assert _runs(each_podman, name, "ls", "/srv").split("\n")[:3] == ["a", "b", "c"]
    each_podman.forget(saved.known)


@pytest.mark.parametrize(
    ("family", "compression"), [("oci", "none"), ("oci", "gzip"), ("oci", "zstd"), ("docker", "gzip")]
)
def test_podman_loads_an_oci_archive(
    each_podman: Client, saved: Saved, tag: str, tmp_path: Path, compression: str, family: str
) -> None:
    """Under the name that the archive's index gives it."""
    made = tmp_path / "made.tar"
    options = ("--compression", compression, "--format", family)
    occy("convert", *options, f"docker-archive:{saved.path}", f"oci-archive:{made}:{tag}")
    each_podman("load", "--input", made)
    assert saved.known.image_id in each_podman.ids()
    name = tag if family == "oci" else saved.known.image_id.removeprefix("sha256:")  # it names no Docker manifest
    assert each_podman.known(name) == saved.known
    assert _runs(each_podman, name).strip() == GREETING
    each_podman.forget(saved.known)


@pytest.mark.parametrize("form", ["docker-archive", "oci-dir", "oci-archive"])
def test_what_podman_saves_is_read(each_podman: Client, saved: Saved, tag: str, tmp_path: Path, form: str) -> None:
    theirs, archive, layout = tmp_path / "theirs", tmp_path / "back.tar", tmp_path / "layout"
    each_podman("load", "--input", saved.path)
    each_podman("save", "--quiet", "--format", form, "--output", theirs, saved.name)
    each_podman.forget(saved.known)
    if form == "docker-archive":
        source = f"docker-archive:{theirs}"
        [(_, before)] = archive_images(theirs)
    elif form == "oci-archive":
        source = str(theirs)
        [(_, before)] = layout_images(unpack(theirs, tmp_path / "unpacked"))
    else:
        source = f"oci:{theirs}"
        [(_, before)] = layout_images(theirs)
    assert before.diff_ids == saved.known.diff_ids
    occy("verify", source)
    occy("convert", "--compression", "zstd", source, f"oci:{layout}:1")
    occy("convert", f"oci:{layout}:1", f"docker-archive:{archive}:{tag}")
    assert archive_images(archive) == [([tag], before)]
    each_podman("load", "--input", archive)
    assert each_podman.known(tag) == before
    assert _runs(each_podman, tag).strip() == GREETING
    each_podman.forget(before)


def test_several_images_that_podman_saves_are_read(each_podman: Client, saved: Saved, tmp_path: Path) -> None:
    theirs, layout, back = tmp_path / "theirs.tar", tmp_path / "layout", tmp_path / "back.tar"
    each_podman("load", "--input", saved.path)
    each_podman("tag", saved.name, "example.com/other:2")
    each_podman("save", "--quiet", "--multi-image-archive", "--output", theirs, saved.name, "example.com/other:2")
    each_podman.forget(saved.known)
    occy("convert", f"docker-archive:{theirs}", f"oci:{layout}")
    occy("convert", f"oci:{layout}", f"docker-archive:{back}")
    names = {name: known for images in (archive_images(back),) for tags, known in images for name in tags}
    assert names == {saved.name: saved.known, "example.com/other:2": saved.known}
    each_podman("load", "--input", back)
    assert each_podman.known("example.com/other:2") == saved.known
    each_podman.forget(saved.known)
