"""Run whole conversions side by side with other programs, and beside what the stages cost on one core.

`python -m benchmarks.versus` takes the pinned image (built when it is missing) and prints a line per work and peer.
Runs alternate: ours, theirs, the stages, and again.  Every result is decoded and compared with the image.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import corpus
from benchmarks.peers import NAME, PEERS, Peer, Shape, Task
from benchmarks.reading import read_image, size_on_disk
from benchmarks.works import EXTRA, WORKS, Source, Stages, Work, format_stages

ROOT = Path(__file__).resolve().parent.parent
ZEROS = "zeros"
WORKERS = "workers"


@dataclass(frozen=True, slots=True)
class Run:
    """What one command took; memory is the largest resident set of any of its processes."""

    seconds: float
    cpu: float
    memory: int


@dataclass(slots=True)
class Measured:
    """All runs of one work against one peer, in order."""

    work: str
    peer: str
    cores: int
    ours: list[Run] = field(default_factory=list)
    theirs: list[Run] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)
    size: int = 0
    peer_size: int = 0

    @property
    def bounds(self) -> list[float]:
        """Seconds that the stages alone would take, spread over all cores."""
        return [sum(run.values()) / self.cores for run in self.stages]

    @property
    def share(self) -> float | None:
        shares = [bound / run.seconds for bound, run in zip(self.bounds, self.ours, strict=False)]
        return statistics.median(shares) if shares else None

    @property
    def ratio(self) -> float | None:
        ratios = [theirs.seconds / ours.seconds for ours, theirs in zip(self.ours, self.theirs, strict=False)]
        return statistics.median(ratios) if ratios else None

    def document(self) -> dict[str, Any]:
        def runs(values: list[Run]) -> list[dict[str, float]]:
            return [{"seconds": run.seconds, "cpu": run.cpu, "memory": run.memory} for run in values]

        return {
            "work": self.work,
            "peer": self.peer,
            "cores": self.cores,
            "ours": runs(self.ours),
            "theirs": runs(self.theirs),
            "ratio": self.ratio,
            "size": self.size,
            "peer_size": self.peer_size,
            "stages": self.stages,
            "bounds": self.bounds,
            "share": self.share,
        }


class Workshop:
    """The directory where inputs are kept and results are made and removed."""

    def __init__(self, directory: Path, image: Path, jobs: int | None) -> None:
        self.directory = directory
        self.image = image
        self.jobs = jobs
        status = image.stat()
        key = hashlib.sha256(f"{image.resolve()} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:12]
        self.inputs = directory / f"inputs-{key}"
        self.runs = directory / f"runs-{os.getpid()}"
        self.inputs.mkdir(parents=True, exist_ok=True)
        self.original = read_image(image)

    @property
    def cores(self) -> int:
        available = len(os.sched_getaffinity(0))
        return min(self.jobs, available) if self.jobs else available

    @contextmanager
    def opened(self) -> Iterator[None]:
        self.runs.mkdir()
        try:
            yield
        finally:
            shutil.rmtree(self.runs)

    def source(self, source: Source) -> Path:
        """Return the image in that form; made once."""
        if source == "archive":
            return self.image
        path = self.inputs / source
        if not path.exists():
            print(f"making {path}", file=sys.stderr)
            scratch = path.with_suffix(".new")
            shutil.rmtree(scratch, ignore_errors=True)
            task = Task("archive", self.image, "oci", scratch, source)
            # Blobs as other programs make them: one long deflate stream, not segments of ours.
            skopeo = next((peer for peer in PEERS if peer.name == "skopeo" and peer.version()), None)
            commands = skopeo.commands(task) if skopeo else None
            for command in commands or [self.command(task, ("--compression", source))]:
                subprocess.run(command, check=True, stdout=sys.stderr, env=_environment())
            _decode_all(scratch)
            scratch.rename(path)
        return path

    def command(self, task: Task, options: Sequence[str], *, piped: bool = False) -> list[str]:
        """Return the library's own command for *task*; *piped*, its archive comes from `cat`."""
        source = f"docker-archive:{task.source}" if task.source_shape == "archive" else f"oci:{task.source}"
        named = NAME if task.shape == "archive" else NAME.rpartition(":")[2]
        destination = f"{'docker-archive' if task.shape == 'archive' else 'oci'}:{task.destination}:{named}"
        jobs = ("--jobs", str(self.jobs)) if self.jobs else ()
        command = [sys.executable, "-m", "occy_fast", "convert", "--quiet", *options, *jobs]
        if piped:
            return ["sh", "-c", 'cat "$0" | "$@"', str(task.source), *command, "-", destination]
        return [*command, source, destination]

    def timed(self, commands: Sequence[Sequence[str]]) -> Run:
        """Run *commands* one after the other, with nothing left to be written back from before."""
        os.sync()
        cpu, memory = 0.0, 0
        with open(self.runs / "told", "w+") as told:
            start = time.perf_counter()
            for command in commands:
                child = subprocess.Popen(command, stdout=told, stderr=told, env=_environment())
                _, status, usage = os.wait4(child.pid, 0)
                child.returncode = os.waitstatus_to_exitcode(status)
                if child.returncode:
                    told.seek(0)
                    raise SystemExit(f"exit status {child.returncode}: {' '.join(command)}\n{told.read()}")
                cpu += usage.ru_utime + usage.ru_stime
                memory = max(memory, usage.ru_maxrss * 1024)
            return Run(time.perf_counter() - start, cpu, memory)

    def stages(self, image: Path, stages: Stages) -> dict[str, float]:
        """Measure the stages in a process of their own."""
        os.sync()
        command = [
            sys.executable,
            "-m",
            "benchmarks.stages",
            str(image),
            str(self.runs / "stages"),
            format_stages(stages),
        ]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=_environment(), cwd=ROOT)
        return {str(name): float(cost) for name, cost in json.loads(done.stdout).items()}

    def checked(self, task: Task, known: str | None) -> str:
        """Prove that a result of ours is the image; return its digest.  Later runs need the same digest only."""
        found, given = read_image(task.destination), read_image(task.source)
        if (found.config_digest, found.diff_ids) != (given.config_digest, self.original.diff_ids):
            raise SystemExit(f"{task.destination}: config or diff_ids are not the image's")
        stored = f"{found.digest} {[(layer.size, layer.codec) for layer in found.layers]}"
        if known is None:
            _decode_all(task.destination)
            locator = f"{'docker-archive' if task.shape == 'archive' else 'oci'}:{task.destination}"
            command = [sys.executable, "-m", "occy_fast", "verify", "--quiet", locator]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_environment())
        elif stored != known:
            raise SystemExit(f"two runs of one conversion differ:\n{known}\n{stored}")
        return stored

    def remove(self, path: Path) -> None:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def compare(workshop: Workshop, work: Work, peer: Peer | None, pairs: int) -> Measured | None:
    """Run *work* and the peer alternately; None where the peer cannot do it."""
    name = peer.name if peer else "-"
    measured = Measured(work.name, name, workshop.cores)
    source = workshop.source(work.source)
    shape: Shape = "archive" if work.source == "archive" else "oci"
    ours = Task(shape, source, work.shape, workshop.runs / "ours", work.wish)
    peer_source: Source = work.peer_source or work.source
    peer_shape: Shape = "archive" if peer_source == "archive" else "oci"
    theirs = Task(peer_shape, workshop.source(peer_source), work.shape, workshop.runs / "theirs", work.wish)
    peer_commands = peer.commands(theirs) if peer else []
    if peer_commands is None:
        return None
    for task in (ours, theirs):
        _read_through(task.source)
    digest: str | None = None
    for _ in range(pairs):
        measured.ours.append(workshop.timed([workshop.command(ours, work.options, piped=work.piped)]))
        digest = workshop.checked(ours, digest)
        measured.size = size_on_disk(ours.destination)
        workshop.remove(ours.destination)
        if peer:
            for command in peer.before():
                subprocess.run(command, check=True)
            measured.theirs.append(workshop.timed(peer_commands))
            if read_image(theirs.destination).diff_ids != workshop.original.diff_ids:
                raise SystemExit(f"{peer.name} changed the diff_ids")
            measured.peer_size = size_on_disk(theirs.destination)
            workshop.remove(theirs.destination)
        if work.stages:
            measured.stages.append(workshop.stages(source, work.stages))
    return measured


