"""Build compressed streams, damage them, and decode them in pieces."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import zstandard
from hypothesis import strategies as st

Outcome = tuple[Any, ...]

# Text compresses into dynamic codes, noise is stored, runs reach back one byte; some are longer than a deflate window.
contents = st.one_of(
    st.just(b""),
    st.binary(max_size=300),
    st.binary(min_size=1, max_size=40).flatmap(lambda piece: st.integers(1, 3000).map(lambda n: piece * n)),
    st.integers(1, 200_000).map(bytes),
    st.lists(st.sampled_from([b"layer", b"/usr", b"/lib\n", b"0123", b"\0" * 9]), max_size=400).map(b"".join),
)
chunk_sizes = st.sampled_from([1, 2, 3, 5, 8, 13, 64, 1000, 1 << 16])
room_sizes = st.sampled_from([1, 2, 3, 7, 100, 4096, 1 << 17])


def header(flags: int = 0, *, extra: bytes = b"", name: bytes = b"n", comment: bytes = b"c") -> bytes:
    """Return a gzip header with the parts that *flags* announce; its own CRC is right."""
    raw = bytes([0x1F, 0x8B, 8, flags, 1, 2, 3, 4, 0, 255])
    if flags & 4:
        raw += len(extra).to_bytes(2, "little") + extra
    if flags & 8:
        raw += name + b"\0"
    if flags & 16:
        raw += comment + b"\0"
    if flags & 2:
        raw += (zlib.crc32(raw) & 0xFFFF).to_bytes(2, "little")
    return raw


def member(content: bytes, head: bytes = header(), level: int = 6, strategy: int = 0) -> bytes:
    """Return *content* as one gzip member."""
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
    body = deflate.compress(content) + deflate.flush()
    return head + body + zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")


def frame(content: bytes, level: int = 3, *, checksum: bool = True, sized: bool = True) -> bytes:
    """Return *content* as one zstd frame."""
    encoder = zstandard.ZstdCompressor(level=level, write_checksum=checksum, write_content_size=sized)
    return encoder.compress(content)


def skippable(content: bytes, kind: int = 0) -> bytes:
    """Return a skippable zstd frame."""
    return bytes([0x50 + kind]) + b"\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content


headers = st.builds(
    header,
    st.sampled_from([0, 1, 2, 4, 8, 16, 31]),
    extra=st.binary(max_size=40),
    name=st.binary(max_size=9).map(lambda raw: raw.replace(b"\0", b"x")),
    comment=st.binary(max_size=9).map(lambda raw: raw.replace(b"\0", b"x")),
)
members = st.builds(member, contents, headers, st.integers(0, 9), st.integers(0, 4))
frames = st.builds(frame, contents, st.sampled_from([-5, 1, 3, 12]), checksum=st.booleans(), sized=st.booleans())
skippables = st.builds(skippable, st.binary(max_size=9), st.integers(0, 15))
padding = st.sampled_from([b"", b"", bytes(1), bytes(9)])
gzips = st.tuples(st.lists(members, min_size=1, max_size=3), padding).map(lambda drawn: b"".join(drawn[0]) + drawn[1])
zstds = st.lists(frames | skippables, min_size=1, max_size=3).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn, streams: st.SearchStrategy[bytes]) -> bytes:
    """Draw a stream of *streams* with a few bytes changed, lost or put in, mostly near its ends."""
    raw = bytearray(draw(streams))
    for _ in range(draw(st.integers(1, 3))):
        near = draw(st.integers(0, min(len(raw), 40)))
        at = draw(st.sampled_from([near, len(raw) - near, draw(st.integers(0, len(raw)))]))
        match draw(st.sampled_from(["flip", "flip", "cut", "lose", "insert"])):
            case "flip" if at < len(raw):
                raw[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del raw[at:]
            case "lose":
                del raw[at : at + draw(st.integers(1, 4))]
            case "insert":
                raw[at:at] = draw(st.binary(max_size=4))
    return bytes(raw)


def decode(decoder: Any, raw: bytes, chunk: int = 1 << 16, room: int = 1 << 17) -> bytes:
    """Feed *raw* to *decoder* by *chunk* bytes with *room* for the output, finish, and return what came out."""
    source, target, made, at = memoryview(raw), bytearray(room), bytearray(), 0
    while True:
        piece = source[at : at + chunk]
        consumed, produced = decoder.feed(piece, target)
        made += target[:produced]
        at += consumed
        if produced == room:
            continue
        assert consumed == len(piece), "room was left, and input too"
        if at == len(raw):
            decoder.finish()
            return bytes(made)


def outcome(make: Callable[[], Any], raw: bytes, chunk: int = 1 << 16, room: int = 1 << 17) -> Outcome:
    """Return what decoding *raw* gives, or the type and text of its error."""
    decoder = make()
    try:
        return "decoded", decode(decoder, raw, chunk, room), decoder.total_in, decoder.total_out
    except Exception as error:
        return type(error).__name__, str(error)
