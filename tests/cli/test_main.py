"""The program as a shell sees it: what it refuses, what it imports, and what becomes of its output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from occy_fast import __version__
from occy_fast.cli import COMMANDS, main
from support.image_builders import docker_archive, make_image

COMMAND = [sys.executable, "-m", "occy_fast"]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the program, without a terminal."""
    line = [*COMMAND, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=60, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return docker_archive(tmp_path / "app.tar", [make_image()])


@pytest.mark.parametrize(
    ("line", "problem", "remedy"),
    [
        ("convrt a b", "there is no command 'convrt'", "occy-fast convert"),
        ("frobnicate", "there is no command 'frobnicate'", "occy-fast --help"),
        ("--jsn", "occy-fast has no option --jsn", "occy-fast --help"),
        ("convert a b --compresion zstd", "occy-fast convert has no option --compresion", "--compression"),
        ("convert a", "occy-fast convert needs DST", "occy-fast convert --help"),
        ("convert a b c", "unexpected extra argument (c)", "occy-fast convert --help"),
        ("convert a b --compression zst", "not 'zst'", "--compression zstd"),
        ("convert a b --compression gz:2", "not 'gz:2'", "--compression gzip:2"),
        ("convert a b --compression zstd:x", "no number", "zstd:1"),
        ("convert a b --format dokcer", "--format is one of oci, docker, keep, not 'dokcer'", "--format docker"),
        ("convert a b --verify layer", "--verify is one of blobs, layers, destination, not 'layer'", "--verify layers"),
        ("convert a b --jobs 0", "not '0'", "leave it out"),
        ("convert a b --jobs 1e9", "not '1e9'", "leave it out"),
        ("convert a b --platform linux", "'linux' is no platform", "linux/amd64"),
        ("convert a b --level 3", "none is named", "--compression zstd:3"),
        ("convert a b --compression keep --level 3", "none is named", "--compression zstd:3"),
        ("convert a b --compression zstd:3 --level 4", "contradict", "leave one of them out"),
        ("convert a b --dry-run --digest-file x", "--dry-run publishes nothing", "leave one of them out"),
        ("convert a b --quiet --verbose", "exclude each other", "leave one of them out"),
        ("verify --jobs=-1 a", "not '-1'", "leave it out"),
        ("completion csh", "SHELL is one of bash, zsh, fish, not 'csh'", "SHELL zsh"),
    ],
)
def test_a_wrong_command_line_is_answered_with_the_right_one(
    line: str, problem: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    found = dict(text.strip().split(": ", 1) for text in err.splitlines()[1:])
    assert problem.lower() in found["problem"].lower()
    assert remedy in found["try"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("convert a b --compression gzip:9", 5),
        ("convert a b --compression zstd:20", 5),
        ("convert a b --compression none:1", 5),
        ("inspect nothing-here.tar", 3),
        ("verify nothing-here.tar", 3),
        ("convert nothing-here.tar oci:out", 3),
        ("convert docker://example.com/app oci:out", 5),
        ("convert app.tar out", 2),
        ("convert app.tar:x oci:out", 3),
        ("", 2),
    ],
)
def test_exit_codes(
    line: str, code: int, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    docker_archive(tmp_path / "app.tar", [make_image()])
    assert main(line.split()) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["app.tar"]


def test_a_usage_error_is_json_when_json_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "a", "--json", "--frmat", "oci"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    error = json.loads(err)["error"]
    assert (error["name"], error["exit_code"]) == ("UsageError", 2)


def test_version_names_codecs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"occy-fast {__version__}"
    assert "zstd" in second
    assert "kernels" in second


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *([name, "--help"] for name in COMMANDS)])
def test_help_teaches_by_example(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    text = capsys.readouterr().out
    examples = text.partition("Examples:")[2]
    assert 2 <= examples.count("occy-fast ") <= 8
    assert max(map(len, text.partition("Examples:")[0].splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--version"], {"rich", "urllib3", "asyncio", "occy_fast.api", "occy_fast.transports.opening"}),
        (["--help"], {"rich", "urllib3", "msgspec", "occy_fast.api", "occy_fast.kernels", "json"}),
        (["convert", "--help"], {"rich", "urllib3", "occy_fast.api", "occy_fast.kernels"}),
        (["inspect", "app.tar"], {"rich", "urllib3", "asyncio"}),
        (["convert", "app.tar", "oci:out"], {"rich", "urllib3", "asyncio"}),
    ],
)
def test_only_what_is_used_is_imported(arguments: list[str], absent: set[str], archive: Path) -> None:
    code = (
        "import sys; from occy_fast.cli import main; code = main(sys.argv[1:])\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr); sys.exit(code)"
    )
    line = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(line, capture_output=True, text=True, env=ENVIRONMENT, check=True, cwd=archive.parent)
    assert absent.isdisjoint(done.stderr.split())


def test_the_exit_code_reaches_the_shell_and_nothing_reaches_stdout(tmp_path: Path) -> None:
    done = run("inspect", tmp_path / "nothing.tar")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("occy-fast: MissingFile: not found\n")


def test_a_reader_that_leaves_early_is_no_failure(archive: Path) -> None:
    for arguments in (["inspect", str(archive), "--json"], ["--help"], ["convert", "--help"]):
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = subprocess.run(
                [*COMMAND, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, check=False
            )
        finally:
            os.close(writing)
        assert (done.returncode, done.stderr) == (0, "")


def test_an_answer_that_cannot_be_written_is_a_failure(archive: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "inspect", str(archive)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr


def test_closed_streams_are_no_failure(archive: Path) -> None:
    line = f'exec "$@" inspect {archive} >&- 2>&-'
    assert subprocess.run(["sh", "-c", line, "sh", *COMMAND], env=ENVIRONMENT, check=False).returncode == 0


def test_a_demand_on_kernels_that_cannot_be_met_is_told_in_one_line(archive: Path) -> None:
    line = [*COMMAND, "verify", str(archive)]
    environment = ENVIRONMENT | {"OCCY_FAST_KERNELS": "sha256:abacus"}
    done = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "abacus" in done.stderr
