"""The digest file is whole or absent."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from occy_fast.cli import main
from occy_fast.cli.digest_file import check_digest_file, write_digest_file
from occy_fast.errors import OutputError, Unsupported
from occy_fast.spec.digest import Digest
from support.image_builders import docker_archive, make_image

DIGESTS = [Digest.sha256(b"a"), Digest.sha256(b"b")]


def test_one_digest_and_nothing_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "digest"
    path.write_text("old")
    write_digest_file(str(path), DIGESTS[:1])
    assert path.read_text() == f"{DIGESTS[0]}"
    write_digest_file(str(path), DIGESTS)
    assert path.read_text() == f"{DIGESTS[0]}\n{DIGESTS[1]}"
    assert [entry.name for entry in tmp_path.iterdir()] == ["digest"]


def test_a_relative_path_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_digest_file("digest")
    write_digest_file("digest", DIGESTS[:1])
    assert Path("digest").read_text().startswith("sha256:")


@pytest.mark.parametrize(("name", "number"), [(".", errno.EISDIR), ("missing/digest", errno.ENOENT)])
def test_a_place_that_cannot_be_is_refused_before_the_work(tmp_path: Path, name: str, number: int) -> None:
    with pytest.raises(OutputError) as raised:
        check_digest_file(str(tmp_path / name))
    assert raised.value.errno == number


def test_only_a_file_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for call in (check_digest_file, lambda place: write_digest_file(place, DIGESTS)):
        with pytest.raises(Unsupported, match="regular file"):       # never a device of this machine
            call(str(tmp_path / "pipe"))
    os.symlink("digest", tmp_path / "link")
    check_digest_file(str(tmp_path / "link"))
    write_digest_file(str(tmp_path / "link"), DIGESTS[:1])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "digest").read_text() == f"{DIGESTS[0]}"


def test_what_a_dead_run_left_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / f"digest.{os.getpid()}.unfinished").write_bytes(b"")
    write_digest_file(str(tmp_path / "digest"), DIGESTS)
    assert (tmp_path / "digest").exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "digest"
    target.mkdir()  # a rename onto a directory fails
    with pytest.raises(OutputError):
        write_digest_file(str(target), DIGESTS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["digest"]


@pytest.mark.parametrize("name", ["in.tar", "out/index.json", "out", "link"])
def test_it_is_no_part_of_an_image(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    docker_archive(tmp_path / "in.tar", [make_image()])
    (tmp_path / "link").symlink_to("in.tar")
    before = (tmp_path / "in.tar").read_bytes()
    arguments = ["convert", f"{tmp_path}/in.tar", f"oci:{tmp_path}/out", "--digest-file", f"{tmp_path}/{name}"]
    assert main(arguments) == 2
    assert "--digest-file" in capsys.readouterr().err
    assert (tmp_path / "in.tar").read_bytes() == before
    assert not (tmp_path / "out").exists()
