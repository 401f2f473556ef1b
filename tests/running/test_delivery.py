"""How what was checked comes to a target: what is said of directories, and the command that takes in what is made."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import occy_fast
from occy_fast.cli import main
from support.consumers import archive_images
from support.image_builders import docker_archive, make_image, oci_archive, oci_layout
from support.load_matrix import unpack_variants

NEXT = {
    "docker-20.10.24": ["docker", "load", "-i"],
    "docker-29": ["docker", "load", "-i"],
    "podman-4.3.1": ["podman", "load", "-i"],
    "containerd-1.6": ["ctr", "images", "import"],
    "k3s": ["k3s", "ctr", "images", "import"],
}


@pytest.mark.parametrize("target", NEXT)
def test_printed_mends_end_with_a_named_image_and_the_command_that_takes_it_in(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    """Every archive of odd shape: the lines are run as check prints them, and what they make is checked again."""
    variants = unpack_variants(shared, tmp_path)
    monkeypatch.chdir(tmp_path / "out")
    mended = 0
    for name in variants:
        main(["check", f"{name}.tar", "-t", target, "--deep"])
        told = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines() if line.startswith("  "))
        assert ("mend:" in told) == ("next:" in told), name
        if "mend:" not in told:
            continue
        assert main(shlex.split(told["mend:"])[1:]) == 0, name
        made = shlex.split(told["next:"])[-1]
        assert shlex.split(told["next:"])[:-1] == NEXT[target]
        capsys.readouterr()
        checked = occy_fast.check(made, [target], deep=True)
        assert checked.exit_code == 0, (name, checked.findings)
        with occy_fast.open_image(made) as contents:
            alone = len(contents.images) == 1
            assert not alone or (contents.images[0].names and not contents.images[0].wrong_names), name
        mended += 1
    assert mended >= 10 if target.startswith("docker-20") else mended >= 3


@pytest.mark.parametrize(
    ("target", "loader"),
    [
        ("docker-20.10", "docker load"),
        ("docker-29", "docker load"),
        ("containerd-1.6", "ctr images import"),
        ("k3s", "k3s ctr images import"),
    ],
)
@pytest.mark.parametrize("codec", ["gzip", "zstd"])
@pytest.mark.parametrize("place", ["layout", "-layout", "a b"])
def test_who_loads_files_alone_is_told_of_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, codec: str, target: str, loader: str
) -> None:
    """Whether anything else is in the way or not, there is a command that makes a file of it, and the next."""
    monkeypatch.chdir(tmp_path)
    oci_layout(tmp_path / place, [make_image(codec=codec)], ["v1"])
    checked = occy_fast.check(f"oci:{place}", [target])
    [delivery] = checked.deliveries
    assert delivery.note == f"judged as pulled from a registry; {loader} reads no directory, only an archive"
    assert checked.to_json()["deliveries"] == [delivery.to_json()]
    fixes = {finding.fix for finding in checked.findings}
    assert (delivery.convert is None) == bool(fixes)
    [command] = fixes or {delivery.convert}
    assert main(shlex.split(command or "")[1:]) == 0
    words = shlex.split(delivery.next or "")
    assert " ".join(words).startswith(loader)
    assert not words[-1].startswith("-")
    [(names, _)] = archive_images(Path(words[-1]))
    assert names == [f"{place.strip('-').replace(' ', '-')}:v1"]


@pytest.mark.parametrize("reference", ["", ":v1"])
def test_podman_pulls_a_directory_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reference: str
) -> None:
    monkeypatch.chdir(tmp_path)
    oci_layout(tmp_path / "layout", [make_image()], ["v1"])
    assert main(["check", f"oci:layout{reference}", "-t", "podman-4.3"]) == 0
    text = capsys.readouterr().out
    assert "podman-4.3: nothing in the way\n  note:    judged as pulled from a registry, which is how podman" in text
    assert f"  next:    podman pull oci:layout{reference}\n" in text


@pytest.mark.parametrize("target", ["ghcr", "apptainer-1.4", "crane"])
def test_of_others_nothing_is_told(tmp_path: Path, target: str) -> None:
    layout = oci_layout(tmp_path / "layout", [make_image(codec="zstd")], ["v1"])
    assert occy_fast.check(str(layout), [target]).deliveries == ()


def test_an_archive_with_nothing_in_the_way_needs_no_word(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image(names=("app:1",))])
    assert occy_fast.check(str(archive), list(NEXT)).deliveries == ()


@pytest.mark.parametrize(
    ("ref", "called"), [(None, "a:latest"), ("v1", "a:v1"), ("example.com/a:1", "example.com/a:1")]
)
def test_a_mended_oci_archive_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str | None, called: str
) -> None:
    monkeypatch.chdir(tmp_path)
    oci_layout(tmp_path / "layout", [make_image(codec="zstd")], [ref])
    oci_archive(tmp_path / "a.tar", tmp_path / "layout")
    [delivery] = (checked := occy_fast.check("a.tar", ["containerd-1.4"])).deliveries
    [command] = {finding.fix for finding in checked.findings}
    assert command is not None
    assert main(shlex.split(command)[1:]) == 0
    assert delivery.next == "ctr images import a-containerd-1.4.tar"
    with occy_fast.open_image("oci-archive:a-containerd-1.4.tar") as contents:
        assert contents.images[0].names == (called if "/" in called else f"docker.io/library/{called}",)
