"""What every test may use."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# What runs in a shell's background ignores Ctrl-C, and so would all that the tests send it to.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A time limit for one example fails on a busy machine without telling anything.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the directory of images and archives that stands beside the repository, or where OCCY_FAST_SHARED says."""
    directory = Path(os.environ.get("OCCY_FAST_SHARED") or ROOT.parent / "shared")
    if not directory.is_dir():
        pytest.skip(f"{directory} is not there: set OCCY_FAST_SHARED")
    return directory


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Where OCCY_FAST_NO_SKIPS is set, a test against real daemons that skips has failed."""
    report = yield
    demanded = os.environ.get("OCCY_FAST_NO_SKIPS") and item.get_closest_marker("interop")
    if demanded and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} may not skip here: {report.longrepr[-1]}"
    return report
