"""What a goal refuses."""

from __future__ import annotations

from typing import Any

import pytest

from occy_fast.errors import UsageError
from occy_fast.planning.goal import Goal


@pytest.mark.parametrize("encoding", [3, "zstd", b"keep", False])
def test_a_goal_is_no_place_for_what_is_no_encoding(encoding: Any) -> None:
    with pytest.raises(UsageError, match="no encoding"):
        Goal(encoding)
