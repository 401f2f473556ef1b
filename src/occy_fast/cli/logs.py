"""Send the library's log to stderr, for --verbose."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
def logged_to_stderr() -> Iterator[None]:
    """Show what the library logs, a line each, until the context is left."""
    log = logging.getLogger("occy_fast")
    handler = _ToStderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    level, propagates = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagates
