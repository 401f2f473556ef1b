from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import BadJSON, ConfigTooLarge, DuplicateKey, LimitError, ManifestTooLarge
from occy_fast.spec.json import format_json, parse_again, parse_json
from occy_fast.spec.limits import LIMITS, DocumentLimit, Limits

MIB = 1 << 20

texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(exclude_categories=["Cs", "Lu", "Lt", "Lm", "Lo"], max_codepoint=0x7F))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5)
)


@given(values)
def test_round_trip(value: Any) -> None:
    raw = format_json(value)
    again = parse_json(raw, "here", LIMITS, "manifest")
    assert again == value
    assert format_json(again) == raw


@given(values)
def test_agrees_with_the_standard_library(value: Any) -> None:
    raw = json.dumps(value, indent=1).encode()
    assert parse_json(raw, "here", LIMITS, "manifest") == json.loads(raw)


def test_key_order_and_text_are_kept() -> None:
    raw = '{"z":1,"a":"é<>&\u2028","b":[]}'.encode()
    assert format_json(parse_json(raw, "here", LIMITS, "manifest")) == raw


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "Expecting value"),
        (b" ", "Expecting value"),
        (b"nul", "Expecting value"),
        (b"[1,]", "Expecting value|trailing comma"),
        (b"{'a':1}", "Expecting property name"),
        (b"{}{}", "Extra data"),
        (b"1 x", "Extra data"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"{\x00}", "Expecting property name"),
        (b'"\x01"', "Invalid control character"),
        (b'"\xff"', "no UTF-8 at byte 1"),
        (b'"\xed\xa0\x80"', "no UTF-8"),
        (b'"\xc0\x80"', "no UTF-8"),
        ("{}".encode("utf-16-le"), "Expecting"),
        ("{}".encode("utf-16"), "no UTF-8"),
        (b"NaN", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b'{"a":Infinity}', "Infinity"),
        (b"1e400", "double"),
        (b"9223372036854775808", "64 bits"),
        (b"-9223372036854775809", "64 bits"),
        (b"1" * 5000, "64 bits"),
        (b"01", "Extra data"),
        (b"+1", "Expecting value"),
        (b"0x1", "Extra data"),
        (b'"\\ud800"', "lone surrogate"),
        (b'{"a":{"b":["\\uDFFF"]}}', r"lone surrogate at \$\.a\.b\[0\]"),
        (b'{"\\ud800":1}', "lone surrogate"),
        (b'"\\ude00\\ud83d"', "lone surrogate"),
        (b"// c\n1", "Expecting value"),
    ],
)
def test_what_readers_differ_on(raw: bytes, problem: str) -> None:
    with pytest.raises(BadJSON, match=problem) as caught:
        parse_json(raw, "here", LIMITS, "manifest")
    assert caught.value.where == "here"


@pytest.mark.parametrize(
    "raw", [b"9223372036854775807", b"-9223372036854775808", b'"\\ud83d\\ude00"', b'"\\\\ud800"', b" \t\r\n1\n"]
)
def test_what_just_fits(raw: bytes) -> None:
    assert parse_json(raw, "here", LIMITS, "manifest") == json.loads(raw)


def nested(depth: int, opening: str = "[", closing: str = "]", inside: str = "") -> bytes:
    return (opening * depth + inside + closing * depth).encode()


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth(opening: str) -> None:
    closing, inside = ("]", "") if opening == "[" else ("}", "1")
    parse_json(nested(64, opening, closing, inside), "here", LIMITS, "manifest")
    with pytest.raises(BadJSON, match="64 levels"):
        parse_json(nested(65, opening, closing, inside), "here", LIMITS, "manifest")


def test_brackets_in_strings_are_no_depth() -> None:
    value = {"a\\": "[" * 100, '"[[[': ['{"' * 100, "\\" * 3 + "["]}
    assert parse_json(json.dumps(value).encode(), "here", LIMITS, "manifest") == value


