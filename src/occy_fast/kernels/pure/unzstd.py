"""Decode zstd across frames."""

from __future__ import annotations

from typing import Any, Final, NoReturn, final

import zstandard

from occy_fast.kernels.status import Status, raise_status

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = b"\x50\x2a\x4d\x18"
_DICTIONARY_SIZE: Final = (0, 1, 2, 4)
_CONTENT_SIZE: Final = (0, 2, 4, 8)


@final
class Unzstd:
    """Decode frames that follow one another; skip the skippable ones.  (RFC 8878, section 3.1)

    Frames are walked block by block, so that what libzstd makes of one piece of input is a block at most and only its
    own word ends a frame. An error is final. Its offset is where the input ended (it ends early), or else the first
    byte of the frame that is wrong. One object belongs to one thread at a time.

    Args:
        window_log_max: 10 to 31; the window of a frame may have 2 to that power bytes.
    """

    total_in: int
    """Bytes consumed; while a frame is open, the last one may be kept back until its output is taken."""
    total_out: int
    frames: int
    """Frames that ended, without the skippable ones."""
    skipped: int
    """Skippable frames that ended."""

    def __init__(self, *, window_log_max: int = 27) -> None:
        if not 10 <= window_log_max <= 31:
            raise ValueError(f"window_log_max: expected 10 to 31, found {window_log_max}")
        self.total_in = self.total_out = self.frames = self.skipped = 0
        self._window_max = 1 << window_log_max
        self._window = 0
        self._error: tuple[Status, int] | None = None
        self._begin()

    def _begin(self) -> None:
        self._start = self.total_in
        self._header = b""
        self._skip: int | None = None
        self._frame: Any = None
        self._sized = False  # the frame tells the size of its content
        self._content = self._made = 0
        self._pending = b""
        self._block_header = b""
        self._block_left = 0
        self._last = False

    def _fail(self, status: Status, offset: int) -> NoReturn:
        self._error = status, offset
        raise_status(status, offset, self._window_max, self._window)

    def feed(self, src: bytes | bytearray | memoryview, dst: bytearray | memoryview) -> tuple[int, int]:
        """Decode *src* into *dst* as far as both go; return how many bytes of each were used.

        Room left in *dst* means that this input has nothing more to give.

        Raises:
            CorruptStream: the bytes break the format, do not match their checksum, or need a dictionary.
            WindowTooLarge: a frame asks for more than *window_log_max* allows.
        """
        source, target = memoryview(src).cast("B"), memoryview(dst).cast("B")
        if target.readonly:
            raise BufferError("dst: expected a writable buffer")
        if self._error:
            self._fail(*self._error)
        before_in, before_out, moved = self.total_in, self.total_out, True
        while moved:
            left = source[self.total_in - before_in :]
            if self._skip is not None:
                moved = self._read_skippable(self._skip, left)
            elif self._frame is not None:
                moved = self._read_blocks(left, target[self.total_out - before_out :])
            else:
                moved = self._read_header(left)
        return self.total_in - before_in, self.total_out - before_out

    def _read_header(self, left: memoryview) -> bool:
        known = len(self._header)
        header = self._header + left[: 18 - known]
        size = self._skippable_size(header) if header[:1] and header[0] & 0xF0 == 0x50 else self._frame_size(header)
        self._header = header[: size or len(header)]
        self.total_in += len(self._header) - known
        if size and self._skip is None:
            self._frame = zstandard.ZstdDecompressor(max_window_size=self._window_max).decompressobj()
            self._decode(self._header)
        return bool(size)

    def _expect(self, header: bytes, magic: bytes) -> None:
        if header[:4] != magic[: len(header)]:
            self._fail(Status.TRAILING if self.frames + self.skipped else Status.CORRUPT, self._start)

    def _skippable_size(self, header: bytes) -> int:
        self._expect(bytes([header[0] & 0xF0]) + header[1:], _SKIPPABLE)
        if len(header) < 8:
            return 0
        self._skip = int.from_bytes(header[4:8], "little")
        return 8

    def _frame_size(self, header: bytes) -> int:
        """Return the length of the whole frame header at the start of *header*, or 0 if that is but a part of it."""
        self._expect(header, _MAGIC)
        if len(header) < 5:
            return 0
        descriptor = header[4]
        if descriptor & 8:  # reserved
            self._fail(Status.CORRUPT, self._start)
        single_segment = bool(descriptor & 0x20)
        id_at = 5 if single_segment else 6
        content_at = id_at + _DICTIONARY_SIZE[descriptor & 3]
        size = content_at + (_CONTENT_SIZE[descriptor >> 6] or single_segment)
        if len(header) < size:
            return 0
        self._content = int.from_bytes(header[content_at:size], "little") + (256 if size - content_at == 2 else 0)
        self._sized = size > content_at
        if single_segment:
            window = self._content
        else:
            base = 1 << 10 + (header[5] >> 3)
            window = base + base // 8 * (header[5] & 7)
        self._window = max(self._window, min(window, (1 << 63) - 1))  # what a kernel's status can carry
        if window > self._window_max:
            self._fail(Status.WINDOW, self._start)
        if any(header[id_at:content_at]):
            self._fail(Status.DICTIONARY, self._start)
        return size

    def _read_skippable(self, skip: int, left: memoryview) -> bool:
        used = min(skip, len(left))
        self.total_in += used
        self._skip = skip - used
        if self._skip:
            return False
        self.skipped += 1
        self._begin()
        return True

    def _decode(self, piece: bytes) -> bytes:
        try:
            return bytes(self._frame.decompress(piece))
        except zstandard.ZstdError as error:
            if "not enough memory" in str(error):
                raise MemoryError from error
            self._fail(Status.CHECKSUM if "match checksum" in str(error) else Status.CORRUPT, self._start)

    def _read_blocks(self, left: memoryview, room: memoryview) -> bool:
        if not room:
            return False
        if made := self._pending[: len(room)]:
            room[: len(made)] = made
            self._pending = self._pending[len(made) :]
            self._made += len(made)
            self.total_out += len(made)
            return True
        if self._frame.eof:
            # libzstd looks at this as well, unless the last block is empty
            if self._sized and self._made != self._content:
                self._fail(Status.CORRUPT, self._start)
            self.frames += 1
            self._begin()
            return True
        if not left:
            return False
        self._pending = self._decode(self._next_piece(left))
        return True

    def _next_piece(self, left: memoryview) -> bytes:
        """Consume input up to the end of a block or a block header, whichever is nearer."""
        if self._block_left:
            piece = bytes(left[: self._block_left])
            self._block_left -= len(piece)
        elif self._last:  # the checksum, whose end libzstd knows
            piece = bytes(left[:1])
        else:
            piece = bytes(left[: 3 - len(self._block_header)])
            self._block_header += piece
            if len(self._block_header) == 3:
                header = int.from_bytes(self._block_header, "little")
                self._last, kind, self._block_left = bool(header & 1), header >> 1 & 3, header >> 3
                if kind == 1:  # one byte, repeated
                    self._block_left = 1
                self._block_header = b""
        self.total_in += len(piece)
        return piece

    def finish(self) -> None:
        """Say that the input is over.

        Raises:
            CorruptStream: there was no frame, or the last one is not whole.
        """
        if self._error:
            self._fail(*self._error)
        if self._header or not self.frames + self.skipped:
            self._fail(Status.TRUNCATED, self.total_in)
