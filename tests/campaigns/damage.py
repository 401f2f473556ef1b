"""Images with one bit flipped, or cut short, at random: each is refused, or converts to what the whole image is.

    python tests/campaigns/damage.py --flips 10000 --truncations 10000 --seed 1

Not all bytes mean something: an archive's times and padding, a space in JSON, a gzip header's time. Who flips one of
those still gets the image that was there: the same config bytes and the same tars. Names are vouched for by nobody, so
a flip there may give the image another one; that is counted apart. All else has to be an error of the library's own.
"""

from __future__ import annotations

import argparse
import faulthandler
import gzip
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from types import FrameType
from typing import Any

if __name__ == "__main__":
    tests = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(tests.parent / "src"), str(tests)]

from occy_fast import api
from occy_fast.errors import BadReference, OccyError
from support.image_builders import BuiltImage, docker_archive, make_image, make_tar, oci_archive, oci_layout
from support.outputs import Layout, read_archive

PATIENCE = 20
"""Seconds until a run hangs."""

# Damage in the bytes is not for the caller to mend, so nothing may be blamed on the request or the destination.
DAMAGE_CODES = frozenset({3, 4, 5, 6})

Contents = tuple[tuple[bytes, tuple[bytes, ...]], ...]


@dataclass(frozen=True, slots=True)
class Road:
    """One way to convert."""

    name: str
    destination: str
    encoding: str | None


