"""A sample of what short_runs.py does in full; all of it where OCCY_FAST_EVERY_CALL is set."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crash.short_runs import COMMANDS
from support.image_builders import make_image, oci_layout

RUNS = Path(__file__).with_name("short_runs.py")
SOURCES = RUNS.parent.parent.parent / "src"
EVERY = 1 if os.environ.get("OCCY_FAST_EVERY_CALL") else 11
MEBIBYTE = 1 << 20


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler for what is preloaded")
def test_whatever_runs_out_or_cannot_be_read_is_named() -> None:
    run = subprocess.run(
        [sys.executable, str(RUNS), "--json", "--every", str(EVERY)], capture_output=True, text=True, check=False
    )
    assert run.stdout, run.stderr
    found = json.loads(run.stdout)
    assert set(found) == {command.name for command in COMMANDS}
    assert [f"{name}: {problem}" for name, each in found.items() for problem in each["problems"]] == []
    assert run.returncode == 0
    ends = {end for each in found.values() for end in each["ends"]}
    shortages = {f"{kind}: ResourceError" for kind in ("memory", "thread", "space", "files")}
    assert {"read: InputError", "files: InputError", *shortages} <= ends


def with_memory(mebibytes: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in so much address space."""
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (mebibytes * MEBIBYTE,) * 2),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("mebibytes", [10, 16, 20, 24, 30, 40, 60, 90, 110, 130])
def test_a_command_with_little_memory_ends_in_a_word(tmp_path: Path, mebibytes: int) -> None:
    """From its first import on: what the limit meets is another place each time."""
    layout = oci_layout(tmp_path / "in", [make_image("one", "two", size=1 << 20)], ["app"])
    words = ["convert", f"oci:{layout}", f"oci:{tmp_path}/out", "-c", "zstd:9", "-j", "2", "--quiet"]
    run = with_memory(mebibytes, "-m", "occy_fast", *words)
    if run.returncode == 1 and run.stdout == "" and with_memory(mebibytes, "-m", "occy_fast.version").returncode:
        pytest.skip("Python does not even start a module of nothing in so little")
    assert run.returncode in (0, 1), run.stderr
    if run.returncode:
        lines = run.stderr.splitlines()
        ours = [line for line in lines if line.startswith("occy-fast: ")]
        first = ours[0] if ours and "code for hash" in lines[0] else lines[0]    # hashlib logs what it cannot load
        assert first.startswith(("occy-fast: ResourceError: not enough ", "occy-fast: not enough memory"))
        assert "defect" not in run.stderr
        assert not (tmp_path / "out").exists()
    assert [name for name in os.listdir(tmp_path) if "occy-fast" in name] == []
