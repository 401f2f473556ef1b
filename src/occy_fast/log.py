"""The library's logger: what it says is printable, whoever set up where it goes."""

from __future__ import annotations

import logging

from occy_fast.words import printable


class _Printable(logging.Filter):
    """Escapes the values of a message; the message itself is ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_shown, record.args))
        return True


def _shown(value: object) -> object:
    return value if isinstance(value, (int, float)) else printable(str(value))


log = logging.getLogger("occy_fast")
log.addFilter(_Printable())
