"""What README.md says of the command line is true of it."""

from __future__ import annotations

import gzip
import re
import shlex
from dataclasses import fields
from pathlib import Path

import click
import pytest

from occy_fast.cli import program
from occy_fast.cli.failure import MEANINGS
from occy_fast.cli.options import ExampleCommand
from occy_fast.spec.encoding import DEFAULT_LEVELS, Encoding
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.streams.encoders import encoder_identity
from support.image_builders import docker_archive, make_image

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
LINES = [line.removeprefix("$ ") for line in README.splitlines() if line.removeprefix("$ ").startswith("occy-fast ")]


def parse(line: str) -> None:
    """Parse a command line, without running it; a wrong one raises."""
    words = shlex.split(line.partition(" | ")[0].partition(" > ")[0], comments=True)[1:]
    context = click.Context(program, info_name="occy-fast")
    name, command, rest = program.resolve_command(context, words)
    assert command is not None
    command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("line", LINES)
def test_commands_in_the_readme_parse(line: str) -> None:
    parse(line)


@pytest.mark.parametrize("name", program.list_commands(click.Context(program)))
def test_examples_in_the_help_parse(name: str) -> None:
    command = program.get_command(click.Context(program), name)
    assert isinstance(command, ExampleCommand)
    assert 2 <= len(command.examples) <= 6
    for _, line in command.examples:
        parse(line[line.index("occy-fast ") :].removesuffix(')"'))


def test_exit_codes_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", README, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == MEANINGS


def test_default_levels_are_those_of_the_encoders() -> None:
    text = ", ".join(f"{codec} {level}" for codec, level in DEFAULT_LEVELS.items())
    assert f"default level ({text})" in README


def test_the_encoder_is_the_one_that_the_readme_names() -> None:
    identity = encoder_identity(Encoding("zstd"))
    if identity.engine.startswith("pure"):
        pytest.skip("the README names the native engine")
    assert f"encoder: {identity}\n" in README


@pytest.mark.parametrize("code", re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
def test_python_in_the_readme_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image = make_image(names=("app:1",))
    docker_archive(tmp_path / "app.tar", [image])
    (tmp_path / "layer.tar.gz").write_bytes(gzip.compress(image.tars[0]))
    exec(compile(code, "README.md", "exec"), {})
    assert {"out", "layer.tar.zst"} & {entry.name for entry in tmp_path.iterdir()}


def test_the_table_of_limits_is_complete() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| ([\d,]+)(?: (KiB|MiB|GiB))? \|", README, re.MULTILINE)
    units = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    told = {name: (variable, int(number.replace(",", "")) * units[unit]) for name, variable, number, unit in rows}
    assert told == {field.name: (field.name.upper(), getattr(LIMITS, field.name)) for field in fields(Limits)}
