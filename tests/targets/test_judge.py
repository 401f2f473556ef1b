"""Marks and answers → findings."""

from __future__ import annotations

import pytest

from occy_fast.image.place import Place
from occy_fast.targets.judge import judge, refused, words_of
from occy_fast.targets.target import Cell, Target
from occy_fast.targets.traits import Mark

LAYER = Place("layer", number=1)
TARGET = Target(
    "app-1.2",
    "app-1",
    "App",
    "runtime",
    "1.0 to before 2.0",
    (
        ("load.no", Cell("no", "cannot read {path}: {number}", ("tested",))),
        ("load.partial", Cell("partial", "", ("page",))),
        ("load.yes", Cell("yes", "", ("tested",))),
    ),
)


@pytest.mark.parametrize(
    ("feature", "more", "severity"),
    [
        ("load.no", {}, "error"),
        ("load.no", {"advisory": True}, "warning"),
        ("load.no", {"plain": True}, "error"),
        ("load.partial", {}, "warning"),
        ("load.partial", {"plain": True}, "warning"),
        ("load.yes", {}, None),
        ("load.yes", {"fatal": True}, "error"),
        ("load.never_heard_of", {}, "unknown"),
        ("load.never_heard_of", {"plain": True}, None),
        ("load.never_heard_of", {"fatal": True}, "error"),
    ],
)
def test_a_cell_and_a_mark_make_a_severity(feature: str, more: dict[str, bool], severity: str | None) -> None:
    mark = Mark("rule", feature, LAYER, "problem", **more)
    found = judge([mark, mark], TARGET, "mend it")
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert bool(refused([mark], TARGET)) == (severity == "error")
    for finding in found:
        assert finding.target == "app-1.2"
        assert finding.fix == (None if severity == "unknown" else "mend it")


def test_the_consumer_s_words_are_about_this_image() -> None:
    mark = Mark("rule", "load.no", LAYER, "problem", words=(("path", "a/{number}"), ("number", "7")))
    plain = Mark("rule", "load.no", LAYER, "", words=(("path", "a"), ("number", "7")))
    assert words_of(plain, TARGET) == "cannot read a: 7"
    assert judge([mark], TARGET)[0].says.startswith("cannot read a/")
    assert judge([Mark("rule", "load.no", LAYER, "y", mendable=False)], TARGET, "mend it")[0].fix is None
