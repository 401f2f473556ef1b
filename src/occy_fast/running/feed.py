"""What a pass reads: a file where the kernels know its encoding and digest, else buffers that Python makes."""

from __future__ import annotations

import bz2
import hashlib
import lzma
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from occy_fast.errors import CorruptStream, DigestMismatch, LimitError, NotFound, SizeMismatch
from occy_fast.spec.digest import Digest
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.streams.layer_pass import FdSource, FeedSource

if TYPE_CHECKING:
    from hashlib import _Hash

    from occy_fast.image.blob import Blob, OpenRegion
    from occy_fast.streams.layer_pass import Outcome

STEP = 1 << 20
NATIVE = frozenset({"none", "gzip", "zstd"})
"""What the pass decodes itself."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def open_blob(
    blob: Blob, codec: str, where: str, stack: ExitStack, limits: Limits = LIMITS
) -> tuple[FdSource | FeedSource, _Hash | None]:
    """Open *blob* for a pass that is to see what *codec* encodes; *stack* keeps it open.

    The second value takes the blob's digest where the pass does not, and is complete when the pass has ended. Buffers
    hold the decoded tar where the pass cannot decode it. Raises MissingBlob, NotFound, SizeMismatch, PlanStale,
    BadArchive.
    """
    try:
        region = stack.enter_context(blob.open(where))
    except OSError as error:
        raise NotFound(where, f"readable bytes ({error.strerror})") from error
    if region.size != blob.size:
        raise SizeMismatch(where, blob.size, region.size)
    if codec in NATIVE and (blob.digest is None or blob.digest.algorithm == "sha256"):
        return FdSource(region.fd, region.offset, region.size), None
    hasher = blob.digest.hasher() if blob.digest is not None else hashlib.sha256()
    buffers = _read(region, where, hasher)
    return FeedSource(buffers if codec in NATIVE else decode_foreign(codec, buffers, where, limits.xz_memory)), hasher


def prove_blob(blob: Blob, outcome: Outcome, hasher: _Hash | None, where: str) -> Digest:
    """Return the digest of the bytes a pass has read of *blob*. Raises DigestMismatch, SizeMismatch."""
    if hasher is None:
        found = outcome.source_digest
        if outcome.size_in != blob.size:
            raise SizeMismatch(where, blob.size, outcome.size_in)
    else:
        found = Digest(hasher.name, hasher.hexdigest())
    if blob.digest is not None and found != blob.digest:
        raise DigestMismatch(where, blob.digest, found)
    return found


def _read(region: OpenRegion, where: str, digest: _Hash) -> Iterator[bytes]:
    """Yield a region's bytes in steps of a mebibyte, feeding *digest* on the way. Raises SizeMismatch."""
    done = 0
    while done < region.size:
        data = os.pread(region.fd, min(STEP, region.size - done), region.offset + done)
        if not data:
            raise SizeMismatch(where, region.size, done)
        digest.update(data)
        done += len(data)
        yield data


def decode_foreign(
    codec: str, source: Iterator[bytes], where: str, xz_memory: int = LIMITS.xz_memory
) -> Iterator[bytes]:
    """Yield the tar inside an xz or bzip2 stream, in steps of a mebibyte at most.

    An xz stream may make its decoder allocate *xz_memory* bytes; xz -9 asks for 65 MiB.
    Several streams may follow one another, as `xz -d` and `bzip2 -d` read them; anything else behind one is an error,
    and so is an end inside one. Raises CorruptStream, LimitError.
    """
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
                    raise LimitError(where, "memory of an xz decoder", xz_memory, xz_memory + 1) from None
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
