"""Hostile tars, streams, archives and layouts end as they should: by name, in time, in bounds, inside."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast.transports.opening import TRANSPORTS

RUNNER = Path(__file__).with_name("hostile_runner.py")
SOURCES = Path(occy_fast.__file__).resolve().parent.parent
MEMORY = 256 << 20
READS_OCI_ARCHIVES = "oci-archive" in TRANSPORTS
LATER = frozenset({"extract"})


def cases_of(shared: Path) -> list[dict[str, Any]]:
    listing = json.loads((shared / "corpus/hostile/expected.json").read_text())
    return [case for case in listing["cases"] if case["op"] not in LATER]


def runs_of(shared: Path, place: Path) -> Iterator[dict[str, Any]]:
    """Yield what is to be run, inputs unwrapped into *place*.

    Images are verified and also converted; OCI archives as they are, where that is offered, and as layouts.
    """
    for case in cases_of(shared):
        file = shared / "corpus/hostile" / Path(case["file"]).name
        if case["stored"] == "gzip":
            file = place / case["id"]
            file.write_bytes(gzip.decompress((shared / "corpus/hostile" / Path(case["file"]).name).read_bytes()))
        common = {"file": str(file), "codec": "zstd" if file.suffix == ".zst" else "gzip", "destination": ""}
        ops = ("verify", "convert") if case["op"] == "verify" else (case["op"],)
        forms = (False,) if case["cls"] != "oci-archive" else (True, False) if READS_OCI_ARCHIVES else (True,)
        for op, unpack, strict in product(ops, forms, (False, True)):
            if strict and op not in ("scan", "verify"):
                continue
            name = f"{case['id']} {op}{' unpacked' if unpack else ''}{' --strict' if strict else ''}"
            destination = str(place / "out" / name.replace(" ", "_"))
            yield common | {"id": name, "op": op, "unpack": unpack, "strict": strict, "destination": destination}


def run_all(shared: Path, place: Path, *under: str) -> dict[str, dict[str, Any]]:
    (place / "out").mkdir()
    command = [*under, sys.executable, str(RUNNER)]
    asked = json.dumps(list(runs_of(shared, place)))
    environment = os.environ | {"PYTHONPATH": str(SOURCES)}
    told = subprocess.run(command, input=asked.encode(), stdout=subprocess.PIPE, check=True, cwd=place, env=environment)
    return {found["id"]: found for found in map(json.loads, told.stdout.splitlines())}


@pytest.fixture(scope="module")
def outcomes(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return run_all(shared, tmp_path_factory.mktemp("hostile"))


# What the listing leaves out: 20,000 headers in front of one entry exceed a limit, and a decoder that is told what a
# stream is finds that it is another.
ALSO = {"p052-many-L": {"TarLimitError"}, "z023-gzip-bytes-as-zstd": {"CorruptStream"}}
# Its config is not the one that its name tells of, which --verify layers refuses.
ALSO["i042-rootfs-type"] = {"DigestMismatch"}
# Unpacked, it is a layout whose link leads out of it, to where the caller has not allowed it to lead.
ALSO["o022-blobs-dir-symlink"] = {"LinkRefused"}
# Strict reading refuses what readers are seen to disagree about, whatever the listing calls it.
BY_STRICT_READING = {"TarAmbiguous", "TarFormatError", "TarPaxError", "TarTruncated"}


def is_right(case: dict[str, Any], found: dict[str, Any], *, strict: bool) -> bool:
    """Tell whether an outcome is what the listing wants: the exact name of the error, where there is one."""
    name = found["error"][0] if found["error"] else None
    named = {*case["errors"], *ALSO.get(case["id"], ())}
    if case["expect"] == "refuse":
        return name in named
    if case["op"] == "scan" and case["mode"] == "strict":
        return name in named if strict else name is None
    return name is None or name in named or (strict and name in BY_STRICT_READING)


def test_every_input_ends_as_it_should(shared: Path, outcomes: dict[str, dict[str, Any]]) -> None:
    cases = {case["id"]: case for case in cases_of(shared)}
    assert len(cases) > 100
    wrong = {
        name: (cases[name.split()[0]]["errors"], found["error"][:1], found["text"])
        for name, found in outcomes.items()
        if not is_right(cases[name.split()[0]], found, strict=name.endswith("--strict"))
    }
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())


def test_no_input_takes_long_or_much(outcomes: dict[str, dict[str, Any]]) -> None:
    """Processor time is limited by the system, which kills what takes more."""
    assert {name: found for name, found in outcomes.items() if found["signal"] is not None} == {}
    assert {name: found["rss"] for name, found in outcomes.items() if found["rss"] > MEMORY} == {}


WRITES = re.compile(
    r'(?:open(?:at|at2)?\((?:[^"]*, )?"(?P<opened>[^"]*)", [^)]*O_(?:WRONLY|RDWR|CREAT)'
    r'|(?:mkdir|mknod|unlink|rmdir|symlink|link|rename|chmod|chown|truncate)[a-z0-9]*\([^"]*"(?P<first>[^"]*)"'
    r'(?:, [^"]*"(?P<second>[^"]*)")?)'
)


@pytest.mark.interop
def test_nothing_is_written_outside(shared: Path, tmp_path: Path) -> None:
    """Every name that is opened for writing, made, linked or removed lies below the place of the run."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (apt-get install strace)")
    place = tmp_path / "hostile"
    place.mkdir()
    calls = "open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,unlink,unlinkat,rmdir,symlink,symlinkat,link,linkat"
    calls += ",rename,renameat,renameat2,chmod,fchmodat,chown,lchown,fchownat,truncate"
    log = tmp_path / "calls"
    run_all(shared, place, "strace", "-f", "-y", "-qq", "-s", "4096", "-e", f"trace={calls}", "-o", str(log))
    found, outside = 0, []
    for line in log.read_text(errors="surrogateescape").splitlines():
        call = line.partition(" ")[2].strip()
        match = WRITES.match(call)
        if match is None or " = -1 " in call:
            continue
        found += 1
        directory = re.search(r"<([^>]*)>", call.partition('"')[0])
        base = Path(directory[1] if directory else place)
        opened = re.search(r"= [0-9]+<([^>]*)>$", call)
        names = [opened[1] if opened else match["opened"] or match["first"], match["second"]]
        if call.startswith(("symlink", "link")):
            names[0] = None  # where a link leads, not what is made
        outside += [call for name in names if name is not None and not (base / name).is_relative_to(place)]
    assert found > 100
    assert outside == []
