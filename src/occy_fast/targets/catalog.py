"""The targets that are known, by name and by version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from operator import itemgetter
from typing import Any

from occy_fast import schema
from occy_fast.errors import UnknownTarget
from occy_fast.targets.target import Support, Target

_NAMED_VERSION = re.compile(
    r"(?P<product>[a-z][a-z-]*?)-(?P<version>[0-9]{1,9}(?:\.[0-9]{1,9}){0,9})"
    r"(?:\+[a-z0-9.~+-]+|(?P<suffix>-[a-z0-9.-]+))?"
)

_WIDEST = ("all", "known")
"""Groups whose answers are those of narrower ones too, where these have none."""


@cache
def all_targets() -> tuple[Target, ...]:
    """Return every target that has a name of its own, in the order of the matrix."""
    matrix = _read("matrix.json")
    tested = _tested(_read("loading.json"), _read("configs.json"), _read("unpacking.json"))
    return tuple(_target(name, matrix["targets"], tested) for name in matrix["targets"])


def sources() -> dict[str, str]:
    """Return what each source of an answer is."""
    return {**_read("matrix.json")["sources"], **_read("configs.json")["sources"]}


def find_target(name: str) -> Target:
    """Return the target *name* means: a row of the matrix, or a version that one of them speaks for.

    Where several rows speak for a version, the one for the narrowest range does, and of those the one that needs no
    suffix: "docker-29.7" has the image store of new installations, "docker-29.7-graphdriver" the other one. What a
    distribution adds to a version, as in "docker-20.10.24+dfsg1", says nothing about what is read.

    Raises:
        UnknownTarget: with the nearest names, or with all if none is near.
    """
    known = {target.name: target for target in all_targets()}
    if name in known:
        return known[name]
    found = _NAMED_VERSION.fullmatch(name)
    row = _row_for(found["product"], found["version"], found["suffix"] or "") if found else None
    if row is not None:
        return replace(known[row], name=name)
    from difflib import get_close_matches

    raise UnknownTarget(name, tuple(get_close_matches(name.lower(), known, n=3, cutoff=0.6)) or tuple(known))


def targets_document(targets: Iterable[Target]) -> dict[str, Any]:
    """Return *targets* and what their sources are as a JSON object: what `occy-fast targets --json` prints."""
    return {
        "schema": schema.TARGETS,
        "targets": [target.to_json() for target in targets],
        "sources": sources(),
    }


def _versions(row: dict[str, Any]) -> str:
    """Print the versions a row speaks for."""
    _, first, end = row.get("versions", ("", "", ""))
    if first and end:
        return f"{first} to before {end}"
    return f"{first} and later" if first else f"before {end}" if end else ""


def _row_for(product: str, version: str, suffix: str) -> str | None:
    rows = {
        name: row["versions"]
        for name, row in _read("matrix.json")["targets"].items()
        if row.get("versions") and row["versions"][0] == product
    }
    wanted = _numbers(version)
    if len(wanted) == 1:                             # a major version alone is the range that begins in it
        begun = {_numbers(first) for _, first, _ in rows.values() if _numbers(first)[:1] == wanted}
        if len(begun) > 1:                           # which of them is meant, nobody knows
            return None
        wanted = begun.pop() if begun else (*wanted, 0)
    found: list[tuple[tuple[int, ...], bool, str]] = []
    for name, (_, first, end) in rows.items():
        if _numbers(first) <= wanted and (not end or wanted < _numbers(end)) and name.endswith(suffix):
            found.append((_numbers(first), name.removeprefix(product).strip("-.0123456789") == "", name))
    found.sort(key=lambda row: (row[0], row[1]), reverse=True)  # stable: of equals, the first in the matrix
    return found[0][2] if found else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".") if number)


def _target(name: str, rows: dict[str, Any], tested: dict[str, dict[str, Support]]) -> Target:
    """Make a target of its row, and of the rows it inherits from where it has no answer of its own."""
    supports: dict[str, Support] = {}
    row: str | None = name
    while row is not None:
        own = {feature: _support(words) for feature, words in rows[row]["cells"].items()}
        supports = {**tested.get(row, {}), **own, **supports}
        row = rows[row].get("inherits")
    known = [pair for pair in supports.items() if pair[1].answer != "unknown" or pair[1].sources]
    own = rows[name]
    return Target(name, name, own["name"], own["kind"], _versions(own), tuple(sorted(known, key=itemgetter(0))))


def _tested(*documents: dict[str, Any]) -> dict[str, dict[str, Support]]:
    """Spread what was tested over the rows of each group; what a row says for itself comes last, and holds."""
    found: dict[str, dict[str, Support]] = {}
    for document in documents:
        groups: dict[str, list[str]] = document["groups"]
        for feature, answers in document["cells"].items():
            for who, words in sorted(answers.items(), key=lambda pair: (pair[0] not in groups, pair[0] not in _WIDEST)):
                told = words if len(words) > 2 else [*words, "tested"]
                for row in groups.get(who, [who]):
                    found.setdefault(row, {})[feature] = _support(told)
    return found


def _support(words: list[str]) -> Support:
    return Support(words[0], words[1] if len(words) > 2 else "", tuple(words[-1].split()))  # type: ignore[arg-type]  # checked by its test


@cache
def _read(name: str) -> dict[str, Any]:
    from importlib.resources import files  # neither is worth its milliseconds to who names no target

    document: dict[str, Any] = json.loads(files("occy_fast.targets").joinpath(name).read_bytes())
    return document
