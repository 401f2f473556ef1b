"""The command line: arguments become a call of the library, its errors become exit codes."""

# ruff: noqa: ARG002  (the signatures are click's)

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from occy_fast.cli.failure import MEANINGS, from_click, nearest_words, report_failure
from occy_fast.cli.options import QuietHelp
from occy_fast.cli.output import OutputMode, print_lines, print_note
from occy_fast.cli.signals import stopped_by_signals
from occy_fast.errors import UsageError
from occy_fast.version import __version__

_COMPLETE = "_OCCY_FAST_COMPLETE"

# A build farm starts the program thousands of times: a command's module is imported when that command runs.
COMMANDS = {
    "convert": "Bring an image to another place, in another form if asked.",
    "inspect": "Show what is in it: images, layers, encodings, sizes.",
    "check": "Tell what consumers will not read of it, and what mends that.",
    "verify": "Prove everything in it: digests, sizes, diff_ids, counts.",
    "targets": "List the consumers that check and convert know.",
    "completion": "Print the script that teaches a shell these words.",
}


class LazyGroup(QuietHelp, click.Group):
    """A group that imports a command's module, `NAME_cmd`, when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, the main job first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        command = getattr(import_module(f"occy_fast.cli.{cmd_name}_cmd"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that *args* begin with; a wrong one is answered with the nearest."""
        if not ctx.resilient_parsing and args[0] not in COMMANDS and not args[0].startswith("-"):
            nearest = nearest_words(args[0], list(COMMANDS))
            raise UsageError(f"there is no command '{args[0]}'", f"occy-fast {nearest or '--help'}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands from the table above: help imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the exit codes mean, and how to begin."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in MEANINGS.items()])
        with formatter.section("Examples"):
            formatter.write("  occy-fast inspect app.tar\n")
            formatter.write("  occy-fast convert docker-archive:app.tar oci:out:app --compression zstd\n")
            formatter.write("  occy-fast convert --help\n")


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        print_lines(f"occy-fast {__version__}", _build_line())
        ctx.exit(0)


def _build_line() -> str:
    from occy_fast.kernels.build import build_info

    build = build_info()
    codecs = [f"{codec.name} {codec.version} ({codec.origin})" for codec in build.codecs]
    return f"{build.kernels} kernels: {', '.join(codecs)}; sha256 {build.sha256}; {build.architecture}"


@click.group(
    cls=LazyGroup,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and its codecs.",
)
def program() -> None:
    """Convert container images between their forms, and prove every byte on the way."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* (sys.argv by default) and return the exit code; nothing is raised."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    # The command line may be what is wrong, so how to complain is read before it is parsed.
    short = [word for word in words if word.startswith("-") and not word.startswith("--")]
    mode = OutputMode(json="--json" in words, verbose="--verbose" in words or any("v" in word for word in short))
    try:
        with stopped_by_signals():
            return _run(arguments)
    except click.ClickException as error:
        return report_failure(from_click(error), mode)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:
        return report_failure(error, mode)


def _run(arguments: list[str]) -> int:
    if instruction := os.environ.get(_COMPLETE):
        from occy_fast.cli.completion import answer_shell

        return answer_shell(program, instruction)
    try:
        with program.make_context("occy-fast", list(arguments)) as context:
            if not arguments:
                print_note(*context.get_help().split("\n"))
                return 2
            code = program.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    return code if isinstance(code, int) else 0
