"""What one call may take: workers, and the limits its caller or the environment sets."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from typing import Final

from occy_fast.errors import UsageError
from occy_fast.kernels import layer_pass
from occy_fast.spec.limits import LIMITS, Limits, check_limit

PREFIX: Final = "OCCY_FAST_MAX_"
"""Of the environment's variables: behind it stands a limit's name in capitals."""

_LONGEST = 19  # digits of a number below 2**63


def check_workers(workers: int | None) -> None:
    """Raise UsageError unless a pool may have so many; None stands for what this process may use."""
    if workers is not None and not 1 <= workers <= layer_pass.MAX_WORKERS:
        remedy = f"name 1 to {layer_pass.MAX_WORKERS}, or none to use every processor"
        raise UsageError(f"no pool has {workers} workers", remedy)


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
