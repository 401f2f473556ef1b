"""inflate: gzip across members, where only a verified trailer ends anything."""

from __future__ import annotations

import base64
import json
import random
import struct
import tarfile
import zlib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import example, given

from occy_fast.errors import CorruptStream
from occy_fast.kernels import crc
from support.stream_strategies import (
    chunk_sizes,
    contents,
    damaged,
    decode,
    gzips,
    header,
    headers,
    member,
    outcome,
    room_sizes,
)

NATIVE, PURE = TWINS = [import_module(f"occy_fast.kernels.{side}.inflate") for side in ("native", "pure")]

DAMAGED = "the stream breaks its format"
EARLY = "the stream ends early"
TRAILING = "bytes follow the end of the stream"
MISMATCH = "a stored checksum or length does not match the content"

TEXT = b"".join(b"%d bottles of beer on the wall\n" % n for n in range(99, 0, -1))
MEMBER = member(TEXT)

# Reserved flags in some member's header: Go lets them pass, gzip(1) and zlib do not.
RESERVED_FLAGS = {"7ba43036adf30b911290c778a75e1c64475b9de8-18", "a5eb6e389298948f3cf6b173888736449d8f4f5f-9"}


@pytest.fixture(params=["native", "pure"])
def inflate(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(f"occy_fast.kernels.{request.param}.inflate")


def refused(module: ModuleType, raw: bytes, chunk: int = 1 << 16) -> tuple[str, int]:
    """Return the problem and the offset that decoding *raw* is refused for."""
    with pytest.raises(CorruptStream) as caught:
        decode(module.Inflate(), raw, chunk)
    assert caught.value.where == ""
    return str(caught.value.args[2]), caught.value.offset


def test_native_is_native() -> None:
    assert NATIVE.__file__ is not None
    assert NATIVE.__file__.endswith(".so")


# ------------------------------------------------------------------------------------------------- what is accepted


@given(gzips, chunk_sizes, room_sizes)
def test_valid_streams_decode_the_same_at_any_split(raw: bytes, chunk: int, room: int) -> None:
    expected, rest = b"", raw
    while rest.strip(b"\0"):
        oracle = zlib.decompressobj(31)
        expected += oracle.decompress(rest)
        rest = oracle.unused_data
    room = max(room, len(expected) // 2000)
    for module in TWINS:
        assert outcome(module.Inflate, raw, chunk, room) == ("decoded", expected, len(raw), len(expected))


@given(contents, headers, chunk_sizes)
def test_every_kind_of_header(content: bytes, head: bytes, chunk: int) -> None:
    for module in TWINS:
        assert decode(module.Inflate(), member(content, head), chunk) == content


def test_members_and_padding_are_counted(inflate: ModuleType) -> None:
    decoder = inflate.Inflate()
    assert decode(decoder, MEMBER + member(b"") + MEMBER + bytes(1000), chunk=7) == TEXT + TEXT
    assert (decoder.members, decoder.padding) == (3, 1000)
    assert (decoder.total_in, decoder.total_out) == (2 * len(MEMBER) + len(member(b"")) + 1000, 2 * len(TEXT))


def test_two_thousand_members(inflate: ModuleType) -> None:
    decoder = inflate.Inflate()
    assert decode(decoder, member(b"x") * 2000, chunk=999) == b"x" * 2000
    assert decoder.members == 2000


@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED])
@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_one_byte_in_one_byte_out(inflate: ModuleType, level: int, strategy: int) -> None:
    # The decoder reads ahead: the trailer of a short body may already be inside it when the body ends.
    raw = member(TEXT, level=level, strategy=strategy) + member(b"ab", level=level, strategy=strategy)
    for room in (1, 2, 5):
        assert decode(inflate.Inflate(), raw, 1, room) == TEXT + b"ab"


def test_every_single_split(inflate: ModuleType) -> None:
    raw, target = member(b"to be or not to be", header(31, extra=b"e")) * 2, bytearray(100)
    for cut in range(len(raw) + 1):
        decoder, made = inflate.Inflate(), b""
        for piece in (raw[:cut], raw[cut:]):
            consumed, produced = decoder.feed(piece, target)
            assert consumed == len(piece)
            made += target[:produced]
        decoder.finish()
        assert made == b"to be or not to be" * 2, cut


