"""A small share of what cuts.py does in full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from campaigns.cuts import PLACES, run


def test_no_cut_is_read_as_something_else(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    found = run(tmp_path, shared, sample=500, seed=1)
    assert found.problems == []
    assert found.cuts == 500
    assert found.archives > 150
    for place in PLACES:
        assert found.outcomes[place, "refused"] > 400
        assert found.outcomes[place, "whole"] > 20
        assert found.outcomes[place, "wrong"] == 0


def test_all_borders_of_what_is_made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody has archives that other tools wrote."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    found = run(tmp_path, None)
    assert found.problems == []
    assert found.archives == 11
    assert set(found.outcomes) == {(place, outcome) for place in PLACES for outcome in ("refused", "whole")}
