"""What Go's encoding/json makes of a document: whether it decodes into a struct, and what Go says where it does not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from occy_fast.image.go_syntax import SPACE, GoSyntaxError, syntax_error
from occy_fast.spec.go_time import A_TIME, rewrite_time

Kind = Literal["text", "boolean", "integer", "time", "arguments", "argument", "list", "map", "struct"]
"""Of a Go value; "arguments" is Docker's StrSlice, a list of strings that may be written as one string."""

DEEPEST: Final = 10_000
"""How many brackets Go opens inside one another at most."""

_TOKEN: Final = re.compile(
    r'[ \t\n\r]*+(?:("(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")'
    r"|(-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+)(?![.eE])|(true|false|null)|([][{},:]))"
)
_ZONE: Final = re.compile(r"[+-](\d\d):(\d\d)\Z", re.ASCII)
_LONGEST_SHOWN: Final = 80
_INT64: Final = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True)
class GoType:
    """One type that documents are decoded into.

    Attributes:
        name: as Go prints it.
        item: of a list or map, the type of its values.
        fields: of a struct, by the names that the document has for them.
        check: of a text, or of a map's keys: returns what the consumer says of one that it refuses, else nothing.
        any_zone: of a time, the offset of its zone may be any number, as it may before Go 1.20.
        written: of a time, it is written again, which Go 1.20 and later do of less than they read.
    """

    kind: Kind
    name: str
    item: GoType | None = None
    fields: tuple[tuple[str, GoType], ...] = ()
    check: Callable[[str], str] | None = None
    any_zone: bool = False
    written: bool = False
    _by_name: dict[str, tuple[str, GoType]] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {name.casefold(): (name, kind) for name, kind in self.fields})

    def field_of(self, key: str) -> tuple[str, GoType] | None:
        """Return the field that *key* means, which Go finds in any case; None for a key that it passes over."""
        found = self._by_name.get(key.casefold())
        return found if found is not None and len(found[0]) == len(key) else None

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], GoType]]:
        """Yield all fields below, outer ones first, with their paths."""
        for name, kind in self.fields:
            yield (*path, name), kind
            yield from kind.walk((*path, name))


class Refusal(NamedTuple):
    """Why a document is not decoded.

    Attributes:
        path: the field, as ``config.Tty``; empty where the document is no JSON, or no object.
        expected, found: kinds of values, for people; *expected* is empty where the document is no JSON.
        says: Go's own words.
    """

    path: str
    expected: str
    found: str
    says: str


def find_refusal(raw: bytes, struct: GoType) -> Refusal | None:
    """Return why json.Unmarshal does not decode *raw* into *struct*, or None.

    It reads bytes that are no UTF-8 and surrogates without their other half, keys in any case and again and again, and
    null for everything; what it has no field for may hold anything.
    """
    decoder = _Decoder(struct)
    try:
        decoder.run(raw.decode("latin-1"))
    except GoSyntaxError as error:
        return Refusal("", "", "", str(error))
    return decoder.failed or decoder.saved


_ARGUMENT: Final = GoType("argument", "string")


def cut_below(raw: bytes, levels: int) -> bytes:
    """Return a document with null for what nests deeper than *levels*, which is more than Python's parser may bear.

    Args:
        raw: JSON to Go: find_refusal has found that.
    """
    text, pieces, depth = raw.decode("latin-1"), [], 0
    for found in _TOKEN.finditer(text):
        mark = found[4]
        if mark in ("}", "]"):
            depth -= 1
        if depth < levels:
            pieces.append(found[0])
        elif depth == levels and mark in ("{", "["):
            pieces.append("null")
        elif depth == levels and mark not in ("}", "]"):
            pieces.append(found[0])
        if mark in ("{", "["):
            depth += 1
    return "".join(pieces).encode("latin-1")