def test_matches_reach_back_a_whole_window(inflate: ModuleType) -> None:
    noise = random.Random(5).randbytes(32768 - 262)  # as far as zlib looks back
    raw = member(noise * 5, level=9)
    assert len(raw) < 2 * len(noise)
    for chunk, room in [(1000, 300), (1 << 16, 1 << 15), (1 << 16, (1 << 15) + 1), (1 << 16, 1 << 20)]:
        assert decode(inflate.Inflate(), raw, chunk, room) == noise * 5


def test_no_room_takes_no_content(inflate: ModuleType) -> None:
    decoder = inflate.Inflate()
    consumed, produced = decoder.feed(MEMBER, bytearray())
    assert produced == 0
    assert consumed < len(MEMBER)
    assert decode(decoder, MEMBER[consumed:]) == TEXT


# -------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "raw",
    [
        member(TEXT[:500], header(31, extra=b"xyz")),
        member(TEXT[:200], level=0),
        member(b"a") + member(TEXT[:90], level=1, strategy=zlib.Z_FIXED),
        member(b""),
    ],
    ids=["all-flags", "stored", "two-members", "empty"],
)
def test_every_cut_ends_early(inflate: ModuleType, raw: bytes) -> None:
    for cut in range(len(raw)):
        if raw[:cut] == member(b"a"):  # a cut between members leaves a whole stream
            continue
        for chunk in (1, 1 << 16):
            assert refused(inflate, raw[:cut], chunk) == (EARLY, cut)


def test_nothing_is_no_stream(inflate: ModuleType) -> None:
    assert refused(inflate, b"") == (EARLY, 0)


def test_every_flipped_bit_is_found(inflate: ModuleType) -> None:
    raw = member(b"hello hello hello")
    # Time, extra flags and system say nothing about the content, nor do FTEXT and the bits that fill the body up.
    harmless = {(3, 0)} | {(at, bit) for at in range(4, 10) for bit in range(8)}
    last = len(raw) - 9
    for at in range(len(raw)):
        for bit in range(8):
            broken = bytearray(raw)
            broken[at] ^= 1 << bit
            result = outcome(inflate.Inflate, bytes(broken))
            if result[0] == "decoded":
                assert result[1] == b"hello hello hello"
                assert (at, bit) in harmless or at == last, (at, bit)
            else:
                assert result[0] == "CorruptStream"
                assert (at, bit) not in harmless, (at, bit)


@pytest.mark.parametrize(
    ("raw", "problem", "offset"),
    [
        (b"x", DAMAGED, 0),
        (b"\0" + MEMBER, DAMAGED, 0),
        (b"\x1f\x8c" + MEMBER[2:], DAMAGED, 0),
        (b"\x1f\x8b\x07" + MEMBER[3:], DAMAGED, 0),  # not deflate
        (header(0x20) + MEMBER[10:], DAMAGED, 0),
        (header(0x40) + MEMBER[10:], DAMAGED, 0),
        (header(0x80) + MEMBER[10:], DAMAGED, 0),
        (header(2)[:-1] + b"?" + MEMBER[10:], MISMATCH, 0),
        (MEMBER[:-8] + bytes(4) + MEMBER[-4:], MISMATCH, 0),
        (MEMBER[:-4] + bytes(4), MISMATCH, 0),
        (MEMBER + b"x", TRAILING, len(MEMBER)),
        (MEMBER + b"\x1f" + b"x", TRAILING, len(MEMBER)),
        (MEMBER + b"\x1f", EARLY, len(MEMBER) + 1),
        (MEMBER + bytes(5) + b"x", TRAILING, len(MEMBER) + 5),
        (MEMBER + bytes(5) + MEMBER, TRAILING, len(MEMBER) + 5),  # padding is the end
        (MEMBER + b"\x1f\x8b\x07" + MEMBER[3:], DAMAGED, len(MEMBER)),
        (MEMBER + header() + b"\x06", DAMAGED, len(MEMBER)),  # block type 3
        (header() + b"\x01\x05\x00\x05\x00hello", DAMAGED, 0),  # LEN and NLEN
    ],
)
@pytest.mark.parametrize("chunk", [1, 3, 1 << 16])
def test_where_and_why(inflate: ModuleType, raw: bytes, problem: str, offset: int, chunk: int) -> None:
    assert refused(inflate, raw, chunk) == (problem, offset)


