from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from occy_fast.errors import OutputError, Unsupported
from occy_fast.files import staged
from occy_fast.files.staged import (
    StagedDirectory,
    StagedFile,
    clean_stale,
    is_temporary_name,
    locked,
    new_temporary_name,
    open_directory,
    output_errors,
    replaceable,
    write_all,
)


@pytest.fixture
def directory(tmp_path: Path):
    fd = open_directory(str(tmp_path))
    yield fd
    os.close(fd)


@pytest.fixture(params=["unnamed", "named"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "named":
        monkeypatch.setattr(StagedFile, "_open_unnamed", lambda self: -1)
    return request.param



def test_names_are_recognised_and_differ() -> None:
    names = {new_temporary_name() for _ in range(100)}
    assert len(names) == 100
    assert all(map(is_temporary_name, names))
    assert not any(map(is_temporary_name, ["out.tar", ".occy-fast-1.part", ".occy-fast-0123456789abcdef.part2"]))


def test_a_file_appears_whole(directory: int, tmp_path: Path, kind: str) -> None:
    with StagedFile(directory, "out") as file:
        write_all(file.fd, b"content", 0)
        assert not (tmp_path / "out").exists()
        file.publish("out")
        assert (tmp_path / "out").read_bytes() == b"content"
    assert os.listdir(tmp_path) == ["out"]


def test_an_unpublished_file_leaves_nothing(directory: int, tmp_path: Path, kind: str) -> None:
    with StagedFile(directory, "out") as file:
        write_all(file.fd, b"content", 0)
        assert bool(os.listdir(tmp_path)) == (kind == "named")
    assert os.listdir(tmp_path) == []


def test_a_file_replaces_the_old_one_and_keeps_its_readers(directory: int, tmp_path: Path, kind: str) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with (tmp_path / "out").open("rb") as reader, StagedFile(directory, "out") as file:
        write_all(file.fd, b"new", 0)
        file.publish("out")
        assert reader.read() == b"old"
    assert (tmp_path / "out").read_bytes() == b"new"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_umask_decides_the_mode(directory: int, tmp_path: Path, kind: str, umask: int) -> None:
    before = os.umask(umask)
    try:
        with StagedFile(directory, "out") as file:
            file.publish("out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o666 & ~umask


def test_a_failed_rename_leaves_nothing(directory: int, tmp_path: Path, kind: str) -> None:
    (tmp_path / "out").mkdir()
    with StagedFile(directory, "out") as file, pytest.raises(OutputError) as caught:
        file.publish("out")
    assert (caught.value.errno, caught.value.operation) == (errno.EISDIR, "rename")
    assert os.listdir(tmp_path) == ["out"]


def test_remains_of_dead_runs_go_and_live_ones_stay(directory: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(StagedFile, "_open_unnamed", lambda self: -1)
    (tmp_path / new_temporary_name()).write_bytes(b"dead")
    dead = tmp_path / new_temporary_name()
    (dead / "blobs").mkdir(parents=True)
    (dead / "blobs" / "x").write_bytes(b"dead")
    (tmp_path / "mine").write_bytes(b"")
    os.symlink("mine", tmp_path / new_temporary_name())
    with StagedFile(directory, "out"):
        live = StagedDirectory(directory, "out")
        before = set(os.listdir(tmp_path))
        clean_stale(directory)
        after = set(os.listdir(tmp_path))
        assert len(before) - len(after) == 2
        assert {"mine", live.name} < after
        live.close()
    assert len(os.listdir(tmp_path)) == 2            # the link is nobody's remains


def test_a_killed_run_is_cleaned_up_after(directory: int, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from occy_fast.files.staged import StagedDirectory, open_directory\n"
        "StagedDirectory(open_directory(sys.argv[1]), 'x')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    source = Path(staged.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=False)
    assert run.returncode == -9
    assert [is_temporary_name(name) for name in os.listdir(tmp_path)] == [True]
    clean_stale(directory)
    assert os.listdir(tmp_path) == []


def test_a_directory_is_renamed_whole(directory: int, tmp_path: Path) -> None:
    made = StagedDirectory(directory, "out")
    os.mkdir("blobs", dir_fd=made.fd)
    made.rename("out")
    made.close()
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(tmp_path / "out") == ["blobs"]


def test_a_lock_that_is_never_let_go_is_an_error(tmp_path: Path) -> None:
    one, two = open_directory(str(tmp_path)), open_directory(str(tmp_path))
    with locked(one, "out"), pytest.raises(OutputError) as caught, locked(two, "out", seconds=0.1):
        pass
    assert caught.value.operation == "lock"
    with locked(two, "out", seconds=0.1):
        pass
    os.close(one)
    os.close(two)


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    one, two = open_directory(str(tmp_path)), open_directory(str(tmp_path))
    order = []
    held = threading.Event()

    def hold() -> None:
        with locked(one, "out"):
            held.set()
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    with locked(two, "out", seconds=10):
        order.append("second")
    thread.join(10)
    assert order == ["first", "second"]
    os.close(one)
    os.close(two)


def test_output_errors_name_path_and_operation() -> None:
    with pytest.raises(OutputError) as caught, output_errors("out.tar", "write"):
        raise OSError(errno.ENOSPC, "full")
    assert (caught.value.path, caught.value.errno, caught.value.operation) == ("out.tar", errno.ENOSPC, "write")



def test_what_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.symlink("file", tmp_path / "link")
    os.symlink("absent", tmp_path / "dangling")
    os.symlink("circle", tmp_path / "circle")
    os.mkfifo(tmp_path / "pipe")
    os.symlink("pipe", tmp_path / "to pipe")
    for name, found in [("file", "file"), ("link", "file"), ("absent", "absent"), ("dangling", "absent")]:
        assert replaceable(str(tmp_path / name)) == str(tmp_path / found)
    for path in (tmp_path / "pipe", tmp_path / "to pipe", tmp_path, "/dev/null"):
        with pytest.raises(Unsupported, match="regular file"):
            replaceable(str(path))
    with pytest.raises(OutputError):
        replaceable(str(tmp_path / "circle"))
    reading, writing = os.pipe()
    with pytest.raises(Unsupported):
        replaceable(f"/proc/self/fd/{writing}")
    os.close(reading)
    os.close(writing)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="unnamed files need /proc")
def test_a_signal_behind_the_link_leaves_nothing(
    directory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.link

    def interrupted(*arguments: Any, **more: Any) -> None:
        original(*arguments, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", interrupted)
    with suppress(KeyboardInterrupt), StagedFile(directory, "out") as file:
        file.publish("out")
    assert [name for name in os.listdir(tmp_path) if name != "out"] == []
