"""Decode a stream that comes by in buffers: gzip and zstd by the kernels, xz and bzip2 by the standard library."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Iterable, Iterator
from typing import Protocol

from occy_fast.errors import CorruptStream, DecompressionBomb, LimitError, OccyError
from occy_fast.kernels import inflate, unzstd
from occy_fast.spec.encoding import NATIVE
from occy_fast.spec.limits import Limits
from occy_fast.streams.layer_pass import RATIO_FLOOR

STEP = 1 << 20

Buffer = bytes | bytearray | memoryview


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def decode_whole(codec: str, source: Iterable[Buffer], where: str, limits: Limits) -> Iterator[Buffer]:
    """Yield what is inside a stream that nothing vouches for, in buffers that are good until the next is asked for.

    Args:
        codec: what sniff calls it; "none" yields the source's own buffers.
    Raises:
        CorruptStream: it breaks its format, ends before its verified end, or goes on behind it.
        DecompressionBomb: past `RATIO_FLOOR`, it is more than the limit's ratio times what it comes from.
        LimitError: its decoder would take more memory than granted.
    """
    if codec == "none":
        yield from source
        return
    taken = given = 0

    def counted() -> Iterator[Buffer]:
        nonlocal taken
        for piece in source:
            taken += len(piece)
            yield piece

    if codec in NATIVE:
        decoded: Iterator[Buffer] = _decode_native(codec, counted(), where, limits)
    else:
        decoded = decode_foreign(codec, map(bytes, counted()), where, limits)
    for piece in decoded:
        given += len(piece)
        if given > max(RATIO_FLOOR, limits.ratio * taken):
            raise DecompressionBomb(where, "decompression ratio", limits.ratio, -(-given // max(taken, 1)), ("ratio",))
        yield piece


def _decode_native(codec: str, source: Iterable[Buffer], where: str, limits: Limits) -> Iterator[memoryview]:
    decoder: inflate.Inflate | unzstd.Unzstd
    if codec == "gzip":
        decoder = inflate.Inflate(max_header=limits.gzip_header)
    else:
        decoder = unzstd.Unzstd(window_log_max=limits.zstd_window.bit_length() - 1)
    room = memoryview(bytearray(STEP))
    try:
        for piece in source:
            rest = memoryview(piece)
            given = len(room)
            while given == len(room):                # else this input has nothing more to give
                taken, given = decoder.feed(rest, room)
                rest = rest[taken:]
                if given:
                    yield room[:given]
        decoder.finish()
    except OccyError as error:
        raise (error if error.where else error.at(where)) from None


def decode_foreign(codec: str, source: Iterator[bytes], where: str, limits: Limits) -> Iterator[bytes]:
    """Yield the tar inside an xz or bzip2 stream, in steps of a mebibyte at most.

    What an xz stream may make its decoder allocate is one of the *limits*; xz -9 asks for 65 MiB.
    Several streams may follow one another, as `xz -d` and `bzip2 -d` read them; anything else behind one is an error,
    and so is an end inside one. Raises CorruptStream, LimitError.
    """
    xz_memory = limits.xz_memory
    position = padding = 0
    rest = b""
    seen = False
    while rest or (rest := next(source, b"")):
        if seen and codec == "xz":  # stream padding: zeros, in fours
            stripped = rest.lstrip(b"\0")
            padding += len(rest) - len(stripped)
            rest = stripped
            if not rest:
                continue
        position += padding
        if padding % 4:
            break
        padding = 0
        decompressor = _new(codec, xz_memory)
        while not decompressor.eof:
            if decompressor.needs_input and not rest and not (rest := next(source, b"")):
                raise CorruptStream(where, position, f"the {codec} stream ends early")
            position += len(rest)
            try:
                data = decompressor.decompress(rest, STEP)
            except lzma.LZMAError as error:
                if "memory" in str(error).lower():
                    asked = xz_memory + 1           # at least: liblzma does not say how much
                    raise LimitError(where, "memory of an xz decoder", xz_memory, asked, ("xz_memory",)) from None
                raise CorruptStream(where, position, f"no xz: {error}") from None
            except (OSError, ValueError, EOFError) as error:
                raise CorruptStream(where, position, f"no {codec}: {error}") from None
            rest = b""
            if data:
                yield data
        rest = decompressor.unused_data
        position -= len(rest)
        seen = True
    if padding % 4:
        raise CorruptStream(where, position, "the padding behind the xz stream is no multiple of four bytes")
    if not seen:
        raise CorruptStream(where, 0, f"the {codec} stream is empty")


def _new(codec: str, xz_memory: int) -> _Decompressor:
    if codec == "xz":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=xz_memory)
    return bz2.BZ2Decompressor()
