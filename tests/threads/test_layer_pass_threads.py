"""The pass under stress: cancels, errors and many pools leave no thread, no descriptor and no wrong byte."""

from __future__ import annotations

import gc
import gzip
import hashlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from occy_fast.errors import Cancelled, CorruptStream, OccyError
from occy_fast.kernels import layer_pass
from occy_fast.kernels.pass_options import PassOptions
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.limits import LIMITS
from occy_fast.streams.layer_pass import DrainSink, FdSource, FeedSource, LayerPass, Run, WorkerPool
from support.leaks import nothing_left

CONTENT = random.Random(5).randbytes(30_000) * 100
PACKED = gzip.compress(CONTENT, 1)
DIFF_ID = hashlib.sha256(CONTENT).hexdigest()


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
    with open(tmp_path / "good", "rb") as good, open(tmp_path / "bad", "rb") as bad, nothing_left():
        for _ in range(150):
            with WorkerPool(workers) as pool:
                runs = []
                for _ in range(source.randrange(1, 6)):
                    file = source.choice([good, good, bad])
                    encode = source.choice([None, Encoding("gzip", 1), Encoding("zstd", 1)])
                    sink = DrainSink(lambda _: None) if encode else None
                    job = LayerPass(FdSource(file.fileno()), "gzip", encode, sink=sink, limits=LIMITS)
                    runs.append(pool.start(job))
                for run in source.sample(runs, source.randrange(len(runs) + 1)):
                    if source.random() < 0.5:
                        run.cancel()
                    assert ending(run) in (DIFF_ID, CorruptStream, Cancelled)


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
                sink = DrainSink(output.append)
                job = LayerPass(FeedSource(buffers), "gzip", Encoding("zstd", 3), sink=sink, limits=LIMITS)
                assert pool.start(job).wait().diff_id.hex == DIFF_ID
        return hashlib.sha256(b"".join(output)).hexdigest()

    with ThreadPoolExecutor(6) as executor:
        assert len(set(executor.map(convert, range(6)))) == 1


def test_counters_may_be_read_from_other_threads() -> None:
    seen: list[int] = []
    done = threading.Event()
    with WorkerPool(2) as pool:
        run = pool.start(LayerPass(FeedSource([CONTENT] * 20), limits=LIMITS))

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


@pytest.mark.parametrize("codec", ["none", "gzip"])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_more_fed_layers_than_buffers(workers: int, codec: str) -> None:
    """What no worker looks at yet holds no buffer: else those under way would wait for it for ever."""
    content = PACKED if codec == "gzip" else CONTENT
    with WorkerPool(workers) as pool:
        job = LayerPass(FeedSource([content, content]), codec, limits=LIMITS)
        runs = [pool.start(job) for _ in range(4 * workers + 12)]
        for run in reversed(runs):
            assert run.wait().size_tar == 2 * len(CONTENT)


def test_a_failing_sink_leaves_nothing_to_collect_badly() -> None:
    """The pool outlives its passes, also when the cyclic collector finds them together."""

    def refuse(_: bytes) -> None:
        raise ValueError("no")

    for _ in range(5):
        with WorkerPool(1) as pool, pytest.raises(ValueError, match="no"):
            pool.start(LayerPass(FeedSource([CONTENT]), sink=DrainSink(refuse), limits=LIMITS)).wait()
        del pool
        gc.collect()


def test_close_beside_a_feeder() -> None:
    for _ in range(20):
        pool = layer_pass.Pool(2)
        started = pool.start(PassOptions())

        def feed(started: layer_pass.Pass = started) -> None:
            while not started.ended:
                started.feed(CONTENT)

        feeder = threading.Thread(target=feed)
        feeder.start()
        pool.close()
        feeder.join()
        with pytest.raises(Cancelled):
            started.result()


def test_what_a_damaged_layer_is_told_as_does_not_depend_on_the_workers(tmp_path: Path) -> None:
    """A tar that is wrong inside a stream that is wrong: the stream's error, always."""
    packed = gzip.compress(b"no tar at all" * 400_000, 1)
    (tmp_path / "layer").write_bytes(packed[:-8] + bytes(8))
    for workers in (1, 2, 8):
        for _ in range(10):
            with open(tmp_path / "layer", "rb") as file, WorkerPool(workers) as pool, pytest.raises(CorruptStream):
                pool.start(LayerPass(FdSource(file.fileno()), "gzip", scan_tar="strict", limits=LIMITS)).wait()
