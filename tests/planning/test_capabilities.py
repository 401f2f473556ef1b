"""Each capability decides what it says, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from occy_fast.planning.facts import Facts
from occy_fast.planning.planner import make_plan
from occy_fast.planning.steps import Adopt, Copy, Recode
from occy_fast.spec.limits import LIMITS
from support.contents import LAYOUT, contents, digest, image
from support.plans import FACTS, goal


def test_writing_in_order_says_nothing_of_identity_or_of_reading_back() -> None:
    """Where blobs go one after another, and manifests are kept as they are, as in a registry."""
    capabilities = replace(LAYOUT, writes="one after another", adopts=frozenset())
    facts = replace(FACTS, reflinks=frozenset({digest("c.zstd")}))
    wanted = goal("zstd", verify="destination", link=True)
    shown = contents(image("b.gzip", "a", "c.zstd"))
    plan = make_plan(shown, wanted, capabilities, facts, destination="oci:out", limits=LIMITS)
    assert [type(step) for step in plan.steps] == [Copy, Recode, Recode]
    assert "oci manifest edited" in plan.explain()
    assert list(plan.notes) == [
        "1 layer copied, not linked: oci takes bytes, and no files",
        "2 recoded layers in temporary files without a name until the size is known",
    ]


def test_a_blob_is_shared_only_as_the_destination_takes_it() -> None:
    facts = Facts(links=frozenset({digest("a")}), reflinks=frozenset({digest("a"), digest("b")}))
    both, one, other = {"link", "reflink"}, {"link"}, {"reflink"}
    for adopts, steps in ((both, "link reflink"), (one, "link copy"), (other, "reflink reflink"), ({}, "copy copy")):
        capabilities = replace(LAYOUT, adopts=frozenset(adopts))
        shown = contents(image("a", "b"))
        plan = make_plan(shown, goal(link=True), capabilities, facts, destination="oci:out", limits=LIMITS)
        assert [step.how if isinstance(step, Adopt) else "copy" for step in plan.steps] == steps.split()
