"""A tar that holds no image is called by what it holds, and the remedy can be pasted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import BadArchive, UnsupportedFormat
from support.image_builders import archive_members, dumps, make_image, make_tar, oci_layout
from support.piping import piped


def layout_members(tmp_path: Path) -> list[tuple[str, bytes]]:
    layout = oci_layout(tmp_path / "layout", [make_image("a")])
    files = sorted(path for path in layout.rglob("*") if path.is_file())
    return [(str(path.relative_to(layout)), path.read_bytes()) for path in files]


CASES = [
    ([("etc/passwd", b""), ("usr/bin/sh", b""), ("bin", b""), ("var/manifest.json", b"[]")], "files of a container"),
    ([(".dockerenv", b""), ("app/run", b"")], "files of a container"),
    ([("config.json", b"{}"), ("rootfs/bin/sh", b"")], "OCI runtime bundle"),
    ([("app/Chart.yaml", b""), ("app/values.yaml", b""), ("app/templates/a.yaml", b"")], "Helm chart"),
    ([("app.tar", b"x")], "a tar around an archive, app.tar"),
    ([("app.tar.gz", b"x")], "a tar around an archive, app.tar.gz"),
    ([], "nothing in it"),
    ([("a", b""), ("b/c", b""), ("d", b""), ("e", b"")], "there are: a, b, d and 1 more"),
    ([("site/manifest.json", b"{}"), ("site/icon.png", b"")], "without manifest.json or index.json"),
    ([("a/manifest.json", b"[]"), ("a/x.tar", b""), ("b/manifest.json", b"[]"), ("b/x.tar", b"")], "there are: a, b"),
]


@pytest.mark.parametrize(("members", "told"), CASES)
@pytest.mark.parametrize("transport", ["", "docker-archive:", "oci-archive:"])
def test_what_it_is_in_a_word(tmp_path: Path, members: list[tuple[str, bytes]], told: str, transport: str) -> None:
    raw = make_tar(members)
    (tmp_path / "a.tar").write_bytes(raw)
    with piped(tmp_path / "pipe", raw) as pipe:
        for path in (tmp_path / "a.tar", pipe):
            with pytest.raises(UnsupportedFormat, match=told) as caught:
                occy_fast.inspect(f"{transport}{path}")
            assert caught.value.remedy


def test_a_file_of_zeros(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(bytes(1 << 20))
    with pytest.raises(UnsupportedFormat, match="a file of zeros"):
        occy_fast.inspect(str(tmp_path / "a.tar"))


@pytest.mark.parametrize("folder", ["image", "./image", "out/my app", "a/b/c"])
@pytest.mark.parametrize("kind", ["docker", "oci"])
def test_an_image_in_a_folder_is_lifted_by_the_command_that_is_told(tmp_path: Path, folder: str, kind: str) -> None:
    members = archive_members([make_image("a")]) if kind == "docker" else layout_members(tmp_path)
    (tmp_path / "a.tar.gz").write_bytes(make_tar([(f"{folder}/{name}", data) for name, data in members]))
    with pytest.raises(UnsupportedFormat, match="stands in a folder") as caught:
        occy_fast.inspect(str(tmp_path / "a.tar.gz"))
    command, _, result = str(caught.value.remedy).partition(", and name ")
    subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True)
    assert occy_fast.inspect(result).images


@pytest.mark.parametrize("layers", [["", "b.tar"], ["a.tar", ""], [""]])
def test_a_thin_archive_is_called_so(tmp_path: Path, layers: list[str]) -> None:
    members = dict(archive_members([make_image("a")]))
    members["manifest.json"] = dumps([{"Config": "c.json", "RepoTags": ["a:1"], "Layers": layers}])
    (tmp_path / "a.tar").write_bytes(make_tar(list(members.items())))
    with pytest.raises(BadArchive, match=rf"thin archive: layer {layers.index('') + 1} ") as caught:
        occy_fast.inspect(str(tmp_path / "a.tar"))
    assert "docker save" in str(caught.value.remedy)


@pytest.mark.parametrize("transport", ["", "oci-archive:"])
def test_a_layout_in_a_tar_without_oci_layout_is_read_with_a_warning(tmp_path: Path, transport: str) -> None:
    raw = make_tar([member for member in layout_members(tmp_path) if member[0] != "oci-layout"])
    path = tmp_path / "a.tar"
    path.write_bytes(raw)
    plan = occy_fast.plan(f"{transport}{path}", f"oci:{path}.d")
    assert any("oci-layout: it is missing" in note for note in plan.notes)
    (finding,) = occy_fast.verify(f"{transport}{path}").findings
    assert finding.severity == "warning"
    with piped(tmp_path / "pipe", raw) as pipe:
        report = occy_fast.inspect(f"{transport}{pipe}")
    assert report.images
    assert "oci-layout: it is missing" in report.warnings[0]
    with piped(tmp_path / "pipe2", raw) as pipe:
        result = occy_fast.convert(f"{transport}{pipe}", f"oci:{tmp_path}/out")
    assert any("oci-layout: it is missing" in note for note in result.plan.notes)
    assert not occy_fast.verify(f"oci:{tmp_path}/out").findings
