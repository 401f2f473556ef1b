"""Measure what crosses a Docker daemon's socket, and what reading an image takes beside `docker save`.

`python -m benchmarks.daemons --image app.tar` asks the daemon that DOCKER_HOST names, with the `docker` on PATH. The
image is loaded, and another is made from it and removed again.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

from support.counting_proxy import CountingProxy  # noqa: E402

MEGABYTE = 1_000_000
ZSTD = ("--compression", "zstd")
NAME, DERIVED = "example.com/measured:1", "example.com/measured:derived"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--image", required=True, help="an archive as docker save writes it")
    parser.add_argument("--pairs", type=int, default=3, help="runs of either side (3)")
    parser.add_argument("--docker", default="docker", help="docker's command line")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="occy-daemons-", dir=".") as directory:
        place = Path(directory)
        _occy("convert", f"docker-archive:{asked.image}", f"docker-daemon:{NAME}")
        _measure_missing(asked.docker, place)
        _measure_saving(asked.docker, asked.pairs, place)
        _measure_pipe(asked.docker, asked.image, asked.pairs, place)
    return 0


def _measure_missing(docker: str, place: Path) -> None:
    """Count what crosses the socket for an image of which the daemon has all but a layer of 10 MB."""
    (place / "content").write_bytes(os.urandom(10 * MEGABYTE))
    (place / "Dockerfile").write_text(f"FROM {NAME}\nCOPY content /srv/content\n")
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    subprocess.run(
        [docker, "build", "--quiet", "--tag", DERIVED, place], check=True, capture_output=True, env=environment
    )
    subprocess.run([docker, "save", "--output", place / "derived.tar", DERIVED], check=True)
    subprocess.run([docker, "rmi", DERIVED], check=True, capture_output=True)
    with CountingProxy(os.environ["DOCKER_HOST"].removeprefix("unix://")) as proxy:
        seconds = _occy(
            "convert", f"docker-archive:{place}/derived.tar", f"docker-daemon:{DERIVED}", "--socket", proxy.path
        )
        print(f"a new layer of 10 MB: {proxy.crossed / MEGABYTE:.2f} MB cross the socket in {seconds:.2f} s")
    subprocess.run([docker, "rmi", DERIVED], check=True, capture_output=True)
    (place / "derived.tar").unlink()


def _measure_saving(docker: str, pairs: int, place: Path) -> None:
    """Time `docker save > /dev/null` and a conversion to a layout, in turn."""
    theirs, ours = [], []
    for _ in range(pairs):
        theirs.append(_save(docker))
        os.sync()
        ours.append(_occy("convert", f"docker-daemon:{NAME}", f"oci:{place}/layout:1"))
        shutil.rmtree(place / "layout")
    _report({"docker save > /dev/null": theirs}, {"docker-daemon: -> oci:": ours})


def _measure_pipe(docker: str, image: str, pairs: int, place: Path) -> None:
    """Time `docker save | occy-fast convert -` beside each of the two alone, in turn; check that it makes the same.

    A daemon that unpacks into a directory of its own first (20.10 does) sends nothing for most of its time; what then
    bounds a pipe is how busy the processors are from the first byte on, and that is printed too.
    """
    saving: list[float] = []
    from_file: list[float] = []
    through_pipe: list[float] = []
    silent: list[float] = []
    busy: list[float] = []
    for _ in range(pairs):
        saving.append(_save(docker))
        os.sync()                                        # what the run before has left to be written is not this one's
        from_file.append(_occy("convert", f"docker-archive:{image}", f"oci:{place}/file:1", *ZSTD))
        os.sync()
        began = time.monotonic()
        with subprocess.Popen([docker, "save", NAME], stdout=subprocess.PIPE) as save, ThreadPoolExecutor() as beside:
            first = beside.submit(_first_byte, save.stdout)
            _occy("convert", "-", f"oci:{place}/pipe:1", *ZSTD, stdin=save.stdout)
        through_pipe.append(time.monotonic() - began)
        came, ticks = first.result()
        silent.append(came - began)
        busy.append(_busy_share(ticks))
        assert save.returncode == 0
        made = [_layers(place / name) for name in ("file", "pipe")]
        assert made[0] == made[1], "the pipe made other layers than the file"
        shutil.rmtree(place / "file")
        shutil.rmtree(place / "pipe")
    alone = {"docker save > /dev/null": saving, "file -> oci: zstd": from_file}
    _report(alone, {"docker save | convert -": through_pipe})
    print(
        f"the first byte came after {statistics.median(silent):.2f} s;"
        f" from then on the processors were {statistics.median(busy):.0%} busy"
    )


def _first_byte(stream: IO[bytes]) -> tuple[float, list[int]]:
    """Wait until *stream* has something to read; return when that was, and the processors' times at that moment."""
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    poll.poll()
    return time.monotonic(), _processor_times()


def _processor_times() -> list[int]:
    """Return user, nice, system, idle, iowait and further times of all processors together.  (proc(5))"""
    with open("/proc/stat") as counters:
        return [int(word) for word in counters.readline().split()[1:]]


def _busy_share(since: list[int]) -> float:
    spent = [now - before for now, before in zip(_processor_times(), since, strict=True)]
    return 1 - (spent[3] + spent[4]) / sum(spent)


def _layers(layout: Path) -> list[str]:
    """Return the digests of the layers of a layout's only image."""
    index = json.loads((layout / "index.json").read_bytes())
    manifest = layout / "blobs" / index["manifests"][0]["digest"].replace(":", "/")
    return [layer["digest"] for layer in json.loads(manifest.read_bytes())["layers"]]


def _report(alone: dict[str, list[float]], ours: dict[str, list[float]]) -> None:
    """Print every series, and the ratio of the medians: what is ours by the slowest of what stands alone."""
    for label, times in {**alone, **ours}.items():
        print(f"{label:24} {statistics.median(times):6.2f} s  ({', '.join(f'{seconds:.2f}' for seconds in times)})")
    slowest = max(map(statistics.median, alone.values()))
    print(f"ratio of the medians     {max(map(statistics.median, ours.values())) / slowest:6.2f}")


def _save(docker: str) -> float:
    """Run `docker save > /dev/null`; return its seconds."""
    os.sync()
    began = time.monotonic()
    subprocess.run([docker, "save", NAME], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def _occy(*arguments: str, stdin: IO[bytes] | None = None) -> float:
    """Run the library's command line; return its seconds."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)     # as an installed package keeps its bytecode
    command = [sys.executable, "-m", "occy_fast", *arguments, "--quiet"]
    began = time.monotonic()
    subprocess.run(command, check=True, env=environment, stdin=stdin, stdout=2)
    return time.monotonic() - began


if __name__ == "__main__":
    raise SystemExit(main())