def zeros(workshop: Workshop, size: int) -> list[Measured]:
    """Convert a layer that is one file of zeros, *size* bytes, and look at the memory."""
    archive = workshop.directory / f"zeros-{size}.tar"
    if not archive.exists():
        print(f"making {archive}", file=sys.stderr)
        corpus.write_zeros_archive(archive, size)
    results = []
    for encoding in ("gzip", "zstd"):
        measured = Measured(f"{size >> 30} GiB of zeros, {encoding}", "-", workshop.cores)
        task = Task("archive", archive, "oci", workshop.runs / "ours", encoding)
        measured.ours.append(workshop.timed([workshop.command(task, ("--compression", encoding))]))
        if read_image(task.destination).diff_ids != read_image(archive).diff_ids:
            raise SystemExit(f"{task.destination}: the diff_id is not the image's")
        measured.size = size_on_disk(task.destination)
        workshop.remove(task.destination)
        results.append(measured)
    return results


def workers(workshop: Workshop, pairs: int) -> list[Measured]:
    """Convert with one worker and with more, up to sixteen: the bytes must be the same."""
    counts = sorted({1, workshop.cores, 4, 16})
    results = {count: Measured(f"zstd 3 with {count} workers", "-", min(count, workshop.cores)) for count in counts}
    task = Task("archive", workshop.image, "oci", workshop.runs / "ours", "zstd:3")
    _read_through(task.source)
    digest: str | None = None
    for _ in range(pairs):
        for count, measured in results.items():
            options = ("--compression", "zstd:3", "--jobs", str(count))
            measured.ours.append(Workshop.timed(workshop, [workshop.command(task, options)]))
            digest = workshop.checked(task, digest)
            measured.size = size_on_disk(task.destination)
            workshop.remove(task.destination)
    return list(results.values())


