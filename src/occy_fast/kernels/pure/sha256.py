"""Digest a stream with SHA-256."""

from __future__ import annotations

import hashlib
from typing import final


def variants() -> tuple[str, ...]:
    """Return the names of the variants that can run here, the defining one first."""
    return ("hashlib",)


@final
class Sha256:
    """Take in a stream piece by piece.  (FIPS 180-4, section 6.2)

    One object belongs to one thread at a time.

    Args:
        variant: one of `variants`; None takes the demanded one, else the fastest.
    """

    variant: str

    def __init__(self, *, variant: str | None = None) -> None:
        if variant not in (None, *variants()):
            raise ValueError(f"variant: expected one of {', '.join(variants())}, found {variant}")
        self.variant = "hashlib"
        self._hash = hashlib.sha256()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take in *data*."""
        self._hash.update(data)

    def digest(self) -> bytes:
        """Return the 32 bytes of what came so far; more may follow."""
        return self._hash.digest()

    def hexdigest(self) -> str:
        """Return the digest in lower-case hex."""
        return self._hash.hexdigest()

    def copy(self) -> Sha256:
        """Return an independent object in the same state."""
        twin = Sha256()
        twin._hash = self._hash.copy()
        return twin


def sha256(data: bytes | bytearray | memoryview) -> bytes:
    """Return the 32 bytes of the digest of *data*."""
    return hashlib.sha256(data).digest()
