"""An image archive is replaced by the next one, and no other tar is."""

from __future__ import annotations

import gzip
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import Unsupported
from occy_fast.transports.archive.standing import notes_on
from support.image_builders import archive_members, docker_archive, make_image, make_tar, oci_archive, oci_layout

ROOT_FILES = [("etc/passwd", b"root"), ("usr/bin/sh", b"x" * 70_000), ("home/me/thesis.tex", b"years")]
OTHERS = [
    ROOT_FILES,
    [("backup/thesis.tex", b"years of work")],
    [("a", b"b")],
    [("src/manifest.json", b"{}"), ("src/index.json", b"{}")],
    [("blobs/of/clay.txt", b"")],
    [("app/Chart.yaml", b""), ("app/values.yaml", b"")],
    [(f"photos/{number}.jpg", b"") for number in range(5000)],
]
APPLICATION = [("index.html", b""), ("manifest.json", b'{"name": "an application"}')]
PACKINGS: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, lzma.compress]


@pytest.mark.parametrize("members", OTHERS)
@pytest.mark.parametrize("pack", PACKINGS)
@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_a_tar_without_an_image_is_not_replaced(
    tmp_path: Path, members: list[tuple[str, bytes]], pack: Callable[[bytes], bytes], transport: str
) -> None:
    source = f"oci:{oci_layout(tmp_path / 'in', [make_image()])}"
    raw = pack(make_tar(members))
    path = tmp_path / "backup.tar"
    early = occy_fast.plan(source, f"{transport}:{path}")
    path.write_bytes(raw)
    calls = (
        lambda: occy_fast.plan(source, f"{transport}:{path}"),
        lambda: occy_fast.convert(source, f"{transport}:{path}"),
        lambda: occy_fast.execute(early),                # a plan may be older than what it would replace
    )
    for call in calls:
        with pytest.raises(Unsupported, match="a tar stands there that holds no image") as caught:
            call()
        assert caught.value.remedy == "remove it, or name another"
    assert path.read_bytes() == raw


def test_a_tar_with_long_names_first(tmp_path: Path) -> None:
    """PAX and GNU headers stand in front of the first name."""
    source = f"oci:{oci_layout(tmp_path / 'in', [make_image()])}"
    for number, kind in enumerate((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)):
        path = tmp_path / f"{number}.tar"
        with tarfile.open(path, "w", format=kind) as tar:
            tar.addfile(tarfile.TarInfo("long" * 100))
        with pytest.raises(Unsupported, match="holds no image"):
            occy_fast.plan(source, f"docker-archive:{path}")


@pytest.mark.parametrize("pack", PACKINGS)
@pytest.mark.parametrize("kind", ["docker", "docker D", "oci", "dots", "cut", "legacy", "kaniko"])
def test_image_archives_are_replaced(tmp_path: Path, kind: str, pack: Callable[[bytes], bytes]) -> None:
    image = make_image("a")
    layout = oci_layout(tmp_path / "in", [image])
    path = tmp_path / "a.tar"
    if kind in ("docker", "docker D"):
        docker_archive(path, [image], "D") if kind == "docker D" else docker_archive(path, [image])
    elif kind in ("oci", "dots", "cut"):
        oci_archive(path, layout, prefix="./" if kind == "dots" else "")
        if kind == "cut":                                # what a run that was killed elsewhere may leave
            path.write_bytes(path.read_bytes()[:1536])
    elif kind == "legacy":
        path.write_bytes(make_tar([("a" * 64 + "/json", b"{}"), ("a" * 64 + "/layer.tar", b"")]))
    else:
        path.write_bytes(make_tar([("sha256:" + "b" * 64, b"{}"), ("layer.tar.gz", b"")]))
    path.write_bytes(pack(path.read_bytes()))
    assert f"{path} is there, and is replaced" in occy_fast.plan(f"oci:{layout}", f"docker-archive:{path}").notes
    occy_fast.convert(f"oci:{layout}", f"docker-archive:{path}")
    assert occy_fast.verify(str(path)).ok


def test_an_image_far_behind_other_members_is_found(tmp_path: Path) -> None:
    members = [(f"notes/{number}", b"") for number in range(1000)]
    path = tmp_path / "a.tar"
    path.write_bytes(make_tar([*members, *archive_members([make_image("a")])]))
    layout = oci_layout(tmp_path / "in", [make_image()])
    assert occy_fast.plan(f"oci:{layout}", f"docker-archive:{path}").notes


def test_an_application_with_a_manifest_of_its_own_is_no_image(tmp_path: Path) -> None:
    source = f"oci:{oci_layout(tmp_path / 'in', [make_image()])}"
    path = tmp_path / "site.tar"
    path.write_bytes(make_tar(APPLICATION))
    with pytest.raises(Unsupported, match="a tar stands there that holds no image"):
        occy_fast.convert(source, f"docker-archive:{path}")


def test_what_may_not_be_read_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """root may read everything, so the answer of who is not is put in its place."""
    path = tmp_path / "out.tar"
    path.write_bytes(b"whatever")
    opened = os.open

    def refused(name: object, *more: object, **options: object) -> int:
        if name == str(path):
            raise PermissionError(13, "Permission denied")
        return opened(name, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(Unsupported, match="may not be read"):
        notes_on(str(path), "docker-archive:out.tar")