HEADINGS = ("work", "peer", "ours", "CPU", "MiB", "peer", "CPU", "MiB", "ratio", "size", "bound", "share")

LEGEND = """
ours, peer  seconds, medians; the numbers behind them are CPU seconds and the largest resident set
ratio       the peer's time over ours, median of the pairs
size        of the result, ours over the peer's; bytes where there is no peer
bound       every stage's seconds on one core, over the cores: processor time, and elapsed time for write and sync
share       bound over our time, median
"""


def format_rows(rows: Sequence[Sequence[str]]) -> str:
    """Lay *rows* out in columns; all but the first two are numbers."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [text.rjust(width) for text, width in zip(row, widths, strict=True)]
        cells[:2] = [text.ljust(width) for text, width in zip(row[:2], widths[:2], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def table_row(measured: Measured) -> tuple[str, ...]:
    """Return the medians of one line; the memory is the largest seen."""

    def timing(runs: list[Run]) -> tuple[str, str, str]:
        if not runs:
            return "", "", ""
        seconds = statistics.median(run.seconds for run in runs)
        cpu = statistics.median(run.cpu for run in runs)
        return f"{seconds:.2f}", f"{cpu:.2f}", f"{max(run.memory for run in runs) / 2**20:.0f}"

    bounds = measured.bounds
    size = f"{measured.size / measured.peer_size:.3f}" if measured.peer_size else f"{measured.size}"
    return (
        measured.work,
        measured.peer,
        *timing(measured.ours),
        *timing(measured.theirs),
        f"{measured.ratio:.2f}" if measured.ratio else "",
        size,
        f"{statistics.median(bounds):.2f}" if bounds else "",
        f"{measured.share:.0%}" if measured.share else "",
    )


def stage_lines(results: Sequence[Measured]) -> Iterator[str]:
    """Yield what each work's bound is made of, in seconds on one core."""
    for measured in results:
        if measured.stages:
            parts = (
                f"{name} {statistics.median(run[name] for run in measured.stages):.2f}"
                for name in measured.stages[0]
            )
            yield f"{measured.work}: {', '.join(parts)}; over {measured.cores} cores"


def machine(peers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Say what it was measured on."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **dict(peers),
    }


