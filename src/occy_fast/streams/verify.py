"""A reader that fails at its end unless size and digest hold."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Protocol

from occy_fast.errors import DigestMismatch, SizeMismatch
from occy_fast.spec.digest import Digest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE = 1 << 20


class Readable(Protocol):
    """What can be read from: a file object."""

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, none only at the end."""


class VerifiedReader(io.RawIOBase):
    """Bytes of *source* as they come, an error instead of an end that does not hold.

    The last byte that *size* names is handed out only after the digest was checked, so that nobody who reads that far
    has unproved bytes. Whether more bytes follow shows at the next read, or in `finish`. One thread at a time; *source*
    is the caller's to close.

    Raises:
        SizeMismatch: the source ends early, or goes on.
        DigestMismatch: the bytes are others.
    """

    def __init__(self, source: Readable, digest: Digest, size: int, where: str = "") -> None:
        super().__init__()
        self._source, self._digest, self._size, self._where = source, digest, size, where
        self._hash = digest.hasher()
        self._count = 0
        self._ended = False
        self._failure: DigestMismatch | SizeMismatch | None = None

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill *buffer* with the next bytes; return how many, 0 only at the verified end."""
        view: Any = memoryview(buffer).cast("B")
        piece = self._next(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def finish(self) -> None:
        """Read what is left, and return once it is known that all held."""
        while not self._ended:
            self._next(_PIECE)

    def _next(self, wanted: int) -> bytes:
        if self._failure is not None:
            raise self._failure
        if self._ended or wanted == 0:
            return b""
        # at the end one more byte is asked for, which must not be there
        piece = self._source.read(min(wanted, self._size - self._count) or 1)
        if not piece:
            if self._count != self._size:
                raise self._fail(SizeMismatch(self._where, self._size, self._count))
            if self._size == 0:
                self._check()
            self._ended = True
            return b""
        self._count += len(piece)
        if self._count > self._size:
            raise self._fail(SizeMismatch(self._where, self._size, self._count))
        self._hash.update(piece)
        if self._count == self._size:
            self._check()
        return piece

    def _check(self) -> None:
        found = Digest(self._digest.algorithm, self._hash.hexdigest())
        if found != self._digest:
            raise self._fail(DigestMismatch(self._where, self._digest, found))

    def _fail(self, failure: DigestMismatch | SizeMismatch) -> DigestMismatch | SizeMismatch:
        self._failure = failure
        return failure
