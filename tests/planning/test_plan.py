"""A plan is a value."""

from __future__ import annotations

import pickle

from support.contents import contents, image
from support.plans import goal, plan_of


def test_a_plan_is_a_value() -> None:
    plan = plan_of(contents(image("a", "b.gzip")), goal("zstd", format="docker"))
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert hash(pickle.loads(pickle.dumps(plan))) == hash(plan)
    assert plan == plan_of(contents(image("a", "b.gzip")), goal("zstd", format="docker"))
