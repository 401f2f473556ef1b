from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import occy_fast
from occy_fast import errors
from occy_fast.errors import (
    BadArchive,
    MissingBlob,
    OutputError,
    SizeMismatch,
    UnsupportedFormat,
)
from occy_fast.files.staged import is_temporary_name
from occy_fast.image.image import ImageIndex
from occy_fast.image.publication import Publication, PublishedIndex, PublishedRoot
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from support.image_builders import OCI_INDEX, BuiltImage, dumps, make_image, oci_layout, sha256
from support.layouts import break_layout, only_image, put, read, refs
from support.opening import open_destination, open_source
from support.publishing import publication, published, write


def tree(path: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(path)): p.read_bytes() if p.is_file() else None for p in sorted(path.rglob("*"))}


def test_a_link_to_what_is_not_there_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    os.symlink("deep/real", tmp_path / "o")
    put(tmp_path / "o", make_image("a"))
    assert (tmp_path / "o").is_symlink()
    assert len(read(tmp_path / "deep/real").images) == 1
    put(tmp_path / "o", make_image("b", names=("b:1",)))
    assert len(read(tmp_path / "o").images) == 2
    assert sorted(os.listdir(tmp_path)) == ["deep", "o"]
    assert os.listdir(tmp_path / "deep") == ["real"]


@pytest.mark.parametrize(("number", "works"), [(errno.ENOLCK, True), (errno.EOPNOTSUPP, True), (errno.EIO, False)])
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, works: bool) -> None:
    """Where there are none it works without; an error of them is told before anything is written."""
    put(tmp_path / "o", make_image("a"))
    before = tree(tmp_path)

    def refuse(fd: int, operation: int) -> None:
        raise OSError(number, "injected")

    monkeypatch.setattr(fcntl, "flock", refuse)
    if works:
        put(tmp_path / "o", make_image("b", names=("b:1",)))
        assert len(read(tmp_path / "o").images) == 2
        return
    with pytest.raises(OutputError) as caught:
        open_destination(f"oci:{tmp_path}/o").stage()
    assert caught.value.operation == "lock"
    assert tree(tmp_path) == before


@pytest.mark.parametrize("written", [5, 7])
def test_a_blob_of_another_size_is_not_committed(tmp_path: Path, written: int) -> None:
    with open_destination(f"oci:{tmp_path}/o").stage() as stage:
        sink = stage.open_blob(None)
        os.pwrite(sink.fd, b"x" * written, 0)
        with pytest.raises(SizeMismatch) as caught:
            sink.commit(Digest.sha256(b"x" * 6), 6)
        assert (caught.value.expected, caught.value.found) == (6, written)
        assert not stage.has(Digest.sha256(b"x" * 6))
        sink.abort()


def test_a_new_layout_is_complete(tmp_path: Path) -> None:
    image = make_image("a", "b", codec="zstd", names=("app:1",))
    put(tmp_path / "o", image)
    assert set(tree(tmp_path)) == {
        "o",
        "o/blobs",
        "o/blobs/sha256",
        "o/index.json",
        "o/oci-layout",
        *(f"o/blobs/sha256/{name}" for name in image.all_blobs()),
    }
    for name, data in image.all_blobs().items():
        assert (tmp_path / "o/blobs/sha256" / name).read_bytes() == data
    assert (tmp_path / "o/oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'
    index = json.loads((tmp_path / "o/index.json").read_bytes())
    assert index == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            image.descriptor(
                annotations={
                    "io.containerd.image.name": "docker.io/library/app:1",
                    "org.opencontainers.image.ref.name": "1",
                }
            )
        ],
    }


def test_modes_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        put(tmp_path / "o", make_image("a"))
    finally:
        os.umask(before)
    modes = {path.is_dir(): path.stat().st_mode & 0o777 for path in (tmp_path / "o").rglob("*")}
    assert modes == {True: 0o750, False: 0o640}
    assert (tmp_path / "o").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("path", ["o", "o/", "deep/../o"])
