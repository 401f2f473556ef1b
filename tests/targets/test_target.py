"""What is known of a consumer, and what is not."""

from __future__ import annotations

from occy_fast.targets.target import UNKNOWN, Support, Target

TARGET = Target("app-1.2", "app-1", "App", "runtime", "", (("load.no", Support("no", "told", ("tested",))),))


def test_what_nobody_knows_is_no_refusal() -> None:
    assert TARGET.support("load.never") == UNKNOWN
    assert (TARGET.refuses("load.no"), TARGET.refuses("load.never")) == (True, False)


def test_json() -> None:
    assert TARGET.to_json() == {
        "name": "app-1.2",
        "row": "app-1",
        "title": "App",
        "kind": "runtime",
        "versions": None,
        "features": {"load.no": {"answer": "no", "error": "told", "sources": ["tested"]}},
    }
