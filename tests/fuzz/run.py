"""Run every fuzz target for a while, two beside each other, and fail with the input where one finds something."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

FUZZ = Path(__file__).resolve().parent
BUILD = FUZZ.parent.parent / "build" / "fuzz"
C_TARGETS = sorted(path.stem.removesuffix("_target") for path in FUZZ.glob("*_target.c"))

# An input that takes longer than this, or more memory, counts as found.
LIMITS = ["-timeout=20", "-rss_limit_mb=1536", "-malloc_limit_mb=256", "-max_len=16384", "-detect_leaks=1"]
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of one target."""

    target: str
    executions: int
    failed: bool
    log: Path


def command_for(target: str, seconds: int) -> list[str]:
    """Return how *target* is run: on its own corpus, which keeps what was learnt, and its seeds."""
    found, seeds = BUILD / "found", BUILD / "seeds" / target
    if target == "json":
        options = [f"--seconds={seconds}", f"--artifact={found / 'json'}"]
        return [sys.executable, str(FUZZ / "json_target.py"), *options, str(seeds)]
    corpus = BUILD / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", "-print_final_stats=1", f"-artifact_prefix={found / target}-", *LIMITS]
    return [str(BUILD / target), *options, str(corpus), str(seeds)]


def run(target: str, seconds: int) -> Ran:
    """Run *target*, its words into a log."""
    log = BUILD / f"{target}.log"
    with open(log, "w") as words:
        code = subprocess.call(command_for(target, seconds), stdout=words, stderr=words, env=os.environ | SANITIZERS)
    counts = re.findall(r"number_of_executed_units: (\d+)", log.read_text(errors="replace"))
    ran = Ran(target, int(counts[-1]) if counts else 0, code != 0, log)
    print(f"{target}: {ran.executions:,} executions{', and FOUND SOMETHING' if ran.failed else ''}", flush=True)
    return ran


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join([*C_TARGETS, 'json'])}; all when none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--beside", type=int, default=2, help="how many at a time (default: 2)")
    options = parser.parse_args()
    if unknown := set(options.targets) - {*C_TARGETS, "json"}:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    (BUILD / "found").mkdir(parents=True, exist_ok=True)
    subprocess.check_call([sys.executable, str(FUZZ / "seeds.py"), str(BUILD / "seeds")])
    begun, targets = time.monotonic(), options.targets or [*C_TARGETS, "json"]
    with ThreadPoolExecutor(options.beside) as threads:
        results = list(threads.map(lambda target: run(target, options.seconds), targets))
    executions = sum(ran.executions for ran in results)
    print(f"{executions:,} executions in {time.monotonic() - begun:.0f} s")
    for ran in results:
        if ran.failed:
            print(f"\n{ran.target}: see {ran.log} and {BUILD / 'found'}", file=sys.stderr)
            words = [line for line in ran.log.read_text(errors="replace").splitlines() if not re.match(r"#\d+\t", line)]
            print("\n".join(words[-40:]), file=sys.stderr)
    return 1 if any(ran.failed for ran in results) else 0


if __name__ == "__main__":
    sys.exit(main())
