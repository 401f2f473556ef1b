"""The JSON fuzz target: a short run of it, and what it would notice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fuzz import json_target
from occy_fast.errors import BadJSON
from occy_fast.spec.limits import Limits


def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    assert json_target.fuzz(60, 20_000, 1, [], tmp_path / "found") == 20_000
    assert not (tmp_path / "found").exists()


def lenient(raw: bytes, where: str, limits: Limits, kind: str) -> Any:
    return json.loads(raw.decode())


def sour(raw: bytes, where: str, limits: Limits, kind: str) -> Any:
    raise BadJSON(where, "no")


@pytest.mark.parametrize(
    ("reader", "raw"),
    [
        (lenient, b'{"a":1,"a":2}'),
        (lenient, b'{"size":1,"Size":2}'),
        (lenient, b"[NaN]"),
        (lenient, b"18446744073709551616"),
        (lenient, b'"\\ud800"'),
        (lenient, b"[" * 65 + b"]" * 65),
        (sour, b'{"labels":{"a":1,"A":2}}'),
        (sour, b"[1.5]"),
    ],
)
def test_a_reader_that_is_wrong_is_noticed(reader: Any, raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    json_target.one_input(raw)
    monkeypatch.setattr(json_target, "parse_json", reader)
    with pytest.raises(AssertionError):
        json_target.one_input(raw)
