"""Read and write JSON that every reader understands alike."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any, Final

from occy_fast.errors import BadJSON, DuplicateKey
from occy_fast.spec.limits import UNBOUNDED, DocumentLimit, Limits
from occy_fast.words import printable

_Path = tuple[()] | tuple["_Path", "str | int"]
"""The way from the root to a value, last step outermost: it is written out only where something is wrong."""

# Values of these keys map words that people chose (label names, paths, ports), and those may differ in case. Keys of
# every other object are field names, which Go matches without case: it would take one, and this library the other.
FREE_MAPS: Final = frozenset({"annotations", "labels", "volumes", "exposedports"})

_INT64: Final = range(-(1 << 63), 1 << 63)
# Removes all but brackets, strings first. A string without end runs to the end of the text: one pass, whatever comes.
_NOT_BRACKETS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[^]["{}]++', re.DOTALL)
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(raw: bytes, where: str, limits: Limits, kind: DocumentLimit, *, free_keys: bool = False) -> Any:
    """Read one JSON document, and refuse what two readers could understand differently.  (RFC 8259, RFC 7493)

    Args:
        where: what the bytes are, for messages.
        kind: which of the *limits* its size is held to.
        free_keys: all keys are words that people chose, and may differ in case only.

    Raises:
        DuplicateKey: an object has a key twice, or two that differ in case only.
        BadJSON: no JSON, bad UTF-8, a byte order mark, a lone surrogate, NaN, Infinity, an integer beyond 64 bits, more
            levels than allowed, or bytes after the value.
        ManifestTooLarge, ConfigTooLarge: by *kind*, more bytes than allowed.
    """
    limits.check_document(kind, len(raw), where)
    deepest = limits.json_depth
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJSON(where, f"no UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise BadJSON(where, "begins with a byte order mark")
    if _depth(raw, deepest) > deepest:
        raise BadJSON(where, f"more than {deepest} levels deep")
    clashing: list[tuple[dict[str, Any], list[str]]] = []

    def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        count = len(pairs)
        if count > 1 and (len(made) != count or len({key.casefold() for key in made}) != count):
            clashing.append((made, [key for key, _ in pairs]))
        return made

    try:
        value = json.loads(
            text,
            object_pairs_hook=make_object,
            parse_int=_parse_int,
            parse_float=_parse_float,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise BadJSON(where, f"{error.msg} at character {error.pos}") from None
    except _BadNumber as error:
        raise BadJSON(where, str(error)) from None
    if clashing:
        _refuse_clashes(value, {id(made): keys for made, keys in clashing}, where, free_keys=free_keys)
    if _SURROGATE_ESCAPE.search(text):
        _refuse_lone_surrogates(value, where)
    return value


def parse_again(raw: bytes) -> Any:
    """Read a JSON document that was accepted before, by whatever limits: a value afresh, to be edited."""
    return parse_json(raw, "", UNBOUNDED, "manifest")


def format_json(value: Any) -> bytes:
    """Write a JSON document: compact, keys in the order given, text as UTF-8."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


class _BadNumber(ValueError):
    """A number that is JSON and means different things to different readers."""


def _parse_int(digits: str) -> int:
    if len(digits) > 20:  # before int(), which takes quadratic time and has a limit of its own
        raise _BadNumber(f"integer of {len(digits)} digits exceeds 64 bits")
    value = int(digits)
    if value not in _INT64:
        raise _BadNumber(f"integer {digits} exceeds 64 bits")
    return value


def _parse_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _BadNumber("number exceeds the range of a double")
    return value


def _refuse_constant(name: str) -> Any:
    raise _BadNumber(f"{name} is no JSON")


def _depth(raw: bytes, deepest: int) -> int:
    """Return how deep brackets nest, where that can be more than *deepest*; for what is no JSON, any number."""
    if raw.count(b"[") + raw.count(b"{") <= deepest:
        return 0
    return max(accumulate(map(_STEP.__getitem__, _NOT_BRACKETS.sub(b"", raw))), default=0)


def _refuse_clashes(root: Any, clashing: dict[int, list[str]], where: str, *, free_keys: bool) -> None:
    """Raise for the first object of *clashing* (keys by object) that has a key twice, or a field name in two spellings.

    An object that is no longer in *root* was the value of a key that came twice; then the object with that key is.
    """
    stack: list[tuple[Any, _Path, bool]] = [(root, (), free_keys)]
    while stack:
        value, path, free = stack.pop()
        if isinstance(value, dict):
            keys = clashing.get(id(value))
            clash = keys and (_clash(keys, str) or (None if free else _clash(keys, str.casefold)))
            if clash:
                raise DuplicateKey(where, _written(path), *clash)
            stack += [
                (item, (path, key), free_keys or key.casefold() in FREE_MAPS)
                for key, item in reversed(value.items())
                if isinstance(item, (dict, list))
            ]
        elif isinstance(value, list):
            stack += [
                (value[number], (path, number), free_keys)
                for number in reversed(range(len(value)))
                if isinstance(value[number], (dict, list))
            ]


def _clash(keys: list[str], fold: Callable[[str], str]) -> tuple[str, str] | None:
    """Return the first of *keys* that is an earlier one, and that one, or None."""
    seen: dict[str, str] = {}
    for key in keys:
        folded = fold(key)
        if folded in seen:
            return key, seen[folded]
        seen[folded] = key
    return None


def _written(path: _Path) -> str:
    """Return *path* as in ``$.layers[3].size``."""
    steps: list[str] = []
    while path:
        path, step = path
        if isinstance(step, int):
            steps.append(f"[{step}]")
        else:
            steps.append(f".{step}" if step.isidentifier() else f"['{printable(step, 80)}']")
    return "$" + "".join(reversed(steps))


def _refuse_lone_surrogates(root: Any, where: str) -> None:
    stack: list[tuple[Any, _Path]] = [(root, ())]
    while stack:
        value, path = stack.pop()
        if isinstance(value, dict):
            stack += [pair for key, item in value.items() for pair in ((key, path), (item, (path, key)))]
        elif isinstance(value, list):
            stack += [(item, (path, number)) for number, item in enumerate(value)]
        elif isinstance(value, str) and not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise BadJSON(where, f"lone surrogate at {_written(path)}") from None
