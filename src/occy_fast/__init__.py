"""Convert container images between their forms, and prove every byte on the way.

Public are these names, and what their signatures mention. A name's module is imported when the name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from occy_fast.version import __version__ as __version__

__all__ = [
    "Access",
    "Limits",
    "OccyError",
    "build_info",
    "check",
    "convert",
    "execute",
    "inspect",
    "open_image",
    "plan",
    "recompress",
    "verify",
]

if TYPE_CHECKING:
    from occy_fast.api import check, convert, execute, inspect, open_image, plan, recompress, verify
    from occy_fast.context.access import Access
    from occy_fast.errors import OccyError
    from occy_fast.kernels.build import build_info
    from occy_fast.spec.limits import Limits

_HOME = dict.fromkeys(__all__, "occy_fast.api") | {
    "Access": "occy_fast.context.access",
    "Limits": "occy_fast.spec.limits",
    "OccyError": "occy_fast.errors",
    "build_info": "occy_fast.kernels.build",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
