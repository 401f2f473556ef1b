"""Kernels under threads: objects of their own do not disturb each other, a shared one says that it is in use."""

from __future__ import annotations

import hashlib
import random
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import zstandard

from occy_fast.kernels.native.inflate import Inflate
from occy_fast.kernels.native.sha256 import Sha256, sha256
from occy_fast.kernels.native.unzstd import Unzstd
from support.stream_strategies import decode

CONTENT = random.Random(3).randbytes(5000) * 400
GZIP = zlib.compress(CONTENT, wbits=31)
ROOM = bytearray()
ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress(CONTENT)


def test_every_thread_has_its_own() -> None:
    barrier = threading.Barrier(6)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        barrier.wait()
        for _ in range(10):
            chunk, room = chance.randint(500, 100_000), chance.randint(5000, 100_000)
            assert decode(Inflate(), GZIP, chunk, room) == CONTENT
            assert decode(Unzstd(), ZSTD, chunk, room) == CONTENT
            assert sha256(CONTENT) == hashlib.sha256(CONTENT).digest()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


@pytest.mark.parametrize(
    ("shared", "use", "look"),
    [
        (Sha256(), lambda state: state.update(bytes(64 << 20)), lambda state: state.digest()),
        (Inflate(), lambda state: state.feed(GZIP * 30, bytearray(64 << 20)), lambda state: state.feed(b"", ROOM)),
        (Unzstd(), lambda state: state.feed(ZSTD * 30, bytearray(64 << 20)), lambda state: state.feed(b"", ROOM)),
    ],
    ids=["sha256", "inflate", "unzstd"],
)
def test_an_object_in_use_says_so(shared: Any, use: Any, look: Any) -> None:
    def insist() -> None:
        while refuses(use, shared):
            pass

    worker = threading.Thread(target=insist)
    worker.start()
    seen = False
    while worker.is_alive() and not seen:
        time.sleep(0.001)  # each look lets the GIL go while it holds the object: without a pause the user never gets in
        seen = refuses(look, shared)
    worker.join()
    assert seen
    look(shared)  # it is free again, and whole
    assert getattr(shared, "total_out", 30 * len(CONTENT)) == 30 * len(CONTENT)


def refuses(call: Any, shared: Any) -> bool:
    try:
        call(shared)
    except RuntimeError as error:
        return "in use by another thread" in str(error)
    return False
