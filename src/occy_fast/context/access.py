"""How a daemon is reached, as one value."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, replace
from typing import Self

from occy_fast.errors import UsageError
from occy_fast.words import without_secrets

MOST_RETRIES = 100
LONGEST_WAIT = 86_400.0

# Before a host, also of an address that lacks its scheme; with a slash before it, an @ is part of a path.
_LOGIN = re.compile(r"\A(?:[a-z][a-z0-9+.-]*://[^/?#]*@|[^/@]+:[^/@]*@|[^/@]*@[^/@]+:[0-9]+\Z)")
_USER_OF_SSH = re.compile(r"\Assh://[^:/?#@\s]*@")


@dataclass(frozen=True, slots=True)
class Access:
    """State where a daemon listens, and how patient to be with it.

    It is printed, logged and pickled, so it holds no secret: an address with a login or a query is refused.

    Attributes:
        socket: path of its socket, or unix://PATH, tcp://HOST:PORT, https://HOST:PORT; None takes what the environment
            names, then the usual places.
        timeout: seconds it may show no sign of life.
        retries: how often what failed in passing is tried again.
        retry_delay: seconds between two tries.
    """

    socket: str | None
    timeout: float
    retries: int
    retry_delay: float

    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        timeout: float = 300.0,
        retries: int = 0,
        retry_delay: float = 5.0,
    ) -> None:
        """Check the values. Raises UsageError."""
        place = os.fspath(socket) if isinstance(socket, os.PathLike) else socket
        for name, value in zip(self.__slots__, (place, timeout, retries, retry_delay), strict=True):
            object.__setattr__(self, name, value)        # as a dataclass does that is frozen
        self._check()

    def _check(self) -> None:
        if self.socket == "":
            raise UsageError("the socket has an empty name", "name its path")
        if self.socket is not None:
            check_no_secret(self.socket)
        if not (math.isfinite(self.timeout) and 0 < self.timeout <= LONGEST_WAIT):
            raise UsageError(f"a timeout of {self.timeout} s", f"name seconds above 0, up to {LONGEST_WAIT:.0f}")
        if not 0 <= self.retries <= MOST_RETRIES:
            raise UsageError(f"{self.retries} retries", f"name a number from 0 to {MOST_RETRIES}")
        if not (math.isfinite(self.retry_delay) and 0 <= self.retry_delay <= LONGEST_WAIT):
            raise UsageError(f"a delay of {self.retry_delay} s", f"name seconds from 0 to {LONGEST_WAIT:.0f}")

    @property
    def is_relative(self) -> bool:
        """Tell whether the socket is a path that starts in a directory that is not named."""
        path = (self.socket or "").removeprefix("unix://")
        return bool(path) and "://" not in path and not os.path.isabs(path)

    def within(self, directory: str) -> Self:
        """Return the same access, with a relative path of the socket starting in *directory*; empty leaves it."""
        if not (directory and self.is_relative and self.socket):
            return self
        return replace(self, socket=os.path.join(directory, self.socket.removeprefix("unix://")))


def check_no_secret(address: str) -> None:
    """Raise UsageError, which does not repeat it, for a daemon's *address* that holds what may be a secret.

    The user of ssh is none, and a path holds none.
    """
    if address.startswith("unix://"):
        return
    address = _USER_OF_SSH.sub("ssh://", address)
    if _LOGIN.match(address) or without_secrets(address) != address:
        remedy = "name HOST:PORT alone; certificates are what daemons ask for (DOCKER_CERT_PATH), and no passwords"
        raise UsageError("the address of a daemon has a login or a query in it, which may be a secret", remedy)


USUAL_ACCESS = Access()
