from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import occy_fast
from occy_fast.errors import OccyError, TarChecksumError, UnsupportedFormat
from occy_fast.spec.encoding import READABLE
from occy_fast.streams.sniff import SNIFF_SIZE, foreign_kind, sniff
from support.image_builders import archive_members, make_image, make_tar
from support.piping import piped


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


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\r\n <!DOCTYPE html><p>sign in", "a web page or XML document"),
        (b"\xef\xbb\xbf<HTML>", "a web page or XML document"),
        (b'{"errors":[]}', "a JSON document"),
        (b"PK\x03\x04rest\x00", "a zip file"),
        (b"nothing but words, in one line\n", "a text"),
        (b"\x89PNG\r\n\x1a\n\x00", ""),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer that git-lfs has put in a file's place"),
        (b"", ""),
    ],
)
@pytest.mark.parametrize("more", [1, 100])
def test_what_is_mistaken_for_an_archive_is_called_by_its_name(
    tmp_path: Path, head: bytes, kind: str, more: int
) -> None:
    assert foreign_kind(head) == kind
    (tmp_path / "a.tar").write_bytes(head * more if head else b"")
    with piped(tmp_path / "pipe", (tmp_path / "a.tar").read_bytes()) as pipe:
        for path in (tmp_path / "a.tar", pipe):
            with pytest.raises(OccyError) as caught:
                occy_fast.inspect(str(path))
            told = kind if head else "nothing came" if path == pipe else "an empty file"
            assert told in str(caught.value)
            assert isinstance(caught.value, UnsupportedFormat) == (told not in ("", "nothing came"))


def test_a_damaged_tar_is_no_document_whatever_its_first_member_is_called(tmp_path: Path) -> None:
    raw = bytearray(make_tar([("[app]", b"")]))
    raw[150] ^= 1
    (tmp_path / "a.tar").write_bytes(raw)
    with pytest.raises(TarChecksumError):
        occy_fast.inspect(str(tmp_path / "a.tar"))


def test_a_tar_whose_first_name_looks_like_something_else_is_a_tar(tmp_path: Path) -> None:
    image = dict(archive_members([make_image()]))
    (tmp_path / "a.tar").write_bytes(make_tar([("{", b""), ("[", b""), ("<html>", b""), *image.items()]))
    assert occy_fast.inspect(str(tmp_path / "a.tar")).images
