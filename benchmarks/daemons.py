"""Measure what crosses a Docker daemon's socket, and what reading an image takes beside `docker save`.

`python -m benchmarks.daemons --image app.tar` asks the daemon that DOCKER_HOST names, with the `docker` on PATH. The
image is loaded, and another is made from it and removed again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests" / "interop"))

from counting_proxy import CountingProxy  # noqa: E402

MEGABYTE = 1_000_000
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
        with open(os.devnull, "wb") as nowhere:
            began = time.monotonic()
            subprocess.run([docker, "save", NAME], check=True, stdout=nowhere)
            theirs.append(time.monotonic() - began)
        ours.append(_occy("convert", f"docker-daemon:{NAME}", f"oci:{place}/layout:1"))
        shutil.rmtree(place / "layout")
    for label, times in (("docker save > /dev/null", theirs), ("docker-daemon: -> oci:", ours)):
        print(f"{label:24} {statistics.median(times):6.2f} s  ({', '.join(f'{seconds:.2f}' for seconds in times)})")
    print(f"ratio of the medians     {statistics.median(ours) / statistics.median(theirs):6.2f}")


def _occy(*arguments: str) -> float:
    """Run the library's command line; return its seconds."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "occy_fast", *arguments, "--quiet"], check=True, env=environment, stdout=2)
    return time.monotonic() - began


if __name__ == "__main__":
    raise SystemExit(main())
