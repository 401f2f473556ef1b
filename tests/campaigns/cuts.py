"""Archives cut behind every block: each is refused, or all its images are what the whole archive's are.

    python tests/campaigns/cuts.py [--sample N] [--seed 1]

The archives are some of every era that are made here, and those that other tools wrote, as far as the directory of them
is there (OCCY_FAST_SHARED), unpacked where they are compressed as a whole. A tar has a border at every 512 bytes, and
only there can a cut leave whole members behind.

Every cut is read from a file as `inspect` reads it and from a pipe as `verify` does, where `plan` and `convert` begin
as well, and is looked at as `check` looks. What is refused there, no command takes for an image: converting it would
show the same error again, at several times the cost. What is read is compared with the whole archive (names, configs,
diff_ids, places and sizes of layers), and converted from both with `--verify layers`, which has to give the same
layout, byte for byte, or the same error. Those are the cuts behind the first of the zeros that end an archive.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import lzma
import os
import random
import shutil
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import zstandard

if __name__ == "__main__":
    tests = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(tests.parent / "src"), str(tests)]

from occy_fast import api
from occy_fast.errors import OccyError
from occy_fast.image.blob import FileRegion
from occy_fast.image.graph import leaves
from occy_fast.image.image import Contents, Image
from occy_fast.image.loader_view import LoaderView
from occy_fast.running.verify import read_stream
from occy_fast.streams.tar import begins_tar
from support.image_builders import docker_archive, legacy_members, make_image, make_tar, oci_archive, oci_layout
from support.load_matrix import unpack_variants
from support.opening import call_of, open_source, open_stream
from support.piping import piped

BLOCK = 512
LARGEST = 64 << 20
"""Bytes of an archive that is cut; what is larger, or a bomb, is left out."""

# What is cut is not what it claims to be; of nothing at all there is no more to say than that it is no archive.
REFUSALS = frozenset({4, 5})

OPENERS: dict[bytes, Callable[[io.BytesIO], object]] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda raw: zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True),
}


PLACES = ("file", "pipe")


@dataclass(frozen=True, slots=True)
class Seen:
    """What reading has shown: the loader's view that check judges, and the images or why there are none."""

    view: LoaderView | None
    images: tuple[object, ...]
    error: OccyError | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """An archive, what is seen of it and what it converts to, by where it is read from."""

    name: str
    raw: bytes
    seen: dict[str, Seen]
    converted: dict[str, object]


@dataclass(slots=True)
class Findings:
    """How many readings ended how, by where they were read from, and which ended as none may."""

    archives: int = 0
    cuts: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sample", type=int, metavar="N", help="try so many cuts, not all of them")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    shared = Path(os.environ.get("OCCY_FAST_SHARED") or Path(__file__).resolve().parents[3] / "shared")
    with tempfile.TemporaryDirectory() as directory:
        found = run(Path(directory), shared if shared.is_dir() else None, given.sample, given.seed)
    sys.stdout.write(table(found))
    return int(bool(found.problems))


def run(directory: Path, shared: Path | None, sample: int | None = None, seed: int = 1) -> Findings:
    """Try all cuts, or a sample of them; the same seed takes the same."""
    found = Findings()
    subjects = list(make_subjects(directory, shared))
    cuts = [(number, cut) for number, subject in enumerate(subjects) for cut in range(0, len(subject.raw), BLOCK)]
    if sample is not None:
        cuts = random.Random(seed).sample(cuts, min(sample, len(cuts)))
    found.archives, found.cuts = len(subjects), len(cuts)
    for number, subject in enumerate(subjects):
        (directory / "cut").write_bytes(subject.raw)
        for _, cut in sorted((pair for pair in cuts if pair[0] == number), reverse=True):
            os.truncate(directory / "cut", cut)                 # the longest first: nothing is written twice
            _try(subject, cut, directory, found)
    return found


def make_subjects(directory: Path, shared: Path | None) -> Iterator[Subject]:
    """Yield every archive that can be read as long as it is whole."""
    for name, raw in chain(_made(directory), _found(directory, shared) if shared is not None else ()):
        path = directory / "cut"
        path.write_bytes(raw)
        try:
            with open_source(str(path)) as source:
                source.read()
        except OccyError:
            continue
        seen = {place: _see(path, place) for place in PLACES}
        yield Subject(name, raw, seen, {place: _converted(path, place, directory) for place in PLACES})


