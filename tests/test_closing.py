"""Leaving a context closes."""

from __future__ import annotations

import pytest

from occy_fast.closing import Closing


class Door(Closing):
    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_leaving_closes_whatever_happened() -> None:
    with Door() as door:
        assert door.closed == 0
    assert door.closed == 1
    with pytest.raises(KeyError), door:
        raise KeyError
    assert door.closed == 2


def test_it_takes_no_attributes_of_its_own() -> None:
    class Slotted(Door):
        __slots__ = ()

    assert Closing.__slots__ == ()
    with pytest.raises(NotImplementedError), Closing():
        pass
    assert Slotted().closed == 0
