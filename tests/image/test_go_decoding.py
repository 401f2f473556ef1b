"""What Go's encoding/json decodes, and what it says where it does not."""

from __future__ import annotations

import json

import pytest

from occy_fast.image.go_decoding import DEEPEST, GoType, Refusal, cut_below, find_refusal
from occy_fast.targets.config_structs import DOCKER_IMAGE_20, DOCKER_IMAGE_29, OCI_IMAGE, SCHEMA2_IMAGE_5
from support.config_damage import Damaged, odd_texts, odd_times

DIFF_IDS = ["sha256:" + "0" * 64]
TAKEN = {
    "space behind",
    "long number nobody reads",
    "huge exponent nobody reads",
    "no UTF-8",
    "half a surrogate",
    "9,999 levels",
    "key twice",
    "sharp s in a key",
}
TIMES = {
    "'2020-01-01T00:00:00.123456789123Z'",
    "'2020-01-01T00:00:00,5Z'",
    "'2020-01-01T0:00:00Z'",
    "'2020-02-29T00:00:00+01:00'",
    "'2020-01-01T00:00:00+24:00'",
    "2020-01-01T00:00:00+23:59",
    "2020-01-01T00:00:00+23:60",
    "2020-01-01T00:00:00-24:30",
    "'0000-01-01T00:00:00Z'",
}


@pytest.mark.parametrize("case", list(odd_texts(DIFF_IDS)), ids=str)
def test_text_that_is_odd(case: Damaged) -> None:
    assert (find_refusal(case.raw, DOCKER_IMAGE_20) is None) == (case.value in TAKEN)


@pytest.mark.parametrize("case", list(odd_times(DIFF_IDS)), ids=str)
def test_times_that_are_hardly_any(case: Damaged) -> None:
    for struct in (DOCKER_IMAGE_20, OCI_IMAGE):
        assert (find_refusal(case.raw, struct) is None) == (case.value in TIMES)


def test_a_zone_beyond_a_day_is_taken_before_go_1_20() -> None:
    raw = b'{"created":"2020-01-01T00:00:00+99:99","history":[{"created":"2020-01-01T00:00:00-25:00"}]}'
    assert find_refusal(raw, DOCKER_IMAGE_20) is None
    for struct in (DOCKER_IMAGE_29, OCI_IMAGE, SCHEMA2_IMAGE_5):
        assert find_refusal(raw, struct) is not None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        # as encoding/json puts it in Go 1.19 to 1.23, and read there
        ('{"config":{"Tty":"x"}}', "json: cannot unmarshal string into Go struct field Config.config.Tty of type bool"),
        ('{"Size":1.5}', "json: cannot unmarshal number 1.5 into Go struct field Image.Size of type int64"),
        (
            '{"config":{"Healthcheck":{"Interval":"30s"}}}',
            "json: cannot unmarshal string into Go struct field HealthConfig.config.Healthcheck.Interval "
            "of type time.Duration",
        ),
        ('{"config":{"Labels":{"a":1}}}', "json: cannot unmarshal number into Go struct field Config.config.Labels "
         "of type string"),
        ('{"config":{"Cmd":{}}}', "json: cannot unmarshal object into Go struct field Config.config.Cmd "
         "of type string"),
        ('{"config":{"Cmd":["a",{}]}}', "json: cannot unmarshal array into Go struct field Config.config.Cmd "
         "of type string"),
        ("[]", "json: cannot unmarshal array into Go value of type image.Image"),
        ('{"a":tru}', "invalid character '}' in literal true (expecting 'e')"),
        ('{"a":-}', "invalid character '}' in numeric literal"),
        ('{"a":1e}', "invalid character '}' in exponent of numeric literal"),
        ('{"a":1.}', "invalid character '}' after decimal point in numeric literal"),
        ('{"a":"\\q"}', "invalid character 'q' in string escape code"),
        ('{"a":"\\u00g0"}', "invalid character 'g' in \\u hexadecimal character escape"),
        ('{"a":"\n"}', "invalid character '\\n' in string literal"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 2}', "invalid character '2' after object key:value pair"),
        ('{"a":[1 2]}', "invalid character '2' after array element"),
        ("{1}", "invalid character '1' looking for beginning of object key string"),
        ("{'a'}", "invalid character '\\'' looking for beginning of object key string"),
        ("{}{", "invalid character '{' after top-level value"),
        ("\0", "invalid character '\\x00' looking for beginning of value"),
        ("\ufeff{}", "invalid character 'ï' looking for beginning of value"),
        ("", "unexpected end of JSON input"),
        ('{"a":"', "unexpected end of JSON input"),
        ('{"a":[', "unexpected end of JSON input"),
        ('{"a":t', "unexpected end of JSON input"),
    ],
)
def test_it_is_said_as_go_says_it(text: str, says: str) -> None:
    refusal = find_refusal(text.encode(), DOCKER_IMAGE_20)
    assert refusal is not None
    assert refusal.says == says


