"""Write the seeds of every fuzz target: what the tests' own generators make, and the corpus beside the repository."""

from __future__ import annotations

import argparse
import bz2
import gzip
import hashlib
import os
import sys
import tarfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

TESTS = Path(__file__).resolve().parent.parent
sys.path.append(str(TESTS))

from occy_fast.errors import TarError  # noqa: E402
from occy_fast.kernels import tar_scan  # noqa: E402
from support import stream_strategies, tar_strategies, unpack_layers  # noqa: E402

# Larger ones only slow a fuzzer down; it makes what it needs.
LARGEST = {"tar_scan": 24 << 10, "pax": 8 << 10, "inflate": 12 << 10, "unzstd": 12 << 10, "layer_pass": 48 << 10,
           "unpack_model": 4 << 10}  # fmt: skip
LARGEST["json"] = 12 << 10


def drawn(strategy: st.SearchStrategy[bytes], count: int) -> list[bytes]:
    """Draw *count* examples, the same every time."""
    found: list[bytes] = []

    @settings(max_examples=count, database=None, derandomize=True, phases=[Phase.generate], deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def draw(example: bytes) -> None:
        found.append(example)

    draw()
    return found


def made_here() -> Iterator[tuple[str, bytes]]:
    """Yield target and bytes of what the generators make."""
    tars = drawn(tar_strategies.tars(), 250) + drawn(tar_strategies.damaged_tars(), 150)
    bodies = st.lists(tar_strategies.any_record, max_size=8).map(lambda records: tar_strategies.pax_records(*records))
    gzips = drawn(stream_strategies.gzips, 150) + drawn(stream_strategies.damaged(stream_strategies.gzips), 60)
    zstds = drawn(stream_strategies.zstds, 150) + drawn(stream_strategies.damaged(stream_strategies.zstds), 60)
    for target, seeds in (("tar_scan", tars), ("pax", drawn(bodies, 300)), ("inflate", gzips), ("unzstd", zstds)):
        yield from ((target, raw) for raw in seeds)
    yield from (("unpack_model", raw) for raw in entry_lists(tars))
    for raw in tars[:120]:
        yield "layer_pass", raw
        yield "layer_pass", gzip.compress(raw, 6, mtime=0)
        yield "layer_pass", stream_strategies.frame(raw)
    yield from (("layer_pass", raw) for raw in gzips[:40] + zstds[:40])


def entry_lists(tars: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lists of entries: of *tars*, and of stacks of layers, one behind the other."""
    stacks = (map(unpack_layers.tar_of, unpack_layers.random_stack(seed)) for seed in range(200))
    for stack in [*([tar] for tar in tars), *stacks]:
        lists = []
        for tar in stack:
            scan = tar_scan.TarScan(max_entries=1000)
            with suppress(TarError):
                scan.feed(tar)
            lists.append(scan.entries() or b"")
        yield b"".join(lists)


def members(path: Path) -> Iterator[bytes]:
    """Yield the files in a bundle of seeds."""
    with tarfile.open(path) as bundle:
        for entry in bundle:
            if entry.isreg() and (file := bundle.extractfile(entry)) is not None:
                yield file.read()


def of_corpus(shared: Path) -> Iterator[tuple[str, bytes]]:
    """Yield target and bytes of what lies in the corpus: by its first bytes, its name, or the bundle it is in."""
    for path in sorted((shared / "corpus").rglob("*")):
        if not path.is_file() or path.stat().st_size > 1 << 20:
            continue
        if path.name in ("tar-corpus.tar", "gzip-corpus.tar"):
            target = "tar_scan" if path.name.startswith("tar") else "inflate"
            yield from ((target, raw) for raw in members(path))
            continue
        raw = path.read_bytes()
        if path.suffix == ".bz2":
            raw = bz2.decompress(raw)
        if raw.startswith(b"\x1f\x8b"):
            yield from (("inflate", raw), ("layer_pass", raw))
        elif raw.startswith((b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18")) or path.suffix == ".zst":
            yield from (("unzstd", raw), ("layer_pass", raw))
        elif path.suffix == ".json" or raw[:1] in (b"{", b"["):
            yield "json", raw
        elif path.suffix == ".tar" or raw[257:262] == b"ustar":
            yield from (("tar_scan", raw), ("layer_pass", raw))


def pax_bodies(tars: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the bodies of the extended headers in *tars*."""
    for raw in tars:
        for at in range(0, len(raw) - 512, 512):
            if raw[at + 156 : at + 157] in (b"x", b"g") and raw[at + 257 : at + 262] == b"ustar":
                digits = raw[at + 124 : at + 136].strip(b" \0")
                if digits.isdigit() and (size := int(digits, 8) if set(digits) <= set(b"01234567") else 0):
                    yield "pax", raw[at + 512 : at + 512 + size]


def write(directory: Path, seeds: Iterable[tuple[str, bytes]]) -> dict[str, int]:
    """Write each of *seeds* into the directory of its target, cut to what is useful; tell how many are there."""
    for target, raw in seeds:
        if len(raw) > LARGEST[target]:
            if target not in ("tar_scan", "layer_pass"):
                continue
            raw = raw[: LARGEST[target]]
        path = directory / target / hashlib.sha256(raw).hexdigest()[:24]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    return {target: len(list((directory / target).glob("*"))) for target in LARGEST}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    shared = Path(os.environ.get("OCCY_FAST_SHARED") or TESTS.parent.parent / "shared")
    warnings.simplefilter("ignore")
    seeds = [*made_here(), *(of_corpus(shared) if (shared / "corpus").is_dir() else [])]
    seeds += [*pax_bodies(raw for target, raw in seeds if target == "tar_scan")]
    counts = write(options.directory, [*seeds, ("json", b'{"schemaVersion":2,"layers":[]}')])
    print("seeds: " + ", ".join(f"{count} for {target}" for target, count in counts.items()))


if __name__ == "__main__":
    main()
