"""A sample of what faulty_runs.py does in full; all of it where OCCY_FAST_EVERY_CALL is set."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from crash.faulty_runs import SHAPES, Call, compile_library, environment, make_sources, unordered

RUNS = Path(__file__).with_name("faulty_runs.py")
EVERY = 1 if os.environ.get("OCCY_FAST_EVERY_CALL") else 15

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler for what is preloaded")


def test_whatever_dies_or_fails_the_old_or_the_new_is_there_whole() -> None:
    run = subprocess.run(
        [sys.executable, str(RUNS), "--json", "--every", str(EVERY)], capture_output=True, text=True, check=False
    )
    assert run.stdout, run.stderr
    found = json.loads(run.stdout)
    assert set(found) == {shape.name for shape in SHAPES}
    assert [f"{name}: {problem}" for name, each in found.items() for problem in each["problems"]] == []
    assert run.returncode == 0
    for name, each in found.items():
        assert each["calls"] >= 30, name             # fewer are not all
        assert each["runs"]["kill"] >= each["calls"] // EVERY, name
        assert each["states"]["old"] and each["states"]["new"], name


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")
@pytest.mark.parametrize("number", [1, 8])
def test_every_call_is_seen(tmp_path: Path, number: int) -> None:
    """Nothing goes past the C library's wrappers: strace counts the same calls."""
    watched = tmp_path / "watched"
    sources = make_sources(watched)
    (watched / "top").mkdir()
    arguments = [word.format(top=watched / "top", **sources) for word in SHAPES[number].arguments]
    library = compile_library(tmp_path)
    code = (
        "import ctypes, os, sys\n"
        "from occy_fast.cli import main\n"
        "library, watched, told = sys.argv[1:4]\n"
        "log = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "ctypes.CDLL(library).faults_arm(watched.encode(), ctypes.c_long(0), 0, 0, log, 0)\n"
        "sys.exit(main(['convert', *sys.argv[4:], '--quiet', '-j', '2']))\n"
    )
    command = [sys.executable, "-c", code, library, str(watched), str(tmp_path / "told"), *arguments]
    names = "write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,ftruncate,fallocate,rename,renameat"
    names += ",renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,unlink,unlinkat,rmdir,open,openat,creat"
    names += ",io_submit,io_uring_setup,mmap,splice,vmsplice"
    trace = tmp_path / "trace"
    traced = ["strace", "-f", "-y", "-o", str(trace), "-e", f"trace={names}", "-E", f"LD_PRELOAD={library}", *command]
    run = subprocess.run(traced, env=environment(library, preload=False), capture_output=True, text=True, check=False)
    if "PTRACE" in run.stderr:
        pytest.skip("strace may not trace here")
    assert run.returncode == 0, run.stderr
    seen: Counter[str] = Counter()
    for line in (tmp_path / "told").read_text().splitlines():
        seen[_kind(line.split("\t")[1])] += 1
    expected: Counter[str] = Counter()
    for line in trace.read_text().splitlines():
        call = re.match(r"\d+ +(\w+)\((.*)", line)
        if call is None or (str(watched) + "/" not in line and str(watched) + ">" not in line):
            continue
        name, rest = call[1], call[2]
        if name == "mmap" and not ("MAP_SHARED" in rest and "PROT_WRITE" in rest):
            continue
        if name in ("open", "openat") and "O_CREAT" not in rest and "O_TMPFILE" not in rest:
            continue
        expected[_kind(name)] += 1
    assert expected["write"] > 5 and expected["create"] >= 1
    assert {name: count for name, count in seen.items() if name != "sync"} == dict(expected)


def _kind(name: str) -> str:
    """Return one word for all calls that do the same."""
    words = {"write": "write|direct|pwrite64", "create": "tmpfile|create|open|openat", "rename": "rename|renameat"}
    words |= {"unlink": "unlink|unlinkat|rmdir", "mkdir": "mkdir|mkdirat", "link": "link|linkat"}
    words |= {"truncate": "ftruncate|ftruncate64", "sync": "fsync|fdatasync|sync_file_range"}
    return next((word for word, names in words.items() if name in names.split("|")), name)


def call(name: str, inode: int, parent: int = 0, other: str = "") -> Call:
    return Call(0, name, 0, inode, parent, f".occy-fast-{inode}", other)


def test_what_is_not_synced_is_told(tmp_path: Path) -> None:
    """The order of a right run passes, and without any of its fsyncs it does not."""
    out = tmp_path / "out"
    out.write_bytes(b"")
    inode, top = out.stat().st_ino, tmp_path.stat().st_ino
    right = [
        call("create", inode, top),
        call("write", inode),
        call("fsync", inode),
        call("renameat", inode, top, str(out)),
        call("fsync", top),
    ]
    assert unordered(right, tmp_path, "out") == []
    for number in (2, 4):
        assert unordered([*right[:number], *right[number + 1 :]], tmp_path, "out") != []
    assert unordered(right[:3], tmp_path, "out") != []
    assert unordered([*right[:2], right[3], right[2], right[4]], tmp_path, "out") != []
    told = call("renameat", inode + 1, top, str(tmp_path / "digest"))
    told_too_early = unordered([*right[:4], call("create", inode + 1, top), told, right[4]], tmp_path, "out")
    assert any("to " + str(tmp_path / "digest") in problem for problem in told_too_early)
