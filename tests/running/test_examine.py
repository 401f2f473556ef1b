"""What check takes in before it judges: each source read once, and what cannot be read is told."""

from __future__ import annotations

import errno
import gzip
import os
import threading
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import Cancelled, InputError, Unsupported
from occy_fast.spec.limits import Limits
from support.image_builders import archive_members, docker_archive, make_image, make_tar, oci_layout, sha256
from support.piping import piped


def test_what_was_not_kept_is_not_the_images_fault(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image()])
    assert not occy_fast.check(str(archive), ["docker-20.10"]).findings
    for kept in (10, 300):
        with piped(tmp_path / "pipe", archive.read_bytes()) as pipe, pytest.raises(Unsupported, match="was not kept"):
            occy_fast.check(str(pipe), ["docker-20.10"], limits=Limits(stream_documents=kept))


def test_what_nobody_asks_for_is_not_kept(tmp_path: Path) -> None:
    """Names out of reach take no room from the documents, unless they may be some."""
    members = archive_members([make_image()])
    raw = make_tar([*(("../" * number + "..", b"x" * 600) for number in range(20)), *members])
    with piped(tmp_path / "pipe", raw) as pipe:
        checked = occy_fast.check(str(pipe), ["docker-20.10"], limits=Limits(stream_documents=4000))
    assert checked.unread is None


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
@pytest.mark.parametrize("what", ["archive", "archive.gz", "garbage", "directory"])
def test_something_else_than_was_named_is_not_judged(tmp_path: Path, kind: str, what: str) -> None:
    if what == "directory":
        (tmp_path / "x").mkdir()
    elif what in ("archive", "archive.gz"):
        raw = docker_archive(tmp_path / "x", [make_image()]).read_bytes()
        (tmp_path / "x").write_bytes(gzip.compress(raw) if what == "archive.gz" else raw)
    else:
        (tmp_path / "x").write_bytes(b"garbage" * 100)
    if (kind, what) == ("oci-archive", "garbage"):       # which may be an archive that is damaged
        assert occy_fast.check(f"{kind}:{tmp_path}/x", ["k3s"]).errors
        return
    with pytest.raises(Unsupported):
        occy_fast.check(f"{kind}:{tmp_path}/x", ["k3s"])


def test_a_cancelled_look_is_no_finding(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    archive = docker_archive(tmp_path / "a.tar", [make_image()])
    for deep in (False, True):
        with piped(tmp_path / "pipe", archive.read_bytes()) as pipe, pytest.raises(Cancelled):
            occy_fast.check(str(pipe), ["docker-20.10"], deep=deep, cancel=cancel)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EIO])
@pytest.mark.parametrize("deep", [False, True])
def test_a_layer_that_may_not_be_read_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, deep: bool
) -> None:
    image = make_image()
    layout = oci_layout(tmp_path / "o", [image])
    blob, opening = layout / "blobs/sha256" / sha256(image.blobs[0]), os.open

    def refusing(path: str, *arguments: int, **words: int) -> int:
        if str(path).endswith(blob.name):
            raise OSError(number, os.strerror(number))
        return opening(path, *arguments, **words)

    assert occy_fast.check(str(layout), ["k3s"], deep=deep)
    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(InputError) as caught:
        occy_fast.check(str(layout), ["k3s"], deep=deep)
    assert (caught.value.errno, caught.value.exit_code) == (number, 11)
    assert occy_fast.inspect(str(layout)).images         # which asks for no more than documents