ROADS = (
    Road("copied", "oci:{}/out", None),
    Road("recoded", "oci:{}/out", "zstd:1"),
    Road("archived", "docker-archive:{}/out.tar", "none"),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """An image where a transport has put it, and what it converts to."""

    name: str
    locator: str
    files: tuple[Path, ...]
    roads: tuple[Road, ...]
    whole: dict[str, tuple[Contents, tuple[str, ...]]]


@dataclass(slots=True)
class Findings:
    """How many runs ended how, by transport, and which ended as none may."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Hang(BaseException):
    """A run takes longer than any may."""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--flips", type=int, default=10_000, metavar="N")
    options.add_argument("--truncations", type=int, default=10_000, metavar="N")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--directory", help="work here; in memory it is faster")
    given = options.parse_args()
    faulthandler.enable()
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        found = run(Path(directory), given.flips, given.truncations, given.seed)
    sys.stdout.write(table(found))
    return int(bool(found.problems))


def run(directory: Path, flips: int, truncations: int, seed: int) -> Findings:
    """Damage so many images; the same seed does the same damage."""
    chance = random.Random(seed)
    subjects = make_subjects(directory, seed)
    found = Findings()
    for number in range(flips + truncations):
        subject = subjects[number % len(subjects)]
        road = chance.choice(subject.roads)
        path = _choose_file(chance, subject.files)
        kind = flipped if number < flips else cut_short
        position = chance.randrange(path.stat().st_size * (8 if kind is flipped else 1))
        what = f"{subject.name}, {kind.__name__} at {position} of {path.name}, {road.name}"
        with kind(path, position):
            outcome = _convert(subject, road, directory, found, what)
        transport = subject.name.partition(" ")[0]
        found.outcomes[f"{transport}, {kind.__name__}", outcome] += 1
    return found


def make_images(seed: int) -> list[list[BuiltImage]]:
    """Make ten different images of some ten to three hundred kilobytes; one comes with two others in one place."""
    chance = random.Random(seed)

    def tars(*sizes: int) -> tuple[bytes, ...]:
        return tuple(make_tar(_members(chance, size)) for size in sizes)

    return [
        [make_image(tars=tars(60_000), names=["one:1"])],
        [make_image(tars=tars(40_000, 30_000), codec="gzip", names=["two:1", "two:2"])],
        [make_image(tars=tars(40_000, 30_000), codec="zstd", names=["three:1"])],
        [make_image(tars=tars(30_000, 30_000, 30_000), codec=["none", "gzip", "zstd"], names=["four:1"])],
        [make_image(tars=tars(*[3000] * 20), codec="gzip", names=["five:1"], docker=True)],
        [make_image(tars=tars(300_000), codec="gzip", names=["six:1"])],
        [make_image(tars=tars(0, 20_000), names=["seven:1"], docker=True)],
        [make_image(tars=tars(10_000), names=[])],
        [make_image(tars=tars(20_000), names=["nine:1"], codec="zstd", config_changes={"history": []})],
        [
            make_image(tars=tars(15_000), names=["ten:amd64"]),
            make_image(tars=tars(15_000), names=["ten:arm64"], codec="gzip", architecture="arm64"),
            make_image(tars=tars(15_000, 5000), names=["ten:s390x"], codec="zstd", architecture="s390x"),
        ],
    ]


def _members(chance: random.Random, size: int) -> Iterator[tuple[str, bytes]]:
    """Yield files that compress as files do: half of each is noise."""
    number = 0
    while size > 0:
        length = min(size, chance.randrange(1, 20_000))
        noise = chance.randbytes(length // 2 + 1)
        yield f"usr/share/file-{number}", (noise + b"all work and no play " * (length // 30 + 1))[:length]
        number += 1
        size -= length


def make_subjects(directory: Path, seed: int) -> list[Subject]:
    """Put every image where each transport can hold it, and convert it on every road."""
    subjects: list[Subject] = []
    for number, images in enumerate(make_images(seed), 1):
        for transport, write in _TRANSPORTS.items():
            place = directory / f"{number}-{transport.replace(' ', '-')}"
            files = tuple(write(place, images))
            nested = transport == "oci nested"
            roads = tuple(road for road in ROADS if not (nested and road.name == "archived"))
            locator = f"{transport.partition(' ')[0]}:{place}"
            whole: dict[str, tuple[Contents, tuple[str, ...]]] = {}
            for road in roads:
                api.convert(locator, road.destination.format(directory), encoding=road.encoding, verify="layers")
                whole[road.name] = _read_back(directory)
            subjects.append(Subject(f"{transport} {number}", locator, files, roads, whole))
    return subjects


def _layout_files(place: Path, images: list[BuiltImage], nested: bool = False) -> list[Path]:
    refs = ["all"] if nested else [image.names[0] if image.names else None for image in images]
    oci_layout(place, images, [None if ref is None else ref.replace(":", "-") for ref in refs], nested)
    return sorted(path for path in place.rglob("*") if path.is_file())


def _layout_archive(place: Path, images: list[BuiltImage]) -> Path:
    layout = place.with_name(place.name + "-unpacked")
    _layout_files(layout, images)
    oci_archive(place, layout)
    shutil.rmtree(layout)
    return place


def _packed(archive: Path) -> Path:
    archive.write_bytes(gzip.compress(archive.read_bytes(), 1))
    return archive


_TRANSPORTS: dict[str, Callable[[Path, list[BuiltImage]], list[Path]]] = {
    "docker-archive 1.10": lambda place, images: [docker_archive(place, images, "B")],
    "docker-archive 25": lambda place, images: [docker_archive(place, images, "C")],
    "docker-archive containerd": lambda place, images: [docker_archive(place, images, "D")],
    "docker-archive packed": lambda place, images: [_packed(docker_archive(place, images, "B"))],
    "oci plain": _layout_files,
    "oci nested": lambda place, images: _layout_files(place, images, nested=True),
    "oci-archive plain": lambda place, images: [_layout_archive(place, images)],
}


def _choose_file(chance: random.Random, files: tuple[Path, ...]) -> Path:
    """Choose by size half of the time, so that documents get their share."""
    sizes = [path.stat().st_size for path in files]
    if chance.random() < 0.5:
        return chance.choice(files)
    return chance.choices(files, cum_weights=list(accumulate(sizes)))[0]


@contextmanager
def flipped(path: Path, position: int) -> Iterator[None]:
    """Flip one bit of a file."""
    with path.open("r+b", buffering=0) as file:
        file.seek(position // 8)
        byte = file.read(1)[0]

        def put(value: int) -> None:
            file.seek(position // 8)
            file.write(bytes([value]))

        put(byte ^ 1 << position % 8)
        try:
            yield
        finally:
            put(byte)


@contextmanager
def cut_short(path: Path, position: int) -> Iterator[None]:
    """Cut a file off."""
    data = path.read_bytes()
    os.truncate(path, position)
    try:
        yield
    finally:
        path.write_bytes(data)


def _convert(subject: Subject, road: Road, directory: Path, found: Findings, what: str) -> str:
    """Convert what is damaged; say how it ended."""
    contents, names = subject.whole[road.name]
    try:
        with _patience():
            api.convert(
                subject.locator, road.destination.format(directory), encoding=road.encoding, verify="layers", workers=1
            )
    except OccyError as error:
        found.errors[type(error).__name__] += 1
        named = isinstance(error, BadReference)      # exit code 2, wherever the name stands
        if error.exit_code not in DAMAGE_CODES and not named:
            found.problems.append(f"{what}: {error!r} has exit code {error.exit_code}")
        left = [path.name for path in directory.iterdir() if path.name.startswith(("out", ".occy-fast"))]
        if left:
            found.problems.append(f"{what}: {left} is left")
        return "refused"
    except Hang:
        found.problems.append(f"{what}: it hangs")
        return "hung"
    except Exception as error:
        found.problems.append(f"{what}: {error!r}")
        return "crashed"
    try:
        converted, called = _read_back(directory)
    except Exception as error:
        found.problems.append(f"{what}: what was written cannot be read: {error!r}")
        return "converted wrongly"
    if converted != contents:
        found.problems.append(f"{what}: it was converted to something else")
        return "converted wrongly"
    return "unharmed" if called == names else "renamed"


@contextmanager
def _patience() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _read_back(directory: Path) -> tuple[Contents, tuple[str, ...]]:
    """Read what was written by other means than the library's, and remove it."""
    layout, archive = directory / "out", directory / "out.tar"
    images: list[tuple[bytes, tuple[bytes, ...]]] = []
    try:
        if archive.exists():
            found = read_archive(archive)
            return tuple((image.config, image.tars) for image in found.values()), tuple(found)
        written = Layout(layout)
        names = tuple(str(entry.get("annotations")) for entry in written.index["manifests"])

        def read(entry: dict[str, Any]) -> None:
            if "index" in entry["mediaType"]:
                for child in _document(written, entry)["manifests"]:
                    read(child)
            else:
                image = written.read(entry)
                images.append((image.config, image.tars))

        for entry in written.index["manifests"]:
            read(entry)
        return tuple(images), names
    finally:
        shutil.rmtree(layout, ignore_errors=True)
        archive.unlink(missing_ok=True)


def _document(layout: Layout, descriptor: dict[str, Any]) -> dict[str, Any]:
    import json

    document: dict[str, Any] = json.loads(layout.blob(descriptor))
    return document


def table(found: Findings) -> str:
    """Format what was found for people."""
    words = ("refused", "unharmed", "renamed", "converted wrongly", "crashed", "hung")
    rows = sorted({row for row, _ in found.outcomes})
    lines = [f"{'':<26}" + "".join(f"{word:>19}" for word in words)]
    for row in rows:
        lines.append(f"{row:<26}" + "".join(f"{found.outcomes[row, word]:>19}" for word in words))
    lines.append(f"{'in all':<26}" + "".join(f"{sum(found.outcomes[row, word] for row in rows):>19}" for word in words))
    lines += ["", *(f"{count:>8}  {name}" for name, count in found.errors.most_common()), *found.problems]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
