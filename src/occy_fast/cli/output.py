"""Print the answer of a command: the only thing that goes to stdout, but for an archive."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from occy_fast.errors import OutputError
from occy_fast.words import printable


@dataclass(frozen=True, slots=True)
class OutputMode:
    """How a command speaks: JSON instead of text, only the shortest answer, or also what it does on the way."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False


def print_json(document: object, *, aside: bool = False) -> None:
    """Print one JSON object to stdout, or with *aside* to stderr, as an archive goes to stdout."""
    _write(sys.stderr if aside else sys.stdout, format_json(document, indent=2) + "\n")


def format_json(document: object, indent: int | None = None) -> str:
    """Return a JSON object in ASCII that a terminal does not act upon: exact data, whatever is in it."""
    import json

    return json.dumps(document, indent=indent).replace("\x7f", "\\u007f")


def print_lines(*lines: str, aside: bool = False) -> None:
    """Print each of *lines* as one line in the same way, whatever an image has put into it."""
    _write(sys.stderr if aside else sys.stdout, _printable_lines(lines))


def print_script(text: str) -> None:
    """Print *text* to stdout as it is: it is for a program, and we wrote it."""
    _write(sys.stdout, text)


def print_drawn(text: str) -> None:
    """Print to stdout what was drawn for a terminal, of words made harmless before."""
    _write(sys.stdout, text)


def print_note(*lines: str) -> None:
    """Print *lines* to stderr in the same way; nobody listening there is no failure."""
    _write(sys.stderr, _printable_lines(lines))


def _printable_lines(lines: Sequence[str]) -> str:
    return "".join(f"{printable(line)}\n" for line in lines)


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Return the lines of a table; *align* has "<" or ">" for each column."""
    table = [tuple(head), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True)).rstrip()
        for row in table
    ]


def _write(stream: TextIO | None, text: str) -> None:
    """Write and flush at once, so that a full disk is reported and a reader that has left is not.

    A reader that has left (`| head`) has what it wanted: the exit code stays the one the work earned.
    """
    if stream is None:  # closed by whoever started us (>&-)
        return
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _silence(stream)
    except OSError as error:
        _silence(stream)
        if stream is sys.stdout:
            raise OutputError("standard output", error.errno or 0, "write the answer") from None


def _silence(stream: TextIO) -> None:
    """Point *stream* at nothing, so that what is left in its buffer cannot fail again when the interpreter ends."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, descriptor)
    finally:
        os.close(nowhere)
