"""Encoding: how a layer's tar is compressed, and who compressed it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from occy_fast.errors import Unsupported, UsageError
from occy_fast.words import printable

RECODABLE: Final = ("none", "gzip", "zstd")
"""The codecs a layer can be given."""

READABLE: Final = (*RECODABLE, "xz", "bzip2")
"""The codecs a layer can be found in."""

DEFAULT_LEVELS: Final = {"gzip": 2, "zstd": 3}
"""The levels of the encoder where none is asked for."""

LEVELS: Final = {"gzip": range(1, 3), "zstd": range(1, 20)}
"""The levels of our encoders."""

_LEVEL = re.compile(r"-?[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec, and the level where one is demanded.

    Without a level it says what a layer is, or may be; with one it says that our encoder makes it, at that level. An
    encoding equals its text, as str() gives it, and has the hash of it: "zstd:3", which "zstd" is not, as the level is
    not demanded there.
    """

    codec: str
    level: int | None = None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Encoding):
            return self.codec == other.codec and self.level == other.level
        if isinstance(other, str):
            return str(self) == other and ":" not in self.codec    # else two encodings would equal one text
        return NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return self.codec if self.level is None else f"{self.codec}:{self.level}"

    def __repr__(self) -> str:
        return f"Encoding({printable(str(self))})"

    def met_by(self, found: Encoding) -> bool:
        """Tell whether a layer in the encoding *found* is already what this one asks for."""
        return self.codec == found.codec and (self.level is None or self.codec == "none")

    def check_level(self) -> Encoding:
        """Return this encoding, once it is known that the encoder can make it.

        Raises:
            Unsupported: the codec is only read, or the level is not offered.
        """
        if self.codec not in RECODABLE:
            raise Unsupported("", f"layers are not encoded as {self.codec}", f"use one of {', '.join(RECODABLE)}")
        if self.level is None:
            return self
        levels = LEVELS.get(self.codec)
        if levels is None:
            raise Unsupported("", f"{self.codec} has no levels, not even {self.level}", f"write {self.codec}")
        if self.level not in levels:
            # ISA-L's level 3 makes other bytes on other processors; from zstd's level 20 on common readers refuse the
            # window, and its negative levels save less time than they cost in size.
            raise Unsupported("", f"{self.codec} has no level {self.level}", f"use {levels[0]} to {levels[-1]}")
        return self

    @property
    def effective_level(self) -> int | None:
        """The level the encoder works at: the one demanded, else the default."""
        return DEFAULT_LEVELS.get(self.codec) if self.level is None else self.level


def parse_encoding(text: str) -> Encoding:
    """Read ``codec`` or ``codec:level``.

    Raises:
        UsageError: no such codec, or the level is no number.
    """
    codec, colon, level = text.partition(":")
    if codec not in READABLE:
        raise UsageError(f"unknown encoding '{text}'", f"use one of {', '.join(RECODABLE)}, with a level as in zstd:3")
    if not colon:
        return Encoding(codec)
    if not _LEVEL.fullmatch(level):
        raise UsageError(f"the level of encoding '{text}' is no number", f"write it as in {codec}:1")
    return Encoding(codec, int(level))


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Everything that encoded bytes depend on besides the tar.

    Attributes:
        segment: bytes of tar in one unit of work, where the encoder cuts it; None where it does not.
        engine: ``native`` or ``pure``.
        architecture: set where the encoder makes other bytes on other processors, else empty.
        reproducible: the same tar gives the same bytes on every run; False for an ISA-L that is the system's, whose
            bytes may depend on where its buffers happen to lie.
    """

    codec: str
    library: str
    version: str
    level: int | None
    segment: int | None
    engine: str
    architecture: str = ""
    reproducible: bool = True

    def __str__(self) -> str:
        words = [str(Encoding(self.codec, self.level)), "by", self.library, self.version]
        if self.segment is not None:
            words.append(f"in segments of {self.segment}")
        depends_on = [self.engine, *([self.architecture] if self.architecture else [])]
        depends_on += [] if self.reproducible else ["not reproducible"]
        words.append(f"({', '.join(depends_on)})")
        return " ".join(words)
