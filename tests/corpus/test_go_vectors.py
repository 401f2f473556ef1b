"""Go's own vectors for readers of tars: what entries hold, by both twins; tests/kernels has those for the parts."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from occy_fast.errors import UnsafePath
from occy_fast.spec.limits import LIMITS
from occy_fast.streams.tar import Entry, scan_region
from occy_fast.transports.archive.members import clean_name
from support.tar_reading import read_content

# How many there are of each; tests/kernels/test_tar_scan.py has all but the two last, and asserts the same counts.
READER_SIDE = {
    "reader": 33,
    "truncation": 40,
    "parse_pax": 12,
    "parse_pax_record": 25,
    "merge_pax": 3,
    "parse_pax_time": 56,
    "parse_numeric": 34,
    "gnu_sparse_pax": 26,
    "sparse_entries": 20,
    "header_only": 1,
    "insecure_paths": 1,
}


@pytest.fixture(scope="module")
def vectors(shared: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared / "corpus/go-archive-tar/expected.json").read_text())
    return found


@contextmanager
def corpus_file(shared: Path, name: str) -> Iterator[tuple[int, int]]:
    fd = os.open(shared / "corpus/go-archive-tar" / name, os.O_RDONLY)
    try:
        yield fd, os.fstat(fd).st_size
    finally:
        os.close(fd)


def entries_of(fd: int, size: int) -> Iterator[Entry]:
    return scan_region(fd, 0, size, where="t", limits=LIMITS)


def test_no_vector_is_left_out(vectors: dict[str, Any]) -> None:
    found = {name: len(vectors[name]) if isinstance(vectors[name], list) else 1 for name in READER_SIDE}
    found["truncation"] = len(vectors["truncation"]["cases"])
    assert found == READER_SIDE
    assert sum(READER_SIDE.values()) == 251


def test_contents_are_what_go_reads(twin: str, shared: Path, vectors: dict[str, Any]) -> None:
    compared = 0
    for vector in vectors["reader"]:
        if "chksums" not in vector:
            continue
        with corpus_file(shared, vector["file"]) as (fd, size):
            for entry, wanted in zip(entries_of(fd, size), vector["chksums"], strict=False):
                crc = 0
                for piece in read_content(fd, 0, entry):
                    crc = zlib.crc32(piece, crc)
                assert f"{crc:08x}" == wanted, (vector["file"], entry.name)
                compared += 1
    assert compared >= 8


def test_contents_may_be_read_in_part(twin: str, shared: Path, vectors: dict[str, Any]) -> None:
    assert len(vectors["partial_read"]) == 2
    for vector in vectors["partial_read"]:
        with corpus_file(shared, vector["file"]) as (fd, size):
            for entry, case in zip(entries_of(fd, size), vector["cases"], strict=False):
                assert b"".join(read_content(fd, 0, entry))[: case["cnt"]] == case["output"].encode()


def test_types_without_content_have_none_whatever_their_size(twin: str, shared: Path, vectors: dict[str, Any]) -> None:
    with corpus_file(shared, vectors["header_only"]["file"]) as (fd, size):
        entries = list(entries_of(fd, size))
        assert len(entries) == 16
        for first, second in zip(entries[:8], entries[8:], strict=True):
            assert (first.name, first.type) == (second.name, second.type)
            assert second.size != 0
            assert len(b"".join(read_content(fd, 0, second))) == (second.size if second.type == b"0" else 0)


def test_names_that_lead_out_are_refused(vectors: dict[str, Any]) -> None:
    assert len(vectors["insecure_paths"]["names"]) == 3
    for name in vectors["insecure_paths"]["names"]:
        if ".." not in name:                         # absolute: it starts at the archive's top, as loaders unpack it
            assert clean_name(name, "here") == name.strip("/")
            continue
        with pytest.raises(UnsafePath):
            clean_name(name, "here")