@pytest.mark.parametrize("chunk", [1, 1000, 1 << 17])
@pytest.mark.parametrize("limit", [11, 100, 65536])
def test_the_header_limit(inflate: ModuleType, limit: int, chunk: int) -> None:
    def named(size: int) -> bytes:
        return member(TEXT, header(8, name=b"n" * (size - 11)))

    assert decode(inflate.Inflate(max_header=limit), named(limit), chunk) == TEXT
    with pytest.raises(CorruptStream, match=f"a header goes on behind {limit} bytes at byte 0"):
        decode(inflate.Inflate(max_header=limit), named(limit + 1), chunk)


@pytest.mark.parametrize("chunk", [1, 1000, 1 << 18])
@pytest.mark.parametrize("extra", [0, 1, 700, 65535])
def test_the_header_limit_leaves_room_for_any_extra_field(inflate: ModuleType, extra: int, chunk: int) -> None:
    def extended(size: int) -> bytes:
        return member(TEXT, header(4 + 8 + 16 + 2, extra=bytes(extra), name=b"n" * 100, comment=b"c" * (size - 116)))

    assert decode(inflate.Inflate(), extended(65536), chunk) == TEXT
    with pytest.raises(CorruptStream, match="a header goes on behind 65536 bytes at byte 0"):
        decode(inflate.Inflate(), extended(65537), chunk)


@pytest.mark.parametrize("limit", [9, -1, 1 << 32])
def test_header_limits_that_cannot_be(inflate: ModuleType, limit: int) -> None:
    with pytest.raises(ValueError, match=f"max_header: expected 10 to 4294967295, found {limit}"):
        inflate.Inflate(max_header=limit)


