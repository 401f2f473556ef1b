"""What every transport that is written to promises, whatever it is made of."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from occy_fast.errors import DigestMismatch, ManifestTooLarge, MissingBlob, OutputError, SizeMismatch, Unsupported
from occy_fast.files.staged import output_errors
from occy_fast.image.blob import FileRegion
from occy_fast.image.image import Contents, Image, NamedImage
from occy_fast.planning.goal import ArchiveLayout
from occy_fast.planning.steps import AdoptHow
from occy_fast.spec import limits as limits_module
from occy_fast.spec.digest import Digest
from occy_fast.spec.limits import Limits
from occy_fast.transports.base import Stage
from occy_fast.transports.opening import TRANSPORTS
from support.image_builders import BuiltImage, make_image
from support.leaks import nothing_left
from support.opening import open_destination, open_source
from support.publishing import publication, write


@dataclass(frozen=True)
class Place:
    """A destination under test, in a directory that holds nothing else."""

    transport: str
    directory: Path
    archive_layout: ArchiveLayout = "universal"

    @property
    def locator(self) -> str:
        return f"{self.transport}:{self.directory / 'out'}"

    def stage(self) -> Stage:
        return open_destination(self.locator, self.archive_layout).stage()

    def read(self) -> Contents:
        with open_source(self.locator) as source:
            return source.read()

    def left(self) -> list[str]:
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*"))


# A daemon is no place that a test could look into; what they do is in tests/transports/daemon.
PATHS = [word for word, transport in TRANSPORTS.items() if transport.has_path]


@pytest.fixture(params=[*PATHS, "docker-20.10"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    directory = tmp_path / "place"
    directory.mkdir()
    if request.param == "docker-20.10":
        return Place("docker-archive", directory, request.param)
    return Place(request.param, directory)


def put(place: Place, *images: BuiltImage) -> None:
    with place.stage() as stage:
        for image in images:
            for blob in image.blobs:
                write(stage, blob)
        stage.publish(publication(*images))


def blobs_of(named: NamedImage) -> list[bytes]:
    assert isinstance(named.root, Image)
    found = []
    for layer in named.root.layers:
        address = layer.blob.address
        assert isinstance(address, FileRegion)
        with address.open() as region:
            found.append(os.pread(region.fd, region.size, region.offset))
    return found


@pytest.fixture(autouse=True)
def no_file_stays_open() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.mark.parametrize("docker", [False, True])
@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_what_is_published_is_read_back(place: Place, codec: str, docker: bool) -> None:
    image = make_image("a", "b", codec=codec, names=("t5/app:1", "app:two"), docker=docker)
    if place.archive_layout == "docker-20.10" and codec != "none":
        with pytest.raises(Unsupported, match="no plain tar"):
            put(place, image)
        assert place.left() == []
        return
    put(place, image)
    contents = place.read()
    names = {name for named in contents.images for name in named.names}
    assert names == {"docker.io/t5/app:1", "docker.io/library/app:two"}
    for named in contents.images:
        found = named.root
        assert isinstance(found, Image)
        assert (found.manifest is None) == (place.archive_layout == "docker-20.10")
        assert found.manifest is None or found.manifest.raw == image.manifest
        assert found.config is not None
        assert found.config.raw == image.config
        assert blobs_of(named) == image.blobs
        assert [str(layer.diff_id) for layer in found.layers] == image.diff_ids
        assert [layer.encoding.codec for layer in found.layers] == [codec, codec]
        assert [layer.size for layer in found.layers] == [len(blob) for blob in image.blobs]


def test_what_nothing_names_is_dropped(place: Place) -> None:
    """An archive that comes by once is staged before its manifest tells what is needed."""
    image = make_image("a", "b")
    with place.stage() as stage:
        for blob in (b"stray" * 300, *image.blobs, b"more" * 300):
            write(stage, blob)
        stage.publish(publication(image))
    found = place.left()
    (place.directory / "first").mkdir()
    expected = Place(place.transport, place.directory / "first", place.archive_layout)
    put(expected, image)
    assert found == expected.left()
    if place.transport == "docker-archive":
        assert (place.directory / "out").read_bytes() == (expected.directory / "out").read_bytes()


def test_several_images_stand_side_by_side(place: Place) -> None:
    images = [make_image("a", names=("a:1",)), make_image("a", "b", names=("b:1",)), make_image("c", names=())]
    put(place, *images)
    contents = place.read()
    assert [named.names for named in contents.images] == [("docker.io/library/a:1",), ("docker.io/library/b:1",), ()]
    assert [blobs_of(named) for named in contents.images] == [image.blobs for image in images]


def test_a_layer_may_come_twice(place: Place) -> None:
    image = make_image("a", "b", "a")
    put(place, image)
    assert blobs_of(place.read().images[0]) == image.blobs


def test_blobs_of_unknown_size(place: Place) -> None:
    image = make_image("a", "b", "c")
    with place.stage() as stage:
        for blob in image.blobs:
            write(stage, blob, known=False)
        stage.publish(publication(image))
    assert blobs_of(place.read().images[0]) == image.blobs


def test_blobs_of_known_size_are_written_side_by_side(place: Place) -> None:
    image = make_image("a", "b", "c", "d", size=200_000)
    with place.stage() as stage:
        sinks = [stage.open_blob(len(blob)) for blob in image.blobs]

        def fill(number: int) -> None:
            blob = image.blobs[number]
            for at in range(0, len(blob), 4096):
                os.pwrite(sinks[number].fd, blob[at : at + 4096], sinks[number].offset + at)
            sinks[number].commit(Digest.sha256(blob), len(blob))

        threads = [threading.Thread(target=fill, args=(number,)) for number in (3, 1, 0, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        stage.publish(publication(image))
    assert blobs_of(place.read().images[0]) == image.blobs


def test_the_same_writes_make_the_same_bytes(place: Place, tmp_path: Path) -> None:
    def snapshot() -> dict[str, bytes]:
        return {str(p.relative_to(place.directory)): p.read_bytes() for p in place.directory.rglob("*") if p.is_file()}

    images = [make_image("a", "b"), make_image("c", "b", names=("other:1",))]
    put(place, *images)
    first = snapshot()
    subprocess.run(["rm", "-r", str(place.directory / "out")], check=True)
    put(place, *images)
    assert snapshot() == first


def test_staged_blobs_are_known(place: Place) -> None:
    with place.stage() as stage:
        digest = write(stage, b"x" * 700)
        assert stage.has(digest)
        assert stage.has(digest, 700)
        assert not stage.has(digest, 701)
        assert not stage.has(Digest.sha256(b""))
        stage.put_bytes(Digest.sha256(b"{}"), b"{}")
        assert stage.has(Digest.sha256(b"{}"))


def test_a_blob_that_came_twice_is_kept_once(place: Place) -> None:
    image = make_image("a", "b")
    with place.stage() as stage:
        sinks = [stage.open_blob(len(blob)) for blob in (*image.blobs, *image.blobs)]
        for sink, blob in zip(sinks, (*image.blobs, *image.blobs), strict=True):
            os.pwrite(sink.fd, blob, sink.offset)
        for number in (2, 0, 3, 1):
            blob = image.blobs[number % 2]
            sinks[number].commit(Digest.sha256(blob), len(blob))
        stage.publish(publication(image))
    twice = place.left(), sum(path.stat().st_size for path in place.directory.rglob("*") if path.is_file())
    subprocess.run(["rm", "-r", str(place.directory / "out")], check=True)
    put(place, image)
    assert (place.left(), sum(path.stat().st_size for path in place.directory.rglob("*") if path.is_file())) == twice


def test_aborted_blobs_leave_no_trace(place: Place) -> None:
    image = make_image("a", "b")
    with place.stage() as stage:
        middle = stage.open_blob(5000)
        os.pwrite(middle.fd, b"garbage" * 100, middle.offset)
        write(stage, image.blobs[0])
        middle.abort()
        middle.abort()
        last = stage.open_blob(None)
        os.pwrite(last.fd, b"garbage" * 100, last.offset)
        last.abort()
        write(stage, image.blobs[1], known=False)
        stage.publish(publication(image))
    everything = b"".join(path.read_bytes() for path in sorted(place.directory.rglob("*")) if path.is_file())
    assert b"garbage" not in everything
    assert blobs_of(place.read().images[0]) == image.blobs


@pytest.mark.parametrize("how", ["link", "reflink", "copy"])
def test_adopted_blobs(place: Place, tmp_path: Path, how: str) -> None:
    image = make_image("a", size=2_500_000)
    origin = tmp_path / "origin"
    origin.write_bytes(image.blobs[0])
    status = origin.stat()
    inode = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    region = FileRegion(str(origin), 0, status.st_size, inode)
    digest = Digest.sha256(image.blobs[0])
    with place.stage() as stage:
        adopted = stage.adopt(digest, status.st_size, region, how)
        assert stage.has(digest) == adopted
        if place.transport != "oci":
            assert adopted == (how == "copy")
        elif how != "reflink":
            assert adopted
        if not adopted:
            assert stage.adopt(digest, status.st_size, region, "copy")
        stage.publish(publication(image))
    assert blobs_of(place.read().images[0]) == image.blobs
    if how == "link" and adopted:
        assert origin.stat().st_nlink == 2


def test_leaving_without_publish_leaves_nothing(place: Place) -> None:
    with place.stage() as stage:
        write(stage, b"x" * 5000)
        stage.put_bytes(Digest.sha256(b"{}"), b"{}")
        stage.open_blob(None)
    assert place.left() == []


def test_an_error_leaves_nothing_new_and_the_old_as_it_was(place: Place) -> None:
    old = make_image("old")
    put(place, old)
    before = place.left()
    with pytest.raises(ZeroDivisionError), place.stage() as stage:
        write(stage, b"x" * 5000)
        stage.open_blob(100)
        raise ZeroDivisionError
    assert place.left() == before
    assert blobs_of(place.read().images[0]) == old.blobs


def test_a_missing_layer_is_not_published(place: Place) -> None:
    image = make_image("a", "b")
    with pytest.raises(MissingBlob), place.stage() as stage:
        write(stage, image.blobs[0])
        stage.publish(publication(image))
    assert place.left() == []


def test_a_layer_of_another_size_is_not_published(place: Place) -> None:
    image = make_image("a")
    digest = Digest.sha256(image.blobs[0])
    with pytest.raises(SizeMismatch), place.stage() as stage:
        sink = stage.open_blob(10)
        os.pwrite(sink.fd, b"0123456789", sink.offset)
        sink.commit(digest, 10)
        stage.publish(publication(image))
    assert place.left() == []


@pytest.mark.parametrize("limit", ["manifest", "docker_manifest"])
def test_what_would_not_be_read_again_is_not_published(
    place: Place, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    has_index, has_list = place.archive_layout != "docker-20.10", place.transport == "docker-archive"
    if not {"manifest": has_index, "docker_manifest": has_list}[limit]:
        return
    put(place, make_image("old", names=("old:1",)))
    files = [path for path in place.directory.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    monkeypatch.setattr(limits_module, "LIMITS", Limits(**{limit: 250}))
    with pytest.raises(ManifestTooLarge) as caught:
        put(place, make_image("a", "b", names=("a:1", "b:1", "c:1")))
    assert (caught.value.allowed, caught.value.value > 250, caught.value.settings) == (250, True, ())
    assert before == {path: path.read_bytes() for path in place.directory.rglob("*") if path.is_file()}
    monkeypatch.undo()
    assert [named.names for named in place.read().images] == [("docker.io/library/old:1",)]


@pytest.mark.parametrize("how", ["link", "reflink", "copy"])
def test_a_file_of_another_size_is_not_adopted(place: Place, tmp_path: Path, how: AdoptHow | Literal["copy"]) -> None:
    (tmp_path / "in").write_bytes(b"x" * 1000)
    if how != "copy" and place.transport != "oci":
        return
    with place.stage() as stage, pytest.raises(SizeMismatch):
        stage.adopt(Digest.sha256(b"x" * 999), 999, FileRegion(str(tmp_path / "in"), 0, 1000), how)
    assert place.left() == []


def test_documents_are_verified(place: Place) -> None:
    with pytest.raises(DigestMismatch), place.stage() as stage:
        stage.put_bytes(Digest.sha256(b"{}"), b"{ }")
    assert place.left() == []


def test_a_missing_parent_directory_is_named(tmp_path: Path) -> None:
    for transport in PATHS:
        with pytest.raises(OutputError) as caught:
            open_destination(f"{transport}:{tmp_path}/none/out").stage()
        assert caught.value.errno == errno.ENOENT
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 256 KiB."""
    with tempfile.TemporaryDirectory() as directory:
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", directory]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("only root can mount a tmpfs")
        try:
            yield Path(directory)
        finally:
            subprocess.run(["umount", directory], check=True)


