"""How much room there is, as the system says it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from occy_fast.files.space import free_space


def test_it_is_what_this_user_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = (4096, 512, 1000, 300, 200, 0, 0, 0, 0, 255)        # 300 blocks are free, 200 for who is not root
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(fields))
    assert free_space(str(tmp_path)) == 200 * 512


def test_where_nobody_says(tmp_path: Path) -> None:
    assert free_space(str(tmp_path / "absent")) is None
    assert free_space("/proc") is None
