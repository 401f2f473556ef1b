"""Every command and example of the documents is run: on small images, with daemons of this process."""

from __future__ import annotations

import gzip
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import pytest

from occy_fast.cli import main, program
from occy_fast.kernels import SIDE
from support.documents import DOCUMENTS, ROOT, blocks, commands
from support.fake_daemon import FakeDaemon
from support.image_builders import (
    docker_archive,
    dumps,
    make_image,
    make_layer,
    make_tar,
    oci_archive,
    oci_layout,
    sha256,
)

pytestmark = pytest.mark.skipif(SIDE != "native", reason="the documents show the native encoders")

LAYERS = ("one", "two", "three", "four")

# What stands in a pipe with us: docker's client, a reader of JSON, and the installed command.
PROGRAMS = {
    "docker": 'case "$1" in save) cat app.tar;; load) cat >loaded.tar;; *) exit 1;; esac',
    "jq": "cat >/dev/null",
    "occy-fast": f'exec {shlex.quote(sys.executable)} -m occy_fast "$@"',
}


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make the images that the documents speak of in an empty directory, start two daemons, and go there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("CONTAINER_REGISTRY", "GITHUB_REPOSITORY", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    plain, gzipped, zstd = (make_image(*LAYERS, codec=codec) for codec in ("none", "gzip", "zstd"))
    docker_archive(tmp_path / "app.tar", [plain])
    (tmp_path / "layer.tar.gz").write_bytes(gzip.compress(plain.tars[0]))
    (tmp_path / "old.tar").write_bytes(make_tar(save_of_docker_1_9()))
    oci_layout(tmp_path / "out", [gzipped, zstd], ["app", "zstd"])
    oci_layout(tmp_path / "store", [make_image(*LAYERS[:2], "other", codec="gzip")], ["other"])
    several = [make_image("a", codec="zstd"), make_image("b", codec="zstd", architecture="arm64")]
    oci_layout(tmp_path / "multi", several, ["app"], nested=True)
    oci_archive(tmp_path / "app.oci.tar", oci_layout(tmp_path / "packed", [zstd], ["app"]))
    oci_layout(tmp_path / "bad", [gzipped], ["app"])
    (tmp_path / "bad" / "blobs" / "sha256" / sha256(gzipped.blobs[0])).write_bytes(bytes(len(gzipped.blobs[0])))
    with ExitStack() as stack:
        for variable, libpod in (("DOCKER_HOST", ""), ("CONTAINER_HOST", "4.3.1")):
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="occy-", dir="/tmp"))
            daemon = stack.enter_context(FakeDaemon(Path(directory)))
            daemon.libpod = libpod
            monkeypatch.setenv(variable, f"unix://{daemon.path}")
        yield tmp_path


def save_of_docker_1_9() -> list[tuple[str, bytes]]:
    """Return the members of an archive with one layer, from before manifest.json."""
    image_id = sha256(b"one")
    document = {"id": image_id, "created": "2014-01-01T00:00:00.50Z", "os": "linux", "architecture": "amd64"}
    names = {"old": {"1": image_id}}
    return [
        (f"{image_id}/VERSION", b"1.0"),
        (f"{image_id}/json", dumps(document | {"docker_version": "1.6.0"})),
        (f"{image_id}/layer.tar", make_layer("one")),
        ("repositories", dumps(names)),
    ]


@pytest.fixture
def programs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put PROGRAMS in front of what is installed."""
    directory = tmp_path_factory.mktemp("bin")
    for name, script in PROGRAMS.items():
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))


def ours(name: str) -> list[str]:
    """Return the commands of a document that run occy-fast, alone or in a pipe."""
    return [command for command in commands(name) if "occy-fast " in command]


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if ours(name)])
@pytest.mark.usefixtures("images", "programs")
def test_commands_run(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    for command in ours(name):
        if command.startswith("occy-fast ") and "|" not in command:
            code = main(shlex.split(command)[1:])
        else:                                        # in the shell, which fails where any of a pipe does
            code = subprocess.run(["bash", "-o", "pipefail", "-c", command], check=False).returncode
        out, err = capfd.readouterr()
        assert code == 0 or (code == 10 and " check " in command), f"{command}\n{out}{err}"


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name in DOCUMENTS for text in blocks(name, "console")], ids=lambda _: ""
)
@pytest.mark.usefixtures("images")
def test_answers_are_those_shown(name: str, text: str, capfd: pytest.CaptureFixture[str]) -> None:
    command, _, shown = text.partition("\n")
    main(shlex.split(command.removeprefix("$ occy-fast ")))
    assert measures_masked("".join(capfd.readouterr())) == measures_masked(shown), name


def measures_masked(text: str) -> str:
    """Return *text* without what is different in another image: digests, sizes, and the blanks between columns."""
    text = re.sub(r"sha256:[0-9a-f]+", "DIGEST", text)
    text = re.sub(r"[\d.]+ [kMGT]?B\b", "SIZE", text)
    return re.sub(r" +", " ", text)


# What is run by nobody here: it needs a network, root or hours. What it names must be there.
@pytest.mark.parametrize(
    "command", [command for name in DOCUMENTS for command in commands(name) if command not in ours(name)]
)
def test_other_commands_name_what_is_there(command: str) -> None:
    words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z_]+=.*", word)]
    if words[0] == "make":
        assert words[1] in make_targets()
    elif words[0] == "pip":
        assert words == ["pip", "install", "."]
    else:
        assert words[0] == ".venv/bin/python"
        named = [word for word in words if word.startswith(("benchmarks.", "tests/", "setup.py"))]
        assert named
        assert all((ROOT / path).exists() or (ROOT / f"{path.replace('.', '/')}.py").exists() for path in named)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_named_in_passing_is_there(name: str) -> None:
    text = DOCUMENTS[name]
    assert set(re.findall(r"`(?:[A-Z]+=\S+ )?make (\w+)", text)) <= make_targets()
    modules = re.findall(r"python -m (benchmarks\.\w+)", text)
    assert all((ROOT / f"{module.replace('.', '/')}.py").exists() for module in modules)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_options_named_in_passing_are_there(name: str) -> None:
    context = click.Context(program)
    parameters = [each for command in program.list_commands(context) for each in parameters_of(command)]
    offered = {word for each in parameters for word in (*each.opts, *each.secondary_opts)} | {"--help", "--version"}
    offered |= set(re.findall(r'"(--\w+)"', "".join(path.read_text() for path in (ROOT / "benchmarks").glob("*.py"))))
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", DOCUMENTS[name], flags=re.MULTILINE | re.DOTALL))
    named = {word for text in inline for word in re.findall(r"(?<![\w-])-{1,2}[a-z][a-z-]*", text)}
    assert named - offered - {"-m"} == set()


def parameters_of(name: str) -> list[click.Parameter]:
    command = program.get_command(click.Context(program), name)
    assert command is not None
    return command.params


def make_targets() -> set[str]:
    return set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    "code", [code for name in DOCUMENTS for code in blocks(name, "python")], ids=lambda code: code.splitlines()[-1]
)
@pytest.mark.usefixtures("images")
def test_python_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "document.md", "exec"), {})
    assert capsys.readouterr().out
