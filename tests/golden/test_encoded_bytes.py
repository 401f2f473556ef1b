"""Golden digests of encoded layers.

If one changes, the same image gives another digest than yesterday: caches and signatures of users no longer match.
A codec or the cutting of pieces was changed; then ENGINE_VERSION or the codec's version must tell, CHANGELOG.md too.
"""

from __future__ import annotations

import hashlib
import platform
import random

import pytest

from occy_fast.kernels import SIDE, zstd_blocks
from occy_fast.spec.encoding import parse_encoding
from occy_fast.spec.limits import LIMITS
from occy_fast.streams.encoders import encoder_identity
from occy_fast.streams.layer_pass import DrainSink, FeedSource, LayerPass, WorkerPool

SIZES = {"nothing": 0, "small": 1000, "gzip edge": 1 << 20, "zstd edge": 4 << 20, "pieces": 13_654_321}
RECORDS = {"few records": 240, "records": 1_400_000}

IDENTITIES = {
    "gzip:1": "gzip:1 by isal 2.32.1+first-byte in segments of 1048576 (native-1, x86_64)",
    "gzip:2": "gzip:2 by isal 2.32.1+first-byte in segments of 1048576 (native-1, x86_64)",
    "zstd:1": "zstd:1 by libzstd 1.5.7 in segments of 4194304 (native-1)",
    "zstd:2": "zstd:2 by libzstd 1.5.7 in segments of 4194304 (native-1)",
    "zstd:3": "zstd:3 by libzstd 1.5.7 in segments of 4194304 (native-1)",
    "zstd:9": "zstd:9 by libzstd 1.5.7 in segments of 4194304 (native-1)",
}

GOLDEN = {
    ("gzip:1", "nothing"): "ac73670af3abed54ac6fb4695131f4099be9fbe39d6076c5d0264a6bbdae9d83",
    ("gzip:1", "small"): "4fde20258fe43a4dba8ead1d970af0a0cdef7011f2e85f682739bd112e99ca39",
    ("gzip:1", "gzip edge"): "5b3e5333b6da871798b2ebeba748e8d8297501139739bc2a938fa24ffa4c7109",
    ("gzip:1", "zstd edge"): "29ad8d4026cf8288b3afc4d37bd4d599caed3ca955be50a84385ba2f9db3b0f1",
    ("gzip:1", "pieces"): "ba5bd039562102645eb9fe24893f490e124d900831c5027a2f1b147baa56ee9b",
    ("gzip:2", "nothing"): "ac73670af3abed54ac6fb4695131f4099be9fbe39d6076c5d0264a6bbdae9d83",
    ("gzip:2", "small"): "4fde20258fe43a4dba8ead1d970af0a0cdef7011f2e85f682739bd112e99ca39",
    ("gzip:2", "gzip edge"): "4de692d7e7442d7cecd1074a62d425ee4f4635940fe8a6ae3116631aab830531",
    ("gzip:2", "zstd edge"): "210ba07968334c0cc757ef06d643d1635a6ab0f782f3ff38ccb802c5d9dfb0d6",
    ("gzip:2", "pieces"): "63a52151c1aa8d020603bd3d0ec89e70ecffb8a5afb5d6734eba8502c852e4e6",
    ("zstd:1", "nothing"): "75c828d7a93a623a4ee2331cbad8f53bd09992bf258102ec903d04644eb86f4a",
    ("zstd:1", "small"): "7ff6d0d70aa0e8e51f44e794119dda3d4cef615baf8fe653e15088a4b79e3fd7",
    ("zstd:1", "gzip edge"): "c927326fc7ae4b09d4a300b682b63d1e8c9005808b00b8e40364f2460731a01c",
    ("zstd:1", "zstd edge"): "934175ed278c422f51e048be2b9abd8ba6edec81615539121ba78f959f17d1b0",
    ("zstd:1", "pieces"): "86f0dd11d352e3247c1983611fe4e561f7453a08379acc73883bf186ef36ed79",
    ("zstd:2", "nothing"): "fa7e0653199fc4971ea8b48b945fad385c06923d64f7b9cc058d1bd9d56e31f4",
    ("zstd:2", "small"): "1457650dd9c9f817443e57f6458f44817b7fe243ddcafc2adc51e6568e406aec",
    ("zstd:2", "gzip edge"): "52c1f895b1e22eed9ab7b468da80e72764b0e294ec9b9d51e09d92debd026c0c",
    ("zstd:2", "zstd edge"): "7eb1f951e8e438f7ca22ccc1bb62f4706056103da773bdc4b20e745bb8f343e8",
    ("zstd:2", "pieces"): "3abbcbed2bb0fe43c95c7f6592e7ec77b088e17021a262d85a15ae440c7231c8",
    ("zstd:3", "nothing"): "fa7e0653199fc4971ea8b48b945fad385c06923d64f7b9cc058d1bd9d56e31f4",
    ("zstd:3", "small"): "796e6b5f57f0ef05363932f71a1fded3314d683305b0609442c0d21ca27bd949",
    ("zstd:3", "gzip edge"): "4b6111a0d9f5a93137c792f94cacbbbf476fe069e8b217bbb8fd3db1d7eb86f1",
    ("zstd:3", "zstd edge"): "b51a046e0393643d4eb4304f088b52a61fef5acd5660a75b9479151df3c4af62",
    ("zstd:3", "pieces"): "1e72b3f15ae7d5212301b234bdfdddff790744bf5fcc800d8c8f6a4031c29726",
    ("zstd:9", "nothing"): "fa7e0653199fc4971ea8b48b945fad385c06923d64f7b9cc058d1bd9d56e31f4",
    ("zstd:9", "small"): "1457650dd9c9f817443e57f6458f44817b7fe243ddcafc2adc51e6568e406aec",
    ("zstd:9", "gzip edge"): "605a526ed388a7eb18bd9e44ba7c57ab47e598ddd69bac257ff67379974285ac",
    ("zstd:9", "zstd edge"): "de934277cc1261241a5c839839c1b9e39f43e7e5b39fba26ad0dedb9aefe9229",
    ("zstd:9", "pieces"): "8caa4fd507b678078d6956d89c065f7b6e695b1894585c640f0af8f1cd77a2af",
    ("gzip:1", "few records"): "958b0d18273ced3c2a8a3e31de19bc7113f1d859467e94accdac9bb5af757fe3",
    ("gzip:1", "records"): "31798d354da5601341bd7de8ba68a01fcf54cb0da5a95dc7c993ee80988d9486",
    ("gzip:2", "few records"): "958b0d18273ced3c2a8a3e31de19bc7113f1d859467e94accdac9bb5af757fe3",
    ("gzip:2", "records"): "5db6bd52044a8a475a1b904cff642679c261614134955b7ccedf0267581fa4a8",
    ("zstd:1", "few records"): "c12bcc8126e688a5cfe0bb5035723cb85f98f1991163272a45641f1f53847df0",
    ("zstd:1", "records"): "d644320fdcd4adf997f7fd2f25380d137b67315251446ce97ec349fdbf56dd2f",
    ("zstd:2", "few records"): "dfbb3166b11e7a7e79a5726b383e22fa3481b5db670e34821fb0157d8197bd95",
    ("zstd:2", "records"): "f3c498d1384f6007f2587882e894e4ade2f6cc884891bb1f1d6f468f5d3c4ea7",
    ("zstd:3", "few records"): "dfbb3166b11e7a7e79a5726b383e22fa3481b5db670e34821fb0157d8197bd95",
    ("zstd:3", "records"): "e6a5fc3f7cb754e5435e5d5b64bed8f70dc25488a54e5fb13a11d748467ec7d6",
    ("zstd:9", "few records"): "6fd74afe65d34d0309aa2cd6bfbe3c39404685dba61c2b8ca45382fed06050d3",
    ("zstd:9", "records"): "ee2531e44b7a7394436141c865ca605b3f6d0415f6c2ac8d09face44a2d09990",
}


