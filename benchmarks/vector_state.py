"""Measure sha256 alone, and right after ISA-L: what one stage leaves in the vector registers may slow the next.

`python -m benchmarks.vector_state` prints MB/s of processor time, medians of interleaved rounds, over the same bytes in
a warm cache.  A kernel that begins with clean registers is as fast after ISA-L as it is alone.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable

from benchmarks.corpus import layer_tar
from occy_fast.kernels import crc, gzip_blocks, sha256

BUFFER = 256 << 10
ROUNDS = 15


def rate(buffers: list[bytes], before: Callable[[bytes], object] | None) -> float:
    """Hash *buffers* in order and return the rate of that alone, in MB/s; *before* runs on each, not counted."""
    state, spent = sha256.Sha256(), 0
    for buffer in buffers:
        if before is not None:
            before(buffer)
        start = time.thread_time_ns()
        state.update(buffer)
        spent += time.thread_time_ns() - start
    if state.digest() != hashlib.sha256(b"".join(buffers)).digest():
        raise SystemExit("the digest is wrong")
    return sum(map(len, buffers)) / spent * 1e3


def main() -> None:
    """Print a line for each neighbour."""
    tar = layer_tar(32 << 20)
    buffers = [tar[at : at + BUFFER] for at in range(0, len(tar), BUFFER)]
    encoder = gzip_blocks.GzipSegments(2)
    neighbours: dict[str, Callable[[bytes], object] | None] = {
        "alone": None,
        "after crc32": lambda buffer: crc.crc32(buffer),
        "after deflate": encoder.segment,
    }
    rates: dict[str, list[float]] = {name: [] for name in neighbours}
    for _ in range(ROUNDS):
        for name, before in neighbours.items():
            rates[name].append(rate(buffers, before))
    alone = statistics.median(rates["alone"])
    for name, found in rates.items():
        middle = statistics.median(found)
        print(f"sha256 {name:14} {middle:6.0f} MB/s  {middle / alone:4.0%}")


if __name__ == "__main__":
    main()
