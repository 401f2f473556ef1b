"""Who may read what is replaced may read what replaces it, and nobody else."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from occy_fast import api
from occy_fast.files import staged
from support.children import unprivileged
from support.image_builders import make_image, make_layer, oci_layout

ACCESS_LIST = "system.posix_acl_access"
DESTINATIONS = ["docker-archive:{}/out.tar:a:1", "oci-archive:{}/out.tar:a"]


@pytest.fixture(params=[0o022, 0o077, 0o000])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def source(tmp_path: Path) -> str:
    return f"oci:{oci_layout(tmp_path / 'in', [make_image('a')], ['a'])}:a"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("place", DESTINATIONS)
@pytest.mark.parametrize("unnamed", [True, False])
@pytest.mark.parametrize(
    ("before", "after"),
    [(0o600, 0o600), (0o640, 0o640), (0o664, 0o664), (0o444, 0o444), (0o6755, 0o755), (0o1666, 0o666)],
)
def test_an_archive_keeps_its_mode(
    tmp_path: Path,
    source: str,
    umask: int,
    place: str,
    unnamed: bool,
    before: int,
    after: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not unnamed:
        monkeypatch.setattr(staged.StagedFile, "_open_unnamed", lambda self: -1)
    api.convert(source, place.format(tmp_path))
    archive = tmp_path / "out.tar"
    assert mode(archive) == 0o666 & ~umask           # a new file is as the umask says
    os.chmod(archive, before)
    inode = archive.stat().st_ino
    api.convert(source, place.format(tmp_path))
    assert archive.stat().st_ino != inode
    assert mode(archive) == after


def test_it_is_private_from_the_first_byte_on(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "out.tar"
    archive.touch(0o600)
    seen: list[int] = []
    write = os.pwrite

    def watched(fd: int, *rest: bytes | int) -> int:
        seen.append(stat.S_IMODE(os.fstat(fd).st_mode))
        return write(fd, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "pwrite", watched)
    monkeypatch.setattr(staged.StagedFile, "_open_unnamed", lambda self: -1)
    api.convert(source, f"docker-archive:{archive}")
    assert set(seen) == {0o600}


@pytest.mark.parametrize("before", [0o600, 0o640, 0o666])
def test_a_layout_keeps_the_modes_of_what_is_replaced(tmp_path: Path, source: str, umask: int, before: int) -> None:
    out = tmp_path / "out"
    api.convert(source, f"oci:{out}:a")
    for path in out.rglob("*"):
        if path.is_file():
            os.chmod(path, before)
    os.chmod(out, 0o700)
    known = set(out.rglob("*"))
    other = oci_layout(tmp_path / "other", [make_image("a", "b")], ["b"])
    api.convert(source, f"oci:{out}:c")
    api.convert(f"oci:{other}:b", f"oci:{out}:b")
    assert mode(out) == 0o700
    files = {path: mode(path) for path in out.rglob("*") if path.is_file()}
    assert {found for path, found in files.items() if path in known} == {before}
    assert {found for path, found in files.items() if path not in known} == {0o666 & ~umask}


def test_a_linked_blob_is_the_sources_and_keeps_its_mode(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "in", [make_image("a")], ["a"])
    out = tmp_path / "out"
    api.convert(f"oci:{layout}:a", f"oci:{out}:a")
    blob = max((out / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(b"torn")                        # another size: it is replaced
    os.chmod(blob, 0o600)
    origin = layout / "blobs/sha256" / blob.name
    before = mode(origin)
    api.convert(f"oci:{layout}:a", f"oci:{out}:a", link=True)
    assert blob.stat().st_ino == origin.stat().st_ino
    assert mode(origin) == before


def test_a_layer_and_a_digest_file_keep_theirs(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(make_layer("a"))
    out = tmp_path / "out"
    out.touch(0o600)
    api.recompress(tmp_path / "in", out, "gzip")
    assert mode(out) == 0o600


@pytest.mark.parametrize(
    ("before", "after"), [(0o000, None), (0o040, None), (0o244, None), (0o400, 0o400), (0o640, 0o640)]
)
@pytest.mark.parametrize("verify", ["layers", "destination"])
def test_what_its_owner_may_not_read_is_not_kept(
    tmp_path: Path, source: str, umask: int, before: int, after: int | None, verify: str
) -> None:
    """A blob of such a mode was replaced, and was as unreadable as before: by the proof, or as one that is always made.

    Whose size is another is replaced in any case; of the right size, by the proof alone.
    """
    out = tmp_path / "out"
    api.convert(source, f"oci:{out}:a")
    blobs = list((out / "blobs/sha256").iterdir())
    for blob in blobs:
        if verify == "layers":
            blob.write_bytes(b"torn")
        os.chmod(blob, before)
    unprivileged(lambda: api.convert(source, f"oci:{out}:b", verify=verify))  # type: ignore[arg-type]
    expected = 0o666 & ~umask if after is None else after
    assert {mode(blob) for blob in blobs} == {expected}
    assert unprivileged(lambda: [found.problem for found in api.verify(f"oci:{out}").errors]) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(("before", "after"), [(0o600, 0o600), (0o000, 0o644), (0o044, 0o644), (0o604, 0o604)])
def test_of_another_owner_who_replaces_it_may_read_it(
    tmp_path: Path, source: str, before: int, after: int
) -> None:
    out = tmp_path / "out"
    api.convert(source, f"oci:{out}:a")
    blobs = list((out / "blobs/sha256").iterdir())
    for blob in blobs:
        os.chown(blob, 1234, os.getgid())
        os.chmod(blob, before)
    unprivileged(lambda: api.convert(source, f"oci:{out}:b", verify="destination"))
    for blob in blobs:
        if blob.stat().st_uid != 1234:
            assert mode(blob) == after
    assert unprivileged(lambda: [found.problem for found in api.verify(f"oci:{out}").errors]) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays(tmp_path: Path, source: str) -> None:
    archive = tmp_path / "out.tar"
    archive.touch(0o640)
    os.chown(archive, 1234, 2345)
    api.convert(source, f"docker-archive:{archive}")
    found = archive.stat()
    assert (found.st_uid, found.st_gid, mode(archive)) == (1234, 2345, 0o640)


def test_where_the_group_cannot_stay_its_bits_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    new.touch()
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(old, 1234, 2345)
    os.chmod(old, 0o664)
    directory, fd = os.open(tmp_path, os.O_RDONLY), os.open(new, os.O_RDWR)
    assert staged.keep_mode(fd, "old", directory)
    os.close(fd)
    os.close(directory)
    assert mode(new) == 0o604


@pytest.mark.parametrize("refused", [False, True])
def test_an_access_list_is_kept_or_nobody_gains(
    tmp_path: Path, source: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group's bits of a file with a list are its mask: kept alone they would open the file to the group."""
    archive = tmp_path / "out.tar"
    archive.touch(0o600)
    entries = [(1, 6, -1), (2, 6, 1234), (4, 0, -1), (16, 6, -1), (32, 0, -1)]      # user 1234 may; the group may not
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(archive, ACCESS_LIST, packed)
    except OSError as error:
        pytest.skip(f"no access lists here: {error}")
    assert mode(archive) == 0o660
    if refused:
        def refuse(*arguments: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(os, "setxattr", refuse)
    api.convert(source, f"docker-archive:{archive}")
    if refused:
        assert mode(archive) == 0o600
    else:
        assert os.getxattr(archive, ACCESS_LIST) == packed
