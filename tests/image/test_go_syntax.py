"""What Go says of a text that is no JSON."""

from __future__ import annotations

import pytest

from occy_fast.image.go_syntax import syntax_error


@pytest.mark.parametrize(
    ("text", "pos", "expects", "says"),
    [
        ("{x", 1, "key or }", "invalid character 'x' looking for beginning of object key string"),
        ('{"a";', 4, ":", "invalid character ';' after object key"),
        ("[1;", 2, ", or ]", "invalid character ';' after array element"),
        ("falze", 0, "value", "invalid character 'z' in literal false (expecting 's')"),
        ("  ", 0, "value", "unexpected end of JSON input"),
        ("\x7f", 0, "value", "invalid character '\\x7f' looking for beginning of value"),
        ("\xff", 0, "value", "invalid character 'ÿ' looking for beginning of value"),
        ("\xad", 0, "value", "invalid character '\\u00ad' looking for beginning of value"),
        ("\\", 0, "value", "invalid character '\\\\' looking for beginning of value"),
    ],
)
def test_the_first_character_that_is_not_taken(text: str, pos: int, expects: str, says: str) -> None:
    assert str(syntax_error(text, pos, expects)) == says
