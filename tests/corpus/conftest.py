"""What the tests of the corpus share."""

from __future__ import annotations

from importlib import import_module

import pytest

from occy_fast.streams import tar as tar_module


@pytest.fixture(params=["native", "pure"])
def twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let entries be read by one side of the kernel."""
    side: str = request.param
    monkeypatch.setattr(tar_module, "tar_scan", import_module(f"occy_fast.kernels.{side}.tar_scan"))
    return side
