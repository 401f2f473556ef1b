"""Say who encodes: everything that encoded bytes depend on besides the tar."""

from __future__ import annotations

from typing import Final

from occy_fast.kernels import SIDE, gzip_blocks, zstd_blocks
from occy_fast.spec.encoding import EncoderIdentity, Encoding

ENGINE_VERSION: Final = 1
"""Grows when the same tar, encoding, library and piece size would give other bytes."""


def encoder_identity(encoding: Encoding) -> EncoderIdentity:
    """Return everything that the bytes of *encoding* depend on besides the tar.

    Raises:
        Unsupported: the encoder does not offer that level.
    """
    encoding = encoding.check_level()
    engine = f"{SIDE}-{ENGINE_VERSION}"
    level = encoding.effective_level
    if encoding.codec == "gzip":
        return EncoderIdentity(
            codec="gzip",
            library=gzip_blocks.CODEC,
            version=gzip_blocks.version(),
            level=level,
            segment=gzip_blocks.PIECE,
            engine=engine,
            architecture=gzip_blocks.architecture(),
            reproducible=gzip_blocks.REPRODUCIBLE,
        )
    if encoding.codec == "zstd":
        return EncoderIdentity("zstd", zstd_blocks.CODEC, zstd_blocks.version(), level, zstd_blocks.PIECE, engine)
    assert encoding.codec == "none", f"{encoding.codec} is recodable, and nobody encodes it"
    return EncoderIdentity("none", "", "", None, None, engine)
