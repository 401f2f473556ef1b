from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import BadDigest
from occy_fast.spec.digest import HEX_LENGTHS, Digest

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

digests = st.sampled_from(sorted(HEX_LENGTHS)).flatmap(
    lambda name: st.text("0123456789abcdef", min_size=HEX_LENGTHS[name], max_size=HEX_LENGTHS[name]).map(
        lambda digits: Digest(name, digits)
    )
)


@given(digests)
def test_round_trip(digest: Digest) -> None:
    assert Digest.parse(str(digest)) == digest
    assert pickle.loads(pickle.dumps(digest)) == digest
    assert hash(Digest.parse(str(digest))) == hash(digest)


@given(st.binary())
def test_taken_as_hashlib_takes_it(data: bytes) -> None:
    assert str(Digest.sha256(data)) == "sha256:" + hashlib.sha256(data).hexdigest()
    assert Digest.from_hash(hashlib.sha256(data).digest()) == Digest.sha256(data)
    for name, length in HEX_LENGTHS.items():
        taken = Digest(name, "0" * length).of(data)
        assert taken.hex == hashlib.new(name, data).hexdigest()
        assert len(taken.hex) == length
        hasher = taken.hasher()
        hasher.update(data)
        assert hasher.hexdigest() == taken.hex


def test_a_hash_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Digest.from_hash(b"\0" * 20)


def test_order_is_that_of_the_text() -> None:
    assert sorted([Digest("sha256", "b"), Digest("sha256", "a"), Digest("sha1", "c")])[0].algorithm == "sha1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "form"),
        (EMPTY, "form"),
        (f"sha256:{EMPTY}\n", "form"),
        (f" sha256:{EMPTY}", "form"),
        ("sha256:../../../etc/passwd", "form"),
        (f"sha256:{EMPTY}/x", "form"),
        (f"SHA256:{EMPTY}", "form"),
        (f"sha256:{EMPTY[:-1]}", "63 digits where sha256 has 64"),
        (f"sha256:{EMPTY}0", "65 digits"),
        (f"sha256:{EMPTY.upper()}", "lower-case"),
        (f"sha256:{'g' * 64}", "lower-case"),
        (f"sha256:{'٣' * 64}", "form"),
        (f"sha512:{EMPTY}", "64 digits where sha512 has 128"),
        ("md5:d41d8cd98f00b204e9800998ecf8427e", "algorithm is none of"),
        (f"sha256.x:{EMPTY}", "algorithm is none of"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    with pytest.raises(BadDigest) as caught:
        Digest.parse(text, "here")
    assert caught.value.where == "here"
    assert problem in caught.value.problem


def test_a_long_text_is_not_repeated() -> None:
    with pytest.raises(BadDigest) as caught:
        Digest.parse("x" * 1_000_000)
    assert len(caught.value.found) < 300


def test_vectors_of_go_digest(shared: Path) -> None:
    vectors = json.loads((shared / "corpus/vectors/digest-grammar.json").read_text())["tables"]["TestParseDigest.tests"]
    said = {
        "invalid checksum digest format": ("form", "lower-case"),
        "invalid checksum digest length": ("digits where",),
        "unsupported digest algorithm": ("algorithm is none of",),
    }
    assert len(vectors) == 17
    wrong = []
    for vector in vectors:
        try:
            digest = Digest.parse(vector["Input"])
        except BadDigest as error:
            expected = said.get(vector.get("Err"), ())
            # go-digest looks at the form of a known algorithm's encoding as a whole, so that length and digits are one
            if not any(words in error.problem for words in (*expected, *(["digits where"] if expected else []))):
                wrong.append((vector, error.problem))
        else:
            if (digest.algorithm, digest.hex) != (vector["Algorithm"], vector["Encoded"]) or "Err" in vector:
                wrong.append((vector, digest))
    assert wrong == []


@given(digests, digests)
def test_a_digest_equals_its_text_and_no_other(digest: Digest, other: Digest) -> None:
    text = str(digest)
    assert digest == text
    assert text == digest
    assert hash(digest) == hash(text)
    assert {text: 1}[digest] == {digest: 1}[text] == 1  # type: ignore[index]
    assert (other == text) == (other == digest)
    assert digest != text.upper()
    assert digest != digest.hex
    assert (digest == 5) is False
    assert text.startswith(digest.short)
    assert repr(digest) == f"Digest({text})"
