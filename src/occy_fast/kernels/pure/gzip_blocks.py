"""Make one gzip member out of independent deflate segments."""

from __future__ import annotations

import platform
import zlib
from typing import Final

PIECE: Final = 1 << 20
"""Bytes of content in every segment but the last."""

CODEC: Final = "zlib"

REPRODUCIBLE: Final = True
"""Whether the same piece always gives the same bytes, by the same version of the library."""

_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def version() -> str:
    """Return the version of the deflate library."""
    return zlib.ZLIB_RUNTIME_VERSION


def architecture() -> str:
    """Return what the bytes depend on of the processor; here, of the machine that zlib was built for."""
    return platform.machine()


def header() -> bytes:
    """Return the member's header: no name, no time, unknown system.  (RFC 1952, section 2.3)"""
    return _HEADER


def trailer(crc: int, length: int) -> bytes:
    """Return an empty last block, then the CRC-32 and the length modulo 2**32 of the whole content."""
    return b"\x03\0" + crc.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little")


class GzipSegments:
    """Compress pieces of one member's content, each on its own.

    `header`, the segments of all pieces in order and `trailer` are one member.  One object belongs to one thread.

    Args:
        level: 1 or 2.
    """

    level: int

    def __init__(self, level: int) -> None:
        if level not in (1, 2):
            raise ValueError(f"level: expected 1 or 2, found {level}")
        self.level = level

    def segment(self, piece: bytes | bytearray | memoryview) -> tuple[bytes, int]:
        """Return the deflate blocks of *piece*, ended on a byte and without a last block, and its CRC-32.

        An empty piece gives no blocks.

        Raises:
            ValueError: *piece* is longer than `PIECE`.
        """
        if len(piece) > PIECE:
            raise ValueError(f"piece: expected at most {PIECE} bytes, found {len(piece)}")
        if not len(piece):
            return b"", 0
        deflate = zlib.compressobj(self.level, zlib.DEFLATED, -zlib.MAX_WBITS)
        return deflate.compress(piece) + deflate.flush(zlib.Z_FULL_FLUSH), zlib.crc32(piece)
