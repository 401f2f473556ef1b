"""unzstd: zstd across frames, where only a finished frame ends anything."""

from __future__ import annotations

import io
import json
import zipfile
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import zstandard
from hypothesis import given

from occy_fast.errors import CorruptStream, WindowTooLarge
from support.stream_strategies import chunk_sizes, damaged, decode, frame, outcome, room_sizes, skippable, zstds

NATIVE, PURE = TWINS = [import_module(f"occy_fast.kernels.{side}.unzstd") for side in ("native", "pure")]

DAMAGED = "the stream breaks its format"
EARLY = "the stream ends early"
TRAILING = "bytes follow the end of the stream"
MISMATCH = "a stored checksum or length does not match the content"

TEXT = b"".join(b"%d bottles of beer on the wall\n" % n for n in range(99, 0, -1))
MAGIC = b"\x28\xb5\x2f\xfd"
FRAME = frame(TEXT)


@pytest.fixture(params=["native", "pure"])
def unzstd(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(f"occy_fast.kernels.{request.param}.unzstd")


def refused(module: ModuleType, raw: bytes, chunk: int = 1 << 16) -> tuple[str, int]:
    """Return the problem and the offset that decoding *raw* is refused for."""
    with pytest.raises(CorruptStream) as caught:
        decode(module.Unzstd(), raw, chunk)
    return str(caught.value.args[2]), caught.value.offset


def windowed(descriptor: int, content: bytes = b"content") -> bytes:
    """Return a frame of one raw block that asks for the window *descriptor* says."""
    return MAGIC + bytes([0, descriptor]) + (len(content) << 3 | 1).to_bytes(3, "little") + content


def test_native_is_native() -> None:
    assert NATIVE.__file__ is not None
    assert NATIVE.__file__.endswith(".so")


# ------------------------------------------------------------------------------------------------- what is accepted


@given(zstds, chunk_sizes, room_sizes)
def test_valid_streams_decode_the_same_at_any_split(raw: bytes, chunk: int, room: int) -> None:
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw), read_across_frames=True) as reader:
        expected = reader.read()
    room = max(room, len(expected) // 2000)
    for module in TWINS:
        assert outcome(module.Unzstd, raw, chunk, room) == ("decoded", expected, len(raw), len(expected))


def test_frames_are_counted(unzstd: ModuleType) -> None:
    decoder = unzstd.Unzstd()
    raw = skippable(b"") + FRAME + skippable(b"abc", 15) + frame(b"") + FRAME + skippable(bytes(70_000), 7)
    assert decode(decoder, raw, chunk=7) == TEXT + TEXT
    assert (decoder.frames, decoder.skipped) == (3, 3)
    assert (decoder.total_in, decoder.total_out) == (len(raw), 2 * len(TEXT))


def test_skippable_frames_alone_are_an_empty_stream(unzstd: ModuleType) -> None:
    assert decode(unzstd.Unzstd(), skippable(b"nothing to decode")) == b""


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("sized", [True, False])
def test_one_byte_in_one_byte_out(unzstd: ModuleType, sized: bool, checksum: bool) -> None:
    raw = frame(TEXT, sized=sized, checksum=checksum) + frame(b"ab", sized=sized, checksum=checksum)
    for room in (1, 2, 5):
        assert decode(unzstd.Unzstd(), raw, 1, room) == TEXT + b"ab"


def test_every_single_split(unzstd: ModuleType) -> None:
    content, target = b"to be or not to be" * 9, bytearray(1000)
    raw = frame(content) + skippable(b"skipped") + frame(content, checksum=False)
    for cut in range(len(raw) + 1):
        decoder, made = unzstd.Unzstd(), b""
        for piece in (raw[:cut], raw[cut:]):
            consumed, produced = decoder.feed(piece, target)
            assert consumed == len(piece)
            made += target[:produced]
        decoder.finish()
        assert made == content * 2, cut


def test_a_frame_is_not_proved_by_its_content_alone(unzstd: ModuleType) -> None:
    # All content has arrived, and only the checksum's last byte is missing.
    decoder, target = unzstd.Unzstd(), bytearray(len(TEXT) + 1)
    assert decoder.feed(FRAME[:-1], target)[1] == len(TEXT)
    with pytest.raises(CorruptStream, match=f"{EARLY} at byte {len(FRAME) - 1}"):
        decoder.finish()


def test_output_that_waits_for_room_is_no_end(unzstd: ModuleType) -> None:
    decoder, target, taken, made = unzstd.Unzstd(), bytearray(100), 0, b""
    for _ in range(20):  # libzstd counts calls that move nothing
        taken += decoder.feed(FRAME[taken:], bytearray())[0]
    while True:
        consumed, produced = decoder.feed(FRAME[taken:], target)
        taken += consumed
        made += target[:produced]
        if produced < len(target):
            break
    decoder.finish()
    assert (taken, made) == (len(FRAME), TEXT)


@pytest.mark.parametrize("log", [10, 17, 27])
def test_the_window_limit(unzstd: ModuleType, log: int) -> None:
    allowed, more = windowed((log - 10) << 3), windowed((log - 10) << 3 | 1)
    assert decode(unzstd.Unzstd(window_log_max=log), allowed) == b"content"
    with pytest.raises(WindowTooLarge) as caught:
        decode(unzstd.Unzstd(window_log_max=log), more, chunk=1)
    assert (caught.value.allowed, caught.value.value) == (1 << log, (1 << log) + (1 << log) // 8)


def test_a_single_segment_is_a_window(unzstd: ModuleType) -> None:
    content = bytes(2000)
    raw = frame(content)
    assert raw[4] & 0x20
    assert decode(unzstd.Unzstd(window_log_max=11), raw) == content
    with pytest.raises(WindowTooLarge) as caught:
        decode(unzstd.Unzstd(window_log_max=10), raw)
    assert (caught.value.allowed, caught.value.value) == (1024, 2000)


@pytest.mark.parametrize("log", [9, 32])
def test_window_limits_that_cannot_be(unzstd: ModuleType, log: int) -> None:
    with pytest.raises(ValueError, match=f"window_log_max: expected 10 to 31, found {log}"):
        unzstd.Unzstd(window_log_max=log)


# -------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "raw",
    [
        frame(TEXT[:300]),
        frame(TEXT[:300], sized=False),
        frame(bytes(70_000), checksum=False),
        skippable(b"abcdef") + frame(b"x"),
    ],
    ids=["sized", "unsized", "unchecked", "skippable"],
)
def test_every_cut_ends_early(unzstd: ModuleType, raw: bytes) -> None:
    for cut in range(len(raw)):
        if raw[:cut] == skippable(b"abcdef"):
            continue
        for chunk in (1, 1 << 16):
            assert refused(unzstd, raw[:cut], chunk) == (EARLY, cut)


@pytest.mark.parametrize("told", [0, 6, 8, 255])
@pytest.mark.parametrize("chunk", [1, 5, 1 << 16])
def test_a_content_size_is_a_promise(unzstd: ModuleType, told: int, chunk: int) -> None:
    """An empty last block is where libzstd does not look."""
    blocks = (7 << 3).to_bytes(3, "little") + b"content" + b"\1\0\0"
    assert decode(unzstd.Unzstd(), MAGIC + b"\x20\7" + blocks, chunk) == b"content"
    assert refused(unzstd, FRAME + MAGIC + b"\x20" + bytes([told]) + blocks, chunk) == (DAMAGED, len(FRAME))


def test_nothing_is_no_stream(unzstd: ModuleType) -> None:
    assert refused(unzstd, b"") == (EARLY, 0)


def test_every_flipped_bit_is_found(unzstd: ModuleType) -> None:
    content = b"hello hello hello hello hello hello"
    raw = frame(content)
    for at in range(len(raw)):
        for bit in range(8):
            broken = bytearray(raw)
            broken[at] ^= 1 << bit
            result = outcome(unzstd.Unzstd, bytes(broken))
            if result[0] == "decoded":  # another header for the same content: one bit is unused, two trade places
                assert result[1] == content
                assert (at, bit) in {(4, 4), (4, 5)}, (at, bit)
            else:
                assert (at, bit) != (4, 4)  # decoders must ignore it (RFC 8878, section 3.1.1.1.1.3)


@pytest.mark.parametrize(
    ("raw", "problem", "offset"),
    [
        (b"x", DAMAGED, 0),
        (MAGIC[:3] + b"x", DAMAGED, 0),
        (b"\x27\xb5\x2f\xfd" + FRAME[4:], DAMAGED, 0),  # version 0.7
        (b"\x50\x2a\x4d\x19" + bytes(4), DAMAGED, 0),
        (b"\x60\x2a\x4d\x18" + bytes(4), DAMAGED, 0),
        (MAGIC + bytes([FRAME[4] | 8]) + FRAME[5:], DAMAGED, 0),  # reserved bit
        (MAGIC + b"\x00\x00" + b"\x07\x00\x00", DAMAGED, 0),  # reserved block type
        (FRAME[:-4] + bytes(4), MISMATCH, 0),
        (FRAME + b"x", TRAILING, len(FRAME)),
        (FRAME + bytes(9), TRAILING, len(FRAME)),  # zstd knows no padding
        (FRAME + MAGIC[:1], EARLY, len(FRAME) + 1),
        (FRAME + FRAME[:-4] + bytes(4), MISMATCH, len(FRAME)),
        (FRAME + MAGIC + b"\x08", DAMAGED, len(FRAME)),
        (skippable(b"") + b"x", TRAILING, 8),
        (skippable(b"")[:4] + b"\xff\xff\xff\xff" + bytes(99), EARLY, 107),
        (MAGIC + b"\x20\x03" + b"\x11\x00\x00ab", DAMAGED, 0),  # 2 bytes of content where 3 are announced
        (MAGIC + b"\x20\x01" + b"\x11\x00\x00ab", DAMAGED, 0),  # and where 1 is
    ],
)
@pytest.mark.parametrize("chunk", [1, 3, 1 << 16])
def test_where_and_why(unzstd: ModuleType, raw: bytes, problem: str, offset: int, chunk: int) -> None:
    assert refused(unzstd, raw, chunk) == (problem, offset)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_dictionaries_are_refused(unzstd: ModuleType, size: int) -> None:
    width = (0, 1, 2, 4)[size]
    for chunk in (1, 100):
        with pytest.raises(CorruptStream, match="dictionary"):
            decode(unzstd.Unzstd(), MAGIC + bytes([size, 0]) + b"\x07".ljust(width, b"\0") + FRAME, chunk)
    assert decode(unzstd.Unzstd(), MAGIC + bytes([size, 0]) + bytes(width) + b"\x09\x00\x00a") == b"a"  # 0 is none


def test_content_sizes_take_no_memory(unzstd: ModuleType) -> None:
    # A terabyte of content is announced behind a window of 1 KiB: nothing is refused until the content proves it wrong.
    raw = MAGIC + b"\xc0\x00" + (1 << 40).to_bytes(8, "little") + b"\x09\x00\x00a"
    assert refused(unzstd, raw) == (DAMAGED, 0)


def test_the_largest_content_size_is_a_window_too_large(unzstd: ModuleType) -> None:
    with pytest.raises(WindowTooLarge) as caught:
        decode(unzstd.Unzstd(), MAGIC + b"\xe0" + b"\xff" * 8)
    assert caught.value.value == (1 << 63) - 1


def test_an_error_is_final(unzstd: ModuleType) -> None:
    decoder = unzstd.Unzstd()
    room = bytearray(9)
    for attempt in (lambda: decoder.feed(b"x", room), lambda: decoder.feed(FRAME, room), decoder.finish):
        with pytest.raises(CorruptStream, match=f"{DAMAGED} at byte 0"):
            attempt()


def test_the_output_must_be_writable(unzstd: ModuleType) -> None:
    with pytest.raises(BufferError):
        unzstd.Unzstd().feed(FRAME, bytes(100))


@given(damaged(zstds), chunk_sizes, room_sizes)
def test_twins_agree(raw: bytes, chunk: int, room: int) -> None:
    room = max(room, len(raw) // 100, 64)
    native = outcome(NATIVE.Unzstd, raw, chunk, room)
    assert native == outcome(NATIVE.Unzstd, raw)
    assert native == outcome(PURE.Unzstd, raw, chunk, room)


# ------------------------------------------------------------------------------------------------------- the corpus


def test_hostile_streams(unzstd: ModuleType, shared: Path) -> None:
    hostile = shared / "corpus" / "hostile"
    cases = [case for case in json.loads((hostile / "expected.json").read_text())["cases"] if case["cls"] == "zstd"]
    assert len(cases) >= 12
    for case in cases:
        result = outcome(unzstd.Unzstd, (hostile / case["file"]).read_bytes())
        if result[0] == "decoded":
            assert case["expect"] == "accept" or case["may_accept"], case["id"]
            assert len(result[1]) == case["observed"]["go"]["n"], case["id"]
        else:
            assert result[0] in case["errors"] or case["observed"]["go"]["err"], case["id"]
            assert case["expect"] != "refuse" or result[0] in case["errors"], case["id"]


def test_golden_frames(unzstd: ModuleType, shared: Path) -> None:
    corpus = shared / "corpus" / "zstd"
    good = sorted((corpus / "golden-decompression").glob("*.zst"))
    assert len(good) == 4
    sizes = {path.stem: outcome(unzstd.Unzstd, path.read_bytes())[-1] for path in good}
    assert sizes == {"block-128k": 131068, "empty-block": 0, "rle-first-block": 1 << 20, "zeroSeq_2B": 13}
    for path in (corpus / "golden-decompression-errors").glob("*.zst"):
        assert outcome(unzstd.Unzstd, path.read_bytes())[0] == "CorruptStream", path.name


def test_klauspost_frames(unzstd: ModuleType, shared: Path) -> None:
    # libzstd, and so zstd(1), refuses a compressed block in a frame that announces no content at all.
    refused_by_libzstd = "2274d31e0d569fe9e31bedc4f9fddd9c9f114c2f.zst"
    testdata = shared / "corpus" / "klauspost" / "zstd" / "testdata"
    seen = {"good": 0, "bad": 0}
    for kind in seen:
        with zipfile.ZipFile(testdata / f"{kind}.zip") as archive:
            names = set(archive.namelist())
            for name in names:
                if not name.endswith(".zst") or name == refused_by_libzstd:
                    continue
                result = outcome(unzstd.Unzstd, archive.read(name))
                assert (result[0] == "decoded") == (kind == "good"), name
                if kind == "good" and name[:-4] in names:
                    assert result[1] == archive.read(name[:-4]), name
                seen[kind] += 1
    assert seen == {"good": 11, "bad": 32}