def test_what_a_wrong_body_made_is_not_handed_out(inflate: ModuleType) -> None:
    """The last bytes before an error may come from memory that nobody has set."""
    a, match_of_3, distance_24577 = "10010001", "0000001", "11101" + 13 * "0"
    bits = "1" + "10" + 4 * a + match_of_3 + distance_24577 + 80 * "1"     # the only block, with fixed codes
    decoder = inflate.Inflate()
    with pytest.raises(CorruptStream) as caught:
        decode(decoder, header() + int(bits[::-1], 2).to_bytes(len(bits) // 8 + 1, "little"))
    assert caught.value.args[2] == DAMAGED
    assert decoder.total_out == 0


def test_an_error_is_final(inflate: ModuleType) -> None:
    decoder = inflate.Inflate()
    room = bytearray(9)
    for attempt in (lambda: decoder.feed(b"x", room), lambda: decoder.feed(MEMBER, room), decoder.finish):
        with pytest.raises(CorruptStream, match=f"{DAMAGED} at byte 0"):
            attempt()


def test_the_output_must_be_writable(inflate: ModuleType) -> None:
    with pytest.raises(BufferError):
        inflate.Inflate().feed(MEMBER, bytes(100))


# A member whose block has a code with missing words, which none of its bytes needs: 15 zeros, CR and TAB.
GAPPY = header(0) + b"\x05\xc1\xb1\r\x00\x00\x08\x03 \x92\xe8\xe0\xd0\xff\xdf\x15\x00\x00\x99\xbd"


def test_a_code_with_gaps() -> None:
    """ISA-L decodes what zlib and gzip(1) refuse for its table; the checksum vouches for what comes out."""
    content = bytes(15) + b"\r\t"
    whole = GAPPY + struct.pack("<II", zlib.crc32(content), len(content))
    assert refused(PURE, whole) == (DAMAGED, 0)
    assert decode(NATIVE.Inflate(), whole) == content
    assert refused(NATIVE, GAPPY + b"\0" * 8) == (MISMATCH, 0)


@example(GAPPY + b"\0" * 9, 1, 1)
@given(damaged(gzips), chunk_sizes, room_sizes)
def test_twins_agree(raw: bytes, chunk: int, room: int) -> None:
    room = max(room, len(raw) // 100, 64)
    native, again, pure = (
        outcome(NATIVE.Inflate, raw, chunk, room),
        outcome(NATIVE.Inflate, raw),
        outcome(PURE.Inflate, raw, chunk, room),
    )
    assert native == again
    # zlib looks at a code table as it arrives, ISA-L when it is whole: where damage meets the end of the input, one may
    # see the damage and the other the end.
    if native != pure:
        early, damage = possible(raw)
        either = {str(CorruptStream("", offset, problem)) for problem, offset in (early, damage)}
        assert {native[0], pure[0]} == {"CorruptStream"}
        assert pure[1] in either
        # a table with gaps is damage for zlib alone: the checksum tells ISA-L of what came out
        assert native[1] in either | {str(CorruptStream("", damage[1], MISMATCH))}


def possible(raw: bytes) -> list[tuple[str, int]]:
    """Return the two answers that the last member of *raw*, damaged and cut, may get."""
    decoder, target = PURE.Inflate(), bytearray(1 << 16)
    start, at, members = 0, 0, 0
    try:
        while at < len(raw):
            consumed, _ = decoder.feed(raw[at : at + 1], target)
            at += consumed
            if decoder.members > members:
                start, members = at, decoder.members
    except CorruptStream:
        pass
    return [(EARLY, len(raw)), (DAMAGED, start)]


# ------------------------------------------------------------------------------------------------------- the corpus


def test_hostile_streams(inflate: ModuleType, shared: Path) -> None:
    hostile = shared / "corpus" / "hostile"
    cases = [case for case in json.loads((hostile / "expected.json").read_text())["cases"] if case["cls"] == "gzip"]
    assert len(cases) >= 12
    for case in cases:
        result = outcome(inflate.Inflate, (hostile / case["file"]).read_bytes())
        if result[0] == "decoded":
            assert case["expect"] == "accept" or case["may_accept"], case["id"]
            assert len(result[1]) == case["observed"]["go"]["n"], case["id"]
        else:
            assert result[0] in case["errors"], case["id"]


def test_go_fuzz_corpus(inflate: ModuleType, shared: Path) -> None:
    corpus = shared / "corpus" / "go-fuzz-corpus"
    observed = json.loads((corpus / "observed.json").read_text())["gzip"]
    accepted = 0
    with tarfile.open(corpus / "gzip-corpus.tar") as tar:
        for entry in tar:
            if not entry.isfile() or not (stream := tar.extractfile(entry)):
                continue
            seen, raw = observed[Path(entry.name).name], stream.read()
            result = outcome(inflate.Inflate, raw)
            accepted_by_go = not seen["go"]["err"] and Path(entry.name).name not in RESERVED_FLAGS
            assert (result[0] == "decoded") == accepted_by_go, entry.name
            if result[0] == "decoded":
                accepted += 1
                assert result[3] == seen["go"]["n"] == seen["cpython"]["n"], entry.name
    assert accepted == 60


def test_streams_that_broke_others(inflate: ModuleType, shared: Path) -> None:
    corpus = shared / "corpus"
    for raw in (
        base64.b64decode((corpus / "go-compress-gzip" / "issue6550.gz.base64").read_bytes()),
        (corpus / "klauspost" / "gzip" / "testdata" / "issue6550.gz").read_bytes(),
        (corpus / "zstd" / "gzip" / "hufts-segv.gz").read_bytes(),
    ):
        assert outcome(inflate.Inflate, raw)[0] == "CorruptStream"


# ------------------------------------------------------------------------------------------------- long and parallel


def test_lengths_wrap_at_4_gib() -> None:
    # ISIZE and ISA-L's own counter have 32 bits. Each block of zeros ends on a byte by a full flush, so they repeat.
    size, piece = (1 << 32) + 5, bytes(1 << 24)
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    block = deflate.compress(piece) + deflate.flush(zlib.Z_FULL_FLUSH)
    ending = zlib.compressobj(1, zlib.DEFLATED, -15)
    tail = ending.compress(bytes(5)) + ending.flush()
    total, part = 0, zlib.crc32(piece)
    for _ in range(256):
        total = crc.crc32_combine(total, part, len(piece))
    total = crc.crc32_combine(total, zlib.crc32(bytes(5)), 5)
    decoder, target, made = NATIVE.Inflate(), bytearray(1 << 20), 0
    trailer = total.to_bytes(4, "little") + (5).to_bytes(4, "little")
    for part_of_stream in [header(), *[block] * 256, tail, trailer]:
        rest = memoryview(part_of_stream)
        while True:
            consumed, produced = decoder.feed(rest, target)
            made += produced
            rest = rest[consumed:]
            if produced < len(target):
                break
    decoder.finish()
    assert made == decoder.total_out == size
    assert decoder.members == 1