def test_the_first_value_of_a_wrong_type_is_told_unless_a_later_one_ends_it() -> None:
    """Go goes on behind a wrong type, and stops where a type that decodes itself refuses."""
    wrong = b'{"author":1,"os":2}'
    assert path_of(wrong) == "author"
    assert path_of(wrong[:-1] + b',"created":"","config":{"Cmd":1}}') == "created"
    assert path_of(wrong[:-1] + b",}") == ""


def test_a_port_is_parsed_where_docker_29_decodes_it() -> None:
    for key, taken in {"80": True, "80/tcp": True, "80/": True, "": True, "x/tcp": False, "/tcp": False, "65536": False,
                       "80-90/tcp": False, "00080/udp": True, "+80": False, "\u0663": False}.items():  # fmt: skip
        raw = json.dumps({"config": {"ExposedPorts": {key: {}}}}).encode()
        assert (find_refusal(raw, DOCKER_IMAGE_29) is None) == taken, key
        assert find_refusal(raw, DOCKER_IMAGE_20) is None


def test_numbers_have_the_range_of_their_type() -> None:
    for text, taken in {"9223372036854775807": True, "-9223372036854775808": True, "-9223372036854775809": False,
                        "9223372036854775808": False, "-0": True, "1.0": False, "1e3": False}.items():  # fmt: skip
        assert (find_refusal(b'{"Size":%s}' % text.encode(), SCHEMA2_IMAGE_5) is None) == taken, text


def test_what_is_long_is_not_told_whole() -> None:
    for raw in (b'{"Size":' + b"9" * 100_000 + b"}", b'{"created":"' + b"x" * 100_000 + b'"}'):
        refusal = find_refusal(raw, DOCKER_IMAGE_20)
        assert refusal is not None
        assert max(map(len, refusal)) < 300


def test_a_struct_is_walked_with_its_paths() -> None:
    inner = GoType("struct", "a.B", fields=(("x", GoType("text", "string")),))
    outer = GoType("struct", "a.A", fields=(("b", inner),))
    assert [path for path, _ in outer.walk()] == [("b",), ("b", "x")]
    assert find_refusal(b'{"B":{"X":[]}}', outer) == Refusal(
        "b.x", "a string", "a list", "json: cannot unmarshal array into Go struct field B.b.x of type string"
    )


def test_what_nests_deep_is_cut() -> None:
    deep = b'{"a": [1, {"b": [2]}], "c": {"d": 3}}'
    assert json.loads(cut_below(deep, 2)) == {"a": [1, None], "c": {"d": 3}}
    assert json.loads(cut_below(deep, 9)) == json.loads(deep)
    assert json.loads(cut_below(b'{"a":' + b"[" * (DEEPEST - 1) + b"]" * (DEEPEST - 1) + b"}", 1)) == {"a": None}


def path_of(raw: bytes) -> str:
    refusal = find_refusal(raw, DOCKER_IMAGE_20)
    assert refusal is not None
    return refusal.path
