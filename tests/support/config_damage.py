"""A config that everybody decodes, and the same with one value of another kind in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from occy_fast.image.go_decoding import GoType, Kind
from occy_fast.targets.config_structs import STRUCTS

VALUES: dict[str, str] = {
    "text": '"1"',
    "null": "null",
    "true": "true",
    "integer": "1",
    "fraction": "1.0",
    "exponent": "1e3",
    "too large": "9223372036854775808",
    "list": "[]",
    "list of texts": '["A=b"]',
    "list of numbers": "[1]",
    "object": "{}",
    "object of objects": '{"80/tcp": {}}',
    "object of texts": '{"80/tcp": "x"}',
    "object of numbers": '{"80/tcp": 1}',
    "time": '"2020-01-01T00:00:00Z"',
    "time with an escape": '"2020-01-01T00:00:00\\u005a"',
}
"""JSON text by what it is."""

_TEXTS = {"text", "time", "time with an escape"}
_OBJECTS = {name for name in VALUES if name.startswith("object")}
_TAKEN: dict[Kind, set[str]] = {
    "text": _TEXTS,
    "boolean": {"true"},
    "integer": {"integer"},
    "time": {"time"},
    "arguments": {*_TEXTS, "list", "list of texts"},
    "struct": _OBJECTS,
}
_ITEMS = {f"{kind} of {item}s": item for kind in ("list", "object") for item in ("text", "number")}


class Damaged(NamedTuple):
    """A config with one value in the place of another."""

    path: tuple[str, ...]
    value: str
    raw: bytes

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.value}"


def is_taken(kind: GoType, value: str) -> bool:
    """Tell whether Go decodes a value of VALUES into *kind*: said here once more, and of kinds alone."""
    if value == "null" or value in _TAKEN.get(kind.kind, set()):
        return True
    if kind.kind not in ("list", "map") or not value.startswith("list" if kind.kind == "list" else "object"):
        return False
    assert kind.item is not None
    item = _ITEMS.get(value, "none" if value in ("list", "object") else "object")
    return item == "none" or {"text": "text", "struct": "object"}.get(kind.item.kind) == item


def sound_config(diff_ids: list[str]) -> dict[str, Any]:
    """Return a config that every consumer decodes."""
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "config": {"Cmd": ["/nothing"], "Env": ["A=b"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "test"}],
    }


def with_value(diff_ids: list[str], path: tuple[str, ...], text: str) -> bytes:
    """Return the sound config with *text* for the value at *path*; steps into a list are its first item."""
    document = sound_config(diff_ids)
    place: Any = document
    for step in path[:-1]:
        place = place.setdefault(step, {})
        if isinstance(place, list):
            place = place[0]
    place[path[-1]] = "the value"
    return json.dumps(document).replace('"the value"', text).encode()


def fields() -> dict[tuple[str, ...], GoType]:
    """Return every field that some consumer decodes, by its path; a list of structs is its first item."""
    found: dict[tuple[str, ...], GoType] = {}
    for struct in STRUCTS.values():
        for path, kind in struct.walk():
            found.setdefault(path, kind)
    return found


def damaged(diff_ids: list[str]) -> Iterator[Damaged]:
    """Yield a config for every field and every kind of value."""
    for path in fields():
        for value, text in VALUES.items():
            yield Damaged(path, value, with_value(diff_ids, path, text))


def odd_texts(diff_ids: list[str]) -> Iterator[Damaged]:
    """Yield configs that are odd in their text: what is no JSON, and what Go takes all the same."""
    sound = json.dumps(sound_config(diff_ids)).encode()
    head = sound[:-1]
    for name, raw in {
        "comma before the end": head + b",}",
        "no end": head,
        "byte order mark": b"\xef\xbb\xbf" + sound,
        "text behind": sound + b" x",
        "zeros behind": sound + b"\0\0",
        "space behind": sound + b"\n\n",
        "unknown escape": head + b',"x":"\\x"}',
        "control character": head + b',"x":"\n"}',
        "half an escape": head + b',"x":"\\u12"}',
        "NaN": head + b',"x":NaN}',
        "leading zero": head + b',"x":01}',
        "dot without digits": head + b',"x":1.}',
        "plus sign": head + b',"x":+1}',
        "single quotes": head + b",'x':1}",
        "comment": head + b"/* */}",
        "long number nobody reads": head + b',"x":' + b"9" * 5000 + b"}",
        "huge exponent nobody reads": head + b',"x":1e999999}',
        "no UTF-8": head + b',"author":"\xff\xfe"}',
        "half a surrogate": head + b',"author":"\\ud800"}',
        "9,999 levels": head + b',"x":' + b"[" * 9998 + b"]" * 9998 + b"}",
        "10,001 levels": head + b',"x":' + b"[" * 10000 + b"]" * 10000 + b"}",
        "key twice": head + b',"author":"a","author":"b"}',
        "key twice, wrong first": head + b',"author":1,"author":"b"}',
        "key in capitals, wrong": head + b',"AUTHOR":1}',
        "Kelvin sign in a key, wrong": head + b',"config":{"Networ\xe2\x84\xaaDisabled":1}}',
        "long s in a key, wrong": head + b',"hi\xc5\xbftory":1}',
        "sharp s in a key": head + b',"config":{"MacAddre\xc3\x9f":1}}',
        "key with an escape, wrong": head + b',"auth\\u006fr":1}',
        "list": b"[]",
        "number": b"1",
        "nothing": b"",
        "spaces": b"  ",
    }.items():
        yield Damaged((), name, raw)


def odd_times(diff_ids: list[str]) -> Iterator[Damaged]:
    """Yield configs with times that are hardly any."""
    for text in (
        "",
        "2020-01-01",
        "2020-01-01T00:00:00",
        "2020-01-01t00:00:00Z",
        "2020-01-01T00:00:00z",
        "2020-01-01 00:00:00Z",
        "2020-01-01T00:00:00.123456789123Z",
        "2020-01-01T00:00:00,5Z",
        "2020-01-01T0:00:00Z",
        "2020-01-01T00:00:60Z",
        "2020-01-01T24:00:00Z",
        "2020-02-30T00:00:00Z",
        "2019-02-29T00:00:00Z",
        "2020-02-29T00:00:00+01:00",
        "2020-01-01T00:00:00+0100",
        "2020-01-01T00:00:00+24:00",
        "20200-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2020-01-01T00:00:00.Z",
        " 2020-01-01T00:00:00Z",
    ):
        yield Damaged(("created",), f"'{text}'", with_value(diff_ids, ("created",), json.dumps(text)))
    for zone in ("+23:59", "+23:60", "-24:30"):
        text = f"2020-01-01T00:00:00{zone}"
        yield Damaged(("created",), text, with_value(diff_ids, ("created",), json.dumps(text)))


def odd_values(diff_ids: list[str]) -> Iterator[Damaged]:
    """Yield configs that everybody decodes, with values that some make no container with."""
    variables = ("=x", "", "=", "A", "A=", " =x", "*")
    signals = ("FOO", "SIGFOO", "TERM", "sigterm", "99", "-1", "0", "64", "65", "rtmin+3", "RTMAX-15", "RTMIN+16")
    ports = ("x/tcp", "80/xyz", "80-90/tcp", "", "0/tcp", "70000/tcp", "80", "80/TCP", "80/tcp/udp", "-1", "90-80")
    for name, texts in {"Env": variables, "StopSignal": signals, "ExposedPorts": ports}.items():
        for text in texts:
            value: Any = {"Env": ["A=b", text], "StopSignal": text, "ExposedPorts": {text: {}}}[name]
            yield Damaged(("config", name), text, with_value(diff_ids, ("config", name), json.dumps(value)))
