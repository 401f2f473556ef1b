"""What one call may take: workers, and bytes of a layer's tar."""

from __future__ import annotations

import os

from occy_fast.errors import UsageError
from occy_fast.kernels import layer_pass
from occy_fast.streams.layer_pass import MAX_LAYER

LAYER_LIMIT_VARIABLE = "OCCY_FAST_MAX_LAYER"
LARGEST_NUMBER = (1 << 63) - 1
"""What the kernels count bytes with."""


def check_workers(workers: int | None) -> None:
    """Raise UsageError unless a pool may have so many; None stands for what this process may use."""
    if workers is not None and not 1 <= workers <= layer_pass.MAX_WORKERS:
        remedy = f"name 1 to {layer_pass.MAX_WORKERS}, or none to use every processor"
        raise UsageError(f"no pool has {workers} workers", remedy)


def layer_limit(max_layer: int | None) -> int:
    """Return *max_layer*, else what OCCY_FAST_MAX_LAYER says, else 64 GiB, of a layer's tar. Raises UsageError."""
    if max_layer is None:
        text = os.environ.get(LAYER_LIMIT_VARIABLE)
        if text is None:
            return MAX_LAYER
        if not text.isascii() or not text.isdigit() or len(text) > 19:
            raise UsageError(f"{LAYER_LIMIT_VARIABLE} is '{text}'", "it takes a number of bytes below 2**63")
        max_layer = int(text)
    if not 1 <= max_layer <= LARGEST_NUMBER:
        raise UsageError(f"a layer limit of {max_layer} bytes", "it takes a positive number of bytes below 2**63")
    return max_layer