def _made(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Yield archives of every era, with names and without."""
    images = [make_image("one", "two", names=["a:1", "a:2"]), make_image("one", codec="gzip", names=["b:1"])]
    path = directory / "made"
    for era in ("B", "C", "D"):
        yield f"made {era}", docker_archive(path, images, era).read_bytes()
        yield f"made {era} without a name", docker_archive(path, [make_image("x", "y", names=[])], era).read_bytes()
    oci_layout(directory / "layout", images, ["a", "b"])
    yield "made oci-archive", oci_archive(path, directory / "layout").read_bytes()
    for layout in ("docker-20.10", "universal"):
        api.convert(f"oci:{directory}/layout", f"docker-archive:{path}", archive_layout=layout, encoding="none")
        yield f"made {layout}", path.read_bytes()
    shutil.rmtree(directory / "layout")
    for repositories in (True, False):
        yield f"made before 1.10, repositories {repositories}", make_tar(legacy_members(repositories))


def _found(directory: Path, shared: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the tars that others wrote."""
    paths = [path for kind in ("corpus", "oracles", "fixtures") for path in (shared / kind).rglob("*")]
    paths += unpack_variants(shared, directory / "variants").values()
    for path in sorted(paths):
        if path.is_file() and path.stat().st_size <= LARGEST:
            raw = _unpacked(path.read_bytes())
            if begins_tar(raw[:BLOCK]):
                yield path.name, raw
    shutil.rmtree(directory / "variants")


def _unpacked(raw: bytes) -> bytes:
    """Return what is compressed in *raw*, with other decoders than the library's; empty where it is torn, or a bomb."""
    opener = next((opener for magic, opener in OPENERS.items() if raw.startswith(magic)), None)
    if opener is None:
        return raw
    try:
        unpacked: bytes = opener(io.BytesIO(raw)).read(LARGEST + 1)  # type: ignore[attr-defined]
    except (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError):
        return b""
    return unpacked if len(unpacked) <= LARGEST else b""


def _try(subject: Subject, cut: int, directory: Path, found: Findings) -> None:
    path = directory / "cut"
    for place, whole in subject.seen.items():
        what = f"{subject.name}, cut at {cut}, from a {place}"
        seen = _see(path, place)
        error = seen.error
        if error is not None:
            outcome = "refused"
            found.errors[type(error).__name__] += 1
            if error.exit_code not in REFUSALS:
                found.problems.append(f"{what}: {error!r} has exit code {error.exit_code}")
            if seen.view is None or seen.view.layout not in ("broken", "empty"):
                found.problems.append(f"{what}: refused, and check takes it for {seen.view}")
        elif seen == whole and _converted(path, place, directory) == subject.converted[place]:
            outcome = "whole"
        else:
            outcome = "wrong"
            found.problems.append(f"{what}: read as something else than the whole archive")
        found.outcomes[place, outcome] += 1


def _see(path: Path, place: str) -> Seen:
    """Read an archive as inspect does from a file, and as verify does from a pipe; look at it as check does."""
    if place == "file":
        with open_source(str(path)) as source:
            view = source.loader_view()
            try:
                return Seen(view, _images(source.read()))
            except OccyError as error:
                return Seen(view, (), error)
    with piped(path.with_name("pipe"), path.read_bytes()) as pipe, open_stream(str(pipe), for_loaders=True) as source:
        try:
            proofs = read_stream(source, call_of(), strict=False)
        except OccyError as error:
            return Seen(source.loader_view(error), (), error)
        try:
            contents = source.contents(proofs)
        except OccyError as error:
            return Seen(source.loader_view(), (), error)
        return Seen(source.loader_view(), _images(contents))


def _images(contents: Contents) -> tuple[object, ...]:
    """Return all that is told of the images, and where their layers are."""
    return tuple(
        (named.names, named.ref, leaf.descriptor, *(_told(leaf) if isinstance(leaf, Image) else ()))
        for named in contents.images
        for leaf in leaves(named.root)
    )


def _told(image: Image) -> Iterator[object]:
    yield image.config_blob.digest
    yield image.config.diff_ids if image.config is not None else None
    for layer in image.layers:
        address = layer.blob.address
        offset = address.offset if isinstance(address, FileRegion) else None
        yield layer.digest, layer.diff_id, layer.encoding, layer.size, offset, address is None


def _converted(path: Path, place: str, directory: Path) -> object:
    """Return every file of the layout that an archive converts to, or the error."""
    layout = directory / "out"
    try:
        if place == "file":
            api.convert(str(path), f"oci:{layout}", verify="layers", workers=1)
        else:
            with piped(path.with_name("pipe"), path.read_bytes()) as pipe:
                api.convert(str(pipe), f"oci:{layout}", verify="layers", workers=1)
        return {str(each.relative_to(layout)): each.read_bytes() for each in layout.rglob("*") if each.is_file()}
    except OccyError as error:
        return type(error)
    finally:
        shutil.rmtree(layout, ignore_errors=True)


def table(found: Findings) -> str:
    """Format what was found for people."""
    words = ("refused", "whole", "wrong")
    lines = [f"{found.cuts} cuts of {found.archives} archives", f"{'':<8}" + "".join(f"{word:>10}" for word in words)]
    for place in PLACES:
        lines.append(f"{place:<8}" + "".join(f"{found.outcomes[place, word]:>10}" for word in words))
    lines += ["", *(f"{count:>8}  {name}" for name, count in found.errors.most_common()), *found.problems]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
