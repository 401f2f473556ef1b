"""(contents, goal, capabilities) -> what goes, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from occy_fast.errors import AmbiguousReference, MissingPlatform, Unsupported
from occy_fast.image.image import Contents
from occy_fast.planning.capabilities import Capabilities
from occy_fast.planning.goal import Goal
from occy_fast.planning.remarks import Absent, Extras, Joined, OtherPlatforms, Unnamed
from occy_fast.planning.selection import Chosen, ChosenIndex, Selection, nodes_of, select
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.limits import LIMITS
from occy_fast.spec.platform import parse_platform
from support.contents import ARCHIVE, DAEMON, LAYOUT, absent, attestation, contents, image, index

AMD, ARM = image("a"), image("b", architecture="arm64")
ABOUT = attestation(AMD)
NOTHING = Extras("beside the image")
ALL = Extras("of the index")


def selected(
    shown: Contents, capabilities: Capabilities = LAYOUT, reference: str | None = None, **wanted: Any
) -> Selection:
    if "platforms" in wanted:
        wanted["platforms"] = tuple(map(parse_platform, wanted["platforms"]))
    goal = Goal(**wanted)
    return select(shown, goal, capabilities, destination="oci:out", reference=reference, limits=LIMITS)


def test_an_image_goes_under_its_names() -> None:
    chosen = selected(contents(AMD, names=["app:1"]))
    assert chosen == Selection((Chosen(AMD, ("docker.io/library/app:1",)),), (NOTHING,))


def test_the_destination_s_name_takes_the_place_of_the_source_s() -> None:
    shown = contents(AMD, names=["app:1"])
    assert selected(shown, reference="v2").roots == (Chosen(AMD, (), "v2"),)
    assert selected(shown, reference="x/app:2").roots == (Chosen(AMD, ("docker.io/x/app:2",), "x/app:2"),)
    assert selected(shown, ARCHIVE, reference="x/app:2").roots == (Chosen(AMD, ("docker.io/x/app:2",)),)


def test_a_ref_that_is_no_name_is_told_where_names_are_references() -> None:
    chosen = selected(contents(AMD), ARCHIVE, reference="latest")
    assert chosen == Selection((Chosen(AMD),), (Unnamed("latest"), NOTHING))


def test_an_index_goes_whole() -> None:
    root, missing = index(AMD, ARM, ABOUT), absent("x")
    (chosen,) = selected(contents(root)).roots
    assert chosen.root == ChosenIndex(root, (AMD, ARM, ABOUT), (0, 1, 2))
    assert list(nodes_of(chosen.root)) == [AMD, ARM, ABOUT, root]
    partial = index(AMD, missing)
    chosen_partial = selected(contents(partial))
    assert chosen_partial.remarks == (Absent(missing.descriptor.digest), ALL, NOTHING)
    assert list(nodes_of(chosen_partial.roots[0].root)) == [AMD, partial]


def test_a_platform_goes_with_what_refers_to_it() -> None:
    root = index(AMD, ARM, ABOUT)
    chosen = selected(contents(root), platforms=["linux/amd64"])
    assert chosen.roots == (Chosen(ChosenIndex(root, (AMD, ABOUT), (0, 2))),)
    assert chosen.remarks == (OtherPlatforms(("linux/arm64",)), ALL, NOTHING)
    other = index(AMD, ARM, image("c", architecture="s390x"), ABOUT)
    two = selected(contents(other), platforms=["linux/arm64", "linux/s390x"])
    assert two.remarks == (OtherPlatforms(("linux/amd64",)), Extras("of the index", behind=1), NOTHING)
    alone = selected(contents(root), platforms=["linux/arm64"])
    assert alone.roots == (Chosen(ARM),)
    assert alone.remarks == (OtherPlatforms(("linux/amd64",)), Extras("of the index", behind=1), NOTHING)


def test_attestations_are_dropped_on_demand_and_counted() -> None:
    root = index(AMD, ABOUT)
    chosen = selected(contents(root), attestations="drop")
    assert chosen.roots == (Chosen(ChosenIndex(root, (AMD,), (0,))),)
    assert chosen.remarks == (Extras("of the index", dropped=1), NOTHING)
    beside = selected(contents(AMD, ABOUT), attestations="drop")
    assert beside == Selection((Chosen(AMD),), (Extras("beside the image", dropped=1),))


def test_what_stands_beside_an_image_goes_where_it_can() -> None:
    shown = contents(AMD, ABOUT)
    assert [chosen.root for chosen in selected(shown).roots] == [AMD, ABOUT]
    changed = selected(shown, encoding=Encoding("gzip"))
    assert changed.remarks == (Extras("beside the image", unchanged=1),)
    assert selected(shown, DAEMON) == Selection((Chosen(AMD),), (Extras("beside the image", behind=1),))


def test_images_of_one_name_are_joined_where_an_index_fits() -> None:
    shown = contents(AMD, ARM, names=["app:1", "app:1"])
    chosen = selected(shown)
    (root,) = chosen.roots
    assert isinstance(root.root, ChosenIndex)
    assert [node.platform for node in root.root.children] == [AMD.platform, ARM.platform]  # type: ignore[union-attr]
    assert chosen.remarks == (ALL, Joined(("linux/amd64", "linux/arm64")), NOTHING)


@pytest.mark.parametrize(
    ("shown", "capabilities", "wanted", "error", "text"),
    [
        (contents(AMD, image("c")), ARCHIVE, {"tags": ("app:1",)}, AmbiguousReference, "the destination names one"),
        (contents(index(AMD, ARM)), ARCHIVE, {}, AmbiguousReference, "is an index of several images"),
        (contents(index(AMD)), LAYOUT, {"platforms": ["linux/arm64"]}, MissingPlatform, "linux/arm64"),
        (contents(AMD), LAYOUT, {"platforms": ["linux/arm64"]}, MissingPlatform, "linux/amd64"),
        (contents(image("x", config_type="a/b")), ARCHIVE, {}, Unsupported, "it cannot hold artifacts"),
        (contents(image("x", config_type="a/b")), LAYOUT, {"format": "docker"}, Unsupported, "travels as it is"),
    ],
)
def test_what_cannot_be_chosen(
    shown: Contents, capabilities: Capabilities, wanted: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        selected(shown, capabilities, **wanted)
