"""Rules for what comes by once: for each kind of blob, what would be planned for a layer of that kind."""

from __future__ import annotations

import pickle

import pytest

from occy_fast.errors import AmbiguousReference, Unsupported
from occy_fast.planning.capabilities import Capabilities
from occy_fast.planning.facts import EncoderFact, Facts
from occy_fast.planning.goal import Goal
from occy_fast.planning.plan import StreamPlan
from occy_fast.planning.stream_planner import make_rules
from occy_fast.planning.stream_rules import KINDS
from occy_fast.spec.encoding import EncoderIdentity, Encoding
from occy_fast.spec.platform import Platform
from support.contents import ARCHIVE, LAYOUT

OURS = EncoderIdentity("zstd", "libzstd", "1.5.7", 3, 4194304, "native-1")


def rules(goal: Goal, capabilities: Capabilities = LAYOUT, facts: Facts | None = None) -> StreamPlan:
    return make_rules("-", goal, capabilities, facts or Facts(), destination="oci:out", reference=None)


def acts(plan: StreamPlan) -> list[str]:
    return [rule.act if rule.encoding is None else str(rule.encoding) for rule in plan.rules]


@pytest.mark.parametrize(
    ("goal", "capabilities", "expected"),
    [
        (Goal(), LAYOUT, ["copy", "copy", "copy", "none", "none", "copy"]),
        (Goal(), ARCHIVE, ["copy", "copy", "none", "none", "none", "copy"]),
        (Goal(Encoding("zstd")), LAYOUT, ["zstd:3", "zstd:3", "copy", "zstd:3", "zstd:3", "copy"]),
        (Goal(Encoding("zstd", 7)), LAYOUT, ["zstd:7", "zstd:7", "zstd:7", "zstd:7", "zstd:7", "copy"]),
        (Goal(Encoding("gzip")), ARCHIVE, ["gzip:2", "copy", "gzip:2", "gzip:2", "gzip:2", "copy"]),
        (Goal(Encoding("none")), LAYOUT, ["copy", "none", "none", "none", "none", "copy"]),
        (Goal("keep"), ARCHIVE, ["copy", "copy", "refuse", "refuse", "refuse", "copy"]),
        (Goal(format="docker"), LAYOUT, ["copy", "copy", "refuse", "none", "none", "copy"]),
    ],
)
def test_one_rule_per_kind(goal: Goal, capabilities: Capabilities, expected: list[str]) -> None:
    plan = rules(goal, capabilities)
    assert [rule.kind for rule in plan.rules] == list(KINDS)
    assert acts(plan) == expected
    assert [plan.rule_for(kind) for kind in KINDS] == list(plan.rules)
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_demands_that_no_archive_could_meet() -> None:
    with pytest.raises(Unsupported, match="zstd"):
        rules(Goal(Encoding("zstd")), ARCHIVE)
    with pytest.raises(AmbiguousReference):
        rules(Goal(platforms=(Platform("linux", "amd64"), Platform("linux", "arm64"))), ARCHIVE)


def test_what_is_printed() -> None:
    facts = Facts(encoders=(EncoderFact(Encoding("zstd", 3), OURS, 1000),), workers=2, free=5_000_000_000)
    plan = rules(Goal(Encoding("zstd"), link=True), facts=facts)
    assert str(plan) == plan.explain() == "\n".join(plan.lines())
    assert plan.explain().splitlines() == [
        "- -> oci:out",
        "each blob as it comes by, told by its first bytes; the manifest is matched at the end",
        "  plain tars      none -> zstd:3    asked for",
        "  gzip            gzip -> zstd:3    asked for",
        "  zstd            copy              as asked for",
        "  xz              xz -> zstd:3      asked for",
        "  bzip2           bzip2 -> zstd:3   asked for",
        "  anything else   copy              as it is",
        "5.0 GB free; verifies layers",
        "encoder: zstd:3 by libzstd 1.5.7 in segments of 4194304 (native-1)",
        "memory: 2.0 kB more than usual",
        "note: no layer is linked: what comes by once is no file",
    ]
    document = plan.to_json()
    assert document["rules"][0] == {
        "kind": "none",
        "step": "recode",
        "to": "zstd:3",
        "encoder": str(OURS),
        "why": "asked for",
    }
    assert document["goal"]["link"] is True
    assert "images" not in document


def test_what_is_refused_says_why() -> None:
    lines = rules(Goal(format="docker")).explain().splitlines()
    assert "  zstd            refuse            a layer is zstd, which hardly anything reads under" in lines[4]
    assert "one layer at a time" in rules(Goal(), ARCHIVE).explain()
