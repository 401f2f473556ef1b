"""Send the library's log to stderr: all of it for --verbose, else warnings as such."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from occy_fast.cli.output import OutputMode
from occy_fast.words import printable


class _ToStderr(logging.Handler):
    """Write to whatever sys.stderr is at that moment: while bars are shown, it puts lines above them."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(printable(self.format(record)) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):
            pass  # nobody is listening any more


@contextmanager
def logged_to_stderr(mode: OutputMode) -> Iterator[None]:
    """Show what the library logs, a line each, until the context is left; nothing with --quiet or --json."""
    log = logging.getLogger("occy_fast")
    handler: logging.Handler = _ToStderr()
    handler.setFormatter(logging.Formatter("warning: %(message)s"))
    if mode.verbose:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    elif mode.quiet or mode.json:
        handler = logging.NullHandler()
    level, propagates = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if mode.verbose else logging.WARNING)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagates
