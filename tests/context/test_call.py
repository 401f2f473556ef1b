"""A call's arguments are checked once, and what it may take is asked of it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from occy_fast.context.access import Access
from occy_fast.context.call import Call
from occy_fast.errors import Cancelled, DaemonError, NotFound, UsageError
from occy_fast.spec.limits import LIMITS, Limits


def test_what_is_not_said_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCCY_FAST_MAX_LAYER_COUNT", "5")
    assert Call.of().limits == Limits(layer_count=5)
    assert Call.of(limits=LIMITS).limits == LIMITS
    assert Call.of(max_layer=7).limits == Limits(layer_count=5, layer=7)
    assert Call.of().workers >= 1
    assert not Call.of().report.is_watched


@pytest.mark.parametrize(
    "wrong",
    [
        *({"workers": workers} for workers in (0, -1, 1 << 20, "2", 1.5, True)),
        {"limits": 3},
        {"cancel": True},
        {"progress": 3},
        {"follow_links": "/tmp"},
        {"follow_links": ["/tmp", "/nowhere"]},
        {"follow_links": ["/etc/passwd"]},
    ],
)
def test_no_call_has_such_arguments(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Call.of(**wrong)


def test_a_limit_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCCY_FAST_MAX_LAYRE", "5")
    with pytest.raises(UsageError, match="OCCY_FAST_MAX_LAYRE"):
        Call.of()


def failing(times: int, *, retryable: bool = True) -> tuple[list[int], Any]:
    """Return the attempts that were made, and what fails so many times before it returns their number."""
    made: list[int] = []

    def attempt() -> int:
        made.append(len(made))
        if len(made) <= times:
            raise DaemonError("source", "there", 503, "busy", retryable)
        return len(made)

    return made, attempt


@pytest.mark.parametrize(("times", "works"), [(0, True), (2, True), (3, False)])
def test_what_may_pass_is_tried_again(times: int, works: bool) -> None:
    made, attempt = failing(times)
    call = Call.of(access=Access(retries=2, retry_delay=0))
    if works:
        assert call.retrying(attempt) == times + 1
    else:
        with pytest.raises(DaemonError):
            call.retrying(attempt)
    assert len(made) == min(times + 1, 3)


def test_what_does_not_pass_is_tried_once() -> None:
    made, attempt = failing(1, retryable=False)
    with pytest.raises(DaemonError):
        Call.of(access=Access(retries=5, retry_delay=0)).retrying(attempt)

    def absent() -> None:
        made.append(0)
        raise NotFound("there", "it")

    with pytest.raises(NotFound):
        Call.of(access=Access(retries=5, retry_delay=0)).retrying(absent)
    assert len(made) == 2


def test_a_cancelled_call_waits_for_nothing() -> None:
    cancel = threading.Event()
    call = Call.of(cancel=cancel, access=Access(retries=1, retry_delay=3600))
    call.check_cancelled()
    cancel.set()
    with pytest.raises(Cancelled):
        call.check_cancelled("here")
    with pytest.raises(Cancelled):
        call.retrying(failing(1)[1])


def test_a_call_that_was_cancelled_attempts_nothing() -> None:
    made, attempt = failing(0)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        Call.of(cancel=cancel).retrying(attempt)
    assert made == []
