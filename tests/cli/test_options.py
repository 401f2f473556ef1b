"""The examples that help shows are command lines of the program."""

from __future__ import annotations

import shlex

import click
import pytest

from occy_fast.cli import program
from occy_fast.cli.options import ExampleCommand


@pytest.mark.parametrize("name", program.list_commands(click.Context(program)))
def test_examples_in_the_help_parse(name: str) -> None:
    command = program.get_command(click.Context(program), name)
    assert isinstance(command, ExampleCommand)
    assert 2 <= len(command.examples) <= 6
    for _, line in command.examples:
        parse(line[line.index("occy-fast ") :].removesuffix(')"'))


def parse(line: str) -> None:
    """Parse a command line, without running it; a wrong one raises."""
    words = shlex.split(line.partition(" | ")[0].partition(" > ")[0], comments=True)[1:]
    context = click.Context(program, info_name="occy-fast")
    name, command, rest = program.resolve_command(context, words)
    assert command is not None
    command.make_context(name, rest, parent=context)
