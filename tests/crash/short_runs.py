"""Commands whose source cannot be read, or who run out of memory, threads or descriptors, at each call that may fail.

    python tests/crash/short_runs.py                       every call of every command, and a table
    python tests/crash/short_runs.py --every 5 --json      a sample, as the suite takes it

The program starts itself again with shortages.c preloaded, and forks a child for each run. Every run ends well, or with
the error that names the shortage and its exit code, and leaves nothing at the destination that was not there.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crash.faulty_runs import make_sources, no_return, snapshot

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

READS, MEMORY, THREADS = 1, 2, 3                     # as shortages.c has them
PATIENCE = 60                                        # seconds until a run counts as hanging
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Command:
    """One command: {old}, {new}, {archive} and {packed} are sources as faulty_runs has them, {top} is written to."""

    name: str
    words: tuple[str, ...]
    piped: str = ""


_ARCHIVE = "docker-archive:{top}/out.tar"

COMMANDS = (
    Command("layout, recoded", ("convert", "oci:{new}", "oci:{top}/out:app", "-c", "zstd:9", "-j", "3")),
    Command("layout, copied into a layout", ("convert", "oci:{new}", "oci:{top}/out:app", "-j", "2")),
    Command("layout, into an archive", ("convert", "oci:{new}", _ARCHIVE, "-c", "gzip:1", "-j", "2")),
    Command("archive, into a layout", ("convert", "{archive}", "oci:{top}/out", "-c", "zstd:1", "-j", "2")),
    Command("packed archive", ("convert", "{packed}", "oci:{top}/out", "-c", "gzip:1", "-j", "2")),
    Command("piped archive", ("convert", "-", "oci:{top}/out", "-j", "2"), "{archive}"),
    Command("verify, layout", ("verify", "oci:{new}", "-j", "2")),
    Command("verify, archive", ("verify", "{archive}", "-j", "2")),
    Command("inspect, layout", ("inspect", "{new}")),
    Command("check, archive", ("check", "{archive}", "--target", "docker-20.10", "--deep", "-j", "2")),
)


@dataclass(slots=True)
class Findings:
    """What became of all runs of one command."""

    runs: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def document(self) -> dict[str, object]:
        return {"runs": self.runs, "ends": self.ends, "problems": self.problems}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth call (default: 1)")
    options.add_argument("--command", action="append", help="only the commands whose name holds this")
    options.add_argument("--json", action="store_true", help="print the findings as JSON")
    given = options.parse_args()
    if "OCCY_FAST_SHORTAGES" not in os.environ:
        return _start_again()
    import occy_fast.api
    import occy_fast.cli.check_cmd
    import occy_fast.cli.convert_cmd
    import occy_fast.cli.inspect_cmd
    import occy_fast.cli.verify_cmd  # noqa: F401

    with tempfile.TemporaryDirectory() as directory:
        place = Path(os.path.realpath(directory))
        sources = make_sources(place / "sources")
        found = {
            command.name: Campaign(command, place, sources).run(given.every)
            for command in COMMANDS
            if not given.command or any(word in command.name for word in given.command)
        }
    documents = {name: each.document() for name, each in found.items()}
    sys.stdout.write(json.dumps(documents) if given.json else table(found))
    return int(any(each.problems for each in found.values()))


def _start_again() -> int:
    """Build the library, and run this program with it preloaded."""
    with tempfile.TemporaryDirectory() as directory:
        library = str(Path(directory) / "shortages.so")
        flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run(["cc", *flags, "-o", library, str(HERE / "shortages.c"), "-ldl"], check=True)
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
        changes = {"OCCY_FAST_SHORTAGES": library, "PYTHONPATH": path, "LD_PRELOAD": library}
        return subprocess.run([sys.executable, *sys.argv], env={**os.environ, **changes}, check=False).returncode


class Campaign:
    """All runs of one command."""

    def __init__(self, command: Command, directory: Path, sources: dict[str, str]) -> None:
        self._command = command
        self._top = directory / "top"
        self._sources = sources
        self._watched = directory / "sources"
        self._library = ctypes.CDLL(os.environ["OCCY_FAST_SHORTAGES"])
        self._answer = directory / "answer"
        self._counted = directory / "counted"
        self._found = Findings()

    def run(self, every: int) -> Findings:
        for name, kind, number, lasting in (
            ("read", READS, errno.EIO, False),
            ("read", READS, errno.EACCES, True),
            ("memory", MEMORY, errno.ENOMEM, False),
            ("memory", MEMORY, errno.ENOMEM, True),
            ("thread", THREADS, errno.EAGAIN, True),
        ):
            counting = self._arming(kind, 0, number, lasting=False)
            calls = self._attempt(name, f"{name}: a clean run", counting, frozenset())
            for when in range(1, calls + 1, every):
                what = f"{name}: {errno.errorcode[number]} {'from' if lasting else 'at'} call {when} of {calls}"
                self._attempt(name, what, self._arming(kind, when, number, lasting=lasting), _EXPECTED[kind])
        for spare in range(0, 160, 2 * every):
            self._attempt("space", f"{spare} MiB of address space", _limit_space(spare), _SPACE)
        for files in range(3, 40, max(1, every // 4)):
            self._attempt("files", f"descriptors below {files}", _limit_files(files), _FILES)
        return self._found

    def _arming(self, kind: int, when: int, number: int, *, lasting: bool) -> Callable[[], None]:
        watched = str(self._watched).encode()
        return lambda: self._library.shortages_arm(watched, kind, ctypes.c_long(when), number, int(lasting))

    def _attempt(self, name: str, what: str, begin: Callable[[], None], expected: frozenset[tuple[str, int]]) -> int:
        """Run the command once; it ends well, or with one of the errors that are *expected*, and leaves nothing."""
        self._found.runs[name] += 1
        shutil.rmtree(self._top, ignore_errors=True)
        self._top.mkdir()
        code = self._run(begin)
        text = self._answer.read_text(errors="replace")
        left = sorted(snapshot(self._top))
        end = "done"
        if code:
            end = f"exit {code}"
            names = set(_names(text))
            if not any((error, code) in expected for error in names):
                self._problem(what, f"exit code {code}: {text[-600:]}")
            elif left:
                self._problem(what, f"left behind: {left}")
            else:
                end = ", ".join(sorted(names))
        elif any(".occy-fast-" in path for path in left):
            self._problem(what, f"left behind: {left}")
        self._found.ends[f"{name}: {end}"] += 1
        return int(self._counted.read_text() or 0)

    def _run(self, begin: Callable[[], None]) -> int:
        places = {"top": self._top, **self._sources}
        words = [*(word.format(**places) for word in self._command.words), "--json"]
        self._counted.write_text("")
        child = os.fork()
        if child == 0:
            with no_return():
                answer = os.open(self._answer, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                counted = os.open(self._counted, os.O_WRONLY)
                os.dup2(answer, 1)
                os.dup2(answer, 2)
                os.close(answer)
                os.dup2(os.open(self._command.piped.format(**places) or os.devnull, os.O_RDONLY), 0)
                from occy_fast.cli import main as command

                signal.alarm(PATIENCE)
                begin()
                code = command(words)
                os.write(counted, str(self._library.shortages_count()).encode())
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _problem(self, what: str, text: str) -> None:
        self._found.problems.append(f"{what}: {text}")


_EXPECTED = {
    READS: frozenset({("InputError", 11)}),
    MEMORY: frozenset({("ResourceError", 1)}),
    THREADS: frozenset({("ResourceError", 1)}),
}
_SPACE = frozenset({("ResourceError", 1)})
# what is read cannot be opened; all else needs descriptors for itself, at the destination too
_FILES = frozenset({("InputError", 11), ("ResourceError", 1)})


def _limit_space(spare: int) -> Callable[[], None]:
    def limit() -> None:
        with open("/proc/self/statm") as status:
            pages = int(status.read().split()[0])
        most = pages * resource.getpagesize() + spare * MEBIBYTE
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    return limit


def _limit_files(files: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


def _names(text: str) -> Iterator[str]:
    """Yield the names of errors in an answer: of the one that ended it, and of findings."""
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        yield from _named(document)
    try:
        yield from _named(json.loads(text))
    except ValueError:
        return


def _named(document: object) -> Iterator[str]:
    if isinstance(document, dict):
        if isinstance(document.get("name"), str):
            yield document["name"]
        for value in document.values():
            yield from _named(value)
    elif isinstance(document, list):
        for value in document:
            yield from _named(value)


def table(found: dict[str, Findings]) -> str:
    """Format what was found for people."""
    lines = [f"{'command':<30} runs  problems"]
    lines += [f"{name:<30} {sum(each.runs.values()):>4}  {len(each.problems)}" for name, each in found.items()]
    ends: Counter[str] = sum((each.ends for each in found.values()), Counter())
    lines += ["", *(f"{count:>6}  {name}" for name, count in sorted(ends.items()))]
    lines += [f"{name}: {problem}" for name, each in found.items() for problem in each.problems]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
