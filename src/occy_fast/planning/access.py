"""How a daemon is reached, as one value."""

from __future__ import annotations

import math
from dataclasses import dataclass

from occy_fast.errors import UsageError

MOST_RETRIES = 100
LONGEST_WAIT = 86_400.0


@dataclass(frozen=True, slots=True)
class Access:
    """State where a daemon listens, and how patient to be with it.

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


USUAL_ACCESS = Access()
