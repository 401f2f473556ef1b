"""The cheapest step for a layer."""

from __future__ import annotations

from dataclasses import replace

from occy_fast.planning.facts import Facts
from occy_fast.planning.ladder import layer_step
from occy_fast.planning.steps import Adopt, Copy, Recode, Skip
from occy_fast.spec.encoding import Encoding
from support.contents import image
from support.plans import FACTS, ZSTD, goal


def test_the_cheapest_step_is_taken() -> None:
    (only,) = image("a.gzip").layers
    assert only.digest is not None
    all_facts = Facts(
        present=frozenset({only.digest}), links=frozenset({only.digest}), reflinks=frozenset({only.digest})
    )
    linking = goal(link=True)
    assert layer_step(only, linking, all_facts) == Skip(only)
    assert layer_step(only, linking, replace(all_facts, present=frozenset())) == Adopt(only, "link")
    assert layer_step(only, goal(), replace(all_facts, present=frozenset())) == Adopt(only, "reflink")
    assert layer_step(only, goal(), Facts()) == Copy(only)
    assert layer_step(only, goal("zstd"), FACTS) == Recode(only, Encoding("zstd", 3), ZSTD)
