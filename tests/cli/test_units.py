"""Rates, times and counts as people read them."""

from __future__ import annotations

import pytest

from occy_fast.words import format_count, format_rate, format_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (0.421, "0.42 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h 00 min"),
    ],
)
def test_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_rate_of_no_time_is_not_infinite() -> None:
    assert format_rate(1_000_000, 0) == "-"
    assert format_rate(1_000_000, 0.5) == "2.0 MB/s"


def test_count_knows_the_plural() -> None:
    assert [format_count(count, "layer") for count in (0, 1, 1200)] == ["0 layers", "1 layer", "1,200 layers"]
