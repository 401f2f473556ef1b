from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import Unsupported, UsageError
from occy_fast.spec.encoding import CODECS, NATIVE, READABLE, RECODABLE, EncoderIdentity, Encoding, parse_encoding

encodings = st.builds(Encoding, st.sampled_from(READABLE), st.none() | st.integers(-999, 999))


@given(encodings)
def test_round_trip(encoding: Encoding) -> None:
    assert parse_encoding(str(encoding)) == encoding
    assert pickle.loads(pickle.dumps(encoding)) == encoding
    assert len({encoding, parse_encoding(str(encoding))}) == 1


@pytest.mark.parametrize(
    "text", ["", "lz4", "gzip:", "gzip:x", "gzip:1:2", "gzip:1.5", "GZIP", "zstd: 3", "zstd:٣", "gzip:1\n", "zstd:+3"]
)
def test_no_encoding(text: str) -> None:
    with pytest.raises(UsageError):
        parse_encoding(text)


@pytest.mark.parametrize(
    ("wanted", "found", "met"),
    [
        ("gzip", "gzip", True),
        ("gzip:2", "gzip", False),
        ("gzip:2", "gzip:2", False),
        ("gzip", "zstd", False),
        ("zstd", "zstd", True),
        ("none", "none", True),
        ("none", "gzip", False),
        ("xz", "xz", True),
    ],
)
def test_met_by(wanted: str, found: str, met: bool) -> None:
    assert parse_encoding(wanted).met_by(parse_encoding(found)) is met


@pytest.mark.parametrize("text", ["none", "gzip", "gzip:1", "gzip:2", "zstd", "zstd:1", "zstd:3", "zstd:19"])
def test_levels_that_are_offered(text: str) -> None:
    encoding = parse_encoding(text)
    assert encoding.check_level() == encoding


@pytest.mark.parametrize(
    "text",
    [
        "gzip:0",
        "gzip:3",
        "gzip:9",
        "gzip:-1",
        "zstd:0",
        "zstd:-1",
        "zstd:20",
        "zstd:22",
        "none:0",
        "none:1",
        "xz",
        "bzip2",
    ],
)
def test_levels_that_are_not(text: str) -> None:
    with pytest.raises(Unsupported) as caught:
        parse_encoding(text).check_level()
    assert caught.value.remedy


def test_defaults_are_offered() -> None:
    assert {name for name, codec in CODECS.items() if codec.levels} == set(RECODABLE) - {"none"}
    for name, codec in CODECS.items():
        assert (codec.default_level is None) == (not codec.levels)
        if level := codec.default_level:
            assert Encoding(name, level).check_level().effective_level == Encoding(name).effective_level == level
    assert Encoding("none").effective_level is None
    assert Encoding("gzip", 2).effective_level == 2


def test_identity_says_all_it_knows() -> None:
    native = EncoderIdentity("gzip", "isa-l", "2.31.1", 2, 1 << 20, "native", "x86-64")
    assert str(native) == "gzip:2 by isa-l 2.31.1 in segments of 1048576 (native, x86-64)"
    assert str(replace(native, reproducible=False)).endswith("(native, x86-64, not reproducible)")
    assert replace(native, reproducible=False) != native
    assert str(EncoderIdentity("zstd", "libzstd", "1.5.7", 3, None, "pure")) == "zstd:3 by libzstd 1.5.7 (pure)"
    assert pickle.loads(pickle.dumps(native)) == native
    assert len({native, pickle.loads(pickle.dumps(native))}) == 1


@given(encodings, encodings)
def test_an_encoding_equals_its_text_and_no_other(encoding: Encoding, other: Encoding) -> None:
    text = str(encoding)
    assert encoding == text
    assert text == encoding
    assert hash(encoding) == hash(text)
    assert (other == text) == (other == encoding)
    assert (encoding == 5) is False
    assert repr(encoding) == f"Encoding({text})"


def test_a_level_that_is_not_demanded_is_not_compared_as_if_it_were() -> None:
    assert Encoding("zstd") != "zstd:3"
    assert Encoding("zstd", 3) != "zstd"
    assert Encoding("zstd", 3) != "zstd:03"
    assert Encoding("zstd:3") != "zstd:3"                    # no codec is called so


def test_the_table_of_codecs_is_the_lists_there_were() -> None:
    assert READABLE == ("none", "gzip", "zstd", "xz", "bzip2")
    assert RECODABLE == NATIVE == ("none", "gzip", "zstd")
    assert {name: codec.typical_ratio for name, codec in CODECS.items()} == {
        "none": 1.0,
        "gzip": 0.38,
        "zstd": 0.33,
        "xz": 0.27,
        "bzip2": 0.34,
    }
    magics = [magic for codec in CODECS.values() for magic in codec.magics]
    assert not [one for one in magics for other in magics if one != other and one.startswith(other)]
