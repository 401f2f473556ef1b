"""Run the command line as a program: `occy-fast`, or `python -m occy_fast`."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

try:
    from occy_fast.errors import exhausted

    try:
        from occy_fast.cli import main
    except (ImportError, OSError) as error:          # of a library that finds no room, or a module that cannot be read
        if (found := exhausted(error)) is None:
            raise
        os.write(2, f"occy-fast: not enough {found.resource} to begin with\n".encode())
        os._exit(1)
except (MemoryError, SystemError):                   # CPython 3.11 loses some of the former: "without exception set"
    os.write(2, b"occy-fast: not enough memory to begin with\n")
    os._exit(1)


def run() -> NoReturn:
    """Run the command line and leave at once: taking the interpreter apart would take 11 ms of every command."""
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:                   # it was closed before the program began
                stream.flush()
        except (OSError, ValueError):
            code = code or 1
    os._exit(code)


if __name__ == "__main__":
    run()
