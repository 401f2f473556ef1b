"""What a pass reads: a file where the kernels know its encoding and digest, else buffers that Python makes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from occy_fast.errors import DigestMismatch, SizeMismatch, read_errors
from occy_fast.spec.digest import Digest
from occy_fast.spec.limits import Limits
from occy_fast.streams.decode import STEP, decode_foreign
from occy_fast.streams.layer_pass import FdSource, FeedSource

if TYPE_CHECKING:
    from hashlib import _Hash

    from occy_fast.image.blob import Blob, OpenRegion
    from occy_fast.streams.layer_pass import PassResult

NATIVE = frozenset({"none", "gzip", "zstd"})
"""What the pass decodes itself."""


def open_blob(
    blob: Blob, codec: str, where: str, stack: ExitStack, limits: Limits
) -> tuple[FdSource | FeedSource, _Hash | None]:
    """Open *blob* for a pass that is to see what *codec* encodes; *stack* keeps it open.

    The second value takes the blob's digest where the pass does not, and is complete when the pass has ended. Buffers
    hold the decoded tar where the pass cannot decode it. Raises MissingBlob, MissingFile, InputError, SizeMismatch,
    PlanStale, BadArchive.
    """
    region = stack.enter_context(blob.open(where))
    if region.size != blob.size:
        raise SizeMismatch(where, blob.size, region.size)
    if codec in NATIVE and (blob.digest is None or blob.digest.algorithm == "sha256"):
        return FdSource(region.fd, region.offset, region.size), None
    hasher = blob.digest.hasher() if blob.digest is not None else hashlib.sha256()
    buffers = _read(region, where, hasher)
    return FeedSource(buffers if codec in NATIVE else decode_foreign(codec, buffers, where, limits.xz_memory)), hasher


def prove_blob(blob: Blob, outcome: PassResult, hasher: _Hash | None, where: str) -> Digest:
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
    """Yield a region's bytes in steps of a mebibyte, feeding *digest* on the way. Raises SizeMismatch, InputError."""
    done = 0
    while done < region.size:
        with read_errors(where, region.path):
            data = os.pread(region.fd, min(STEP, region.size - done), region.offset + done)
        if not data:
            raise SizeMismatch(where, region.size, done)
        digest.update(data)
        done += len(data)
        yield data
