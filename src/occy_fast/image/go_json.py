"""JSON as Go's encoding/json writes it, byte by byte: where a digest was taken over its text, no other will do."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED: Final = re.compile('["\\\\\x00-\x1f<>&\u2028\u2029]')
_ESCAPED_IN_JSON: Final = re.compile("[<>&\u2028\u2029]")  # outside of strings none of them is JSON
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[][{},:]|[^][{},:"\s]++', re.DOTALL)


def format_go_json(value: Any) -> str:
    """Write *value* as json.Marshal does: compact, keys in the order given, `<`, `>`, `&`, U+2028 and U+2029 escaped.

    Args:
        value: of objects, lists, text, integers, true, false and null; Go has a way of its own to write fractions.
    """
    if isinstance(value, str):
        return f'"{_ESCAPED.sub(_escape, value)}"'
    if isinstance(value, dict):
        return "{" + ",".join(f"{format_go_json(key)}:{format_go_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(format_go_json, value)) + "]"
    assert value is None or isinstance(value, int), value
    return json.dumps(value)


def join_go_object(members: dict[str, str]) -> str:
    """Write an object of *members*, whose values are written already, as json.Marshal writes a map: keys sorted."""
    return "{" + ",".join(f"{format_go_json(key)}:{members[key]}" for key in sorted(members)) + "}"


def split_go_object(text: str) -> dict[str, str]:
    """Return the members of a JSON object, each value as json.Marshal writes a RawMessage of it.

    Strings and numbers stay spelled as they are; white space goes, and what json.Marshal escapes is escaped.

    Args:
        text: known to be valid: parse_json has read it.
    """
    members: dict[str, str] = {}
    key: str | None = None
    pieces: list[str] = []
    depth = 0
    for found in _TOKEN.finditer(text):
        token = found.group()
        if token in ("}", "]"):
            depth -= 1
        if depth > 1 or (depth == 1 and token not in (",", ":")):
            pieces.append(_ESCAPED_IN_JSON.sub(_escape, token))
        elif token == ":":
            key, pieces = json.loads("".join(pieces)), []
        elif key is not None:
            members[key] = "".join(pieces)
            key, pieces = None, []
        if token in ("{", "["):
            depth += 1
    return members


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _ESCAPES.get(character) or f"\\u{ord(character):04x}"
