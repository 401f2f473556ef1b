"""The same tar encoded under conditions that must not matter: where things lie, stale memory, workers, load, processes.

    python tests/campaigns/sameness.py [--quick] [--seed 1]
    python tests/campaigns/sameness.py --image IMAGE.tar [--runs 400] [--at-once 3] [--encoding gzip]

Two campaigns, and a third of a real image, converted as a user does, several times at once. `encoders` runs
sameness.c, which puts one encoder at a time where it wants it and poisons what the encoder was not given to read.
`engine` runs the whole pass in three processes at once, with 1 to 16 workers, from every source encoding, fed in
buffers of any size, beside processes that keep the cores busy; every result is compared byte by byte. All take the
pinned codecs: nothing is promised of a system's ISA-L.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import BinaryIO

if __name__ == "__main__":
    root = Path(__file__).resolve().parent.parent.parent
    sys.path[:0] = [str(root / "src"), str(root)]

from benchmarks.corpus import layer_tar

from occy_fast.spec.limits import LIMITS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ARCHIVE = ROOT / "build" / "core" / "pinned" / "libocycore.a"

GZIP_LEVELS = (1, 2)
FAST_LEVELS = tuple(range(1, 10))
SLOW_LEVELS = tuple(range(10, 20))
WORKERS = (1, 2, 3, 5, 8, 16)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is tried.

    Attributes:
        content: bytes for gzip and zstd 1 to 9; *slow_content* for zstd 10 to 19, which come from a plain tar alone.
        small: runs over small pieces, where one bad address in 8,192 shows; gzip alone has tables as small as that.
        large: runs over whole pieces, by level; zstd's small ones are four times as many.
        age: pieces of 4 MiB by one encoder: 900 take it past the end of libzstd's numbers.
        workers: numbers of workers that each of the processes goes through.
        sources: in which encodings the tar comes.
    """

    content: int
    slow_content: int
    small: int
    large: int
    slow_levels: tuple[int, ...]
    fast_levels: tuple[int, ...]
    age: int
    workers: tuple[int, ...]
    sources: tuple[str, ...]


FULL = Scale(
    content=32 << 20,
    slow_content=4 << 20,
    small=100_000,
    large=40,
    slow_levels=SLOW_LEVELS,
    fast_levels=FAST_LEVELS,
    age=920,
    workers=WORKERS,
    sources=("none", "gzip", "zstd"),
)
QUICK = Scale(
    content=5 << 20,
    slow_content=1 << 20,
    small=8_000,
    large=8,
    slow_levels=(12, 17),
    fast_levels=(1, 3, 5, 9),
    age=0,
    workers=(1, 16),
    sources=("none", "gzip"),
)


@dataclass(slots=True)
class Findings:
    """What was compared, and what differed."""

    compared: int = 0
    differences: list[str] = field(default_factory=list)

    def add(self, compared: int, differences: Sequence[str]) -> None:
        self.compared += compared
        self.differences.extend(differences)


# ------------------------------------------------------------------------------------------------- content


def records(size: int, seed: int = 5) -> bytes:
    """Return a table of records of 24 bytes that begin alike, as relocations do: its first bytes come again."""
    chance = random.Random(seed)
    tag, base = chance.randbytes(4), chance.getrandbits(30)
    table = bytearray()
    while len(table) < size:
        table += tag + chance.randbytes(3) + bytes(5) + struct.pack("<Q", base) + bytes(4)
        base += 24
    return bytes(table[:size])


