"""Conversions that are killed, or have one call fail, at each call that changes a file; what they leave is looked at.

    python tests/crash/faulty_runs.py                       every call of every shape, and a table
    python tests/crash/faulty_runs.py --every 5 --json      a sample, as the suite takes it

The program starts itself again with faults.c preloaded, and forks a child for each run, so that nothing is imported
twice. Outputs are the same bytes each time: what is there must be the old tree or the new one, byte for byte.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

NOTHING, KILL, TEAR, FAIL, SHORTEN = range(5)        # as faults.c has them
NO_TMPFILE = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """One road to a destination.

    Attributes:
        arguments: of `convert`; {old} and {new} are layouts, {archive} is the new image as an archive, {packed} the
            same compressed as a whole, {top} is where the destination is.
        before: the arguments that make what is there at first, if anything is.
        published: the name that publishing gives, below the top.
        quirks: what the file system is made to lack.
    """

    name: str
    arguments: tuple[str, ...]
    before: tuple[str, ...] = ()
    published: str = "out"
    quirks: int = 0


_NEW, _OLD, _ARCHIVE = "oci:{new}:app", "oci:{old}:base", "docker-archive:{archive}"
_LAYOUT, _OTHER = "oci:{top}/out:app", "oci:{top}/out:base"
_TAR, _OCI_TAR = "docker-archive:{top}/out.tar", "oci-archive:{top}/out.tar:app"
_PASSES = "docker-archive:{packed}"
_ZSTD, _NONE, _GZIP = ("-c", "zstd:1"), ("-c", "none"), ("-c", "gzip:1")
_DIGEST = ("--digest-file", "{top}/digest")
_OLD_LAYOUT = ("--archive-layout", "docker-20.10")

SHAPES = (
    Shape("new layout, copied", (_NEW, _LAYOUT)),
    Shape("new layout, recoded", (_ARCHIVE, _LAYOUT, *_ZSTD, *_DIGEST)),
    Shape("new layout, linked", (_NEW, _LAYOUT, "--link")),
    Shape("added to a layout, copied", (_NEW, _LAYOUT), (_OLD, _OTHER), "out/index.json"),
    Shape("added to a layout, recoded", (_NEW, _LAYOUT, *_GZIP, *_DIGEST), (_OLD, _OTHER, *_DIGEST), "out/index.json"),
    Shape("added to a layout, linked", (_NEW, _LAYOUT, "--link"), (_OLD, _OTHER, "--link"), "out/index.json"),
    Shape("replaced in a layout", (_NEW, _OTHER), (_OLD, _OTHER), "out/index.json"),
    Shape("new archive, copied", (_NEW, _TAR, *_DIGEST), (), "out.tar"),
    Shape("replaced archive, recoded", (_NEW, _TAR, *_NONE, *_DIGEST), (_OLD, _TAR, *_DIGEST), "out.tar"),
    Shape("replaced archive, copied", (_ARCHIVE, _TAR), (_OLD, _TAR), "out.tar"),
    Shape("replaced archive, without O_TMPFILE", (_NEW, _TAR, *_DIGEST), (_OLD, _TAR, *_DIGEST), "out.tar", NO_TMPFILE),
    Shape("replaced archive, as Docker 20.10 writes it", (_NEW, _TAR, *_OLD_LAYOUT), (_OLD, _TAR), "out.tar"),
    Shape("new OCI archive, recoded", (_NEW, _OCI_TAR, *_ZSTD, *_DIGEST), (), "out.tar"),
    Shape("replaced OCI archive, copied", (_NEW, _OCI_TAR), (_OLD, _OCI_TAR), "out.tar"),
    Shape("new layout, of what comes by once", (_PASSES, _LAYOUT, *_ZSTD, *_DIGEST)),
    Shape("replaced archive, of what comes by once", (_PASSES, _TAR, *_NONE), (_OLD, _TAR), "out.tar"),
)

# What may fail without a word: the removal of what the next run removes, hints, and writes past the cache, which are
# made again into it.
REMOVALS = frozenset({"unlinkat", "unlink", "rmdir"})
HARMLESS = REMOVALS | {"sync_file_range", "direct"}


@dataclass(frozen=True, slots=True)
class Call:
    """One line of what faults.c tells."""

    number: int
    name: str
    result: int
    inode: int
    parent: int
    path: str
    other: str


@dataclass(slots=True)
class Findings:
    """What became of all runs of one shape."""

    calls: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def document(self) -> dict[str, object]:
        return {"calls": self.calls, "runs": self.runs, "states": self.states, "problems": self.problems}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth call (default: 1)")
    options.add_argument("--shape", action="append", help="only the shapes whose name holds this")
    options.add_argument("--json", action="store_true", help="print the findings as JSON")
    options.add_argument("--directory", help="work here: another file system, say")
    given = options.parse_args()
    if "OCCY_FAST_FAULTS" not in os.environ:
        return _start_again()
    import occy_fast.cli.convert_cmd
    import occy_fast.cli.digest_file
    import occy_fast.cli.progress  # noqa: F401

    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        place = Path(os.path.realpath(directory))
        sources = make_sources(place / "watched")
        found = {
            shape.name: Campaign(shape, place, sources).run(given.every)
            for shape in SHAPES
            if not given.shape or any(word in shape.name for word in given.shape)
        }
    documents = {name: each.document() for name, each in found.items()}
    sys.stdout.write(json.dumps(documents) if given.json else table(found))
    return int(any(each.problems for each in found.values()))


def _start_again() -> int:
    """Build the library, and run this program with it preloaded."""
    with tempfile.TemporaryDirectory() as directory:
        library = compile_library(Path(directory))
        return subprocess.run([sys.executable, *sys.argv], env=environment(library), check=False).returncode


def compile_library(directory: Path) -> str:
    """Build faults.c, and return its path."""
    library = str(directory / "faults.so")
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, "-o", library, str(HERE / "faults.c"), "-ldl"], check=True)
    return library


def environment(library: str, *, preload: bool = True) -> dict[str, str]:
    """Return the environment of a Python that knows the library and this tree."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    changes = {"OCCY_FAST_FAULTS": library, "PYTHONPATH": path}
    return {**os.environ, **changes, **({"LD_PRELOAD": library} if preload else {})}


