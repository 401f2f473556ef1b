"""Signals end a command once, cleanly, and leave the caller's handlers as they were."""

from __future__ import annotations

import signal
import threading

import pytest

from occy_fast.cli.signals import Stopped, stopped_by_signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_becomes_an_exception_with_its_exit_code(number: signal.Signals, code: int) -> None:
    with pytest.raises(Stopped) as raised, stopped_by_signals():
        signal.raise_signal(number)
    assert raised.value.exit_code == code


def test_an_impatient_second_signal_does_not_cut_the_clean_up_short() -> None:
    cleaned: list[bool] = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            cleaned.append(True)

    with stopped_by_signals(), pytest.raises(Stopped) as raised:
        work()
    assert cleaned
    assert raised.value.exit_code == 130


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with stopped_by_signals():
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_what_the_caller_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_install_nothing() -> None:
    seen: list[object] = []

    def run() -> None:
        with stopped_by_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
