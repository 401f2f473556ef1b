"""Golden digests of encoded layers.

If one changes, the same image gives another digest than yesterday: caches and signatures of users no longer match. A
codec or the cutting of pieces was changed; then ENGINE_VERSION or the codec's version must tell, and CHANGELOG.md say so.
"""

from __future__ import annotations

import hashlib
import platform
import random

import pytest

from occy_fast.kernels import SIDE, zstd_blocks
from occy_fast.spec.encoding import parse_encoding
from occy_fast.streams.layer_pass import DrainSink, FeedSource, LayerPass, WorkerPool, encoder_identity

SIZES = {"nothing": 0, "small": 1000, "gzip edge": 1 << 20, "zstd edge": 2 << 20, "pieces": 7_654_321}

IDENTITIES = {
    "gzip:1": "gzip:1 by isal 2.32.1 in segments of 1048576 (native-1, x86_64)",
    "gzip:2": "gzip:2 by isal 2.32.1 in segments of 1048576 (native-1, x86_64)",
    "zstd:1": "zstd:1 by libzstd 1.5.7 in segments of 2097152 (native-1)",
    "zstd:3": "zstd:3 by libzstd 1.5.7 in segments of 2097152 (native-1)",
    "zstd:9": "zstd:9 by libzstd 1.5.7 in segments of 2097152 (native-1)",
}

GOLDEN: dict[tuple[str, str], str] = {}


def content(size: int) -> bytes:
    """Make words of varying length, then noise, then zeros: what layers are made of."""
    source = random.Random(size)
    words = [source.randbytes(source.randrange(2, 30)) for _ in range(4000)]
    made = b"".join(source.choices(words, k=size // 24 + 1))
    noise = source.randbytes(size // 8)
    return (made + noise + bytes(size))[:size]


@pytest.mark.skipif(SIDE != "native" or not zstd_blocks.JOBS, reason="golden bytes are those of the pinned codecs")
@pytest.mark.parametrize("encoding", IDENTITIES)
@pytest.mark.parametrize("name", SIZES)
def test_bytes_are_what_they_were(encoding: str, name: str) -> None:
    wanted = parse_encoding(encoding)
    if wanted.codec == "gzip" and platform.machine() != "x86_64":
        pytest.skip("ISA-L gives other bytes on other architectures, and the identity says so")
    assert str(encoder_identity(wanted)) == IDENTITIES[encoding]
    made = hashlib.sha256()
    with WorkerPool(2) as pool:
        job = LayerPass(FeedSource([content(SIZES[name])]), encode=wanted, sink=DrainSink(made.update))
        pool.start(job).wait()
    assert made.hexdigest() == GOLDEN[encoding, name]
