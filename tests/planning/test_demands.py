"""Demands that no image could meet, and what the target refuses of this one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from occy_fast.errors import AmbiguousReference, OccyError, Unsupported
from occy_fast.image.place import Place
from occy_fast.planning.demands import check_demands, refused_by_target
from occy_fast.planning.facts import Facts
from occy_fast.planning.goal import Goal
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.platform import Platform
from occy_fast.targets import rules
from occy_fast.targets.target import Support, Target
from occy_fast.targets.traits import Trait
from support.contents import ARCHIVE, DAEMON, LAYOUT

PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64"))
REFUSED = Support("no", "too many", ("tested",))
TARGET = Target("app-1.2", "app-1", "App", "runtime", "", (("load.multi_image", REFUSED),))


@pytest.mark.parametrize(
    ("goal", "capabilities", "error"),
    [
        (Goal(Encoding("zstd")), ARCHIVE, Unsupported),
        (Goal(format="docker"), replace(LAYOUT, families=frozenset({"oci"})), Unsupported),
        (Goal(tags=("docker.io/library/a:1",)), LAYOUT, Unsupported),
        (Goal(verify="destination"), DAEMON, Unsupported),
        (Goal(platforms=PLATFORMS), ARCHIVE, AmbiguousReference),
    ],
)
def test_what_could_not_be_met(goal: Goal, capabilities: Any, error: type[OccyError]) -> None:
    with pytest.raises(error):
        check_demands(goal, capabilities, "there")
    check_demands(Goal(), capabilities, "there")


def test_what_could_be_met() -> None:
    check_demands(Goal(Encoding("zstd", 3), "docker", platforms=PLATFORMS, verify="destination"), LAYOUT, "there")
    check_demands(Goal(tags=("docker.io/library/a:1",)), ARCHIVE, "there")


def test_a_rule_is_named_once_with_all_its_places() -> None:
    facts = Facts(refused=tuple(Trait(rules.SEVERAL_IMAGES, Place("layer", number=number), "p") for number in (1, 2)))
    (note,) = refused_by_target(facts, Goal(target=TARGET), "here")
    assert note == "several-images: layers 1-2, for app-1.2, which says: too many"
    assert refused_by_target(facts, Goal(), "here") == []


def test_what_no_conversion_changes_is_refused() -> None:
    facts = Facts(refused=(Trait(rules.PATHS_PARENT, Place("manifest.json"), "it leads out"),))
    with pytest.raises(Unsupported, match="paths-parent"):
        refused_by_target(facts, Goal(target=TARGET), "here")
