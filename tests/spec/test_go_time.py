"""Times as Go reads and writes them."""

from __future__ import annotations

import pytest

from occy_fast.spec.go_time import GO_ZERO_TIME, rewrite_time


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (GO_ZERO_TIME, GO_ZERO_TIME),
        ("2020-02-29T23:59:59.1200Z", "2020-02-29T23:59:59.12Z"),
        ("2020-01-01T0:00:00,5Z", "2020-01-01T00:00:00.5Z"),
        ("2020-01-01T00:00:00.1234567899Z", "2020-01-01T00:00:00.123456789Z"),
        ("2020-01-01T00:00:00+00:00", "2020-01-01T00:00:00Z"),
        ("2020-01-01T00:00:00-07:30", "2020-01-01T00:00:00-07:30"),
        ("0000-02-29T00:00:00Z", "0000-02-29T00:00:00Z"),
    ],
)
def test_it_is_written_as_go_does(text: str, written: str) -> None:
    assert rewrite_time(text) == written


@pytest.mark.parametrize(
    "text",
    ["", "2020-01-01", "2020-13-01T00:00:00Z", "2021-02-29T00:00:00Z", "2020-01-01T24:00:00Z", "2020-01-01T00:00:00"],
)
def test_what_go_does_not_read(text: str) -> None:
    with pytest.raises(ValueError, match="a time"):
        rewrite_time(text)
