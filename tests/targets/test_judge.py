"""Traits and answers → findings."""

from __future__ import annotations

import pytest

from occy_fast.image.place import Place
from occy_fast.targets.judge import judge, refused, words_of
from occy_fast.targets.rules import TraitRule
from occy_fast.targets.target import Support, Target
from occy_fast.targets.traits import Trait

LAYER = Place("layer", number=1)
TARGET = Target(
    "app-1.2",
    "app-1",
    "App",
    "runtime",
    "1.0 to before 2.0",
    (
        ("load.no", Support("no", "cannot read {path}: {number}", ("tested",))),
        ("load.partial", Support("partial", "", ("page",))),
        ("load.yes", Support("yes", "", ("tested",))),
    ),
)


@pytest.mark.parametrize(
    ("feature", "more", "severity"),
    [
        ("load.no", {}, "error"),
        ("load.no", {"advisory": True}, "warning"),
        ("load.no", {"common": True}, "error"),
        ("load.partial", {}, "warning"),
        ("load.partial", {"common": True}, "warning"),
        ("load.yes", {}, None),
        ("load.yes", {"fatal": True}, "error"),
        ("load.never_heard_of", {}, "unknown"),
        ("load.never_heard_of", {"common": True}, None),
        ("load.never_heard_of", {"fatal": True}, "error"),
    ],
)
def test_an_answer_and_a_rule_make_a_severity(feature: str, more: dict[str, bool], severity: str | None) -> None:
    trait = Trait(TraitRule("rule", feature, **more), LAYER, "problem")
    found = judge([trait, trait], TARGET, "fix it")
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert bool(refused([trait], TARGET)) == (severity == "error")
    for finding in found:
        assert finding.target == "app-1.2"
        assert finding.fix == (None if severity == "unknown" else "fix it")


def test_a_finding_is_printed_as_one_line() -> None:
    [finding] = judge([Trait(TraitRule("rule", "load.no"), LAYER, "has\x1b[2J in it")], TARGET)
    assert str(finding) == "app-1.2: error: rule: layer 1: has\\x1b[2J in it"


def test_the_consumer_s_words_are_about_this_image() -> None:
    rule = TraitRule("rule", "load.no")
    hostile = Trait(rule, LAYER, "problem", (("path", "a/{number}"), ("number", "7")))
    assert words_of(Trait(rule, LAYER, "", (("path", "a"), ("number", "7"))), TARGET) == "cannot read a: 7"
    assert judge([hostile], TARGET)[0].says.startswith("cannot read a/")


def test_only_what_a_conversion_changes_has_a_fix() -> None:
    for convertible in (True, False):
        trait = Trait(TraitRule("rule", "load.no", convertible=convertible), LAYER, "problem")
        assert judge([trait], TARGET, "fix it")[0].fix == ("fix it" if convertible else None)


def test_a_trait_may_ask_for_something_narrower_than_its_rule() -> None:
    rule = TraitRule("rule", "load.no")
    [finding] = judge([Trait(rule, LAYER, "p", feature="load.partial")], TARGET)
    assert finding.severity == "warning"
    assert Trait(rule, LAYER, "p").feature == "load.no"
