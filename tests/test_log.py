"""What is logged is fit to be read, whatever an image has put into it."""

from __future__ import annotations

import logging

import pytest

from occy_fast.log import log


def test_values_are_escaped_and_numbers_stay(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "occy_fast")
    log.info("%s: %d of %.1f", "app\x1b[2J\n", 3, 1.5)
    assert caplog.messages == ["app\\x1b[2J\\x0a: 3 of 1.5"]
