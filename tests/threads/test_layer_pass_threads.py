"""The pass under stress: cancels, errors and many pools leave no thread, no descriptor and no wrong byte."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from occy_fast.errors import Cancelled, CorruptStream, OccyError
from occy_fast.spec.encoding import Encoding
from occy_fast.streams.layer_pass import DrainSink, FdSource, FeedSource, LayerPass, Run, WorkerPool

CONTENT = random.Random(5).randbytes(30_000) * 100
PACKED = gzip.compress(CONTENT, 1)
DIFF_ID = hashlib.sha256(CONTENT).hexdigest()


def left_over() -> tuple[int, int]:
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def ending(run: Run) -> str | type[OccyError]:
    try:
        return run.wait().diff_id.hex
    except OccyError as error:
        return type(error)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_random_cancels_leave_nothing(workers: int, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(PACKED)
    (tmp_path / "bad").write_bytes(PACKED[:-9] + b"damaged!!")
    source = random.Random(workers)
    with open(tmp_path / "good", "rb") as good, open(tmp_path / "bad", "rb") as bad:
        before = left_over()
        for _ in range(150):
            with WorkerPool(workers) as pool:
                runs = []
                for _ in range(source.randrange(1, 6)):
                    file = source.choice([good, good, bad])
                    encode = source.choice([None, Encoding("gzip", 1), Encoding("zstd", 1)])
                    sink = DrainSink(lambda _: None) if encode else None
                    runs.append(pool.start(LayerPass(FdSource(file.fileno()), "gzip", encode, sink=sink)))
                for run in source.sample(runs, source.randrange(len(runs) + 1)):
                    if source.random() < 0.5:
                        run.cancel()
                    assert ending(run) in (DIFF_ID, CorruptStream, Cancelled)
        assert left_over() == before


def test_pools_of_many_threads_at_once() -> None:
    """Each thread has its pool; the library shares nothing between them."""
    barrier = threading.Barrier(6)

    def convert(seed: int) -> str:
        source, output = random.Random(seed), []
        barrier.wait()
        for _ in range(4):
            output.clear()
            step = source.randrange(10_000, 2 << 20)
            buffers = (PACKED[start : start + step] for start in range(0, len(PACKED), step))
            with WorkerPool(source.randrange(1, 4)) as pool:
                job = LayerPass(FeedSource(buffers), "gzip", Encoding("zstd", 3), sink=DrainSink(output.append))
                assert pool.start(job).wait().diff_id.hex == DIFF_ID
        return hashlib.sha256(b"".join(output)).hexdigest()

    with ThreadPoolExecutor(6) as executor:
        assert len(set(executor.map(convert, range(6)))) == 1


def test_counters_may_be_read_from_other_threads() -> None:
    seen: list[int] = []
    done = threading.Event()
    with WorkerPool(2) as pool:
        run = pool.start(LayerPass(FeedSource([CONTENT] * 20)))

        def watch() -> None:
            while not done.is_set():
                seen.append(run.counters.tar)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            outcome = run.wait()
        finally:
            done.set()
            watcher.join()
    assert seen == sorted(seen)
    assert outcome.size_tar == 20 * len(CONTENT) == run.counters.tar