@pytest.mark.parametrize("transport", PATHS)
@pytest.mark.parametrize("free", [0, 4096, 16384, 40960, 65536])
def test_a_full_disk_is_an_output_error(small_disk: Path, transport: str, free: int) -> None:
    place = Place(transport, small_disk)
    old = make_image("old", names=("old:1",))
    put(place, old)
    (small_disk / "ballast").write_bytes(b"")
    statistics = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(bytes(max(statistics.f_bfree * statistics.f_frsize - free, 0)))
    before = place.left()
    image = make_image("a", "b", size=40_000, names=("new:1",))

    def attempt() -> None:
        with place.stage() as stage:
            for blob in image.blobs:
                try:
                    write(stage, blob)
                except OSError as error:             # what the engine's own pwrite meets
                    raise OutputError(place.locator, error.errno or 0, "write") from error
            stage.publish(publication(image))

    with pytest.raises(OutputError) as caught:
        attempt()
    assert caught.value.errno == errno.ENOSPC
    assert place.left() == before
    assert blobs_of(place.read().images[0]) == old.blobs
    (small_disk / "ballast").unlink()
    attempt()
    assert "docker.io/library/new:1" in {name for named in place.read().images for name in named.names}


def test_a_file_that_grows_too_large_is_an_output_error(place: Place) -> None:
    """What a full disk does, where no disk can be filled."""
    image = make_image("a", "b", size=300_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(image.blobs[0]) // 2, hard))
    try:
        with pytest.raises(OutputError) as caught, place.stage() as stage, output_errors(place.locator, "write to"):
            for blob in image.blobs:
                write(stage, blob)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert place.left() == []


original_pwrite = os.pwrite


class FailingCall:
    """A system call of which one fails."""

    def __init__(self, original: Callable[..., object], failing: int) -> None:
        self.original, self.left = original, failing

    def __call__(self, *arguments: object, **more: object) -> object:
        self.left -= 1
        if self.left == -1:
            raise OSError(errno.EIO, "injected")
        return self.original(*arguments, **more)


class InterruptedCall:
    """A system call behind one of which Ctrl-C comes: it has done its work."""

    def __init__(self, original: Callable[..., object], interrupted: int) -> None:
        self.original, self.left = original, interrupted

    def __call__(self, *arguments: object, **more: object) -> object:
        done = self.original(*arguments, **more)
        self.left -= 1
        if self.left == -1:
            raise KeyboardInterrupt
        return done


@pytest.mark.parametrize("call", ["fsync", "rename", "link", "mkdir"])
def test_a_signal_behind_any_call_leaves_the_old_or_the_new(
    place: Place, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """What is published keeps all it names, and nothing else stays."""
    old, image = make_image("old", names=("old:1",)), make_image("a", "b", names=("new:1",))
    original = getattr(os, call)
    for interrupted in range(100):
        shutil.rmtree(place.directory)
        place.directory.mkdir()
        put(place, old)
        before = place.left()
        with monkeypatch.context() as patch:
            patch.setattr(os, call, InterruptedCall(original, interrupted))
            with suppress(KeyboardInterrupt):
                put(place, image)
                break
        named = place.read().images
        if "docker.io/library/new:1" in {name for found in named for name in found.names}:
            assert blobs_of(named[-1]) == image.blobs
        else:
            assert place.left() == before
    else:
        pytest.fail("the calls never end")
    assert interrupted > 0 or call in ("link", "mkdir")


@pytest.mark.parametrize("call", ["fsync", "rename", "link", "pwrite", "ftruncate", "mkdir"])
def test_every_failing_call_is_an_output_error_and_leaves_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Fail each call of a kind once, the first, the second and so on, until a run gets through."""
    old, image = make_image("old", names=("old:1",)), make_image("a", "b", names=("new:1",))
    put(place, old)
    before = place.left()
    original = getattr(os, call)
    for failing in range(100):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, FailingCall(original, failing))
            with suppress(OutputError):
                with place.stage() as stage:
                    for blob in image.blobs:
                        sink = stage.open_blob(len(blob))
                        original_pwrite(sink.fd, blob, sink.offset)
                        sink.commit(Digest.sha256(blob), len(blob))
                    stage.publish(publication(image))
                break
        named = {name for images in place.read().images for name in images.names}
        if "docker.io/library/new:1" not in named:   # the last fsync comes after the rename
            assert place.left() == before
    else:
        pytest.fail("the calls never end")
    assert failing > 0 or call in ("link", "ftruncate", "mkdir")
    assert blobs_of(place.read().images[-1]) == image.blobs
