"""dockerd loads, runs and pulls what the library writes, under the id the image has always had."""

from __future__ import annotations

from pathlib import Path

import pytest
from consumers import GREETING, Client, Saved, archive_images, layout_images, layout_place, occy

pytestmark = pytest.mark.interop


def _loads_and_runs(docker: Client, archive: Path, name: str, saved: Saved) -> None:
    assert saved.known.image_id not in docker.ids()
    docker("load", "--input", archive)
    assert docker.known(name) == saved.known
    assert docker("run", "--rm", "--network", "none", name).strip() == GREETING
    assert docker("run", "--rm", "--network", "none", name, "stat", "-c", "%a %u:%g", "/srv/a/greeting", "/srv/a") == (
        "4755 0:0\n755 1000:2000\n"
    )
    assert "/srv/gone" not in docker("run", "--rm", "--network", "none", name, "find", "/srv")
    docker.forget(saved.known)


@pytest.mark.parametrize("compression", [(), ("--compression", "none"), ("--compression", "gzip")])
def test_docker_loads_an_archive_made_from_an_archive(
    docker: Client, saved: Saved, tag: str, tmp_path: Path, compression: tuple[str, ...]
) -> None:
    made = tmp_path / "made.tar"
    occy("convert", *compression, f"docker-archive:{saved.path}", f"docker-archive:{made}:{tag}")
    assert archive_images(made) == [([tag], saved.known)]
    _loads_and_runs(docker, made, tag, saved)


@pytest.mark.parametrize(
    ("layout_compression", "archive_compression"),
    [
        ("none", ()),
        ("gzip", ()),
        ("gzip:2", ("--compression", "none")),
        ("zstd", ()),
        ("zstd:9", ("--compression", "gzip")),
    ],
)
def test_docker_loads_an_archive_that_was_a_layout(
    docker: Client,
    saved: Saved,
    tag: str,
    tmp_path: Path,
    layout_compression: str,
    archive_compression: tuple[str, ...],
) -> None:
    layout, back = tmp_path / "layout", tmp_path / "back.tar"
    occy("convert", "--compression", layout_compression, f"docker-archive:{saved.path}", f"oci:{layout}:1")
    [(_, known)] = layout_images(layout)
    assert known == saved.known
    occy("convert", *archive_compression, f"oci:{layout}:1", f"docker-archive:{back}:{tag}")
    occy("verify", f"docker-archive:{back}")
    _loads_and_runs(docker, back, tag, saved)


def test_docker_loads_what_skopeo_encoded(
    docker: Client, skopeo: Client, saved: Saved, tag: str, tmp_path: Path
) -> None:
    """skopeo writes a config of its own: another id, the same diff_ids."""
    layout, back = tmp_path / "layout", tmp_path / "back.tar"
    skopeo("copy", f"docker-archive:{saved.path}", f"oci:{layout}:1")
    [(_, rewritten)] = layout_images(layout)
    assert rewritten.diff_ids == saved.known.diff_ids
    occy("convert", f"oci:{layout}:1", f"docker-archive:{back}:{tag}")
    docker("load", "--input", back)
    assert docker.known(tag) == rewritten
    assert docker("run", "--rm", "--network", "none", tag).strip() == GREETING
    docker.forget(rewritten)


def test_docker_loads_several_images_of_one_archive(docker: Client, saved: Saved, tmp_path: Path) -> None:
    """`docker save one two`, whose layers are partly shared, through a layout and back."""
    both, layout, back = tmp_path / "both.tar", tmp_path / "layout", tmp_path / "back.tar"
    docker("load", "--input", saved.path)
    (tmp_path / "Dockerfile").write_text(f"FROM {saved.name}\nRUN echo second > /srv/second\n")
    docker("build", "--network", "none", "--tag", "example.com/second:2", tmp_path)
    second = docker.known("example.com/second:2")
    docker("save", "--output", both, saved.name, "example.com/second:2")
    docker.forget(second)
    docker.forget(saved.known)

    occy("convert", "--compression", "zstd", f"docker-archive:{both}", f"oci:{layout}")
    occy("convert", f"oci:{layout}", f"docker-archive:{back}")
    docker("load", "--input", back)
    assert docker.known(saved.name) == saved.known
    assert docker.known("example.com/second:2") == second
    assert docker("run", "--rm", "--network", "none", "example.com/second:2", "cat", "/srv/second") == "second\n"
    docker.forget(second)
    docker.forget(saved.known)


@pytest.mark.parametrize("family", ["oci", "docker"])
def test_docker_pulls_a_layout_through_a_registry(
    docker: Client, skopeo: Client, registry: str, saved: Saved, tmp_path: Path, family: str
) -> None:
    layout, name = tmp_path / "layout", f"{registry}/pulled/{family}:1"
    occy("convert", "--compression", "gzip", "--format", family, f"docker-archive:{saved.path}", f"oci:{layout}:1")
    skopeo("copy", "--dest-tls-verify=false", layout_place(layout, family), f"docker://{name}")
    docker("pull", name)
    assert docker.known(name) == saved.known
    assert docker("run", "--rm", "--network", "none", name).strip() == GREETING
    docker.forget(saved.known)


def test_docker_reads_no_zstd(docker: Client, skopeo: Client, registry: str, saved: Saved, tmp_path: Path) -> None:
    """The reason why a docker-archive gets its zstd layers decoded: dockerd 20.10 takes them for broken tars."""
    layout, name = tmp_path / "layout", f"{registry}/pulled/zstd:1"
    occy("convert", "--compression", "zstd", f"docker-archive:{saved.path}", f"oci:{layout}:1")
    skopeo("copy", "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://{name}")
    version = docker("version", "--format", "{{.Server.Version}}").partition("+")[0]
    if int(version.partition(".")[0]) >= 23:
        docker("pull", name)
        docker.forget(saved.known)
    else:
        docker("pull", name, expect=1)
