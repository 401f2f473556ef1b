"""Scan a million headers that lie in memory, and the same as values."""

from __future__ import annotations

from functools import cache
from importlib import import_module

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

ENTRIES = 1_000_000
DISTINCT = 20_000
WINDOW = 1 << 20


@cache
def headers(count: int) -> bytes:
    """Return *count* ustar headers of empty files, names as long as a distribution's, and the end of the archive."""
    made = bytearray()
    for i in range(DISTINCT):
        block = bytearray(512)
        name = b"usr/share/doc/package-%07d/copyright.txt" % i
        block[: len(name)] = name
        block[100:156] = b"0000644\x000001750\x000001750\x0000000000000\x0014371573620\x00        "
        block[156:157] = b"0"
        block[257:265] = b"ustar\x0000"
        block[265:269] = block[297:301] = b"root"
        block[329:345] = b"0000000\x000000000\x00"
        block[148:156] = b"%06o\x00 " % sum(block)
        made += block
    return bytes(made) * (count // DISTINCT) + bytes(1024)


@pytest.mark.parametrize("keep", [True, False], ids=["records", "checking"])
@pytest.mark.parametrize("side", ["native", "pure"])
def test_scan(benchmark: BenchmarkFixture, side: str, keep: bool) -> None:
    kernel = import_module(f"occy_fast.kernels.{side}.tar_scan")
    count = ENTRIES if side == "native" else ENTRIES // 100
    tar = memoryview(headers(ENTRIES))[-512 * count - 1024 :]

    def scan() -> tuple[int, int, bool]:
        state = kernel.TarScan(keep=keep)
        records = sum(len(state.feed(tar[at : at + WINDOW])) for at in range(0, len(tar), WINDOW))
        state.finish()
        return records, state.members, state.ended

    assert benchmark.pedantic(scan, rounds=5, warmup_rounds=1) == (count if keep else 0, count, True)
    benchmark.extra_info["entries per second"] = round(count / benchmark.stats.stats.min)


def test_entries(benchmark: BenchmarkFixture) -> None:
    from occy_fast.spec.limits import LIMITS
    from occy_fast.streams.tar import entry_of, new_scan

    count = 100_000
    tar = memoryview(headers(ENTRIES))[-512 * count - 1024 :]

    def read() -> int:
        scan, empty = new_scan(False, LIMITS), 0
        for at in range(0, len(tar), WINDOW):
            empty += sum(entry_of(record).size == 0 for record in scan.feed(tar[at : at + WINDOW]))
        scan.finish()
        return empty

    assert benchmark.pedantic(read, rounds=3) == count
    benchmark.extra_info["entries per second"] = round(count / benchmark.stats.stats.min)
