"""Completion answers in the form each shell expects, Bash's cut words included."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from occy_fast.cli import main


def complete(
    shell: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """Ask for completions of the last of *words*."""
    monkeypatch.setenv("_OCCY_FAST_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", "\n".join(["occy-fast", *words]))
    monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words)))
    assert main([]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["con"], ["plain,convert"]),
        (["convert", "--comp"], ["plain,--compression"]),
        (["convert", "a", "b", "--compression", "z"], ["plain,zstd"]),
        (["convert", "a", "b", "--format", ""], ["plain,oci", "plain,docker", "plain,keep"]),
        (["convert", "a", "b", "--attestations", ""], ["plain,keep", "plain,drop"]),
        (["convert", "dock"], ["plain,docker-archive:", "plain,docker-daemon:"]),
        (["convert", "oci"], ["plain,oci:", "plain,oci-archive:"]),
        (["convert", "app"], ["file,app"]),
        (["convert", "docker-archive", ":", "app"], ["file,"]),
        (["convert", "docker-archive", ":"], ["file,"]),
        (["convert", "app.tar", "oci", ":", "o"], ["file,"]),
        (["convert", "app.tar", "oci-archive", ":", "o"], ["file,"]),
        (["convert", "app.tar", "nothing", ":", "o"], ["file,"]),
        (["completion", ""], ["plain,bash", "plain,zsh", "plain,fish"]),
    ],
)
def test_bash(
    words: list[str],
    answer: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.tar").touch()
    (tmp_path / "out").mkdir()
    assert complete("bash", words, monkeypatch, capsys) == answer


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_whole_locators(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("app.tar", "apple.tar", ".app"):
        (tmp_path / name).touch()
    (tmp_path / "apps").mkdir()
    text = "\n".join(complete(shell, ["convert", "oci:app"], monkeypatch, capsys))
    for name in ("oci:app.tar", "oci:apple.tar", "oci:apps/"):
        assert name in text
    assert ".app" not in text.replace("oci:app", "")


def test_a_real_bash_completes_the_program(tmp_path: Path) -> None:
    program = tmp_path / "occy-fast"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m occy_fast "$@"\n')
    program.chmod(0o755)
    script = subprocess.run(
        [program, "completion", "bash"], check=True, capture_output=True, text=True, env=environment()
    )
    asking = (
        f"PATH={tmp_path}:$PATH\n{script.stdout}\n"
        "COMP_WORDS=(occy-fast convert a b --compression = zs) COMP_CWORD=6\n_occy_fast_completion occy-fast\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    run = subprocess.run(["bash", "-c", asking], check=True, capture_output=True, text=True, env=environment())
    assert run.stdout == "zstd\n", run.stderr
    # compopt works only while Bash itself completes: in its place stands what tells that it was asked
    asking = (
        f"PATH={tmp_path}:$PATH\n{script.stdout}\ncompopt() {{ echo compopt \"$@\"; }}\n"
        "COMP_WORDS=(occy-fast convert docker-d) COMP_CWORD=2\n_occy_fast_completion occy-fast\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    run = subprocess.run(["bash", "-c", asking], check=True, capture_output=True, text=True, env=environment())
    assert run.stdout == "compopt -o nospace\ndocker-daemon:\n", run.stderr


def environment() -> dict[str, str]:
    """Return this environment, with the package that is under test in reach."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
