"""Everything a loader may be given: what check says of it, what the loader does, and what convert makes of it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import occy_fast
from support.consumers import GREETING, Client, Known, Saved, archive_images, layout_images, occy
from support.load_matrix import unpack_variants

pytestmark = pytest.mark.interop

# The recorded archives hold no program: of an image that has been loaded, a container can be made, and exported.
COMMAND = "/nothing"

TARGETS = {"docker": "docker-20.10.24", "podman": "podman-4.3.1"}


@pytest.fixture(scope="module")
def variants(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return unpack_variants(shared, tmp_path_factory.mktemp("variants"))


@pytest.fixture(params=["docker", "podman"])
def consumer(request: pytest.FixtureRequest) -> tuple[Client, str]:
    client: Client = request.getfixturevalue(request.param)
    field = {"docker": "{{.Server.Version}}", "podman": "{{.Version}}"}[request.param]
    version = client("version", "--format", field).strip().partition("+")[0]
    if not TARGETS[request.param].endswith(f"-{version}"):
        pytest.skip(f"{request.param} is {version}, and another one was recorded")
    return client, TARGETS[request.param]


def _load(client: Client, archive: Path) -> tuple[bool, str]:
    command = [*client.command, "load", "--input", str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **client.env}, timeout=120)
    return done.returncode == 0, done.stdout + done.stderr


def _forget_all(client: Client, kept: set[str]) -> None:
    """Remove what was loaded, children before parents: a layer that is there already is never looked at again."""
    while left := client.ids() - kept:
        for image_id in left:
            command = [*client.command, "rmi", "--force", image_id.removeprefix("sha256:")]
            subprocess.run(command, capture_output=True, env={**os.environ, **client.env}, timeout=120)
        assert len(client.ids() - kept) < len(left)


def test_check_finds_what_the_loader_refuses_and_nothing_else(
    consumer: tuple[Client, str], variants: dict[str, Path]
) -> None:
    client, target = consumer
    kept, wrong = client.ids(), []
    for name, archive in variants.items():
        loaded, said = _load(client, archive)
        _forget_all(client, kept)
        checked = occy_fast.check(str(archive), [target], deep=True)
        if bool(checked.findings) == loaded or (checked.exit_code == 10) == loaded or checked.unknown:
            wrong.append((name, loaded, said, checked))
    assert not wrong


def test_what_convert_mends_is_loaded_under_the_same_id(
    consumer: tuple[Client, str], variants: dict[str, Path], tmp_path: Path
) -> None:
    client, target = consumer
    kept, wrong, mended = client.ids(), [], 0
    for name, archive in variants.items():
        before = occy_fast.check(str(archive), [target], deep=True)
        if not before.findings or not all(finding.fix for finding in before.findings):
            continue
        made = tmp_path / f"{name}.tar"
        occy_fast.convert(str(archive), f"docker-archive:{made}", target=target)
        assert occy_fast.check(str(made), [target], deep=True).findings == ()
        [(_, known), *_] = archive_images(made)
        loaded, said = _load(client, made)
        if not loaded or known.image_id not in client.ids() or not _makes_a_container(client, known):
            wrong.append((name, said))
        _forget_all(client, kept)
        mended += 1
    assert not wrong
    assert mended


def _makes_a_container(client: Client, known: Known) -> bool:
    image = known.image_id.removeprefix("sha256:")
    container = client("create", "--network", "none", image, COMMAND).strip()
    command = [*client.command, "export", container]
    exported = subprocess.run(command, capture_output=True, env={**os.environ, **client.env}, timeout=120)
    client("rm", "--force", container)
    return exported.returncode == 0 and len(exported.stdout) >= 1024


@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_an_image_with_zstd_layers_fails_is_explained_and_runs_after_one_command(
    docker: Client,
    skopeo: Client,
    registry: str,
    saved: Saved,
    tag: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    """The whole way: it does not load, check says why in the daemon's words, one conversion loads, and it runs."""
    place = tmp_path / ("layout" if form == "oci" else "image.oci.tar")
    occy("convert", "--compression", "zstd", f"docker-archive:{saved.path}", f"{form}:{place}:1")
    if form == "oci":
        skopeo("copy", "--dest-tls-verify=false", f"oci:{place}:1", f"docker://{registry}/story/{form}:1")
        refused = subprocess.run(
            [*docker.command, "pull", f"{registry}/story/{form}:1"],
            capture_output=True,
            text=True,
            env={**os.environ, **docker.env},
            timeout=120,
        )
        loaded, said = refused.returncode == 0, refused.stdout + refused.stderr
        [(_, known)] = layout_images(place)
        assert known == saved.known
    else:
        loaded, said = _load(docker, place)
    assert not loaded

    document = json.loads(occy("check", f"{form}:{place}", "--target", "docker-20.10.24", "--json", expect=10))
    layers = [finding for finding in document["findings"] if finding["rule"] == "zstd-layer"]
    assert [finding["place"] for finding in layers] == [
        f"layer {number}" for number in range(1, len(saved.known.diff_ids) + 1)
    ]
    words = {finding["says"] for finding in document["findings"]}
    assert any(word.rpartition("/")[2] in said for word in words)

    made = tmp_path / "made.tar"
    occy("convert", f"{form}:{place}", f"docker-archive:{made}:{tag}", "--target", "docker-20.10.24")
    monkeypatch.setenv("DOCKER_HOST", docker.env["DOCKER_HOST"])
    straight = ("convert", f"{form}:{place}", f"docker-daemon:{tag}", "--target", "docker-20.10.24")
    for way in (lambda: docker("load", "--input", made), lambda: occy(*straight)):
        way()
        assert docker.known(tag) == saved.known
        assert docker("run", "--rm", "--network", "none", tag).strip() == GREETING
        docker.forget(saved.known)
