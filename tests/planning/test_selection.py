"""(contents, goal, capabilities) -> what goes, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from occy_fast.errors import AmbiguousReference, MissingBlob, MissingPlatform, Unsupported
from occy_fast.image.image import Contents, Unreadable
from occy_fast.planning.capabilities import Capabilities
from occy_fast.planning.goal import Goal
from occy_fast.planning.remarks import Absent, Beside, Extras, Joined, OtherPlatforms, Unnamed, Unread
from occy_fast.planning.selection import Chosen, ChosenIndex, Selection, nodes_of, select
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.limits import LIMITS
from occy_fast.spec.platform import parse_platform
from support.contents import ARCHIVE, DAEMON, LAYOUT, absent, attestation, contents, digest, image, index

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


def dual(*beside: Any, default: Any = AMD) -> Contents:
    """Show an index of which manifest.json lists one image, and what index.json names *beside* it."""
    shown = contents(index(AMD, ARM), *beside, names=["app:1"], locator="docker-archive:in.tar")
    first, *rest = (replace(named, position=at) for at, named in enumerate(shown.images))
    return replace(
        shown, images=(replace(first, default=default), *(replace(named, beside=True) for named in rest))
    )


def test_what_manifest_json_lists_goes_where_a_name_stands_for_one() -> None:
    for capabilities in (ARCHIVE, DAEMON):
        chosen = selected(dual(default=ARM), capabilities)
        assert [each.root for each in chosen.roots] == [ARM]
        assert chosen.remarks[0] == OtherPlatforms(("linux/amd64",))
    other = selected(dual(default=ARM), ARCHIVE, platforms=["linux/amd64"])
    assert [each.root for each in other.roots] == [AMD]
    assert other.remarks[0] == OtherPlatforms(("linux/arm64",))
    (whole,) = selected(dual()).roots
    assert isinstance(whole.root, ChosenIndex)
    assert whole.root.children == (AMD, ARM)


def test_what_index_json_alone_names_goes_where_it_can() -> None:
    other, artifact = image("o"), image("x", config_type="a/b")
    assert len(selected(dual(other, index(AMD, other), artifact)).roots) == 4
    chosen = selected(dual(other, index(AMD, ARM), artifact), ARCHIVE)
    assert [each.root for each in chosen.roots] == [AMD, other]
    behind = [remark for remark in chosen.remarks if isinstance(remark, Beside)]
    assert [remark.locator for remark in behind] == ["docker-archive:in.tar:@2", "docker-archive:in.tar:@3"]
    assert behind[0].what.startswith("@2 (an index, sha256:")


@pytest.mark.parametrize("capabilities", [LAYOUT, ARCHIVE, DAEMON])
def test_one_name_is_for_what_manifest_json_lists(capabilities: Capabilities) -> None:
    chosen = selected(dual(image("o")), capabilities, reference="new:1")
    assert len(chosen.roots) == 1
    assert any(isinstance(remark, Beside) for remark in chosen.remarks)
    alone = replace(dual(image("o")), images=dual(image("o")).images[1:])
    assert len(selected(alone, capabilities, reference="new:1").roots) == 1


def test_a_platform_chooses_among_all_that_both_name() -> None:
    s390 = image("s", architecture="s390x")
    assert [each.root for each in selected(dual(s390), ARCHIVE, platforms=["linux/s390x"]).roots] == [s390]
    with pytest.raises(MissingPlatform, match="linux/amd64, linux/arm64, linux/s390x"):
        selected(dual(s390), platforms=["linux/riscv64"])


def test_images_without_a_name_are_chosen_by_platform() -> None:
    chosen = selected(contents(AMD, ARM), platforms=["linux/arm64"])
    assert chosen == Selection((Chosen(ARM),), (OtherPlatforms(("linux/amd64",)), NOTHING))
    both = selected(contents(AMD, ARM, image("s", architecture="s390x")), platforms=["linux/arm64", "linux/amd64"])
    assert [each.root for each in both.roots] == [AMD, ARM]
    with pytest.raises(MissingPlatform, match="linux/amd64, linux/arm64"):
        selected(contents(AMD, ARM), platforms=["linux/s390x"])


def unreadable(platform: str = "") -> Unreadable:
    named = Descriptor("m", digest("gone"), 5, platform=parse_platform(platform) if platform else None)
    return Unreadable(MissingBlob("oci:in", digest("gone")), named)


def test_what_cannot_be_read_is_an_error_for_who_asks_for_it() -> None:
    with pytest.raises(MissingBlob):
        selected(contents(AMD, unreadable("linux/arm64")))
    for node in (unreadable("linux/arm64"), unreadable()):
        with pytest.raises(MissingBlob):
            selected(contents(AMD, node), platforms=["linux/arm64"])
    left = selected(contents(AMD, unreadable("linux/arm64")), platforms=["linux/amd64"])
    assert [each.root for each in left.roots] == [AMD]
    assert isinstance(left.remarks[0], Unread)


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
