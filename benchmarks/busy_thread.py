"""Measure how much slower a conversion with one worker gets beside a Python thread that never rests, on two cores.

`python -m benchmarks.busy_thread IMAGE.tar` prints the slowdown, median of the pairs.  A pass that needed the
interpreter's lock for every buffer would be several times slower.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from occy_fast import convert


@contextmanager
def busy_thread() -> Iterator[None]:
    """Keep the interpreter busy with a thread that computes."""
    over = threading.Event()

    def work() -> None:
        number = 0
        while not over.is_set():
            for _ in range(1000):
                number = (number * 1103515245 + 12345) & 0x7FFFFFFF

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def timed(image: Path, directory: Path, encoding: str, beside: bool) -> float:
    """Convert *image* in this process and return the seconds it took."""
    made = directory / "made"
    os.sync()
    with busy_thread() if beside else nullcontext():
        start = time.perf_counter()
        convert(f"docker-archive:{image}", f"oci:{made}:1", encoding=encoding, workers=1)
        seconds = time.perf_counter() - start
    shutil.rmtree(made)
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure in pairs, and print each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.busy_thread", description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path, help="a docker-archive")
    parser.add_argument("--encoding", default="gzip:1")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--dir", type=Path, help="where results are made and removed")
    options = parser.parse_args(arguments)

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    slowdowns = []
    with tempfile.TemporaryDirectory(dir=options.dir) as scratch:
        timed(options.image, Path(scratch), options.encoding, False)  # warms the page cache
        for _ in range(options.pairs):
            alone, beside = (timed(options.image, Path(scratch), options.encoding, busy) for busy in (False, True))
            slowdowns.append(beside / alone - 1)
            print(f"alone {alone:.2f} s, beside a busy thread {beside:.2f} s: {slowdowns[-1]:+.1%}")
    print(f"{options.encoding}, 1 worker on {len(os.sched_getaffinity(0))} cores: {statistics.median(slowdowns):+.1%}")


if __name__ == "__main__":
    main()
