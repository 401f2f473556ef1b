"""What a plan prints."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from occy_fast.planning.facts import Facts
from support.contents import contents, image
from support.plans import goal, plan_of, printed


def test_what_may_not_fit_is_said() -> None:
    planned = partial(plan_of, contents(image("a", "b.gzip"), names=["app:1"]), goal("gzip"))
    assert "1.4 MB; 1.4 MB free;" in planned(Facts(free=1_380_000)).explain()
    assert "1.4 MB; 1.3 MB free, which may not do;" in planned(Facts(free=1_300_000)).explain()


def test_an_image_s_own_words_cannot_forge_a_line() -> None:
    shown = contents(image("a"))
    hostile = replace(shown, images=(replace(shown.images[0], ref="app\nnote: all is well\x1b[2J"),))
    assert "app\\x0anote: all is well\\x1b[2J" in printed(hostile, goal())