def _lines(path: str) -> list[str]:
    with open(path) as file:
        return file.readlines()


def _environment() -> dict[str, str]:
    """Return the environment of what is measured: an installed package is compiled, so ours may keep its bytecode."""
    path = os.pathsep.join(filter(None, (str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}


def _decode_all(path: Path) -> None:
    """Check every layer, in a process of its own: a child's memory is counted from its parent's when it starts."""
    subprocess.run([sys.executable, "-m", "benchmarks.reading", str(path)], check=True, env=_environment(), cwd=ROOT)


def _read_through(path: Path) -> None:
    """Bring *path* into the page cache: the disk is not what is compared."""
    buffer = bytearray(1 << 20)
    for file in [path] if path.is_file() else sorted(entry for entry in path.rglob("*") if entry.is_file()):
        with open(file, "rb", buffering=0) as raw:
            while raw.readinto(buffer):
                pass


def default_directory() -> Path:
    return Path(os.environ.get("OCCY_FAST_BENCHMARK_DIR") or ROOT / "build" / "benchmark")


def pinned_image(directory: Path) -> Path:
    """Return the image of benchmarks/image, built when it is missing."""
    image = directory / "image.tar"
    if not image.exists():
        build = [str(ROOT / "benchmarks" / "image" / "build.sh"), str(directory)]
        subprocess.run(build, check=True, env={"PYTHON": sys.executable, **os.environ})
    return image


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what was asked for, and print it."""
    names = [*(work.name for work in (*WORKS, *EXTRA)), ZEROS, WORKERS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versus", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--image", type=Path, default=os.environ.get("IMAGE"), help="a docker-archive; default: the pinned image")
    add("--pairs", type=int, default=5, help="runs of each side (default 5)")
    add("--work", action="append", metavar="NAME", help=f"part of a name, may be repeated: {'; '.join(names)}")
    add("--peer", action="append", metavar="NAME", help=f"only these: {', '.join(peer.name for peer in PEERS)}; none")
    add("--jobs", type=int, help="workers of ours (default: its own)")
    add("--dir", type=Path, default=default_directory(), help="where inputs are kept and results are made")
    add("--zeros", type=int, default=10, metavar="GIB", help="size of the layer of zeros (default 10)")
    add("--json", type=Path, metavar="FILE", help="write every single run here")
    options = parser.parse_args(arguments)

    directory: Path = options.dir
    directory.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in names if any(part in name for part in options.work)] if options.work else names
    if not options.work:
        wanted = [name for name in names if name not in (work.name for work in EXTRA)]
    if not wanted:
        parser.error(f"no work is called like {' or '.join(options.work)}")
    allowed = [peer for peer in PEERS if not options.peer or peer.name in options.peer]
    found = [(peer, version) for peer in allowed if (version := peer.version())]
    workshop = Workshop(directory, options.image or pinned_image(directory), options.jobs)
    facts = machine([(peer.name, version) for peer, version in found])
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    original = workshop.original
    print(f"{workshop.image.name}: {len(original.layers)} layers, {original.tar_size / 1e6:.0f} MB of tar\n")

    results: list[Measured] = []
    with workshop.opened():
        for work in (*WORKS, *EXTRA):
            if work.name in wanted:
                done = [compare(workshop, work, peer, options.pairs) for peer, _ in found] or [None]
                compared = [measured for measured in done if measured]
                _report(results, compared or list(filter(None, [compare(workshop, work, None, options.pairs)])))
        if ZEROS in wanted:
            _report(results, zeros(workshop, options.zeros << 30))
        if WORKERS in wanted:
            _report(results, workers(workshop, options.pairs))
    print(format_rows([HEADINGS, *map(table_row, results)]))
    print(LEGEND)
    print("\n".join(stage_lines(results)))
    if options.json:
        documents = [measured.document() for measured in results]
        document = {"machine": facts, "image": workshop.image.name, "results": documents}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def _report(results: list[Measured], more: Sequence[Measured]) -> None:
    """Keep *more*, and tell someone who waits."""
    results.extend(more)
    for measured in more:
        print("  ".join(filter(None, table_row(measured))), file=sys.stderr)


if __name__ == "__main__":
    main()
