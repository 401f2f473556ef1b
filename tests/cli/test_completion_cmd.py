"""`completion` on the command line."""

from __future__ import annotations

import pytest

from occy_fast.cli import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed_as_click_makes_it(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_OCCY_FAST_COMPLETE" in script
    assert "\\x" not in script
