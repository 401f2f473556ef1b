"""streams.layer_pass: feeding, draining and waiting."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from occy_fast import kernels
from occy_fast.errors import Cancelled, CorruptStream, OccyError, OutputError, ResourceError
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.limits import LIMITS
from occy_fast.streams.encoders import encoder_identity
from occy_fast.streams.layer_pass import (
    DrainSink,
    FdSink,
    FdSource,
    FeedSource,
    LayerPass,
    WorkerPool,
)
from support.leaks import nothing_left

CONTENT = b"".join(hashlib.sha256(bytes([number % 251, number >> 8])).digest() * 9 for number in range(12_000))


def digest(content: bytes) -> Digest:
    return Digest.parse("sha256:" + hashlib.sha256(content).hexdigest())


def test_feed_and_drain() -> None:
    taken = io.BytesIO()
    buffers = [CONTENT[:5], b"", memoryview(CONTENT[5:70_000]), bytearray(CONTENT[70_000:])]
    with WorkerPool(2) as pool:
        outcome = pool.start(
            LayerPass(FeedSource(buffers), encode=Encoding("zstd", 3), sink=DrainSink(taken.write), limits=LIMITS)
        ).wait()
    assert outcome.diff_id == outcome.source_digest == digest(CONTENT)
    assert outcome.digest == digest(taken.getvalue())
    assert (outcome.size_in, outcome.size_tar, outcome.size_out) == (len(CONTENT), len(CONTENT), len(taken.getvalue()))
    assert outcome.identity == encoder_identity(Encoding("zstd", 3))


def test_without_a_sink_the_tar_is_only_digested(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(CONTENT)
    with open(tmp_path / "layer", "rb") as file, WorkerPool(1) as pool:
        outcome = pool.start(LayerPass(FdSource(file.fileno(), 32, 320), limits=LIMITS)).wait()
    assert outcome.diff_id == outcome.digest == digest(CONTENT[32:352])
    assert outcome.identity is None


def test_progress_counts_up_to_the_end(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(CONTENT)
    told = []
    with open(tmp_path / "layer", "rb") as file, WorkerPool(1) as pool:
        pool.start(LayerPass(FdSource(file.fileno()), limits=LIMITS)).wait(progress=told.append)
    assert (told[-1].source, told[-1].tar, told[-1].output) == (len(CONTENT), len(CONTENT), 0)


def test_errors_say_where() -> None:
    with WorkerPool(1) as pool, pytest.raises(CorruptStream, match=r"^layer 3 of app: ") as caught:
        pool.start(LayerPass(FeedSource([b"\x1f\x8b"]), decode="gzip", where="layer 3 of app", limits=LIMITS)).wait()
    assert caught.value.where == "layer 3 of app"


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(CONTENT)
    with open(tmp_path / "in", "rb") as source, open("/dev/full", "wb") as full, WorkerPool(2) as pool:
        job = LayerPass(FdSource(source.fileno()), sink=FdSink(full.fileno(), 0, "oci:out"), limits=LIMITS)
        with pytest.raises(OutputError, match=r"oci:out: cannot write") as caught:
            pool.start(job).wait()
    assert caught.value.path == "oci:out"


def test_an_error_of_the_feeder_comes_out() -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise ConnectionResetError("the peer went away")

    with WorkerPool(2) as pool, pytest.raises(ConnectionResetError, match="the peer went away"):
        pool.start(LayerPass(FeedSource(broken()), limits=LIMITS)).wait()


def test_cancelled_from_outside() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1 << 16)

    stop = threading.Event()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    with WorkerPool(2) as pool, pytest.raises(Cancelled):
        pool.start(LayerPass(FeedSource(endless()), limits=LIMITS)).wait(cancelled=stop.is_set)
    timer.join()


def test_signals_are_seen_while_waiting() -> None:
    """A pass that nobody feeds waits for ever; Ctrl-C must end it."""

    def silent() -> Iterator[bytes]:
        yield b"x"
        while True:
            time.sleep(0.05)
            yield b""

    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt), WorkerPool(2) as pool:
        pool.start(LayerPass(FeedSource(silent()), limits=LIMITS)).wait()
    timer.join()


def test_no_thread_outlives_the_pool(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(CONTENT)
    with open(tmp_path / "layer", "rb") as file:
        with nothing_left(), WorkerPool(5) as pool:
            for _ in range(7):
                pool.start(LayerPass(FdSource(file.fileno()), limits=LIMITS))
        with nothing_left(), pytest.raises(ZeroDivisionError), WorkerPool(5) as pool:
            pool.start(LayerPass(FdSource(file.fileno()), limits=LIMITS))
            raise ZeroDivisionError


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOMEM, ResourceError, "not enough memory: the buffers of 3 workers take"),
        (errno.EAGAIN, ResourceError, "not enough threads: 3 workers cannot be started"),
        (errno.EMFILE, ResourceError, "not enough open files"),
        (errno.ENFILE, ResourceError, "not enough open files"),
        (errno.EPERM, OccyError, "3 workers cannot be started: Operation not permitted"),
        (errno.ENOSYS, OccyError, "3 workers cannot be started: Function not implemented"),
        (errno.EINVAL, OccyError, "3 workers cannot be started: Invalid argument"),
    ],
)
def test_why_no_worker_starts(
    monkeypatch: pytest.MonkeyPatch, number: int, kind: type[OccyError], words: str
) -> None:
    def refuse(workers: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(kernels.layer_pass, "Pool", refuse)
    with pytest.raises(OccyError, match=f"^{words}") as caught:
        WorkerPool(3)
    assert type(caught.value) is kind
    assert caught.value.remedy
    assert ("memory" in str(caught.value)) == (number in (errno.ENOMEM, errno.EAGAIN))     # threads have stacks