class _Frame(NamedTuple):
    """What is being decoded: an object or a list, or what nothing is decoded from (*type* is None).

    Attributes:
        owner, path: the innermost struct and the fields that lead to it, which Go tells in errors.
    """

    closing: str
    type: GoType | None
    owner: str
    path: tuple[str, ...]


class _Decoder:
    """Decodes one document in one pass, with what Go would keep of it left out."""

    def __init__(self, struct: GoType) -> None:
        self._struct = struct
        self._frames: list[_Frame] = []
        self.saved: Refusal | None = None                # Go tells the first of these once all is decoded,
        self.failed: Refusal | None = None               # and stops at one of these

    def run(self, text: str) -> None:
        """Read all of *text*, which has a character for each byte. Raises GoSyntaxError."""
        pos, expects = 0, "value"
        pending: tuple[GoType | None, str, tuple[str, ...]] = (self._struct, "", ())
        while expects != "end":
            found = _TOKEN.match(text, pos)
            if found is None:
                raise syntax_error(text, pos, expects)
            string, number, literal, mark = found.groups()
            start, pos = found.start(found.lastindex or 0), found.end()
            if expects in ("key", "key or }") and string is not None:
                pending, expects = self._key(string), ":"
            elif expects == ":" and mark == ":":
                expects = "value"
            elif expects in ("value", "value or ]") and mark in ("{", "["):
                self._frames.append(self._open(mark, *pending))
                if len(self._frames) > DEEPEST:
                    raise GoSyntaxError("exceeded max depth")
                expects, pending = ("key or }", (None, "", ())) if mark == "{" else ("value or ]", self._item())
            elif expects in ("value", "value or ]") and mark is None:
                self._scalar(string, number, literal, *pending)
                expects = self._after()
            elif mark is not None and self._frames and mark == self._frames[-1].closing and self._may_close(expects):
                self._frames.pop()
                expects = self._after()
            elif mark == "," and expects in (", or }", ", or ]"):
                expects, pending = ("key", (None, "", ())) if expects == ", or }" else ("value", self._item())
            else:
                raise syntax_error(text, start, expects)
        rest = SPACE.match(text, pos)
        assert rest is not None
        if rest.end() < len(text):
            raise syntax_error(text, rest.end(), expects)

    def _may_close(self, expects: str) -> bool:
        return expects in ("key or }", "value or ]", ", or }", ", or ]")

    def _after(self) -> str:
        """Return what is expected after a value."""
        return f", or {self._frames[-1].closing}" if self._frames else "end"

    def _item(self) -> tuple[GoType | None, str, tuple[str, ...]]:
        """Return what a value of the list that is being decoded is decoded into."""
        frame = self._frames[-1]
        if frame.type is not None and frame.type.kind == "arguments":
            return _ARGUMENT, frame.owner, frame.path
        return (frame.type.item if frame.type is not None else None, frame.owner, frame.path)

    def _key(self, string: str) -> tuple[GoType | None, str, tuple[str, ...]]:
        """Return what the value of the key in *string* is decoded into."""
        frame = self._frames[-1]
        if frame.type is None:
            return None, "", ()
        key = _unquote(string)
        if frame.type.kind == "map":
            if frame.type.check is not None and (problem := frame.type.check(key)):
                self._fail(Refusal(".".join(frame.path), "ports", f"'{_shown(key)}'", problem))
            return frame.type.item, frame.owner, frame.path
        if (known := frame.type.field_of(key)) is None:
            return None, "", ()
        return known[1], frame.type.name.rpartition(".")[2], (*frame.path, known[0])

    def _open(self, mark: str, type: GoType | None, owner: str, path: tuple[str, ...]) -> _Frame:
        """Begin an object or a list; where it is not what *type* is, nothing is decoded from it."""
        closing, shape = ("}", "object") if mark == "{" else ("]", "array")
        if type is None:
            return _Frame(closing, None, owner, path)
        fits = type.kind in (("struct", "map") if mark == "{" else ("list", "arguments"))
        if not fits:
            self._mismatch(type, shape, owner, path)
        return _Frame(closing, type if fits else None, owner, path)

    def _scalar(
        self,
        string: str | None,
        number: str | None,
        literal: str | None,
        type: GoType | None,
        owner: str,
        path: tuple[str, ...],
    ) -> None:
        if type is None or literal == "null":
            return
        if type.kind == "time":
            written = string or number or literal or ""
            if problem := _time_problem(written, type):
                self._fail(Refusal(".".join(path), EXPECTED["time"], _shown(written), problem))
        elif string is not None:
            if type.kind not in ("text", "arguments", "argument"):
                self._mismatch(type, "string", owner, path)
            elif type.check is not None and (problem := type.check(text := _unquote(string))):
                self._fail(Refusal(".".join(path), type.name, f"'{_shown(text)}'", problem))
        elif literal is not None:
            if type.kind != "boolean":
                self._mismatch(type, "bool", owner, path)
        elif type.kind != "integer":
            self._mismatch(type, "number", owner, path)
        elif not _is_int64(number or ""):
            self._mismatch(type, f"number {number}", owner, path)

    def _mismatch(self, type: GoType, found: str, owner: str, path: tuple[str, ...]) -> None:
        name = type.name
        if type.kind == "argument":                      # the list is no list of strings, and no string either
            found = "array"
        where = f"Go struct field {owner}.{'.'.join(path)}" if path else "Go value"
        found = _shown(found)
        says = f"json: cannot unmarshal {found} into {where} of type {name}"
        if type.kind == "time":
            says = "Time.UnmarshalJSON: input is not a JSON string"
        refusal = Refusal(".".join(path), EXPECTED[type.kind], FOUND.get(found, found), says)
        if type.kind in ("arguments", "argument", "time"):           # they decode themselves
            self._fail(refusal)
        elif self.saved is None:
            self.saved = refusal

    def _fail(self, refusal: Refusal) -> None:
        if self.failed is None:
            self.failed = refusal


