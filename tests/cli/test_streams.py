"""Archives through standard input and output, as a shell's pipe line has them."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.image_builders import docker_archive, make_image
from support.outputs import Layout, read_archive

COMMAND = [sys.executable, "-m", "occy_fast"]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *arguments], env=ENVIRONMENT, check=False, capture_output=True, **options)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return docker_archive(tmp_path / "app.tar", [make_image("a", "b", size=70_000)])


@pytest.mark.parametrize("source", ["-", "docker-archive:-", "docker-archive:-:app:1", "/dev/stdin"])
def test_from_standard_input(archive: Path, source: str) -> None:
    done = run("convert", source, "oci:out", "--compression", "zstd", input=archive.read_bytes())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(source.encode() + b" -> oci:out\n")
    image = make_image("a", "b", size=70_000)
    assert Layout(archive.parent / "out").image("1").tars == image.tars


def test_a_file_as_standard_input(archive: Path) -> None:
    with archive.open("rb") as file:
        assert run("convert", "-", "oci:out", stdin=file).returncode == 0


def test_to_standard_output(archive: Path) -> None:
    plain = run("convert", "app.tar", "docker-archive:-:other:2", "--compression", "gzip")
    assert plain.returncode == 0
    assert b"app.tar -> docker-archive:-" in plain.stderr
    assert b"note: standard output" in plain.stderr
    (archive.parent / "out.tar").write_bytes(plain.stdout)
    assert read_archive(archive.parent / "out.tar")["other:2"].codecs == {"gzip"}

    quiet = run("convert", "app.tar", "docker-archive:-:other:2", "--compression", "gzip", "--quiet")
    assert quiet.stdout == plain.stdout
    assert quiet.stderr.startswith(b"sha256:")

    told = run("convert", "app.tar", "docker-archive:-:other:2", "--compression", "gzip", "--json")
    assert told.stdout == plain.stdout
    assert json.loads(told.stderr)["destination"] == "docker-archive:-:other:2"


@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_a_dry_run_leaves_both_ends_alone(archive: Path, json_too: list[str]) -> None:
    with archive.open("rb") as file:
        done = run("convert", "-", "docker-archive:-", "--dry-run", *json_too, stdin=file)
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"plain tars" in done.stderr or json.loads(done.stderr)["rules"]


def test_through_both(archive: Path) -> None:
    done = run("convert", "-", "docker-archive:-", "--compression", "gzip", "--quiet", input=archive.read_bytes())
    again = run("convert", "-", "oci:out", "--quiet", input=done.stdout)
    direct = run("convert", "app.tar", "oci:direct", "--compression", "gzip", "--quiet")
    assert again.stdout.strip() == direct.stdout.strip()
    assert again.stdout


@pytest.mark.parametrize("words", ["inspect", "verify", "check -t docker-20.10", "check -t podman-4.3 --deep"])
def test_looking_at_what_comes(archive: Path, words: str) -> None:
    command, *options = words.split()
    piped = run(command, "-", "--json", *options, input=archive.read_bytes())
    plain = run(command, "app.tar", "--json", *options)
    assert (piped.returncode, piped.stderr) == (0, b"")
    found, expected = json.loads(piped.stdout), json.loads(plain.stdout)
    for key in ("locator", "seconds"):
        assert (key in found) is (key in expected)
        found.pop(key, None)
        expected.pop(key, None)
    assert found == expected


def test_a_terminal_is_neither(archive: Path) -> None:
    main, terminal = pty.openpty()
    try:
        incoming = run("convert", "-", "oci:out", stdin=terminal)
        outgoing = subprocess.run(
            [*COMMAND, "convert", "app.tar", "docker-archive:-"],
            env=ENVIRONMENT,
            check=False,
            stdout=terminal,
            stderr=subprocess.PIPE,
        )
    finally:
        os.close(main)
        os.close(terminal)
    for done in (incoming, outgoing):
        assert done.returncode == 2
        assert b"terminal" in done.stderr
    assert os.listdir(archive.parent) == ["app.tar"]


@pytest.mark.parametrize(("cut", "code"), [(0, 4), (700, 4), (100_000, 4)])
def test_a_pipe_that_ends_early(archive: Path, cut: int, code: int) -> None:
    done = run("convert", "-", "oci:out", input=archive.read_bytes()[:cut])
    assert (done.returncode, done.stdout) == (code, b"")
    assert b"TarTruncated" in done.stderr
    assert os.listdir(archive.parent) == ["app.tar"]


@pytest.mark.parametrize("sent", [0, 1000, 100_000])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_the_pipe_is_silent(archive: Path, sent: int, number: signal.Signals) -> None:
    command = [*COMMAND, "convert", "-", "oci:out", "--compression", "zstd", "--verbose"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stderr is not None
        running.stdin.write(archive.read_bytes()[:sent])
        running.stdin.flush()
        assert b"by rules" in running.stderr.readline()  # the destination is open by then, or will be in a moment
        time.sleep(0.2)
        running.send_signal(number)
        assert running.wait(20) == 128 + number
        assert b"interrupted" in running.stderr.read()
    assert os.listdir(archive.parent) == ["app.tar"]