def content(name: str) -> bytes:
    """Return what is encoded under *name*."""
    return layer(SIZES[name]) if name in SIZES else records(RECORDS[name])


def records(size: int) -> bytes:
    """Make records that share all but their first two bytes: an encoder that forgets position 2 misses a match."""
    return b"".join(number.to_bytes(2, "big") + b"\x07relocation of 22 b." for number in range(size // 22))


def layer(size: int) -> bytes:
    """Make words of varying length, then noise, then zeros: what layers are made of."""
    source = random.Random(size)
    words = [source.randbytes(source.randrange(2, 30)) for _ in range(4000)]
    made = b"".join(source.choices(words, k=size // 24 + 1))
    noise = source.randbytes(size // 8)
    return (made + noise + bytes(size))[:size]


@pytest.mark.skipif(SIDE != "native" or not zstd_blocks.JOBS, reason="golden bytes are those of the pinned codecs")
@pytest.mark.parametrize("encoding", IDENTITIES)
@pytest.mark.parametrize("name", [*SIZES, *RECORDS])
def test_bytes_are_what_they_were(encoding: str, name: str) -> None:
    wanted = parse_encoding(encoding)
    if wanted.codec == "gzip" and platform.machine() != "x86_64":
        pytest.skip("ISA-L gives other bytes on other architectures, and the identity says so")
    assert str(encoder_identity(wanted)) == IDENTITIES[encoding]
    made = hashlib.sha256()
    with WorkerPool(2) as pool:
        job = LayerPass(FeedSource([content(name)]), encode=wanted, sink=DrainSink(made.update), limits=LIMITS)
        pool.start(job).wait()
    assert made.hexdigest() == GOLDEN[encoding, name]
