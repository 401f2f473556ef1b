"""Leaving a context closes."""

from __future__ import annotations

import pytest

from occy_fast.closing import Closing


class Door(Closing):
    __slots__ = ("closed",)

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_leaving_closes_whatever_happened() -> None:
    with Door() as door:
        assert door.closed == 0
    assert door.closed == 1
    with pytest.raises(KeyError), door:
        raise KeyError
    assert door.closed == 2


def test_who_derives_says_how_to_close() -> None:
    with pytest.raises(NotImplementedError), Closing():
        pass


def test_who_derives_may_do_without_a_dict() -> None:
    """One class without slots above it would give each object a dict."""
    with Door() as door, pytest.raises(AttributeError):
        door.open = True  # type: ignore[attr-defined]