def calls(raw: bytes) -> int:
    """Parse *raw*, and count the calls that takes."""
    count = 0

    def see(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        with suppress(BadJSON, DuplicateKey):
            parse_json(raw, "here", LIMITS, "manifest")
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "make",
    [
        lambda size: b"[" * size,
        lambda size: b"[]" * (size // 2),
        lambda size: b'"' + b'\\"' * (size // 2 - 1),
        lambda size: b"[" * 65 + b'"' + b'\\"' * (size // 2 - 40),
        lambda size: b'{"a":' * (size // 5),
        lambda size: b"[" + b"{}," * (size // 3 - 1) + b"{}]",
        lambda size: b"[" + b",".join([b'{"k":1,"K":2}'] * (size // 14)) + b"]",
        lambda size: b"[" + b",".join([b'{"labels":{"k":1,"K":2}}'] * (size // 25)) + b"]",
        lambda size: b"1" * size,
        lambda size: b"{" + b",".join(b'"%d":0' % number for number in range(size // 12)) + b"}",
    ],
    ids=range(10),
)
def test_work_is_linear(make: Callable[[int], bytes]) -> None:
    assert calls(make(MIB // 4)) <= 4 * calls(make(MIB // 16)) + 100
    with suppress(BadJSON, DuplicateKey):
        # work inside one call is not counted: were that quadratic, this took minutes
        parse_json(make(MIB), "here", LIMITS, "manifest")


@pytest.mark.parametrize(
    ("raw", "path", "key", "other"),
    [
        (b'{"a":1,"a":1}', "$", "a", "a"),
        (b'{"x":[0,{"a":1,"b":2,"a":3}]}', "$.x[1]", "a", "a"),
        (b'{"Layers":[],"layers":[]}', "$", "layers", "Layers"),
        (b'{"config":{"digest":1,"DIGEST":2}}', "$.config", "DIGEST", "digest"),
        (b'{"a-b":{"k":1,"k":1}}', "$['a-b']", "k", "k"),
        ('{"layers":1,"layer\u017f":2}'.encode(), "$", "layer\u017f", "layers"),
        (b'{"a":{"b":1,"b":2},"a":3}', "$", "a", "a"),
        (b'{"annotations":{"k":1,"k":2}}', "$.annotations", "k", "k"),
        (b'{"annotations":{"k":{"x":1,"X":2}}}', "$.annotations.k", "X", "x"),
    ],
)
def test_keys_that_are_one(raw: bytes, path: str, key: str, other: str) -> None:
    with pytest.raises(DuplicateKey) as caught:
        parse_json(raw, "here", LIMITS, "manifest")
    assert caught.value.args == ("here", path, key, other)


@pytest.mark.parametrize("name", ["annotations", "Labels", "Volumes", "ExposedPorts"])
def test_words_that_people_chose_may_differ_in_case(name: str) -> None:
    value = {"config": {name: {"A": "1", "a": "2"}}}
    assert parse_json(format_json(value), "here", LIMITS, "manifest") == value


def test_a_document_of_words_that_people_chose() -> None:
    raw = b'{"app":{"V1":{"A":1,"a":2},"v1":[{"B":1,"b":2}]},"App":{}}'
    assert parse_json(raw, "x", LIMITS, "manifest", free_keys=True) == json.loads(raw)
    with pytest.raises(DuplicateKey):
        parse_json(raw, "x", LIMITS, "manifest")
    with pytest.raises(DuplicateKey, match="appears twice"):
        parse_json(b'{"app":{"a":1,"a":2}}', "x", LIMITS, "manifest", free_keys=True)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("manifest", ManifestTooLarge), ("docker_manifest", ManifestTooLarge), ("config", ConfigTooLarge)],
)
def test_size(kind: DocumentLimit, error: type[LimitError]) -> None:
    limits = Limits(**{kind: 6})
    assert parse_json(b'"1234"', "here", limits, kind) == "1234"
    with pytest.raises(error) as caught:
        parse_json(b'"12345"', "here", limits, kind)
    assert (caught.value.allowed, caught.value.value, caught.value.settings) == (6, 7, (kind,))


def test_what_was_accepted_before_is_read_again_whatever_it_is() -> None:
    raw = b'{"a":' + b"[" * 200 + b'"' + b"x" * (5 << 20) + b'"' + b"]" * 200 + b"}"
    with pytest.raises(ManifestTooLarge):
        parse_json(raw, "here", LIMITS, "manifest")
    assert parse_again(raw) == json.loads(raw)


@given(st.binary() | st.text().map(str.encode) | st.from_regex(rb'[\[\]{}":,\\a0-9.eE+ -]{0,60}', fullmatch=True))
def test_any_bytes_are_read_as_the_standard_library_does_or_refused(raw: bytes) -> None:
    try:
        value = parse_json(raw, "here", LIMITS, "manifest")
    except (BadJSON, DuplicateKey):
        return
    assert value == json.loads(raw.decode())
    assert not re.search(rb"NaN|Infinity", raw) or b'"' in raw


def test_nan_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        format_json(float("nan"))


def test_vectors_of_the_image_layout(shared: Path) -> None:
    cases = json.loads((shared / "corpus/vectors/image-spec-schema.json").read_text())["cases"]
    layouts = [case for case in cases if case["field"] == "imageLayout"]
    assert [case["must_fail"] for case in layouts] == [True, False]
    with pytest.raises(BadJSON):
        parse_json(layouts[0]["json"].encode(), "oci-layout", LIMITS, "manifest")
    assert parse_json(layouts[1]["json"].encode(), "oci-layout", LIMITS, "manifest") == {"imageLayoutVersion": "1.0.0"}


def test_documents_of_real_tools(shared: Path) -> None:
    documents = [path for path in sorted((shared / "corpus/images").rglob("*.json")) if path.name != "expected.json"]
    read = 0
    for path in documents:
        raw = path.read_bytes()
        try:
            expected = json.loads(raw)
        except ValueError:
            continue
        assert parse_json(raw, path.name, LIMITS, "manifest") == expected
        read += 1
    assert read >= 20