def content(size: int) -> bytes:
    """Return what layers are made of, with such a table at the head of every fourth MiB."""
    blocks = []
    for number in range(-(-size // (4 << 20))):
        blocks += [records(1 << 20, number), layer_tar(3 << 20, number)[: 3 << 20]]
    return b"".join(blocks)[:size]


# ------------------------------------------------------------------------------------------------ encoders


def build_encoders(directory: Path, *more: str | Path) -> Path:
    """Compile sameness.c, and *more*, onto the archive that the kernels are made of, and return the program."""
    program = directory / "sameness"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", f"-I{ROOT / 'ext'}", "-pthread"]
    flags += [f"-Wl,--wrap={name}" for name in ("malloc", "calloc", "free")]
    subprocess.run(["cc", *flags, "-o", program, HERE / "sameness.c", *more, ARCHIVE], check=True)
    return program


def run_encoders(program: Path, *words: object) -> tuple[int, list[str]]:
    """Return how many outputs were compared, and a line for each of the first that differed.

    Raises:
        RuntimeError: it could not be run to its end.
    """
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)
    *lines, last = done.stdout.splitlines() or [""]
    found = re.search(r"compared (\d+) differing (\d+)", last)
    if done.returncode not in (0, 1) or found is None:
        raise RuntimeError(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stderr}")
    compared, differing = map(int, found.groups())
    return compared, [f"{words[0]} {line}" for line in lines[:differing]]


def encoders(scale: Scale, directory: Path, seed: int) -> Findings:
    """Vary what surrounds a single encoder."""
    program = build_encoders(directory)
    whole, head, table = (directory / name for name in ("content", "head", "table"))
    whole.write_bytes(content(scale.content))
    head.write_bytes(content(scale.slow_content))
    table.write_bytes(records(1 << 20))
    tasks: list[tuple[object, ...]] = []
    for level in GZIP_LEVELS:
        if os.uname().machine == "x86_64":
            tasks.append(("aim", level, table))
        tasks.append(("vary", "gzip", level, whole, "700,2048,16384", scale.small, seed))
        tasks.append(("vary", "gzip", level, whole, 1 << 20, scale.large, seed))
    for level in scale.fast_levels:
        tasks.append(("vary", "zstd", level, whole, "700,16384,131072", 4 * scale.large, seed))
        tasks.append(("vary", "zstd", level, whole, 4 << 20, scale.large, seed))
        if scale.age:
            tasks.append(("age", level, whole, scale.age))
    for level in scale.slow_levels:  # filling the memory of such an encoder is what takes the time
        tasks.append(("vary", "zstd", level, head, "16384,131072", 4, seed))
        tasks.append(("vary", "zstd", level, head, 4 << 20, 3, seed))
    found = Findings()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for task, result in zip(tasks, pool.map(lambda task: run_encoders(program, *task), tasks), strict=True):
            found.add(*result)
            _tell(" ".join(str(word) for word in task[:3] if not isinstance(word, Path)), found)
    return found


# -------------------------------------------------------------------------------------------------- engine


def encode_all(
    workers: Sequence[int], sources: Sequence[str], encodings: Sequence[str], tar: Path, out: Path, seed: int
) -> None:
    """Encode *tar* in every encoding, with each number of workers, from each source; compare with what *out* holds.

    The first process to finish an encoding puts its bytes there; a line is printed for each that differs.
    """
    from occy_fast.kernels.build import build_info
    from occy_fast.spec.encoding import parse_encoding
    from occy_fast.streams.layer_pass import DrainSink, FdSource, FeedSource, LayerPass, WorkerPool

    assert build_info().kernels == "native"
    chance = random.Random(seed)
    compared = 0
    for count in chance.sample(list(workers), len(workers)):
        with WorkerPool(count) as pool:
            tasks = list(product(encodings, sources))
            for encoding, source in chance.sample(tasks, len(tasks)):
                made = bytearray()
                with open(tar.with_name(f"{tar.name}.{source}"), "rb") as file:
                    came = FdSource(file.fileno()) if chance.random() < 0.5 else FeedSource(_buffers(file, chance))
                    sink = DrainSink(made.extend)
                    wanted = parse_encoding(encoding)
                    pool.start(LayerPass(came, decode=source, encode=wanted, sink=sink, limits=LIMITS)).wait()
                compared += 1
                if difference := _difference(bytes(made), out / f"{tar.name}-{encoding}"):
                    print(f"differs: {encoding}, {count} workers, from {source}: {difference}")
    print(f"compared {compared}")


def _buffers(file: BinaryIO, chance: random.Random) -> Iterator[bytes]:
    while raw := file.read(chance.choice((1 << 20, 1 << 20, 65536, 100_001))):
        yield raw


def _difference(made: bytes, path: Path) -> str | None:
    """Say where *made* differs from the file; the first to come makes it."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    scratch.write_bytes(made)
    try:
        os.link(scratch, path)
    except FileExistsError:
        expected = path.read_bytes()
        if made == expected:
            return None
        at = next((i for i, pair in enumerate(zip(made, expected, strict=False)) if pair[0] != pair[1]), None)
        return f"at {at} of {len(made)} bytes, expected {len(expected)}"
    finally:
        scratch.unlink()
    return None


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep *processes* processes busy, and their memory moving."""
    # until nobody is there to end it: a campaign that is killed leaves no load behind
    busy = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    bytes(os.urandom(1 << 20))[::7]"
    running = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(processes)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


def engine(scale: Scale, directory: Path, seed: int) -> Findings:
    """Run three processes at once through everything, beside two that are busy."""
    import zstandard

    found = Findings()
    fast = [f"gzip:{level}" for level in GZIP_LEVELS] + [f"zstd:{level}" for level in scale.fast_levels]
    slow = [f"zstd:{level}" for level in scale.slow_levels]
    out = directory / "out"
    out.mkdir()
    for name, size, encodings, workers, sources in (
        ("fast", scale.content, fast, scale.workers, scale.sources),
        ("slow", scale.slow_content, slow, (scale.workers[0], scale.workers[-1]), ("none",)),
    ):
        tar = content(size)
        (directory / f"{name}.none").write_bytes(tar)
        (directory / f"{name}.gzip").write_bytes(gzip.compress(tar, 1))
        (directory / f"{name}.zstd").write_bytes(zstandard.ZstdCompressor(1).compress(tar))
        words = [",".join(map(str, workers)), ",".join(sources), ",".join(encodings), directory / name, out]
        with load(2):
            running = [_started(number, seed, words) for number in range(3)]
            for each in running:
                printed, problem = each.communicate()
                lines = printed.splitlines()
                if each.returncode or not lines:
                    raise RuntimeError(f"a process ended with {each.returncode}: {problem}")
                found.add(int(lines[-1].removeprefix("compared ")), lines[:-1])
        _tell(f"the pass, {name} levels", found)
    return found


def _started(number: int, seed: int, words: Sequence[object]) -> subprocess.Popen[str]:
    """Start a process with a stack of its own depth, in which malloc's memory holds another byte."""
    env = {**os.environ, "MALLOC_PERTURB_": str(seed * 7 + number * 85 & 255 or 1), "PADDING": "x" * number * 777}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    command = [sys.executable, __file__, "--encode", *map(str, words), str(seed * 3 + number)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# --------------------------------------------------------------------------------------------------- image


def convert_again_and_again(image: Path, encoding: str, runs: int, at_once: int, directory: Path) -> Findings:
    """Convert *image* into layouts by the command, *at_once* beside each other; all must have one digest."""
    command = [sys.executable, "-m", "occy_fast", "convert", f"docker-archive:{image}"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}

    def one(number: int) -> str:
        target = directory / f"run-{number}"
        options = ["--compression", encoding, "--quiet"]
        done = subprocess.run([*command, f"oci:{target}:image", *options], env=env, capture_output=True, check=True)
        shutil.rmtree(target)
        return done.stdout.decode().strip()

    found: Counter[str] = Counter()
    with ThreadPoolExecutor(at_once) as pool:
        for number, digest in enumerate(pool.map(one, range(runs)), 1):
            found[digest] += 1
            if number % 50 == 0 or number == runs:
                print(f"{number} conversions, {len(found)} digests", file=sys.stderr)
    rare = found.most_common()[1:]
    return Findings(runs, [f"{digest}: {count} of {runs} conversions" for digest, count in rare])


# ---------------------------------------------------------------------------------------------------- main


def _tell(what: str, found: Findings) -> None:
    print(f"{what}: {found.compared} compared so far, {len(found.differences)} different", file=sys.stderr)


def run(scale: Scale, directory: Path, seed: int = 1) -> Findings:
    """Run both campaigns."""
    both = Findings()
    for campaign in (encoders, engine):
        found = campaign(scale, directory, seed)
        both.add(found.compared, found.differences)
    return both


def main() -> int:
    """Run what was asked for; 1 where anything differed."""
    if sys.argv[1:2] == ["--encode"]:
        workers, sources, encodings, tar, out, seed = sys.argv[2:]
        numbers = [int(number) for number in workers.split(",")]
        encode_all(numbers, sources.split(","), encodings.split(","), Path(tar), Path(out), int(seed))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="the share of it that the test suite runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--image", type=Path, help="a docker-archive to convert, and nothing else")
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--encoding", default="gzip")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="occy-fast-sameness-") as name:
        directory = Path(name)
        if options.image:
            found = convert_again_and_again(options.image, options.encoding, options.runs, options.at_once, directory)
        else:
            found = run(QUICK if options.quick else FULL, directory, options.seed)
    print("\n".join(found.differences))
    print(f"{found.compared} outputs compared, {len(found.differences)} differ, {time.monotonic() - start:.0f} s")
    return 1 if found.differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
