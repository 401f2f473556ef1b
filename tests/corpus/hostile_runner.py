"""Run hostile inputs, each in a process of its own with a limit on its processor time, and tell what came of each.

Reads a JSON list of {id, op, file, unpack, codec, strict, destination} from stdin and writes a line of JSON for each to
stdout: {id, error: names of the error's class and of those it derives from, text, cpu: seconds, rss: bytes, signal}.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from occy_fast import api
from occy_fast.errors import OccyError
from occy_fast.spec.limits import LIMITS
from occy_fast.streams.layer_pass import FdSource, LayerPass, WorkerPool
from occy_fast.streams.tar import scan_region

CPU_SECONDS = 2
HANG_SECONDS = 120


def locator_of(case: dict[str, Any]) -> str:
    """Return how to name the input: an OCI archive is read as it is, or unpacked and read as a layout."""
    if not case["unpack"]:
        return str(case["file"])
    layout = Path(case["destination"] + "-layout")
    layout.mkdir()
    fd = os.open(case["file"], os.O_RDONLY)
    for entry in scan_region(fd, 0, os.fstat(fd).st_size, where="t", limits=LIMITS):
        path = layout / os.fsdecode(entry.name)
        if not entry.name or not path.parent.resolve().is_relative_to(layout.resolve()):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.type == b"2":
            path.symlink_to(os.fsdecode(entry.linkname))
        elif entry.is_directory:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(os.pread(fd, entry.size, entry.data_offset))
    os.close(fd)
    return f"oci:{layout}"


def scan(case: dict[str, Any]) -> None:
    fd = os.open(case["file"], os.O_RDONLY)
    for _ in scan_region(fd, 0, os.fstat(fd).st_size, strict=case["strict"], where="t", limits=LIMITS):
        pass


def decode(case: dict[str, Any]) -> None:
    fd = os.open(case["file"], os.O_RDONLY)
    with WorkerPool(2) as pool:
        pool.start(LayerPass(FdSource(fd), decode=case["codec"], bounded_ratio=True, limits=LIMITS)).wait()


def verify(case: dict[str, Any]) -> None:
    report = api.verify(locator_of(case), workers=2, strict=case["strict"])
    if report.errors:
        raise next(finding.error for finding in report.errors if finding.error is not None)


def convert(case: dict[str, Any]) -> None:
    api.convert(locator_of(case), f"oci:{case['destination']}", verify="layers", workers=2)


RUN = {"scan": scan, "decode": decode, "verify": verify, "convert": convert}


def run(case: dict[str, Any]) -> dict[str, Any]:
    """Return the outcome of one case."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        signal.alarm(HANG_SECONDS)
        os.write(send, json.dumps(outcome(case)).encode())
        os._exit(0)
    os.close(send)
    with open(receive, "rb") as pipe:
        told = pipe.read()
    _, status, usage = os.wait4(child, 0)
    found = json.loads(told) if told else {"error": ["none told"], "text": "the process ended"}
    found["signal"] = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else None
    return {"id": case["id"], "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss << 10} | found


def outcome(case: dict[str, Any]) -> dict[str, Any]:
    try:
        RUN[case["op"]](case)
    except OccyError as error:
        return {"error": [kind.__name__ for kind in type(error).__mro__], "text": str(error)}
    except BaseException:
        return {"error": ["a defect"], "text": traceback.format_exc()}
    return {"error": [], "text": ""}


if __name__ == "__main__":
    for each in json.load(sys.stdin):
        sys.stdout.write(json.dumps(run(each)) + "\n")
        sys.stdout.flush()
