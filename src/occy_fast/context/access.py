"""How a daemon is reached, as one value."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import Any

from occy_fast.errors import UsageError, without_secrets

MOST_RETRIES = 100
LONGEST_WAIT = 86_400.0

_LOGIN = re.compile(r"\A[^/@\s]+:[^/@\s]*@")         # of an address that lacks its scheme


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """State where a daemon listens, and how patient to be with it.

    It is printed and pickled without what may be a secret: whoever connects elsewhere finds credentials there.

    Attributes:
        socket: path of its socket, or unix://PATH, tcp://HOST:PORT, https://HOST:PORT; None takes what the environment
            names, then the usual places.
        timeout: seconds it may show no sign of life.
        retries: how often what failed in passing is tried again.
        retry_delay: seconds between two tries.
    """

    socket: str | None = None
    timeout: float = 300.0
    retries: int = 0
    retry_delay: float = 5.0

    def __post_init__(self) -> None:
        if self.socket == "":
            raise UsageError("the socket has an empty name", "name its path")
        if not (math.isfinite(self.timeout) and 0 < self.timeout <= LONGEST_WAIT):
            raise UsageError(f"a timeout of {self.timeout} s", f"name seconds above 0, up to {LONGEST_WAIT:.0f}")
        if not 0 <= self.retries <= MOST_RETRIES:
            raise UsageError(f"{self.retries} retries", f"name a number from 0 to {MOST_RETRIES}")
        if not (math.isfinite(self.retry_delay) and 0 <= self.retry_delay <= LONGEST_WAIT):
            raise UsageError(f"a delay of {self.retry_delay} s", f"name seconds from 0 to {LONGEST_WAIT:.0f}")

    def __repr__(self) -> str:
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.socket is not None:
            shown["socket"] = _LOGIN.sub("…@", _printed(self.socket))
        return f"Access({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __reduce__(self) -> tuple[type[Access], tuple[Any, ...]]:
        socket = None if self.socket is None else _printed(self.socket)
        return Access, (socket, self.timeout, self.retries, self.retry_delay)


def _printed(socket: str) -> str:
    """Return an address without what may be a secret; a path holds none."""
    return socket if socket.startswith("unix://") else str(without_secrets(socket))


USUAL_ACCESS = Access()
