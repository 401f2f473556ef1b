"""Make one zstd frame out of pieces of fixed size."""

from __future__ import annotations

from typing import Final

import zstandard

PIECE: Final = 4 << 20
"""Bytes of content in every piece but the last, which is shorter and may be empty."""

HISTORY: Final = 1 << 20
"""Bytes before a piece that a job may refer to."""

JOBS: Final = False
"""Whether the pieces of one frame may be compressed in any order, by several objects."""

CODEC: Final = "python-zstandard"


def version() -> str:
    """Return the version of libzstd."""
    return ".".join(str(number) for number in zstandard.ZSTD_VERSION)


def encoder_size(level: int) -> int:
    """Return the bytes of memory that one encoder of *level* takes."""
    parameters = zstandard.ZstdCompressionParameters.from_level(level)
    return int(parameters.estimated_compression_context_size())


class ZstdPieces:
    """Compress the pieces of one frame.  (RFC 8878, section 3.1.1)

    The outputs of all pieces in order, then `trailer`, are the frame.  With `JOBS` every object can take any piece, and
    one of them is told of all content in order by `add`; without, one object takes all of them in order.  One object
    belongs to one thread.

    Args:
        level: 1 to 19.
    """

    level: int

    def __init__(self, level: int) -> None:
        if not 1 <= level <= 19:
            raise ValueError(f"level: expected 1 to 19, found {level}")
        self.level = level
        self._compressor = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=False)
        self._frame = self._compressor.compressobj()

    def piece(self, window: bytes | bytearray | memoryview, history: int, first: bool, last: bool) -> bytes:
        """Return the blocks of the piece behind the first *history* bytes of *window*.

        Args:
            window: at most `HISTORY` bytes that precede the piece in the frame, then at most `PIECE` bytes.
            first: the frame header goes before the blocks.
            last: the last block is marked so.

        Raises:
            ValueError: *window* is longer than that.
        """
        if history > len(window) or history > HISTORY or len(window) - history > PIECE:
            raise ValueError("window: expected at most HISTORY bytes of history and PIECE bytes behind it")
        if first:
            self._frame = self._compressor.compressobj()
        blocks = self._frame.compress(bytes(memoryview(window)[history:]))
        end = zstandard.COMPRESSOBJ_FLUSH_FINISH if last else zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return blocks + self._frame.flush(end)

    def add(self, piece: bytes | bytearray | memoryview) -> None:
        """Add *piece* to the content that `trailer` vouches for."""

    def trailer(self) -> bytes:
        """Return what follows the last block: the content checksum, where the blocks do not hold it yet."""
        return b""
