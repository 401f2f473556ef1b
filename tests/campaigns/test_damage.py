"""A small share of what damage.py does in full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from campaigns.damage import Findings, cut_short, flipped, run


@pytest.mark.parametrize("seed", [1, 2])
def test_no_damage_is_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)        # half of all the time
    found = run(tmp_path, flips=150, truncations=100, seed=seed)
    assert found.problems == []
    assert sum(found.outcomes.values()) == 250
    assert {outcome for _, outcome in found.outcomes} <= {"refused", "unharmed", "renamed"}
    assert _count(found, "refused") > 200
    assert _count(found, "refused", "docker-archive, cut_short") > 40
    assert _count(found, "refused", "oci, flipped") > 40


def _count(found: Findings, outcome: str, kind: str | None = None) -> int:
    return sum(count for (row, word), count in found.outcomes.items() if word == outcome and kind in (None, row))


def test_damage_is_done_and_undone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    with flipped(path, 8):
        assert path.read_bytes() == b"acc"
    with cut_short(path, 1):
        assert path.read_bytes() == b"a"
    assert path.read_bytes() == b"abc"
