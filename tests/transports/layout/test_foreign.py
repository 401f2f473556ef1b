"""A directory that is no layout is called by what it is, and the remedy is a command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import UnsupportedFormat
from support.image_builders import archive_members, make_image, oci_layout

KINDS = {
    "files of a container": ["etc/passwd", "usr/bin/sh", "bin/sh"],
    "OCI runtime bundle": ["config.json", "rootfs/bin/sh"],
    "docker save that was unpacked": ["repositories", "a" * 64 + "/json"],
    "a Helm chart": ["Chart.yaml", "values.yaml"],
    "what an image is built of": ["Dockerfile", "src/main.c"],
    "archives stand in it, such as app.tar": ["app.tar", "b.tar.gz"],
    "it has no index.json and blobs .there are: a, b, c and 1 more": ["a", "b", "c", "d"],
    "it has no index.json .there are: blobs": ["blobs/sha256/x"],
    "it is empty": [],
}


@pytest.mark.parametrize(("told", "names"), KINDS.items())
@pytest.mark.parametrize("transport", ["", "oci:", "docker-archive:", "oci-archive:"])
def test_what_it_is_in_a_word(tmp_path: Path, told: str, names: list[str], transport: str) -> None:
    place = tmp_path / "d"
    place.mkdir()
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(b"{}")
    with pytest.raises(UnsupportedFormat, match=told) as caught:
        occy_fast.inspect(f"{transport}{place}")
    assert caught.value.remedy


def test_what_skopeo_writes_as_dir(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b'{"schemaVersion":2}')
    (tmp_path / "version").write_bytes(b"Directory Transport Version: 1.1\n")
    with pytest.raises(UnsupportedFormat, match="what skopeo writes as dir:") as caught:
        occy_fast.inspect(str(tmp_path))
    assert str(caught.value.remedy).startswith(f"skopeo copy dir:{tmp_path} oci:")


def test_an_unpacked_archive_is_packed_by_the_command_that_is_told(tmp_path: Path) -> None:
    place = tmp_path / "my app"
    for name, data in archive_members([make_image("a")]):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    with pytest.raises(UnsupportedFormat, match="unpacked") as caught:
        occy_fast.inspect(str(place))
    command, _, archive = str(caught.value.remedy).partition(", and name ")
    subprocess.run(["sh", "-ec", command], check=True)
    assert occy_fast.inspect(archive).images


def test_a_layout_one_level_below(tmp_path: Path) -> None:
    oci_layout(tmp_path / "image", [make_image("a")])
    with pytest.raises(UnsupportedFormat) as caught:
        occy_fast.inspect(str(tmp_path))
    assert caught.value.remedy == f"oci:{tmp_path}/image reads it"


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_a_layout_that_is_taken_for_an_archive(tmp_path: Path, transport: str) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    with pytest.raises(UnsupportedFormat, match="a layout: a directory, and no archive") as caught:
        occy_fast.inspect(f"{transport}:{layout}")
    assert caught.value.remedy == f"oci:{layout} reads it"


@pytest.mark.parametrize("transport", ["", "oci:"])
def test_a_layout_without_oci_layout_is_read_with_a_warning(tmp_path: Path, transport: str) -> None:
    layout = oci_layout(tmp_path / "my layout", [make_image("a")])
    (layout / "oci-layout").unlink()
    source = f"{transport}{layout}"
    (warning,) = occy_fast.inspect(source).warnings
    assert "oci-layout: it is missing" in warning
    assert any("oci-layout: it is missing" in note for note in occy_fast.plan(source, f"oci:{tmp_path}/out").notes)
    (finding,) = occy_fast.verify(source).findings
    assert (finding.severity, str(finding.place)) == ("warning", "oci-layout")
    assert finding.error is not None
    subprocess.run(["sh", "-ec", str(finding.error.remedy)], check=True)
    assert not occy_fast.verify(source).findings


@pytest.mark.parametrize("version", ["2.0.0", "1.1.0", ""])
def test_another_version_of_the_layout_stays_refused(tmp_path: Path, version: str) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    (layout / "oci-layout").write_text(f'{{"imageLayoutVersion":"{version}"}}')
    with pytest.raises(UnsupportedFormat, match="image layout version"):
        occy_fast.inspect(str(layout))


def test_a_layout_without_oci_layout_is_added_to_only_once_it_has_one(tmp_path: Path) -> None:
    source = oci_layout(tmp_path / "in", [make_image("a")])
    layout = shutil.copytree(source, tmp_path / "my out")
    (layout / "oci-layout").unlink()
    with pytest.raises(UnsupportedFormat, match="a layout without oci-layout") as caught:
        occy_fast.convert(f"oci:{source}", f"oci:{layout}:b")
    subprocess.run(["sh", "-ec", str(caught.value.remedy)], check=True)
    occy_fast.convert(f"oci:{source}", f"oci:{layout}:b")
    assert {image.ref for image in occy_fast.inspect(str(layout)).images} >= {"b"}
