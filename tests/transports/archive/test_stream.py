"""What an archive shows as its bytes come by."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Generator

import pytest

from occy_fast.errors import LimitError
from occy_fast.image.blob import InlineBytes
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.transports.archive.stream import ArchiveStream
from occy_fast.transports.locator import Locator
from support.image_builders import encode, make_tar
from support.opening import call_of


def stream_of(raw: bytes, limits: Limits = LIMITS) -> ArchiveStream:
    def pieces() -> Generator[bytes]:
        for at in range(0, len(raw), 700):
            yield raw[at : at + 700]

    return ArchiveStream(Locator("here", "", ""), call_of(limits), pieces)


def test_layers_are_told_by_their_first_bytes() -> None:
    tar, json = make_tar([("a", b"1")]), b'{"a":1}' * 100
    members = {
        "tar": tar,
        "zeros": bytes(1024),
        "gzip": encode(tar, "gzip"),
        "zstd": encode(tar, "zstd"),
        "xz": lzma.compress(tar),
        "bzip2": bz2.compress(tar),
        "json": json,
        "short": b"x",
        "empty": b"",
    }
    with stream_of(make_tar(members.items())) as stream:
        found = {}
        for blob in stream.blobs():
            found[blob.name] = blob.kind
            assert blob.head == members[blob.name][:512]
            assert blob.size == len(members[blob.name])
            assert b"".join(map(bytes, blob.buffers)) == members[blob.name]
        kept = {name: stream.members.clean_names().find(name) for name in ("json", "short", "empty")}
    assert found == {
        "tar": "none",
        "zeros": "none",
        "gzip": "gzip",
        "zstd": "zstd",
        "xz": "xz",
        "bzip2": "bzip2",
    }
    assert kept == {name: InlineBytes(members[name]) for name in kept}


def test_what_is_kept_is_bounded() -> None:
    limits = Limits(stream_documents=1000)
    raw = make_tar([("a", b"a" * 600), ("b", b"b" * 500), ("c", b"c" * 400)])
    with stream_of(raw, limits) as stream:
        assert [(blob.name, blob.kind) for blob in stream.blobs()] == [("b", "other")]


def test_what_is_remembered_is_bounded() -> None:
    raw = make_tar([(f"{number}", bytes(1024)) for number in range(3)])
    with stream_of(raw, Limits(stream_blob_count=3)) as stream:
        assert len(list(stream.blobs())) == 3
    with stream_of(raw, Limits(stream_blob_count=2)) as stream, pytest.raises(LimitError, match="blobs"):
        list(stream.blobs())


def test_it_is_read_anew_as_often_as_somebody_asks() -> None:
    with stream_of(make_tar([("a", bytes(1024)), ("b", b"b")])) as stream:
        for _ in range(2):
            assert [blob.name for blob in stream.blobs()] == ["a"]
            assert sorted(stream.members.clean_names()) == ["a", "b"]
