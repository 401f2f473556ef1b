"""Decode gzip across members."""

from __future__ import annotations

import zlib
from typing import Final, NoReturn, final

from occy_fast.kernels.status import Status, raise_status

_MAGIC: Final = b"\x1f\x8b"
_DEFLATE: Final = 8
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT, _RESERVED = 2, 4, 8, 16, 0xE0
_LONGEST_EXTRA: Final = 65535
_TRAILER: Final = 8
_PIECE: Final = 1 << 16


@final
class Inflate:
    """Decode members that follow one another, their headers and trailers verified.  (RFC 1952, section 2)

    Zero bytes may pad the end; nothing else may follow a member but the next one. An error is final. Its offset is
    where the input ended (it ends early), the first byte that belongs to nothing (bytes follow the end), or else the
    first byte of the member that is wrong. Damage inside deflate data that is also cut short may show as either. One
    object belongs to one thread at a time.

    Args:
        max_header: bytes of one member's header, 10 to 2**32 - 1; its extra field, of 65,535 at most, does not count.
    """

    total_in: int
    """Bytes consumed; while a member is open, the decoder may have read some of them ahead."""
    total_out: int
    members: int
    """Members whose trailer was verified."""
    padding: int
    """Zero bytes after the last member."""

    def __init__(self, *, max_header: int = 65536) -> None:
        if not 10 <= max_header < 1 << 32:
            raise ValueError(f"max_header: expected 10 to {(1 << 32) - 1}, found {max_header}")
        self.total_in = self.total_out = self.members = self.padding = 0
        self._max_header = max_header
        self._error: tuple[Status, int] | None = None
        self._begin()

    def _begin(self) -> None:
        self._start = self.total_in
        self._header = b""
        self._body: zlib._Decompress | None = None
        self._trailer: bytes | None = None
        self._crc = self._size = 0

    def _fail(self, status: Status, offset: int) -> NoReturn:
        self._error = status, offset
        raise_status(status, offset, self._max_header, self._max_header + 1)

    def feed(self, src: bytes | bytearray | memoryview, dst: bytearray | memoryview) -> tuple[int, int]:
        """Decode *src* into *dst* as far as both go; return how many bytes of each were used.

        Room left in *dst* means that this input has nothing more to give.

        Raises:
            CorruptStream: the bytes break the format, do not match their trailer, or a header exceeds *max_header*.
        """
        source, target = memoryview(src).cast("B"), memoryview(dst).cast("B")
        if target.readonly:
            raise BufferError("dst: expected a writable buffer")
        if self._error:
            self._fail(*self._error)
        before_in, before_out, moved = self.total_in, self.total_out, True
        while moved:
            left = source[self.total_in - before_in :]
            if self._trailer is not None:
                moved = self._read_trailer(left)
            elif self._body is not None:
                moved = self._read_body(self._body, left, target[self.total_out - before_out :])
            elif self.padding or (self.members and not self._header and left and left[0] == 0):
                moved = self._read_padding(left)
            else:
                moved = self._read_header(left)
        return self.total_in - before_in, self.total_out - before_out

    def _read_header(self, left: memoryview) -> bool:
        known = len(self._header)
        self._header += left[: self._max_header + _LONGEST_EXTRA + 1 - known]
        size = self._header_size(self._header)
        if self._counted(size or len(self._header)) > self._max_header:
            self._fail(Status.HEADER_LIMIT, self._start)
        self.total_in += (size or len(self._header)) - known
        if size:
            self._body = zlib.decompressobj(-zlib.MAX_WBITS)
        return bool(size)

    def _counted(self, size: int) -> int:
        """Return what *size* bytes of the header come to without the content of the extra field."""
        if size <= 12 or not self._header[3] & _FEXTRA:
            return size
        return max(12, size - int.from_bytes(self._header[10:12], "little"))

    def _header_size(self, header: bytes) -> int:
        """Return the length of the whole header at the start of *header*, or 0 if that is but a part of it."""
        if header[:2] != _MAGIC[: len(header)]:
            self._fail(Status.TRAILING if self.members else Status.CORRUPT, self._start)
        if header[2:3] not in (b"", bytes([_DEFLATE])) or any(flags & _RESERVED for flags in header[3:4]):
            self._fail(Status.CORRUPT, self._start)
        if len(header) < 10:
            return 0
        flags, end = header[3], 10
        if flags & _FEXTRA:
            if len(header) < 12:
                return 0
            end = 12 + int.from_bytes(header[10:12], "little")
        for text in (_FNAME, _FCOMMENT):
            if flags & text:
                end = header.find(0, end) + 1
                if not end:
                    return 0
        if flags & _FHCRC:
            stored, computed = header[end : end + 2], zlib.crc32(header[:end]).to_bytes(4, "little")[:2]
            end += 2
            if len(stored) == 2 and stored != computed and self._counted(end) <= self._max_header:
                self._fail(Status.CHECKSUM, self._start)
        return end if end <= len(header) else 0

    def _read_body(self, body: zlib._Decompress, left: memoryview, room: memoryview) -> bool:
        if not room:
            return False
        piece = left[:_PIECE]
        try:
            made = body.decompress(piece, len(room))
        except zlib.error:
            self._fail(Status.CORRUPT, self._start)
        used = len(piece) - len(body.unused_data if body.eof else body.unconsumed_tail)
        room[: len(made)] = made
        self._crc = zlib.crc32(made, self._crc)
        self._size += len(made)
        self.total_in += used
        self.total_out += len(made)
        if body.eof:
            self._trailer = b""
        return bool(used or made or body.eof)

    def _read_trailer(self, left: memoryview) -> bool:
        assert self._trailer is not None
        piece = left[: _TRAILER - len(self._trailer)]
        self._trailer += piece
        self.total_in += len(piece)
        if len(self._trailer) < _TRAILER:
            return False
        if self._trailer != self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little"):
            self._fail(Status.CHECKSUM, self._start)
        self.members += 1
        self._begin()
        return True

    def _read_padding(self, left: memoryview) -> bool:
        zeros = len(left) - len(bytes(left).lstrip(b"\0"))
        self.padding += zeros
        self.total_in += zeros
        if zeros < len(left):
            self._fail(Status.TRAILING, self.total_in)
        return False

    def finish(self) -> None:
        """Say that the input is over.

        Raises:
            CorruptStream: there was no member, or the last one is not whole.
        """
        if self._error:
            self._fail(*self._error)
        if not self.members or self._header:
            self._fail(Status.TRUNCATED, self.total_in)
