from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import BadDescriptor, BadDigest, DigestMismatch, IntegrityError, SizeMismatch
from occy_fast.spec.descriptor import (
    Descriptor,
    DescriptorShape,
    check_descriptor_spelling,
    plain_words,
    sorted_pairs,
)
from occy_fast.spec.digest import Digest
from occy_fast.spec.json import parse_json
from occy_fast.spec.limits import LIMITS
from support.descriptor_strategies import descriptors, texts

PLAIN: dict[str, Any] = {"mediaType": "a/b", "digest": f"sha256:{'0' * 64}", "size": 1}


def parse_descriptor(fields: object, where: str) -> Descriptor:
    """Do what a manifest does with each descriptor in it."""
    check_descriptor_spelling(fields, where)
    try:
        return msgspec.convert(fields, DescriptorShape).value(where)
    except msgspec.ValidationError as error:
        raise BadDescriptor(where, plain_words(error)) from None


@given(descriptors)
def test_round_trip(descriptor: Descriptor) -> None:
    assert parse_descriptor(descriptor.document(), "here") == descriptor
    assert pickle.loads(pickle.dumps(descriptor)) == descriptor
    assert len({descriptor, parse_descriptor(descriptor.document(), "here")}) == 1


@given(st.dictionaries(texts, texts))
def test_annotations_do_not_depend_on_order(pairs: dict[str, str]) -> None:
    backwards = dict(reversed(pairs.items()))
    assert sorted_pairs(pairs) == sorted_pairs(backwards) == sorted_pairs(pairs.items())


def test_annotation() -> None:
    descriptor = parse_descriptor(PLAIN | {"annotations": {"k": "v"}}, "here")
    assert descriptor.annotation("k") == "v"
    assert descriptor.annotation("x") is None


@pytest.mark.parametrize("key", ["annotations", "platform", "urls", "artifactType", "data"])
def test_null_is_nothing(key: str) -> None:
    assert parse_descriptor(PLAIN | {key: None}, "here") == parse_descriptor(PLAIN, "here")


def test_unknown_fields_do_no_harm() -> None:
    assert parse_descriptor(PLAIN | {"x": [1]}, "here") == parse_descriptor(PLAIN, "here")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"size": -1}, BadDescriptor, "$.size"),
        ({"size": 1.5}, BadDescriptor, "$.size"),
        ({"size": 1.0}, BadDescriptor, "$.size"),
        ({"size": None}, BadDescriptor, "$.size"),
        ({"size": True}, BadDescriptor, "$.size"),
        ({"size": "1"}, BadDescriptor, "$.size"),
        ({"digest": None}, BadDescriptor, "$.digest"),
        ({"digest": "x"}, BadDigest, "'x'"),
        ({"digest": "sha256:../../x"}, BadDigest, "form"),
        ({"digest": "x", "mediaType": "bad"}, BadDigest, "'x'"),
        ({"mediaType": "bad"}, BadDescriptor, "'bad' is no media type"),
        ({"mediaType": ""}, BadDescriptor, "no media type"),
        ({"artifactType": "bad"}, BadDescriptor, "'bad' is no media type"),
        ({"urls": ["value"]}, BadDescriptor, "no URL"),
        ({"urls": ["https://a b"]}, BadDescriptor, "no URL"),
        ({"urls": "https://x"}, BadDescriptor, "$.urls"),
        ({"annotations": {"k": 1}}, BadDescriptor, "$.annotations"),
        ({"platform": {"os": "linux"}}, BadDescriptor, "architecture"),
        ({"data": "aGk"}, BadDescriptor, "base64"),
        ({"data": "a*k="}, BadDescriptor, "base64"),
        ({"Digest": "sha256:" + "1" * 64}, BadDescriptor, "'Digest'"),
        ({"platform": {"os": "linux", "architecture": "x", "OS": "y"}}, BadDescriptor, "'OS'"),
    ],
)
def test_refused(changes: dict[str, Any], error: type[IntegrityError], words: str) -> None:
    with pytest.raises(error) as caught:
        parse_descriptor(PLAIN | changes, "here")
    assert caught.value.where == "here"
    assert words in str(caught.value)


@pytest.mark.parametrize("missing", ["mediaType", "digest", "size"])
def test_required(missing: str) -> None:
    fields = {key: value for key, value in PLAIN.items() if key != missing}
    with pytest.raises(BadDescriptor, match=missing):
        parse_descriptor(fields, "here")


@pytest.mark.parametrize("fields", [None, [], "x", 1])
def test_no_object(fields: object) -> None:
    with pytest.raises(BadDescriptor):
        parse_descriptor(fields, "here")


def test_embedded_data_is_verified() -> None:
    data = base64.b64encode(b"hello").decode()
    right = {"mediaType": "a/b", "digest": str(Digest.sha256(b"hello")), "size": 5, "data": data}
    assert parse_descriptor(right, "here").data == b"hello"
    with pytest.raises(DigestMismatch):
        parse_descriptor(right | {"digest": str(Digest.sha256(b"HELLO"))}, "here")
    with pytest.raises(DigestMismatch):
        parse_descriptor(right | {"digest": str(Digest.sha256(b"HELLO")), "size": 2048}, "here")
    with pytest.raises(SizeMismatch):
        parse_descriptor(right | {"size": 6}, "here")


def test_vectors_of_the_image_spec(shared: Path) -> None:
    cases = json.loads((shared / "corpus/vectors/image-spec-schema.json").read_text())["cases"]
    wrong, count = [], 0
    for case in cases:
        if case["field"] != "descriptor":
            continue
        count += 1
        try:
            parse_descriptor(parse_json(case["json"].encode(), "here", LIMITS, "manifest"), "here")
        except BadDigest as error:
            # The grammar leaves room for algorithms that nobody has; of those no byte can be proved.
            if not case["must_fail"] and "algorithm is none of" not in error.problem:
                wrong.append((case, error))
        except IntegrityError as error:
            if not case["must_fail"]:
                wrong.append((case, error))
        else:
            if case["must_fail"]:
                wrong.append((case, None))
    assert wrong == []
    assert count == 31