def make_sources(directory: Path) -> dict[str, str]:
    """Make an old and a new image that share a layer; one layer takes several writes."""
    from support.image_builders import docker_archive, make_image, make_layer, make_tar, oci_layout

    large = make_tar([("large", b"".join(os.urandom(1 << 16) for _ in range(40)))])
    old = make_image(tars=[make_layer("shared"), make_layer("old")], names=["base:1"], codec="gzip")
    new = make_image(tars=[make_layer("shared"), large, make_layer("new")], codec=["gzip", "none", "none"])
    directory.mkdir()
    places = {"old": directory / "old", "new": directory / "new", "archive": directory / "new.tar"}
    oci_layout(places["old"], [old], ["base"])
    oci_layout(places["new"], [new], ["app"])
    docker_archive(places["archive"], [new], "B")
    places["packed"] = directory / "new.tar.gz"
    places["packed"].write_bytes(gzip.compress(places["archive"].read_bytes()))
    return {name: str(path) for name, path in places.items()}


class Campaign:
    """All runs of one shape."""

    def __init__(self, shape: Shape, directory: Path, sources: dict[str, str]) -> None:
        self._shape = shape
        self._watched = directory / "watched"        # the sources too: what is linked may have to be synced
        self._top = self._watched / "top"
        self._template = directory / "template"
        self._sources = sources
        self._library = ctypes.CDLL(os.environ["OCCY_FAST_FAULTS"])
        self._told = directory / "calls"
        self._answer = directory / "answer"
        self._found = Findings()

    def run(self, every: int) -> Findings:
        shutil.rmtree(self._template, ignore_errors=True)
        shutil.rmtree(self._top, ignore_errors=True)
        self._top.mkdir()
        if self._shape.before:
            assert self._convert(self._shape.before) == 0, self._answer.read_text()
        self._old = snapshot(self._top)
        shutil.copytree(self._top, self._template)
        assert self._convert(self._shape.arguments, NOTHING) == 0, self._answer.read_text()
        self._new = snapshot(self._top)
        calls = self._calls()
        self._found.calls = len(calls)
        self._found.problems += unordered(calls, self._top, self._shape.published)
        self._look("clean run", 0)
        for number in range(1, len(calls) + 1):
            if (number - 1) % every == 0 or number == len(calls):
                self._kill(number, KILL)
                self._fail(number, errno.ENOSPC)
                self._fail(number, errno.EIO)
                if any(call.number == number and call.name in ("write", "direct") for call in calls):
                    self._kill(number, TEAR)
                    self._shorten(number)
        return self._found

    def _kill(self, number: int, how: int) -> None:
        what = f"{'killed' if how == KILL else 'killed in half of'} call {number}"
        code = self._attempt(what, number, how)
        if code != -signal.SIGKILL:
            self._problem(what, f"it ended with {code}")
        self._state(what, exact=False)
        self._again(what)

    def _fail(self, number: int, error: int) -> None:
        what = f"{errno.errorcode[error]} at call {number}"
        code = self._attempt(what, number, FAIL, error)
        call = next((call for call in self._calls() if call.number == number), None)
        if call is None:
            self._problem(what, f"the run makes only {len(self._calls())} calls")
            return
        what = f"{what} ({call.name} of {call.path} {call.other})"
        state = self._state(what, exact=call.name not in REMOVALS)
        if code == 0:
            if state != "new":
                self._problem(what, f"it ended well, and what is there is {state}")
            if call.name not in HARMLESS:
                self._problem(what, "it was not told")
            self._found.errors[f"none: {call.name}"] += 1
        else:
            self._named(what, code, error)
        self._again(what)

    def _named(self, what: str, code: int, error: int) -> None:
        try:
            answer = json.loads(self._answer.read_text())["error"]
        except ValueError:
            self._problem(what, f"exit code {code} and no JSON: {self._answer.read_text()[-400:]}")
            return
        expected = {"name": "OutputError", "errno": error, "exit_code": 1}
        if code != 1 or any(answer.get(key) != value for key, value in expected.items()):
            self._problem(what, f"exit code {code}, {answer}")
        if not str(answer.get("path", "")).startswith(str(self._top)):
            self._problem(what, f"the error names {answer.get('path')!r}")
        self._found.errors[f"{answer.get('name')}: {answer.get('operation')}"] += 1

    def _shorten(self, number: int) -> None:
        what = f"half of call {number}"
        if self._attempt(what, number, SHORTEN) != 0:
            self._problem(what, f"a short write is no error: {self._answer.read_text()}")
        if self._state(what, exact=True) != "new":
            self._problem(what, "it ended well, and the new tree is not there")

    def _attempt(self, what: str, number: int, action: int, error: int = 0) -> int:
        self._found.runs[what.partition(" ")[0] if action == FAIL else ("kill", "tear", "", "short")[action - 1]] += 1
        shutil.rmtree(self._top)
        shutil.copytree(self._template, self._top)
        return self._convert(self._shape.arguments, action, number, error)

    def _convert(self, arguments: tuple[str, ...], action: int | None = None, number: int = 0, error: int = 0) -> int:
        """Run the command in a child; return its exit code, or the negated signal."""
        words = ["convert", *(word.format(top=self._top, **self._sources) for word in arguments), "--json", "-j", "2"]
        self._told.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            with no_return():
                answer = os.open(self._answer, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                os.dup2(answer, 1)
                os.dup2(answer, 2)
                from occy_fast.cli import main as command

                if action is not None:
                    told = os.open(self._told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                    watched = str(self._watched).encode()
                    self._library.faults_arm(watched, ctypes.c_long(number), action, error, told, self._shape.quirks)
                code = command(words)
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _calls(self) -> list[Call]:
        calls = {}
        for line in self._told.read_text().splitlines():
            number, name, result, inode, parent, path, other = line.split("\t")
            calls[int(number)] = Call(int(number), name, int(result), int(inode), int(parent), path, other)
        return list(calls.values())

    def _state(self, what: str, *, exact: bool) -> str:
        """Say whether the old or the new tree is there, whole; *exact* also forbids anything beside it."""
        there = snapshot(self._top)
        parts = {name: _part(there, name, self._old, self._new) for name in ("digest", "out.tar", "out")}
        image = parts["out.tar"] if "out.tar" in {**self._old, **self._new} else parts["out"]
        state = image if image in ("old", "new") else "half"
        if state == "half" or parts["digest"] not in ("old", "new", "same"):
            self._problem(what, f"half of something is there: {parts}")
        if parts["digest"] == "new" and state != "new":
            self._problem(what, "the digest is told of what is not published")
        if exact:
            for name in sorted(set(there) - set(self._new if state == "new" else self._old)):
                self._problem(what, f"{name} was left behind")
        self._found.states[state] += 1
        self._look(what, 1 if state == "old" else 0)
        return state

    def _look(self, what: str, old: int) -> None:
        """Prove the image that a reader finds now."""
        from occy_fast import verify

        arguments = self._shape.before if old else self._shape.arguments
        if not arguments:
            return
        report = verify(arguments[1].format(top=self._top), workers=1)
        if report.exit_code:
            self._problem(what, f"what is there is bad: {report.findings}")

    def _again(self, what: str) -> None:
        """Run once more: that succeeds, and leaves the new tree and nothing else."""
        if self._convert(self._shape.arguments) != 0:
            self._problem(what, f"the next run fails: {self._answer.read_text()}")
            return
        there = snapshot(self._top)
        if there != self._new:
            differing = sorted(name for name in {*there, *self._new} if there.get(name) != self._new.get(name))
            self._problem(what, f"the next run leaves {differing}")

    def _problem(self, what: str, text: str) -> None:
        self._found.problems.append(f"{what}: {text}")


@contextmanager
def no_return() -> Iterator[None]:
    """End a forked child that has no other end."""
    try:
        yield
    except BaseException as error:
        os.write(2, repr(error).encode())
    finally:
        os._exit(99)


def snapshot(top: Path) -> dict[str, bytes]:
    """Return every path below *top* with a file's bytes; a directory's name ends in a slash."""
    found: dict[str, bytes] = {}
    for at, folders, files in os.walk(top):
        place = os.path.relpath(at, top)
        prefix = "" if place == "." else f"{place}/"
        found.update({f"{prefix}{name}/": b"" for name in folders})
        found.update({f"{prefix}{name}": (Path(at) / name).read_bytes() for name in files})
    return found


def _part(there: dict[str, bytes], name: str, old: dict[str, bytes], new: dict[str, bytes]) -> str:
    """Say which of two trees has what is there under *name*; in a layout blobs that nothing names do no harm."""

    def below(tree: dict[str, bytes]) -> dict[str, bytes]:
        return {path: data for path, data in tree.items() if path.split("/")[0] == name and ".occy-fast-" not in path}

    found = below(there)
    if below(old) == below(new):
        return "same" if found == below(new) else "neither"
    for state, tree in (("new", below(new)), ("old", below(old))):
        more = {path for path in found if path not in tree}
        if all(found.get(path) == data for path, data in tree.items()) and all("/blobs/" in path for path in more):
            return state
    return "neither"


def unordered(calls: list[Call], top: Path, published: str) -> list[str]:
    """Replay the calls of a clean run: what would a lost power supply have taken at the wrong moment?

    Before a name is given, the bytes and the directories below it are on the disk; before the run ends, so are the
    names; and the digest file comes when all of that is done.
    """
    unsynced: dict[int, str] = {}                    # what has changed since its last fsync
    known: set[int] = set()                          # what this run has made
    problems: list[str] = []
    target = top / published

    def check(moment: str) -> None:
        place = target if target.is_dir() else target.parent
        inside = {place.lstat().st_ino} | {path.lstat().st_ino for path in place.rglob("*")}
        inside |= {top.lstat().st_ino, target.lstat().st_ino}
        problems.extend(f"{moment}: {what} is not on the disk" for inode, what in unsynced.items() if inode in inside)

    def named(path: str, directory: int) -> None:
        if not Path(path).name.startswith(".occy-fast-"):  # such a name may be lost
            unsynced[directory] = f"{path} in its directory"

    for call in calls:
        if call.result < 0:
            continue
        if call.name in ("fsync", "fdatasync", "syncfs"):
            unsynced.pop(call.inode, None)
        elif call.name in ("write", "direct", "ftruncate", "ftruncate64", "fallocate"):
            unsynced[call.inode] = call.path
        elif call.name in ("create", "mkdir", "mkdirat"):
            known.add(call.inode)
            unsynced[call.inode] = call.path
            named(call.path, call.parent)
        elif call.name == "tmpfile":
            known.add(call.inode)
        elif call.name in ("rename", "renameat", "link", "linkat"):
            if call.inode not in known:              # somebody else's file, which may never have been synced
                known.add(call.inode)
                unsynced[call.inode] = call.path
            if call.other in (str(target), str(top / "digest")):
                check(f"{call.name} to {call.other}")
            named(call.other, call.parent)
    check("the end")
    names = [call.other for call in calls if call.name.startswith("rename") and call.result == 0]
    if str(target) not in names:
        problems.append(f"{target} never got its name")
    return problems


def table(found: dict[str, Findings]) -> str:
    """Format what was found for people."""
    lines = [f"{'shape':<36} calls  runs   old   new  problems"]
    for name, each in found.items():
        states = f"{each.states['old']:>5} {each.states['new']:>5}"
        lines.append(f"{name:<36} {each.calls:>5} {sum(each.runs.values()):>5} {states}  {len(each.problems)}")
    runs: Counter[str] = sum((each.runs for each in found.values()), Counter())
    errors: Counter[str] = sum((each.errors for each in found.values()), Counter())
    lines += ["", f"{sum(runs.values())} runs: " + ", ".join(f"{count} {name}" for name, count in sorted(runs.items()))]
    lines += [f"{count:>6}  {name}" for name, count in errors.most_common()]
    lines += [f"{name}: {problem}" for name, each in found.items() for problem in each.problems]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
