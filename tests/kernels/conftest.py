"""The twins of the tar scan, for the tests of its parts."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest


@pytest.fixture(params=["native", "pure"])
def tar_scan(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(f"occy_fast.kernels.{request.param}.tar_scan")
