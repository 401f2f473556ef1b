"""Which paths lead out of where they begin."""

from __future__ import annotations

import pytest

from occy_fast.image.loader_view import leads_out


@pytest.mark.parametrize("path", ["", ".", "/", "x", "/x", "a/..", "a/../x", "./a/b/../../x"])
def test_paths_that_stay(path: str) -> None:
    assert not leads_out(path)


@pytest.mark.parametrize("path", ["..", "../x", "./../x", "a/../../x", "/../x", "a/b/../../../x/y/z"])
def test_paths_that_lead_out(path: str) -> None:
    assert leads_out(path)
