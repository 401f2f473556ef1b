"""Digest: parse, print, compare."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from occy_fast.errors import BadDigest

if TYPE_CHECKING:
    from hashlib import _Hash

HEX_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
"""The algorithms that are accepted: those of go-digest, on which every container tool relies."""

_GRAMMAR: Final = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-f]+", re.ASCII)
_MOST_SHOWN = 200


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The name of some bytes.  (image-spec, "Digests")

    `parse` is the only door for text from outside: what it lets through is safe as part of a path or URL. A digest
    equals its text, ``"sha256:..."``, and has the hash of it, so that either finds the other in a dict or set.
    """

    algorithm: str
    hex: str

    @staticmethod
    def parse(text: str, where: str = "") -> Digest:
        """Read ``algorithm:hex``.

        Raises:
            BadDigest: the text has another form, another algorithm or another length.
        """
        if not _GRAMMAR.fullmatch(text):
            raise BadDigest(where, text[:_MOST_SHOWN], "not of the form algorithm:encoded")
        algorithm, _, encoded = text.partition(":")
        length = HEX_LENGTHS.get(algorithm)
        if length is None:
            raise BadDigest(where, text[:_MOST_SHOWN], f"algorithm is none of {', '.join(HEX_LENGTHS)}")
        if len(encoded) != length:
            raise BadDigest(where, text[:_MOST_SHOWN], f"{len(encoded)} digits where {algorithm} has {length}")
        if not _HEX.fullmatch(encoded):
            raise BadDigest(where, text, "not lower-case hexadecimal")
        return Digest(algorithm, encoded)

    @staticmethod
    def sha256(data: bytes | bytearray | memoryview) -> Digest:
        """Take the SHA-256 digest of *data*."""
        return Digest("sha256", hashlib.sha256(data).hexdigest())

    @staticmethod
    def from_hash(raw: bytes) -> Digest:
        """Make a digest of the 32 bytes that a SHA-256 yields."""
        if len(raw) != 32:
            raise ValueError(f"a SHA-256 has 32 bytes, not {len(raw)}")
        return Digest("sha256", bytes(raw).hex())

    def of(self, data: bytes | bytearray | memoryview) -> Digest:
        """Take the digest of *data* by this digest's algorithm."""
        return Digest(self.algorithm, hashlib.new(self.algorithm, data).hexdigest())

    def hasher(self) -> _Hash:
        """Return a fresh hashlib object of this digest's algorithm."""
        return hashlib.new(self.algorithm)

    @property
    def short(self) -> str:
        """The start of its text, as much as people compare: ``sha256:0123456789ab``."""
        return f"{self.algorithm}:{self.hex[:12]}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Digest):
            return self.hex == other.hex and self.algorithm == other.algorithm
        return str(self) == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    def __repr__(self) -> str:
        return f"Digest({self})"
