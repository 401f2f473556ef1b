"""Say what the pure kernels are made of."""

from __future__ import annotations

import platform
import zlib
from importlib.metadata import PackageNotFoundError, version


def facts() -> dict[str, object]:
    """Return codecs as name → (version, origin), processor features, compiler, ABI and the checks compiled in."""
    return {
        "codecs": {name: (found, "python") for name, found in _codecs().items()},
        "cpu": (),
        "compiler": platform.python_compiler(),
        "abi": "none",
        "checked": True,
        "sanitized": "",
    }


def _codecs() -> dict[str, str]:
    found = {"zlib": zlib.ZLIB_RUNTIME_VERSION}
    try:
        import zstandard
    except ImportError:
        return found
    found["libzstd"] = ".".join(map(str, zstandard.ZSTD_VERSION))
    try:
        found["isal"] = version("isal")
    except PackageNotFoundError:
        return found
    return found