def test_an_empty_directory_is_filled(tmp_path: Path, path: str) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "o").mkdir(mode=0o700)
    inode = (tmp_path / "o").stat().st_ino
    with open_destination(f"oci:{tmp_path}/{path}").stage() as stage:
        image = make_image("a")
        write(stage, image.blobs[0])
        stage.publish(publication(image))
    assert (tmp_path / "o").stat().st_ino == inode
    assert sorted(os.listdir(tmp_path / "o")) == ["blobs", "index.json", "oci-layout"]
    only_image(read(tmp_path / "o"))


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "thesis.tex").write_bytes(b"x")
    with pytest.raises(UnsupportedFormat, match="neither empty nor an OCI layout"):
        open_destination(f"oci:{tmp_path}/o").stage()
    assert os.listdir(tmp_path / "o") == ["thesis.tex"]


def test_a_file_is_no_layout(tmp_path: Path) -> None:
    (tmp_path / "o").write_bytes(b"x")
    with pytest.raises(OutputError):
        open_destination(f"oci:{tmp_path}/o").stage()
    assert (tmp_path / "o").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_a_broken_layout_is_left_alone(tmp_path: Path, name: str) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    (layout / name).write_bytes(b"{")
    before = tree(tmp_path)
    with pytest.raises(errors.BadJSON):
        open_destination(f"oci:{layout}").stage()
    assert tree(tmp_path) == before


def test_an_image_is_added_to_a_layout(tmp_path: Path) -> None:
    old, new = make_image("a", "b", names=("old:1",)), make_image("a", "c", names=("new:2",))
    put(tmp_path / "o", old)
    put(tmp_path / "o", new)
    assert refs(tmp_path / "o") == ["1", "2"]
    assert [named.names for named in read(tmp_path / "o").images] == [
        ("docker.io/library/old:1",),
        ("docker.io/library/new:2",),
    ]
    assert set(tree(tmp_path / "o/blobs/sha256")) == set(old.all_blobs()) | set(new.all_blobs())


def test_an_index_is_published_with_its_children(tmp_path: Path) -> None:
    images = [make_image("a"), make_image("b", architecture="arm64")]
    children = [image.descriptor() for image in images]
    raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [*children, children[0]]})
    index = PublishedIndex(Descriptor(OCI_INDEX, Digest.sha256(raw), len(raw)), raw, tuple(map(published, images)))
    with open_destination(f"oci:{tmp_path}/o").stage() as stage:
        for image in images:
            write(stage, image.blobs[0])
        stage.publish(Publication((PublishedRoot(index, (), "multi"),)))
    found = read(tmp_path / "o", ":multi").images[0].root
    assert isinstance(found, ImageIndex)
    assert found.index.raw == raw
    assert len(found.children) == 3


def test_a_damaged_blob_of_another_size_is_replaced(tmp_path: Path) -> None:
    image = make_image("a")
    put(tmp_path / "o", image)
    blob = tmp_path / "o/blobs/sha256" / sha256(image.blobs[0])
    blob.write_bytes(b"half")
    put(tmp_path / "o", image)
    assert blob.read_bytes() == image.blobs[0]


@pytest.mark.parametrize("what", ["symlinked blobs", "symlinked sha256", "blobs is a file", "symlinked index"])
def test_nothing_is_written_through_links(tmp_path: Path, what: str) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    break_layout(layout, what)
    before = tree(tmp_path)
    with pytest.raises(BadArchive):
        put(layout, make_image("b", names=("b:1",)))
    assert tree(tmp_path) == before


def test_a_layout_made_meanwhile_is_added_to(tmp_path: Path) -> None:
    first, second = make_image("a", names=("a:1",)), make_image("b", names=("b:2",))
    with open_destination(f"oci:{tmp_path}/o").stage() as stage:
        write(stage, first.blobs[0])
        put(tmp_path / "o", second)
        stage.publish(publication(first))
    assert refs(tmp_path / "o") == ["2", "1"]
    assert [len(image.root.layers) for image in read(tmp_path / "o").images] == [1, 1]
    assert os.listdir(tmp_path) == ["o"]


def test_something_else_made_meanwhile_is_left_alone(tmp_path: Path) -> None:
    image = make_image("a")
    with pytest.raises(UnsupportedFormat), open_destination(f"oci:{tmp_path}/o").stage() as stage:
        write(stage, image.blobs[0])
        (tmp_path / "o").mkdir()
        (tmp_path / "o" / "mine").write_bytes(b"")
        stage.publish(publication(image))
    assert tree(tmp_path) == {"o": None, "o/mine": b""}


