from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.image.go_json import format_go_json, join_go_object, split_go_object

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_the_same_value_is_read_back(value: Any) -> None:
    text = format_go_json(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029\n\t")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("<a href='&'>", "\"\\u003ca href='\\u0026'\\u003e\""),
        ("\u2028\u2029", '"\\u2028\\u2029"'),
        ('"\\/', '"\\"\\\\/"'),
        ("\n\r\t", '"\\n\\r\\t"'),
        ("\0\b\f\x1f\x7f", '"\\u0000\\u0008\\u000c\\u001f\x7f"'),
        ("é\U0001f433", '"é\U0001f433"'),
        ({"b": [True, None, -0], "a": {}}, '{"b":[true,null,0],"a":{}}'),
    ],
)
def test_text_is_spelled_as_go_spells_it(value: Any, text: str) -> None:
    """What json.Marshal of Go 1.19 prints, with which Docker 20.10 was built."""
    assert format_go_json(value) == text


@given(st.dictionaries(texts, values, max_size=5), st.sampled_from([None, 1, "\t"]))
def test_an_object_is_split_and_joined(value: dict[str, Any], indent: int | str | None) -> None:
    members = split_go_object(json.dumps(value, ensure_ascii=False, indent=indent))
    assert {key: json.loads(text) for key, text in members.items()} == value
    joined = join_go_object(members)
    assert json.loads(joined) == value
    assert list(json.loads(joined)) == sorted(value)
    assert not set(joined) & set("<>&\u2028\u2029")


def test_values_keep_their_spelling() -> None:
    text = '{ "a" : 1.50e+2 , "b":[ -0, "\\u00E9\\/" ],"\\u0063":"<,:{}[]\\"" , "": {} }'
    assert split_go_object(text) == {
        "a": "1.50e+2",
        "b": '[-0,"\\u00E9\\/"]',
        "c": '"\\u003c,:{}[]\\""',
        "": "{}",
    }
    assert split_go_object(" {} ") == {}
