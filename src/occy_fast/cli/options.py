"""Options and argument types that several commands share."""

# ruff: noqa: ARG002  (the signatures are click's)

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from occy_fast.cli.build_names import is_verbose
from occy_fast.cli.failure import nearest_words, spelling
from occy_fast.cli.output import OutputMode, print_lines
from occy_fast.errors import UsageError

if TYPE_CHECKING:  # generic since click 8.2, and only to type checkers
    _Type = click.ParamType[Any]
    _Choice = click.Choice[str]
else:
    _Type = click.ParamType
    _Choice = click.Choice

Function = TypeVar("Function", bound=Callable[..., Any])


class QuietHelp(click.Command):
    """A command whose --help is an answer like any other: `| head` may leave early."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return click's option, printing our way."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _print_help
        return option


class ExampleCommand(QuietHelp):
    """A command whose help ends with examples: what for, and the line to type."""

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are: a wrapped command line cannot be copied."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for number, (purpose, line) in enumerate(self.examples):
                formatter.write("\n" if number else "")
                formatter.write(f"  # {purpose}\n  {line}\n")


class Word(_Choice):
    """One of a few words; a wrong one is answered with the nearest."""

    name = "word"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        words = [str(word) for word in self.choices]
        if value in words:
            return value
        option = spelling(param) if param else "the value"
        nearest = nearest_words(str(value), words)
        raise UsageError(
            f"{option} is one of {', '.join(words)}, not '{value}'", f"{option} {nearest}" if nearest else None
        )


class LocatorType(_Type):
    """Where an image is; the text stays as it is, for the library to parse."""

    name = "locator"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the transports, and leave paths to the shell; after "transport:" list them, as no shell knows to."""
        from occy_fast.transports.opening import TRANSPORTS

        word, colon, path = incomplete.partition(":")
        if colon and word in TRANSPORTS and TRANSPORTS[word].has_path:
            return [CompletionItem(f"{word}:{found}") for found in _paths_like(path)]
        named = [CompletionItem(f"{name}:") for name in TRANSPORTS if name.startswith(incomplete)]
        return named if named and incomplete else [*named, CompletionItem(incomplete, type="file")]


class EncodingType(_Type):
    """A codec with or without a level, or "keep"."""

    name = "compression"

    @property
    def words(self) -> tuple[str, ...]:
        """The codecs there are, and "keep"."""
        from occy_fast.spec.encoding import RECODABLE

        return (*RECODABLE, "keep")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an Encoding that our encoder can make, or "keep"."""
        from occy_fast.spec.encoding import RECODABLE, parse_encoding

        codec, colon, level = str(value).partition(":")
        if value == "keep":
            return value
        if codec not in RECODABLE:
            nearest = nearest_words(codec, list(self.words))
            raise UsageError(
                f"--compression is one of {', '.join(self.words)}, not '{value}'",
                f"--compression {nearest}{colon + level if nearest in RECODABLE else ''}" if nearest else None,
            )
        return parse_encoding(value).check_level()

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Show the form in help."""
        from occy_fast.spec.encoding import CODECS

        return "|".join(f"{word}[:L]" if word in CODECS and CODECS[word].levels else word for word in self.words)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the words."""
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class PlatformType(_Type):
    """os/architecture[/variant], or "all"."""

    name = "platform"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a Platform, or the word for all of them."""
        from occy_fast.spec.platform import ALL_PLATFORMS, parse_platform

        return value if value == ALL_PLATFORMS else parse_platform(str(value))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer what most images are made for."""
        return [
            CompletionItem(word)
            for word in ("linux/amd64", "linux/arm64", "linux/arm/v7", "all")
            if word.startswith(incomplete)
        ]


class TargetType(_Type):
    """A consumer of images; the text stays as it is, once it is known to name one."""

    name = "target"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name. Raises UnknownTarget."""
        from occy_fast.targets.catalog import find_target

        return find_target(str(value)).name

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the rows of the matrix."""
        from occy_fast.targets.catalog import all_targets

        return [CompletionItem(known.name) for known in all_targets() if known.name.startswith(incomplete)]


def only_one(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> str | None:  # noqa: ARG001
    """Return the value of an option that may be given once, where click would take the last of several."""
    if len(values) > 1:
        named = ", ".join(values)
        raise UsageError(f"{param.opts[-1]} is given {len(values)} times, and takes one", f"once for each of {named}")
    return values[0] if values else None


class JobsType(_Type):
    """A number of workers, at least one."""

    name = "jobs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        from occy_fast.kernels import layer_pass

        text, most = str(value), layer_pass.MAX_WORKERS
        if not (text.isascii() and text.isdigit() and len(text) < 9 and 0 < int(text) <= most):
            raise UsageError(
                f"--jobs is a number from 1 to {most}, not '{value}'", "leave it out to use every processor"
            )
        return int(text)


LOCATOR = LocatorType()


following_links = click.option(
    "--follow-links",
    "follow_links",
    metavar="DIR",
    multiple=True,
    type=click.Path(file_okay=False),
    help="Symbolic links of a layout directory may lead into DIR, besides the layout itself; may be repeated.",
)
"""Gives a command --follow-links, as `follow_links`."""


def output_options(command: Function) -> Function:
    """Give *command* --json, --quiet and --verbose, which reach it as `mode`."""

    @click.option(
        "--json", "as_json", is_flag=True, help="Answer with one JSON object; errors are one JSON line on stderr."
    )
    @click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks; the shortest answer.")
    @click.option("-v", "--verbose", is_flag=True, help="Log to stderr what is done; trace defects.")
    @functools.wraps(command)
    def with_output_mode(*args: Any, as_json: bool, quiet: bool, verbose: bool, **options: Any) -> Any:
        if quiet and verbose:
            raise UsageError("--quiet and --verbose exclude each other", "leave one of them out")
        verbose = verbose or (not quiet and is_verbose())
        mode = OutputMode(as_json, quiet, verbose)
        from occy_fast.cli.logs import logged_to_stderr

        with logged_to_stderr(mode):
            return command(*args, mode=mode, **options)

    return with_output_mode  # type: ignore[return-value]  # functools.wraps keeps the signature click reads


def _print_help(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        print_lines(*ctx.get_help().split("\n"))
        ctx.exit(0)


def _paths_like(start: str) -> list[str]:
    folder, _, beginning = start.rpartition("/")
    root = f"{folder}/" if "/" in start else ""
    try:
        with os.scandir(root or ".") as entries:
            names = sorted((entry.name, entry.is_dir()) for entry in entries if entry.name.startswith(beginning))
    except OSError:
        return []
    hidden = beginning.startswith(".")
    return [f"{root}{name}{'/' if is_dir else ''}" for name, is_dir in names if hidden or not name.startswith(".")]
