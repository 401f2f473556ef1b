"""Encoding: how a layer's tar is compressed, by which of the codecs there are, and who compressed it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from occy_fast.errors import Unsupported, UsageError
from occy_fast.words import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One way in which a layer's tar may be compressed.

    Attributes:
        name: as encodings, plans and messages have it.
        magics: what its streams begin with, each enough to tell them from a tar; `streams.sniff` knows what may stand
            before.
        suffix: what stands for it at the end of a layer's media type; None where no media type does.
        native: the kernels decode it.
        recodable: a layer can be given it.
        levels: of our encoder; empty where it has none.
        default_level: of our encoder, where none is asked for.
        typical_ratio: what a tar of programs and libraries comes to, of its uncompressed size: good for an estimate,
            and for nothing else. (261 MB of a Debian's /usr came to 0.40 by gzip:2, 0.34 by zstd:3, 0.25 by xz -6, 0.31
            by bzip2 -9)
    """

    name: str
    magics: tuple[bytes, ...] = ()
    suffix: str | None = None
    native: bool = False
    recodable: bool = False
    levels: range = range(0)
    default_level: int | None = None
    typical_ratio: float


_ROWS: Final = (
    Codec(name="none", suffix="", native=True, recodable=True, typical_ratio=1.0),
    Codec(
        name="gzip",
        magics=(b"\x1f\x8b\x08",),
        suffix="gzip",
        native=True,
        recodable=True,
        levels=range(1, 3),                              # ISA-L's level 3 makes other bytes on other processors
        default_level=2,
        typical_ratio=0.38,
    ),
    Codec(
        name="zstd",
        magics=(b"\x28\xb5\x2f\xfd",),
        suffix="zstd",
        native=True,
        recodable=True,
        # From 20 on common readers refuse the window, and negative levels save less time than they cost in size.
        levels=range(1, 20),
        default_level=3,
        typical_ratio=0.33,
    ),
    Codec(name="xz", magics=(b"\xfd7zXZ\x00",), typical_ratio=0.27),
    Codec(
        name="bzip2",
        # "BZh" alone also begins names of files in a tar; with the level and the magic of a block it does not.
        magics=tuple(
            b"BZh%d%s" % (level, block)
            for level in range(1, 10)
            for block in (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")
        ),
        typical_ratio=0.34,
    ),
)

CODECS: Final = {codec.name: codec for codec in _ROWS}
"""All codecs by their names: whoever lists some of them reads them from here."""

READABLE: Final = tuple(CODECS)
"""The codecs a layer can be found in."""

RECODABLE: Final = tuple(codec.name for codec in _ROWS if codec.recodable)
"""The codecs a layer can be given."""

NATIVE: Final = tuple(codec.name for codec in _ROWS if codec.native)
"""The codecs that the kernels decode; anything else is decoded in Python and fed to them."""

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
        codec = CODECS.get(self.codec)
        if codec is None or not codec.recodable:
            raise Unsupported("", f"layers are not encoded as {self.codec}", f"use one of {', '.join(RECODABLE)}")
        if self.level is None:
            return self
        levels = codec.levels
        if not levels:
            raise Unsupported("", f"{self.codec} has no levels, not even {self.level}", f"write {self.codec}")
        if self.level not in levels:
            raise Unsupported("", f"{self.codec} has no level {self.level}", f"use {levels[0]} to {levels[-1]}")
        return self

    @property
    def effective_level(self) -> int | None:
        """The level the encoder works at: the one demanded, else the default."""
        if self.level is not None or self.codec not in CODECS:
            return self.level
        return CODECS[self.codec].default_level


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
        engine: which of the two sides of the kernels encodes, and the version of what it makes: ``native-1``.
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
