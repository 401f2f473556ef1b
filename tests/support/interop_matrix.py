"""Sources, forms and consumers, in cells: all of them, and a sample that covers all pairs."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from occy_fast.planning.goal import ArchiveLayout
from support.real_archives import ARCHIVES

OWN = "docker save"     # the image that the tests build: the only one that can run

SOURCES = (
    OWN,
    *ARCHIVES,
    "fixtures/podman-4.3.1-oci-archive.tar",
    "fixtures/skopeo-1.22-dev-zstd-chunked-oci-archive.tar",
)


@dataclass(frozen=True)
class Form:
    """A way of handing an image over: transport, compression and layout of the archive."""

    transport: str      # "daemon": over the consumer's own socket
    encoding: str | None = None
    archive_layout: ArchiveLayout = "universal"


FORMS: Mapping[str, Form] = {
    "docker-archive": Form("docker-archive"),
    "docker-archive none": Form("docker-archive", "none"),
    "docker-archive gzip": Form("docker-archive", "gzip"),
    "docker-archive docker-20.10": Form("docker-archive", archive_layout="docker-20.10"),
    "oci-archive gzip": Form("oci-archive", "gzip"),
    "oci-archive zstd": Form("oci-archive", "zstd"),
    "daemon": Form("daemon"),
}


@dataclass(frozen=True)
class Consumer:
    """What loads, by the fixture that starts it, and the target that `check` is asked about."""

    target: str
    transport: str
    socket: str
    ids_are_manifests: bool = False


CONSUMERS: Mapping[str, Consumer] = {
    "docker": Consumer("docker-20.10.24", "docker-daemon", "DOCKER_HOST"),
    "docker26": Consumer("docker-25-graphdriver", "docker-daemon", "DOCKER26_HOST"),
    "docker26_containerd": Consumer(
        "docker-25-containerd", "docker-daemon", "DOCKER26_CONTAINERD_HOST", ids_are_manifests=True
    ),
    "podman": Consumer("podman-4.3.1", "podman", "PODMAN_SOCKET"),
    "podman5": Consumer("podman-5.4", "podman", "PODMAN5_SOCKET"),
}

Cell = tuple[str, str, str]     # source, form, consumer

EVERY_CELL: Sequence[Cell] = tuple(itertools.product(SOURCES, FORMS, CONSUMERS))


def pairwise(cells: Sequence[Cell]) -> list[Cell]:
    """Choose few of *cells*, always the same, in which any two values meet that meet in *cells*."""
    left = {pair for cell in cells for pair in _pairs(cell)}
    chosen = []
    while left:
        best = max(cells, key=lambda cell: len(left & _pairs(cell)))
        chosen.append(best)
        left -= _pairs(best)
    return chosen


def _pairs(cell: Cell) -> set[tuple[tuple[int, str], ...]]:
    return set(itertools.combinations(enumerate(cell), 2))


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    `verdict` is "loaded" (and has the id and name that were told), "predicted" (refused, and `check` said so),
    "refused" (nothing was written, and the error says why) or "unexplained".
    """

    source: str
    form: str
    consumer: str
    verdict: str
    words: str = ""


def record(outcomes: Sequence[Outcome], path: Path) -> str:
    """Write *outcomes* as JSON, and return their sums in one line."""
    sums = Counter(outcome.verdict for outcome in outcomes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"sums": sums, "cells": [asdict(outcome) for outcome in outcomes]}, indent=1) + "\n")
    return f"{len(outcomes)} cells: " + ", ".join(
        f"{sums[verdict]} {verdict}" for verdict in ("loaded", "predicted", "refused", "unexplained")
    )
