"""What the library logs comes out on stderr, as a command's options ask, and logging is as before afterwards."""

from __future__ import annotations

import logging

import pytest

from occy_fast.cli.logs import logged_to_stderr
from occy_fast.cli.output import OutputMode
from occy_fast.log import log


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        (OutputMode(), ["warning: odd\\x1b"]),
        (OutputMode(quiet=True), []),
        (OutputMode(json=True), []),
    ],
)
def test_warnings_are_lines(mode: OutputMode, shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with logged_to_stderr(mode):
        log.warning("odd%s", "\x1b")
        log.info("read")
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", shown)


def test_verbose_tells_all_with_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    with logged_to_stderr(OutputMode(json=True, verbose=True)):
        log.debug("read")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(" DEBUG read")


def test_logging_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "propagate", True)
    before = (log.level, log.propagate, tuple(log.handlers))
    with pytest.raises(KeyError), logged_to_stderr(OutputMode(verbose=True)):
        assert (log.level, log.propagate) == (logging.DEBUG, False)
        raise KeyError
    assert (log.level, log.propagate, tuple(log.handlers)) == before
