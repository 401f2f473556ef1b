"""The examples that help shows are command lines of the program."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click
import pytest

from occy_fast.cli import main, program
from occy_fast.cli.options import ExampleCommand
from occy_fast.planning.goal_words import GoalWords
from support.image_builders import docker_archive, make_image


@pytest.mark.parametrize("name", program.list_commands(click.Context(program)))
def test_examples_in_the_help_parse(name: str) -> None:
    command = program.get_command(click.Context(program), name)
    assert isinstance(command, ExampleCommand)
    assert 2 <= len(command.examples) <= 6
    for _, line in command.examples:
        parse(line[line.index("occy-fast ") :].removesuffix(')"'))


def test_the_command_takes_the_words_of_python_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    docker_archive(tmp_path / "app.tar", [make_image("one")])
    told = []
    for words in (["-c", "zstd:19", "-j", "2"], ["--compression", "zstd:19", "--jobs", "2"], ["--encoding=zstd:19"]):
        workers = [] if len(words) > 1 else ["--workers", "2"]
        assert main(["convert", "app.tar", "oci:out", "--dry-run", "--json", *words, *workers]) == 0
        told.append({**json.loads(capsys.readouterr().out), "bytes_free": 0})
    assert told[0] == told[1] == told[2]
    assert told[0]["memory_above_usual"] > 0                # it grows with the workers
    for command in (["verify", "app.tar"], ["check", "app.tar", "-t", "k3s", "--deep"]):
        assert main([*command, "--workers", "2", "--quiet"]) == 0
        assert main([*command, "--workers", "0"]) == 2
        assert "--jobs is a number from 1 to" in capsys.readouterr().err


def parse(line: str) -> None:
    """Parse a command line, without running it; a wrong one raises."""
    words = shlex.split(line.partition(" | ")[0].partition(" > ")[0], comments=True)[1:]
    context = click.Context(program, info_name="occy-fast", **program.context_settings)
    name, command, rest = program.resolve_command(context, words)
    assert command is not None
    command.make_context(name, rest, parent=context)


def test_every_word_of_a_goal_is_an_option_of_convert() -> None:
    command = program.get_command(click.Context(program), "convert")
    assert command is not None
    assert GoalWords.__annotations__.keys() <= {parameter.name for parameter in command.params}
