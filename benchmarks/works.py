"""The conversions that are measured, as values: the library's options, the peers' wish, the stages behind the bound."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from benchmarks.peers import Shape, Wish
from occy_fast.spec.encoding import CODECS

Source = Literal["archive", "gzip", "zstd"]


@dataclass(frozen=True, slots=True)
class Stages:
    """What a conversion cannot do without; reading and writing are always part of it.

    Args:
        hash_source: the stored bytes have a digest to be checked.
        decode: the tar is needed.
        encode: codec and level, None where the tar or the stored bytes are written.
        write: which bytes are written.
    """

    hash_source: bool
    decode: bool
    encode: tuple[Literal["gzip", "zstd"], int] | None
    write: Literal["source", "tar", "encoded"]


def format_stages(stages: Stages) -> str:
    """Write *stages* as an argument."""
    return json.dumps(asdict(stages))


def parse_stages(text: str) -> Stages:
    """Read what format_stages wrote."""
    fields = json.loads(text)
    if fields["encode"] is not None:
        fields["encode"] = tuple(fields["encode"])
    return Stages(**fields)


@dataclass(frozen=True, slots=True)
class Work:
    """One conversion: from which form of the image, to what, and what it cannot do without.

    Attributes:
        peer_source: where the peers cannot read *source*.
        piped: the library gets the archive from `cat`, through a pipe; the peers read the file.
    """

    name: str
    source: Source
    shape: Shape
    options: tuple[str, ...]
    wish: Wish
    stages: Stages | None = None
    peer_source: Source | None = None
    piped: bool = False


def _encode(codec: Literal["gzip", "zstd"], level: int, hash_source: bool = False) -> Stages:
    return Stages(hash_source=hash_source, decode=True, encode=(codec, level), write="encoded")


_GZIP = CODECS["gzip"].default_level

WORKS = (
    Work(
        "docker-archive to oci, gzip",
        "archive",
        "oci",
        ("--compression", "gzip"),
        "gzip",
        _encode("gzip", CODECS["gzip"].default_level),
    ),
    Work("docker-archive to oci, zstd 3", "archive", "oci", ("--compression", "zstd:3"), "zstd:3", _encode("zstd", 3)),
    Work(
        "docker-archive from a pipe to oci, zstd 3",
        "archive",
        "oci",
        ("--compression", "zstd:3"),
        "zstd:3",
        _encode("zstd", 3),
        piped=True,
    ),
    Work("docker-archive to oci, zstd 2", "archive", "oci", ("--compression", "zstd:2"), "zstd:2", _encode("zstd", 2)),
    Work("oci gzip to oci, zstd 3", "gzip", "oci", ("--compression", "zstd:3"), "zstd:3", _encode("zstd", 3, True)),
    Work("oci gzip to docker-archive, kept", "gzip", "archive", (), "plain", Stages(True, False, None, "source")),
    Work(
        "oci gzip to docker-archive, kept, layers verified",
        "gzip",
        "archive",
        ("--verify", "layers"),
        "plain",
        Stages(True, True, None, "source"),
    ),
    Work(
        "oci zstd to docker-archive, uncompressed",
        "zstd",
        "archive",
        ("--compression", "none"),
        "plain",
        Stages(True, True, None, "tar"),
        peer_source="gzip",
    ),
    Work(
        "oci to oci, docker types", "gzip", "oci", ("--format", "docker"), "docker", Stages(True, False, None, "source")
    ),
    Work("oci to oci, docker types, linked", "gzip", "oci", ("--format", "docker", "--link"), "docker"),
)
EXTRA = (Work("docker-archive to docker-archive", "archive", "archive", (), "plain", Stages(False, True, None, "tar")),)
