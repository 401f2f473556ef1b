"""Turn whatever ended a command into one block on stderr and an exit code."""

from __future__ import annotations

import os

import click

from occy_fast.cli.output import OutputMode, format_json, print_note
from occy_fast.cli.signals import Stopped
from occy_fast.errors import Cancelled, OccyError, OutputError, PlanStale, ResourceError, UsageError, exhausted
from occy_fast.running.error_document import error_document, known_fields
from occy_fast.words import printable

MEANINGS = {
    0: "done",
    1: "failed",
    2: "the request cannot be understood",
    3: "not found",
    4: "the bytes are not what they claim to be",
    5: "not supported",
    6: "a limit is exceeded",
    7: "a registry or daemon failed",
    10: "it would fail at a target",
    11: "it is there, and cannot be read",
    130: "interrupted",
}

_LABELS = {"remedy": "try", "errno": "found"}


def report_failure(error: BaseException, mode: OutputMode) -> int:
    """Print what *error* means, as text or JSON, and return the exit code."""
    error = exhausted(error) or error
    code = exit_code(error)
    if mode.json:
        print_note(format_json({"error": error_document(error, code)}))
    elif isinstance(error, Stopped):
        print_note("occy-fast: interrupted")
    else:
        print_note(*error_lines(error))
    if mode.verbose and not isinstance(error, (OccyError, OSError, Stopped)):
        import traceback

        print_note(*"".join(traceback.format_exception(error)).rstrip().split("\n"))
    return code


def exit_code(error: BaseException) -> int:
    """Return the exit code that *error* stands for."""
    if isinstance(error, (OccyError, Stopped)):
        return error.exit_code
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def error_lines(error: BaseException) -> list[str]:
    """Return the block: what happened, then one line for each thing that is known about it."""
    if not isinstance(error, OccyError):
        return _foreign_lines(error)
    lines = [f"occy-fast: {type(error).__name__}: {_meaning(error)}"]
    known = {_LABELS.get(name, name): _field_text(name, value) for name, value in known_fields(error).items()}
    width = max((len(label) for label in known), default=0) + 1
    lines += [f"  {label + ':':<{width}} {text}" for label, text in known.items()]
    return lines


def from_click(error: click.ClickException) -> UsageError:
    """Return click's refusal of a command line as an error of ours, with the nearest word that would have done."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "occy-fast"
    remedy = f"{command} --help"
    if isinstance(error, click.NoSuchOption):
        offered = (
            [name for parameter in context.command.get_params(context) for name in parameter.opts] if context else []
        )
        if nearest := nearest_words(error.option_name, offered):
            remedy = f"{nearest}, or {remedy}"
        return UsageError(f"{command} has no option {error.option_name}", remedy)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return UsageError(f"{command} needs {spelling(error.param)}", remedy)
    return UsageError(error.format_message().replace("\n", " ").strip().rstrip("."), remedy)


def spelling(parameter: click.Parameter) -> str:
    """Return the parameter as people write it: --option, or ARGUMENT."""
    return parameter.human_readable_name if isinstance(parameter, click.Argument) else parameter.opts[-1]


def nearest_words(word: str, known: list[str]) -> str:
    """Return the words of *known* that are likely meant, as text; empty if none is near."""
    from difflib import get_close_matches

    return " or ".join(get_close_matches(word.lower(), known, n=2, cutoff=0.6))


def _meaning(error: OccyError) -> str:
    if isinstance(error, OutputError):
        return "the destination could not be written"
    if isinstance(error, ResourceError):
        return f"not enough {error.resource}"
    if isinstance(error, PlanStale):
        return "the world changed under the plan"
    if isinstance(error, Cancelled):
        return "stopped by request"
    return MEANINGS[error.exit_code]


def _field_text(name: str, value: object) -> str:
    if name == "errno" and isinstance(value, int):
        return os.strerror(value)
    if isinstance(value, tuple):
        return ", ".join(printable(str(item)) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(value if isinstance(value, bytes) else str(value))


def _foreign_lines(error: BaseException) -> list[str]:
    if isinstance(error, OSError) and error.errno is not None:
        lines = [f"occy-fast: {type(error).__name__}: {os.strerror(error.errno)}"]
        if error.filename is not None:
            lines.append(
                f"  where: {printable(os.fsdecode(error.filename) if not isinstance(error.filename, int) else 'fd')}"
            )
        return lines
    if isinstance(error, ImportError):  # a demand in OCCY_FAST_KERNELS that is not met, or a broken installation
        return [f"occy-fast: ImportError: {printable(str(error))}"]
    first = str(error).strip().split("\n")[0]
    return [
        f"occy-fast: {type(error).__name__}: {printable(first, 300)}",
        "  problem: this is a defect in occy-fast, or in what it runs on",
        "  try:     the same command with --verbose shows where",
    ]
