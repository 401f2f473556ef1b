"""What one name stands for, where names are a daemon's."""

from __future__ import annotations

import pytest

from occy_fast.errors import AmbiguousReference, UsageError
from occy_fast.planning.facts import Facts
from occy_fast.planning.goal import Goal
from occy_fast.planning.plan import Plan
from occy_fast.planning.planner import make_plan
from occy_fast.spec.limits import LIMITS
from occy_fast.spec.platform import parse_platform
from support.contents import DAEMON, contents, image

NAMED = ["x:1", "x:1"]


def plan(*images: object, goal: Goal | None = None) -> Plan:
    shown = contents(*images, names=NAMED, locator="docker-archive:in.tar")  # type: ignore[arg-type]
    return make_plan(shown, goal or Goal(), DAEMON, Facts(), destination="docker-daemon:", limits=LIMITS)


def test_a_daemon_gets_one_image_for_a_name() -> None:
    with pytest.raises(AmbiguousReference, match=r"2 images are called 'docker\.io/library/x:1': @0 \(docker"):
        plan(image("a"), image("b"))
    with pytest.raises(UsageError, match=r"linux/amd64, linux/arm64 \(name one, as --platform linux/amd64 does\)"):
        plan(image("a"), image("b", architecture="arm64"))
    arm = parse_platform("linux/arm64")
    (root,) = plan(image("a"), image("b", architecture="arm64"), goal=Goal(platforms=(arm,))).roots
    assert root.names == ("docker.io/library/x:1",)
    (root,) = plan(image("a"), image("a")).roots
    assert root.names == ("docker.io/library/x:1",)


def test_what_has_no_manifest_yet_is_told_by_its_config() -> None:
    with pytest.raises(AmbiguousReference):
        plan(image("a", manifest=False), image("b", manifest=False))
    assert len(plan(image("a", manifest=False), image("a", manifest=False)).roots) == 1
