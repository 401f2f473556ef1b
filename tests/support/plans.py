"""Plans of contents that nobody has, for tests of planning."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from occy_fast.planning.facts import EncoderFact, Facts
from occy_fast.planning.goal import Goal
from occy_fast.planning.plan import Plan
from occy_fast.planning.planner import make_plan
from occy_fast.spec.config import chain_ids
from occy_fast.spec.encoding import EncoderIdentity, Encoding, parse_encoding
from occy_fast.spec.limits import LIMITS
from occy_fast.spec.platform import parse_platform
from support.contents import ARCHIVE, DAEMON, LAYOUT, digest

ZSTD = EncoderIdentity("zstd", "libzstd", "1.5.7", 3, 2 << 20, "native-1")
FACTS = Facts(encoders=(EncoderFact(Encoding("zstd", 3), ZSTD),))


def goal(encoding: str | None = None, **more: Any) -> Goal:
    """Make a goal of words."""
    if "platforms" in more:
        more["platforms"] = tuple(parse_platform(text) for text in more["platforms"])
    return Goal("keep" if encoding == "keep" else parse_encoding(encoding) if encoding else None, **more)


def plan_of(
    shown: Any, wanted: Goal, facts: Facts = FACTS, *, archive: bool = False, reference: str | None = None
) -> Plan:
    return make_plan(
        shown,
        wanted,
        ARCHIVE if archive else LAYOUT,
        facts,
        destination="docker-archive:out.tar" if archive else "oci:out",
        limits=LIMITS,
        reference=reference,
    )


def printed_daemon(shown: Any, wanted: Goal, *held: str) -> str:
    """Print the plan for a daemon that holds the layers of these names, one upon the other."""
    facts = replace(FACTS, chains=frozenset(chain_ids(map(digest, held))))
    return make_plan(shown, wanted, DAEMON, facts, destination="docker-daemon:", limits=LIMITS).explain()


def printed(*arguments: Any, **more: Any) -> str:
    return plan_of(*arguments, **more).explain()
