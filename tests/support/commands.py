"""Commands run in this process, and what they print."""

from __future__ import annotations

import pytest

from occy_fast.cli import main

SAYS = "Error processing tar file(exit status 1): archive/tar: invalid tar header"


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Run a command; nothing may be on stderr."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert err == ""
    return out
