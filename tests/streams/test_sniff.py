from __future__ import annotations

import bz2
import gzip
import lzma

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.spec.encoding import READABLE
from occy_fast.streams.sniff import SNIFF_SIZE, sniff
from support.image_builders import make_tar


def skippable(size: int, variant: int = 0) -> bytes:
    """Make a skippable frame: what pzstd and zstd:chunked put between others."""
    return (0x184D2A50 + variant).to_bytes(4, "little") + size.to_bytes(4, "little") + bytes(size)


SKIPPABLE = skippable(4)
TAR = make_tar([("a", b"b")])


@pytest.mark.parametrize(
    ("raw", "codec"),
    [
        (TAR, "none"),
        (b"", "none"),
        (b"\x1f", "none"),
        (bytes(1024), "none"),
        (gzip.compress(TAR), "gzip"),
        (gzip.compress(b""), "gzip"),
        (zstandard.compress(TAR), "zstd"),
        (SKIPPABLE + zstandard.compress(TAR), "zstd"),
        (b"\x5f" + SKIPPABLE[1:], "zstd"),
        (b"\x60" + SKIPPABLE[1:], "none"),
        (skippable(0, 15) * 3 + zstandard.compress(TAR), "zstd"),
        (skippable(5000) + zstandard.compress(TAR), "zstd"),
        (skippable(504) + zstandard.compress(TAR), "zstd"),
        (skippable(4) + b"no frame", "none"),
        (skippable(4)[:4], "zstd"),
        (b"\x28\xb5\x2f", "none"),
        (b"\x1f\x8b\x00", "none"),
        (b"\xfd7zXZ", "none"),
        (b"BZh0" + bz2.compress(b"")[4:], "none"),
        (lzma.compress(TAR), "xz"),
        (bz2.compress(TAR), "bzip2"),
        (bz2.compress(b""), "bzip2"),
        (make_tar([("BZh9", b"")]), "none"),
        (make_tar([("BZh9 notes", b"")]), "none"),
    ],
)
def test_first_bytes(raw: bytes, codec: str) -> None:
    assert sniff(raw[:SNIFF_SIZE]).codec == codec


@given(st.binary(max_size=SNIFF_SIZE))
def test_any_bytes_have_an_encoding(head: bytes) -> None:
    assert sniff(head).codec in READABLE
    assert sniff(head).level is None


@pytest.mark.parametrize(
    "raw", [TAR, gzip.compress(TAR), zstandard.compress(TAR), lzma.compress(TAR), bz2.compress(TAR)]
)
def test_no_more_than_the_head_counts(raw: bytes) -> None:
    assert sniff(raw) == sniff(raw[:SNIFF_SIZE])
    for size in range(20):
        assert sniff(raw[:size]).codec in ("none", sniff(raw).codec)
