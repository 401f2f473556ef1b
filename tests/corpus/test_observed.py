"""Real tar streams of a dozen writers: read as Go reads them, and refused by strict reading where readers disagree."""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from occy_fast.errors import TarError, TarLimitError
from occy_fast.spec.limits import LIMITS
from occy_fast.streams.tar import Entry, scan_region
from support.go_listings import agrees, nanoseconds, octets, same_text
from support.lzw import decompress
from support.tar_reading import read_content, read_entries

STREAMS = 285
WITHOUT_DIGEST = 5  # contents of more than 96 MiB, which the listing leaves out


def decoded(raw: bytes, how: str | None) -> bytes:
    """Return the tar inside *raw*."""
    match how:
        case None:
            return raw
        case "gzip":
            tar = b""
            while raw.startswith(b"\x1f\x8b"):  # one of them has text behind its last member
                member = zlib.decompressobj(31)
                tar, raw = tar + member.decompress(raw), member.unused_data
            return tar
        case "bzip2":
            return bz2.decompress(raw)
        case "xz":
            return bytes(pytest.importorskip("lzma").decompress(raw))
        case "zstd":
            reader = pytest.importorskip("zstandard").ZstdDecompressor()
            return bytes(reader.stream_reader(io.BytesIO(raw), read_across_frames=True).read())
        case "compress":
            return decompress(raw)
    raise AssertionError(how)


def observed(shared: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    for line in (shared / "corpus/OBSERVED.jsonl").read_text().splitlines():
        seen = json.loads(line)
        yield seen, decoded((shared / "corpus" / seen["path"]).read_bytes(), seen["decompressed"])


@contextmanager
def opened(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("tar")
    try:
        os.write(fd, content)
        yield fd
    finally:
        os.close(fd)


def read(tar: bytes, *, strict: bool = False) -> tuple[list[Entry], TarError | None]:
    return listed(read_entries([tar], strict=strict))


def listed(found: Iterator[Entry]) -> tuple[list[Entry], TarError | None]:
    """Return the entries, and the error they end with."""
    entries = []
    try:
        for entry in found:
            entries.append(entry)
    except TarError as error:
        return entries, error
    return entries, None


def is_as_seen(entry: Entry, seen: dict[str, Any]) -> bool:
    numbers = (entry.type, entry.size, entry.mode, entry.uid, entry.gid, entry.mtime or 0)
    kind, mtime = seen["type"].encode("latin1"), nanoseconds(seen["mtime"] or "0")
    if numbers != (kind, seen["size"], seen["mode"], seen["uid"], seen["gid"], mtime):
        return False
    if not all(same_text(getattr(entry, key), seen.get(key, "")) for key in ("name", "linkname", "uname", "gname")):
        return False
    if [entry.devmajor, entry.devminor] != seen.get("dev", [0, 0]):
        return False
    listed = {octets(key): value for key, value in seen.get("pax", {}).items()}
    pax = dict(entry.pax or ())
    return pax.keys() == listed.keys() and all(same_text(value, listed[key]) for key, value in pax.items())


def content_digest(fd: int, entry: Entry) -> tuple[str, bool]:
    """Return the SHA-256 of as much content as there is, holes as zeros, and whether that was all of it."""
    digest = hashlib.sha256()
    if entry.type == b"g":
        return digest.hexdigest(), True
    try:
        for piece in read_content(fd, 0, entry):
            digest.update(piece)
    except TarError:
        return digest.hexdigest(), False
    return digest.hexdigest(), True


def test_streams_read_as_go_reads_them(twin: str, shared: Path) -> None:
    """Members with all their fields, the digest of every content, and an error where and as Go has it."""
    streams = left_out = 0
    for seen, tar in observed(shared):
        streams += 1
        entries, error = read(tar)
        # Go sees the end of a body of 4 GiB before it asks whether so much is allowed.
        early = isinstance(error, TarLimitError) and seen["go"].get("error") == "unexpected EOF"
        assert early or agrees(error, seen["go"].get("error")), (seen["path"], error)
        assert len(entries) == len(seen["go"]["entries"]), seen["path"]
        with opened(tar) as fd:
            for entry, each in zip(entries, seen["go"]["entries"], strict=True):
                assert is_as_seen(entry, each), (seen["path"], entry, each)
                if each.get("sha256", "").startswith("skipped"):
                    left_out += 1
                elif "sha256" in each:
                    wanted = each["sha256"], "data_error" not in each
                    assert content_digest(fd, entry) == wanted, (seen["path"], each["name"])
    assert (streams, left_out) == (STREAMS, WITHOUT_DIGEST)


def test_regions_read_as_windows_do(twin: str, shared: Path) -> None:
    for seen, tar in observed(shared):
        entries, error = read(tar)
        with opened(tar) as fd:
            found, other = listed(scan_region(fd, 0, len(tar), where="", limits=LIMITS))
            assert (found, str(other)) == (entries, str(error)), seen["path"]


def test_strict_reading_refuses_what_readers_disagree_about(twin: str, shared: Path) -> None:
    """Four readers were asked; where they did not agree on the members, strict reading ends with an error."""
    index = (line.split("\t") for line in (shared / "corpus/INDEX.tsv").read_text().splitlines())
    disagreed = {fields[0] for fields in index if fields[6].startswith("DISAGREE")}
    accepted, refused = [], 0
    for seen, tar in observed(shared):
        _, error = read(tar, strict=True)
        if error is None and (seen["path"] in disagreed or "error" in seen["go"]):
            accepted.append(seen["path"])
        refused += error is not None
    assert accepted == []
    assert refused < STREAMS // 4
