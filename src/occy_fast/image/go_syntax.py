"""What Go's encoding/json says of a text that is no JSON: the first character that it does not take, and why."""

from __future__ import annotations

import re
from typing import Final

SPACE: Final = re.compile(r"[ \t\n\r]*+")
_STRING_START: Final = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_NUMBER_START: Final = re.compile(r"-?(?:0|[1-9][0-9]*+)?+(?:\.[0-9]*+)?+(?:[eE][+-]?[0-9]*+)?+")
_PLAIN_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x07": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v"}


class GoSyntaxError(ValueError):
    """It is no JSON to Go."""


_PLACES: Final = {
    "value": "looking for beginning of value",
    "value or ]": "looking for beginning of value",
    "key or }": "looking for beginning of object key string",
    "key": "looking for beginning of object key string",
    ":": "after object key",
    ", or }": "after object key:value pair",
    ", or ]": "after array element",
    "end": "after top-level value",
}


def syntax_error(text: str, pos: int, expects: str) -> GoSyntaxError:
    """Return what Go says of the first character that it does not take at *pos* or behind."""
    found = SPACE.match(text, pos)
    pos = found.end() if found is not None else pos
    place = _PLACES[expects]
    begun = text[pos : pos + 1]
    takes_value, takes_key = expects in ("value", "value or ]"), expects in ("key", "key or }")
    if begun == '"' and (takes_value or takes_key):
        pos, place = _string_fault(text, pos)
    elif begun and begun in "-0123456789" and takes_value:
        pos, place = _number_fault(text, pos, place)
    elif begun and begun in "tfn" and takes_value:
        word = {"t": "true", "f": "false", "n": "null"}[begun]
        same = next(at for at in range(len(word) + 1) if text[pos + at : pos + at + 1] != word[at : at + 1])
        pos, place = pos + same, f"in literal {word} (expecting '{word[same]}')"
    if pos >= len(text):
        return GoSyntaxError("unexpected end of JSON input")
    return GoSyntaxError(f"invalid character {_quoted(text[pos])} {place}")


def _string_fault(text: str, pos: int) -> tuple[int, str]:
    found = _STRING_START.match(text, pos)
    assert found is not None
    pos = found.end()
    if text[pos : pos + 1] != "\\":
        return pos, "in string literal"
    if text[pos + 1 : pos + 2] != "u":
        return pos + 1, "in string escape code"
    pos += 2
    while text[pos : pos + 1] and text[pos] in "0123456789abcdefABCDEF":
        pos += 1
    return pos, "in \\u hexadecimal character escape"


def _number_fault(text: str, pos: int, place: str) -> tuple[int, str]:
    found = _NUMBER_START.match(text, pos)
    assert found is not None
    end, last = found.end(), text[found.end() - 1]
    if last == ".":
        return end, "after decimal point in numeric literal"
    if last in "eE+-":
        return end, "in numeric literal" if end == pos + 1 else "in exponent of numeric literal"
    return end, place


def _quoted(character: str) -> str:
    if character in "'\"":
        return "'\\''" if character == "'" else "'\"'"
    if character in _PLAIN_ESCAPES or character == "\\":
        return f"'{_PLAIN_ESCAPES.get(character, chr(92) * 2)}'"
    code = ord(character)
    if character.isprintable() and code != 0xAD:
        return f"'{character}'"
    return f"'\\x{code:02x}'" if code < 0x80 else f"'\\u{code:04x}'"
