"""What one call may take, and who watches it, as one value."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final, Self, TypeVar

from occy_fast.context.access import USUAL_ACCESS, Access
from occy_fast.context.progress import Reporter
from occy_fast.errors import Cancelled, TransportError, UsageError
from occy_fast.kernels import layer_pass
from occy_fast.log import log
from occy_fast.spec.limits import LIMITS, Limits, check_limit
from occy_fast.streams.cpu_count import default_workers

if TYPE_CHECKING:
    from occy_fast.context.progress import ProgressCallback

PREFIX: Final = "OCCY_FAST_MAX_"
"""Of the environment's variables; after it comes a limit's name in capitals."""

_LONGEST = 19  # digits of a number below 2**63

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Call:
    """What one call may take, and who watches it.

    A public function makes it with `of`; below that, nobody reads the environment, checks a caller's numbers or has to
    hand on more than this. It is no part of a plan, and is never pickled or printed.

    Attributes:
        limits: what documents, layers and decoders may ask for.
        workers: threads that decode, hash and encode.
        access: how daemons are reached, and how patient to be with them.
        cancel: once set, the call ends with Cancelled.
        report: tells the caller how far it is.
        follow_links: directories to which the symbolic links of a layout may lead, besides the layout itself.
    """

    limits: Limits
    workers: int
    access: Access
    cancel: threading.Event
    report: Reporter
    follow_links: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        limits: Limits | None = None,
        max_layer: int | None = None,
        workers: int | None = None,
        access: Access = USUAL_ACCESS,
        cancel: threading.Event | None = None,
        progress: ProgressCallback | None = None,
        follow_links: Iterable[str | os.PathLike[str]] = (),
    ) -> Self:
        """Take a public function's arguments.

        Args:
            limits: None takes the defaults, and what OCCY_FAST_MAX_... variables set.
            max_layer: bytes of tar a layer may have, in place of what *limits* say.
            workers: None takes the processors this process may use.
            access, cancel, progress, follow_links: as the public functions describe them.
        Raises:
            UsageError: no call may have these.
        """
        if cancel is not None and not isinstance(cancel, threading.Event):
            raise UsageError(f"{cancel!r} cannot be asked whether to end", "cancel takes a threading.Event")
        if progress is not None and not callable(progress):
            raise UsageError(f"{progress!r} cannot be told of progress", "progress takes a function of one Progress")
        return cls(
            limits_of_call(limits, max_layer),
            _checked_workers(workers),
            access,
            threading.Event() if cancel is None else cancel,
            Reporter(progress),
            _checked_directories(follow_links),
        )

    def check_cancelled(self, where: str = "") -> None:
        """Raise Cancelled if the caller asked for it."""
        if self.cancel.is_set():
            raise Cancelled(where)

    def retrying(self, attempt: Callable[[], Answer]) -> Answer:
        """Return what *attempt* returns; where a registry or daemon failed in a way that may pass, try again.

        Raises what the last attempt raises, and Cancelled when that is asked for between two.
        """
        self.check_cancelled()
        access = self.access
        for number in range(1, access.retries + 1):
            try:
                return attempt()
            except TransportError as error:
                if not error.retryable:
                    raise
                log.warning("%s; again in %g s (%d of %d)", error, access.retry_delay, number, access.retries)
            self.cancel.wait(access.retry_delay)
            self.check_cancelled()
        return attempt()


def limits_of_call(limits: Limits | None, max_layer: int | None = None) -> Limits:
    """Return *limits*, else the environment's; *max_layer* takes the place of their layer. Raises UsageError."""
    if limits is None:
        limits = environment_limits()
    elif not isinstance(limits, Limits):
        raise UsageError(f"no limits: {limits!r}", "it takes an occy_fast.Limits")
    return limits if max_layer is None else replace(limits, layer=max_layer)


def environment_limits() -> Limits:
    """Return the default limits, but for those that OCCY_FAST_MAX_... variables set. Raises UsageError."""
    known = {PREFIX + field.name.upper(): field.name for field in fields(Limits)}
    found: dict[str, int] = {}
    for variable, text in os.environ.items():
        if not variable.startswith(PREFIX):
            continue
        if variable not in known:
            raise UsageError(f"no limit is called {variable}", f"known are: {', '.join(known)}")
        name = known[variable]
        is_number = text.isascii() and text.isdigit() and len(text) <= _LONGEST
        check_limit(name, int(text) if is_number else text, f"limit {variable}")
        found[name] = int(text)
    return replace(LIMITS, **found) if found else LIMITS


def _checked_directories(paths: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """Return directories as absolute paths. Raises UsageError."""
    if isinstance(paths, str | bytes | os.PathLike):
        name = os.fspath(paths)
        raise UsageError(f"follow_links takes several directories, and {name!r} is one", f"name [{name!r}]")
    names = tuple(os.path.abspath(os.fspath(path)) for path in paths)
    for name in names:
        if not os.path.isdir(name):
            raise UsageError(f"links cannot be followed to '{name}': no directory is there", "name a directory")
    return names


def _checked_workers(workers: int | None) -> int:
    """Return the number of workers; None stands for what this process may use. Raises UsageError."""
    if workers is None:
        return default_workers()
    if type(workers) is not int or not 1 <= workers <= layer_pass.MAX_WORKERS:
        remedy = f"name 1 to {layer_pass.MAX_WORKERS}, or none to use every processor"
        raise UsageError(f"no pool has {workers} workers", remedy)
    return workers
