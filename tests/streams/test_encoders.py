"""streams.encoders: identities name what bytes depend on."""

from __future__ import annotations

import os

import pytest

from occy_fast.errors import Unsupported
from occy_fast.spec.encoding import Encoding
from occy_fast.streams.encoders import ENGINE_VERSION, encoder_identity


def test_identities_name_what_bytes_depend_on() -> None:
    gzip, zstd = encoder_identity(Encoding("gzip")), encoder_identity(Encoding("zstd", 7))
    assert (gzip.codec, gzip.level, gzip.segment, gzip.architecture) == ("gzip", 2, 1 << 20, os.uname().machine)
    assert (zstd.codec, zstd.level, zstd.segment, zstd.architecture) == ("zstd", 7, 4 << 20, "")
    assert zstd.engine.endswith(f"-{ENGINE_VERSION}")
    with pytest.raises(Unsupported):
        encoder_identity(Encoding("gzip", 9))
