"""Bind every kernel to its native build or its pure twin, once.

`OCCY_FAST_KERNELS` is a demand: `pure` takes the twins, `sha256:NAME` takes native kernels with that variant of sha256.
What cannot be met fails the import; nothing falls back.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Literal

KERNELS = (
    "build_facts",
    "crc",
    "gzip_blocks",
    "inflate",
    "layer_pass",
    "sha256",
    "tar_scan",
    "unpack_model",
    "unzstd",
    "zstd_blocks",
)

if TYPE_CHECKING:
    # The native stubs stand for both sides: the twins have equal signatures.
    from occy_fast.kernels.native import build_facts as build_facts
    from occy_fast.kernels.native import crc as crc
    from occy_fast.kernels.native import gzip_blocks as gzip_blocks
    from occy_fast.kernels.native import inflate as inflate
    from occy_fast.kernels.native import layer_pass as layer_pass
    from occy_fast.kernels.native import sha256 as sha256
    from occy_fast.kernels.native import tar_scan as tar_scan
    from occy_fast.kernels.native import unpack_model as unpack_model
    from occy_fast.kernels.native import unzstd as unzstd
    from occy_fast.kernels.native import zstd_blocks as zstd_blocks

VARIABLE = "OCCY_FAST_KERNELS"


def _demanded(text: str) -> tuple[Literal["native", "pure"], str | None]:
    """Return which twins *text* demands, and which variant of sha256."""
    demands = [word for word in text.replace(",", " ").split() if word]
    variants = [word.removeprefix("sha256:") for word in demands if word.startswith("sha256:")]
    unknown = [word for word in demands if word != "pure" and not word.startswith("sha256:")]
    if unknown or len(variants) > 1 or ("pure" in demands and variants):
        raise ImportError(f"{VARIABLE}={text}: expected 'pure' or 'sha256:VARIANT'")
    return "pure" if "pure" in demands else "native", variants[0] if variants else None


def _bound(name: str, side: Literal["native", "pure"]) -> ModuleType:
    try:
        return import_module(f"{__name__}.{side}.{name}")
    except ModuleNotFoundError as missing:
        if side == "native":
            remedy = f"build them with 'pip install .', or take the pure ones with {VARIABLE}=pure"
            raise ImportError(f"the native kernel '{name}' is not built: {remedy}") from missing
        told = f"{VARIABLE}=pure needs the module '{missing.name}': pip install 'occy_fast[pure]'"
        raise ImportError(told, name=missing.name) from missing


def _sha256_as_demanded(variant: str | None) -> None:
    module = globals()["sha256"]
    if variant is not None and variant not in module.variants():
        raise ImportError(f"{VARIABLE}=sha256:{variant}: this machine and build offer {', '.join(module.variants())}")


SIDE, _variant = _demanded(os.environ.get(VARIABLE, ""))
for _name in KERNELS:
    globals()[_name] = _bound(_name, SIDE)
_sha256_as_demanded(_variant)
