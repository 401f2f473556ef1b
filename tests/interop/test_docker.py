"""dockerd loads, runs and pulls what the library writes, under the id the image has always had."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from support.consumers import GREETING, Client, Saved, archive_images, layout_images, layout_place, occy

pytestmark = pytest.mark.interop


@pytest.fixture(params=["docker", "docker26"])
def each_docker(request: pytest.FixtureRequest) -> Client:
    """Each dockerd whose image id is the config's digest."""
    client: Client = request.getfixturevalue(request.param)
    return client


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
    each_docker: Client, saved: Saved, tag: str, tmp_path: Path, compression: tuple[str, ...]
) -> None:
    made = tmp_path / "made.tar"
    occy("convert", *compression, f"docker-archive:{saved.path}", f"docker-archive:{made}:{tag}")
    assert archive_images(made) == [([tag], saved.known)]
    _loads_and_runs(each_docker, made, tag, saved)


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
    each_docker: Client,
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
    _loads_and_runs(each_docker, back, tag, saved)


def test_docker_loads_what_skopeo_encoded(
    each_docker: Client, skopeo: Client, saved: Saved, tag: str, tmp_path: Path
) -> None:
    """skopeo writes a config of its own: another id, the same diff_ids."""
    layout, back = tmp_path / "layout", tmp_path / "back.tar"
    skopeo("copy", f"docker-archive:{saved.path}", f"oci:{layout}:1")
    [(_, rewritten)] = layout_images(layout)
    assert rewritten.diff_ids == saved.known.diff_ids
    occy("convert", f"oci:{layout}:1", f"docker-archive:{back}:{tag}")
    each_docker("load", "--input", back)
    assert each_docker.known(tag) == rewritten
    assert each_docker("run", "--rm", "--network", "none", tag).strip() == GREETING
    each_docker.forget(rewritten)


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
    each_docker: Client, skopeo: Client, registry: str, saved: Saved, tmp_path: Path, family: str
) -> None:
    layout, name = tmp_path / "layout", f"{registry}/pulled/{family}:1"
    occy("convert", "--compression", "gzip", "--format", family, f"docker-archive:{saved.path}", f"oci:{layout}:1")
    skopeo("copy", "--dest-tls-verify=false", layout_place(layout, family), f"docker://{name}")
    each_docker("pull", name)
    assert each_docker.known(name) == saved.known
    assert each_docker("run", "--rm", "--network", "none", name).strip() == GREETING
    each_docker.forget(saved.known)


def test_docker_reads_no_zstd(each_docker: Client, skopeo: Client, registry: str, saved: Saved, tmp_path: Path) -> None:
    """The reason why a docker-archive gets its zstd layers decoded: dockerd 20.10 takes them for broken tars."""
    layout, name = tmp_path / "layout", f"{registry}/pulled/zstd:1"
    occy("convert", "--compression", "zstd", f"docker-archive:{saved.path}", f"oci:{layout}:1")
    skopeo("copy", "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://{name}")
    version = each_docker("version", "--format", "{{.Server.Version}}").partition("+")[0]
    if int(version.partition(".")[0]) >= 23:
        each_docker("pull", name)
        each_docker.forget(saved.known)
    else:
        each_docker("pull", name, expect=1)


def test_docker_loads_its_own_layout(docker: Client, saved: Saved, tag: str, tmp_path: Path) -> None:
    """And writes it again with the same names: the ids of the layers are those it gives them itself."""
    layout, made, again = tmp_path / "layout", tmp_path / "made.tar", tmp_path / "again.tar"
    occy("convert", "--compression", "zstd", f"docker-archive:{saved.path}", f"oci:{layout}:1")
    occy("convert", "--archive-layout", "docker-20.10", f"oci:{layout}:1", f"docker-archive:{made}:{tag}")
    occy("verify", f"docker-archive:{made}")
    assert archive_images(made) == [([tag], saved.known)]
    docker("load", "--input", made)
    assert docker.known(tag) == saved.known
    assert docker("run", "--rm", "--network", "none", tag).strip() == GREETING
    docker("save", "--output", again, tag)
    docker.forget(saved.known)
    if "blobs" not in contents(again):  # the layout of Docker 25 and later
        assert {name: data for name, data in contents(again).items() if name != "manifest.json"} == {
            name: data for name, data in contents(made).items() if name != "manifest.json"
        }


def contents(path: Path) -> dict[str, object]:
    """Return what an archive's members hold: bytes, a link's target, or a document's meaning."""
    found: dict[str, object] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            found[member.name] = member.linkname if file is None else file.read()
    if isinstance(raw := found.get("repositories"), bytes):
        found["repositories"] = json.loads(raw)
    return found


def legacy_archive(path: Path, name: str, saved: Saved) -> None:
    """Write a saved image as Docker 1.9 would have: a chain of images, with fields that have gone since."""
    with tarfile.open(saved.path) as tar:
        file = tar.extractfile("manifest.json")
        assert file is not None
        layers = json.load(file)[0]["Layers"]
        tars = [data.read() for layer in layers if (data := tar.extractfile(layer)) is not None]
    parent = ""
    with tarfile.open(path, "w") as tar:

        def add(member: str, data: bytes) -> None:
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))

        for number, layer in enumerate(tars):
            image = {
                "docker_version": "1.9.1" if number % 2 else "1.6.0",
                "created": f"2014-05-0{number + 1}T01:02:03.450Z",
                "container_config": {"Cmd": ["/bin/sh", "-c", f"step {number} <&>"], "Memory": 0, "CpuShares": 5},
                "config": {
                    "Cmd": ["cat", "/srv/b"],
                    "Env": ["PATH=/bin"],
                    "PortSpecs": None,
                    "Labels": {"b": "", "a": "<"},
                },
                "architecture": "amd64",
                "os": "linux",
                "Size": len(layer),
                "checksum": "x",
            }
            id_ = hashlib.sha256(json.dumps([image, parent]).encode()).hexdigest()
            image |= {"id": id_, "parent": parent} if parent else {"id": id_}
            add(f"{id_}/VERSION", b"1.0")
            add(f"{id_}/json", json.dumps(image).encode())
            add(f"{id_}/layer.tar", gzip.compress(layer, mtime=0) if number == 1 else layer)
            parent = id_
        repository, _, tag = name.rpartition(":")
        add("repositories", json.dumps({repository: {tag: parent}}).encode())


def test_an_archive_from_before_1_10_has_the_id_that_docker_gives_it(
    each_docker: Client, saved: Saved, tag: str, tmp_path: Path
) -> None:
    old, made = tmp_path / "old.tar", tmp_path / "made.tar"
    legacy_archive(old, tag, saved)
    occy("convert", f"docker-archive:{old}", f"docker-archive:{made}")
    [(names, known)] = archive_images(made)
    assert names == [tag]
    if int(each_docker("version", "--format", "{{.Server.Version}}").partition(".")[0]) < 29:
        each_docker("load", "--input", old)
        assert each_docker.known(tag) == known
        each_docker("rmi", "--force", tag)
    each_docker("load", "--input", made)
    assert each_docker.known(tag) == known
    assert each_docker("run", "--rm", "--network", "none", tag).strip() == GREETING
    each_docker.forget(known)