def test_a_blob_that_vanished_is_missed(tmp_path: Path) -> None:
    """What was there when the plan was made is checked again under the lock."""
    image = make_image("a", names=("new:1",))
    put(tmp_path / "o", make_image("a", "b", names=("old:1",)))
    before = (tmp_path / "o/index.json").read_bytes()
    with pytest.raises(MissingBlob), open_destination(f"oci:{tmp_path}/o").stage() as stage:
        assert stage.has(Digest.sha256(image.blobs[0]))
        (tmp_path / "o/blobs/sha256" / sha256(image.blobs[0])).unlink()
        stage.publish(publication(image))
    assert (tmp_path / "o/index.json").read_bytes() == before


SOURCE = str(Path(occy_fast.__file__).parents[1])
TESTS = str(Path(__file__).parents[2])
RUN = f"""
import sys
sys.path[:0] = [{SOURCE!r}, {TESTS!r}]
from pathlib import Path
from support.image_builders import make_image
from support.publishing import publication, write
from support.opening import open_destination

def put(locator, seed, number):
    image = make_image("common", f"{{seed}}-{{number}}", names=(f"{{seed}}:{{number}}",))
    with open_destination(locator).stage() as stage:
        for blob in image.blobs:
            write(stage, blob)
        stage.publish(publication(image))
"""


def test_two_writers_at_once(tmp_path: Path) -> None:
    """Every reference of both is there in the end, whoever came first."""
    code = RUN + f"for number in range(12): put('oci:{tmp_path}/o', sys.argv[1], number)"
    runs = [subprocess.Popen([sys.executable, "-c", code, seed]) for seed in ("x", "y", "z")]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    names = {name for named in read(tmp_path / "o").images for name in named.names}
    assert names == {f"docker.io/library/{seed}:{number}" for seed in "xyz" for number in range(12)}
    assert sorted(os.listdir(tmp_path / "o")) == ["blobs", "index.json", "oci-layout"]
    assert os.listdir(tmp_path) == ["o"]


CALLS = ["open", "mkdir", "rename", "link", "unlink", "fsync", "pwrite", "ftruncate", "rmdir"]


def killed_at(call: int, locator: str, image: BuiltImage) -> bool:
    """Write *image* in another process, and kill it at one of its calls; False if it came to its end before."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = call

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def count(*arguments: object, **more: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **more)

        return count

    try:
        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))
        put_at(locator, image)
    finally:
        os._exit(0)


def put_at(locator: str, image: BuiltImage) -> None:
    with open_destination(locator).stage() as stage:
        for blob in image.blobs:
            write(stage, blob)
        stage.publish(publication(image))


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory where fsync takes no time, if there is one: hundreds of runs follow."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as directory:
        yield Path(directory)


@pytest.mark.parametrize(
    ("transport", "before"),
    [
        ("oci", "nothing"),
        ("oci", "an old one"),
        ("oci", "an empty directory"),
        ("docker-archive", "nothing"),
        ("docker-archive", "an old one"),
    ],
)
def test_killed_at_every_call(memory: Path, transport: str, before: str) -> None:
    """The old or the complete new, never anything else; and the next run cleans up."""
    locator = f"{transport}:{memory}/o"
    for call in range(1000):
        for path in memory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if before == "an old one":
            put_at(locator, make_image("old", names=("old:1",)))
        elif before == "an empty directory":
            (memory / "o").mkdir()
        was_killed = killed_at(call, locator, make_image("one", "two", names=("new:2",)))
        old, new = (name in names_at(locator) for name in ("docker.io/library/old:1", "docker.io/library/new:2"))
        if transport == "oci":
            assert old == (before == "an old one")
        else:
            assert old == (before == "an old one" and not new)
        if not was_killed:
            assert new
            assert call > 20
            return
        put_at(locator, make_image("again", names=("again:3",)))
        assert not [path for path in memory.rglob("*") if is_temporary_name(path.name)]
        assert "docker.io/library/again:3" in names_at(locator)
    pytest.fail("the calls never end")


def names_at(locator: str) -> set[str]:
    """Return what is there, once it is known to be whole; nothing where there is nothing."""
    path = Path(locator.partition(":")[2])
    if not path.exists() or (path.is_dir() and not (path / "index.json").exists()):
        return set()
    with open_source(locator) as source:
        contents = source.read()
    for named in contents.images:
        for layer in named.root.layers:
            with layer.blob.open() as region:
                assert Digest.sha256(region.read()) == layer.digest
    return {name for named in contents.images for name in named.names}