EXPECTED: Final[dict[Kind, str]] = {
    "text": "a string",
    "boolean": "true or false",
    "integer": "an integer of 64 bits",
    "time": A_TIME,
    "arguments": "a list of strings, or a string",
    "argument": "a list of strings, or a string",
    "list": "a list",
    "map": "an object",
    "struct": "an object",
}
"""What is expected for a kind, for people."""

FOUND: Final = {
    "object": "an object",
    "array": "a list",
    "string": "a string",
    "bool": "true or false",
    "number": "a number",
}
"""What Go calls the kinds of values that it finds, for people."""


def _unquote(string: str) -> str:
    """Return the text of a string of which every character is a byte."""
    text = string[1:-1].encode("latin-1").decode("utf-8", "replace")
    if "\\" not in text:
        return text
    return str(json.loads(f'"{text}"', strict=False))


def _shown(text: str) -> str:
    """Return as much of a value as a message can hold."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _is_int64(number: str) -> bool:
    digits = number.removeprefix("-")
    return digits.isdecimal() and len(digits) < 20 and int(number) in _INT64


def _time_problem(written: str, type: GoType) -> str:
    """Return what Go says of a time; it looks at the text as it is written, escapes included."""
    if not written.startswith('"'):
        return "Time.UnmarshalJSON: input is not a JSON string"
    text = written[1:-1].encode("latin-1").decode("utf-8", "replace")
    try:
        rewrite_time(text)
    except ValueError:
        return f'parsing time "{_shown(text)}" as "2006-01-02T15:04:05Z07:00": cannot parse'
    zone = _ZONE.search(text)
    hours, minutes = (int(zone[1]), int(zone[2])) if zone is not None else (0, 0)
    if not type.any_zone and (hours > 24 or minutes > 60):
        return f'parsing time "{_shown(text)}": time zone offset out of range'
    if type.written and hours * 60 + minutes >= 24 * 60:
        return "Time.MarshalJSON: timezone hour outside of range [0,23]"
    return ""
