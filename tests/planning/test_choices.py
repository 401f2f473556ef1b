"""What tells one of several images from the others, and what is asked for where nobody has named one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from occy_fast.errors import AmbiguousReference
from occy_fast.planning.choices import choose_one, platform_to_ask_for, selector
from occy_fast.planning.goal import Goal
from occy_fast.planning.selection import select
from occy_fast.spec.limits import LIMITS
from occy_fast.spec.platform import parse_platform
from support.contents import ARCHIVE, LAYOUT, attestation, contents, image, index

AMD, ARM = image("a"), image("b", architecture="arm64")


def test_a_selector_tells_an_image_from_others() -> None:
    shown = contents(AMD, index(AMD, ARM), names=["app:1"])
    [first, second] = (selector(named, at) for at, named in enumerate(shown.images))
    assert first == f"@0 (docker.io/library/app:1, linux/amd64, {str(AMD.digest)[:19]})"
    assert second.startswith("@1 (")
    assert "an index" in second
    assert "for linux/amd64, linux/arm64" in second
    assert selector(replace(shown.images[0], position=7), 0).startswith("@7 (")


@pytest.mark.parametrize(
    ("locator", "position", "expected"),
    [
        ("oci:in", 1, "choose one, as oci:in:@1 does: occy-fast convert oci:in:@1 oci:out"),
        ("oci:in:app", 0, "choose one, as oci:in:@0 does: occy-fast convert oci:in:@0 oci:out"),
        ("oci:in", None, "choose one by its name, or by :@INDEX behind a path without a colon"),
    ],
)
def test_how_one_of_several_is_named(locator: str, position: int | None, expected: str) -> None:
    shown = contents(AMD, locator=locator)
    assert choose_one(shown, replace(shown.images[0], position=position), "oci:out") == expected
    daemon = replace(shown, kind="podman", locator="podman:app", path="")
    assert choose_one(daemon, shown.images[0], "oci:out") == "choose one by its name or its id"


@pytest.mark.parametrize(
    ("own", "architectures", "expected"),
    [
        ("linux/arm64", ("amd64", "arm64"), "linux/arm64"),
        ("linux/s390x", ("amd64", "arm64"), "linux/amd64"),
        ("linux/s390x", ("a/b/c", "arm64", "amd64"), "linux/arm64"),     # the first could not be written
        ("linux/amd64", ("amd64",), None),
    ],
)
def test_a_platform_is_asked_for_where_a_plan_would_not_choose(
    own: str, architectures: tuple[str, ...], expected: str | None
) -> None:
    images = [image(f"{at}", architecture=architecture) for at, architecture in enumerate(architectures)]
    shown = contents(index(*images, attestation(images[0])))
    asked = platform_to_ask_for(shown, ARCHIVE, parse_platform(own))
    assert (None if asked is None else str(asked)) == expected
    assert platform_to_ask_for(shown, LAYOUT, parse_platform(own)) is None
    if asked is not None:
        def plan(goal: Goal) -> object:
            return select(shown, goal, ARCHIVE, destination="docker-archive:x", reference=None, limits=LIMITS)

        with pytest.raises(AmbiguousReference):
            plan(Goal())
        assert plan(Goal(platforms=(parse_platform(str(asked)),)))


def test_no_platform_is_asked_for_where_there_is_no_index() -> None:
    assert platform_to_ask_for(contents(AMD, ARM), ARCHIVE, parse_platform("linux/amd64")) is None
