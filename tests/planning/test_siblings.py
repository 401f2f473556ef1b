"""(images, platforms) -> which of those without a name go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from occy_fast.errors import MissingPlatform
from occy_fast.image.image import Contents
from occy_fast.planning.siblings import Siblings, siblings_for
from occy_fast.spec.platform import parse_platform
from support.contents import contents, image, index

AMD, ARM = image("a"), image("b", architecture="arm64")
S390 = image("c", architecture="s390x")


def siblings(shown: Contents, *platforms: str) -> Siblings:
    return siblings_for(shown.images, range(len(shown.images)), tuple(map(parse_platform, platforms)), "oci:in")


def test_a_platform_chooses_among_what_has_no_name() -> None:
    shown = contents(AMD, ARM, S390)
    assert siblings(shown) == Siblings()
    assert siblings(shown, "linux/arm64") == Siblings(frozenset({1}), ("linux/amd64", "linux/s390x"), frozenset({0, 2}))
    assert siblings(shown, "linux/s390x", "linux/amd64").behind == {1}
    assert siblings(contents(index(AMD, ARM), S390), "linux/arm64") == Siblings(
        frozenset({0}), ("linux/s390x",), frozenset({1})
    )


def test_one_that_has_a_name_is_chosen_by_it() -> None:
    assert siblings(contents(AMD, ARM, names=["app:1"]), "linux/arm64") == Siblings()
    assert siblings(contents(AMD, ARM, names=["a:1", "b:1"]), "linux/arm64") == Siblings()


def test_where_index_json_names_more_a_platform_chooses_among_all() -> None:
    shown = contents(AMD, ARM, names=["app:1"])
    beside = replace(shown, images=(shown.images[0], replace(shown.images[1], beside=True)))
    assert siblings(beside, "linux/arm64") == Siblings(frozenset({1}), ("linux/amd64",), frozenset({0}))


@pytest.mark.parametrize("wanted", ["linux/s390x", "windows/amd64", "linux/riscv64"])
def test_all_of_them_are_offered(wanted: str) -> None:
    with pytest.raises(MissingPlatform) as caught:
        siblings(contents(AMD, ARM), "linux/amd64", wanted)
    assert caught.value.offered == ("linux/amd64", "linux/arm64")
    assert caught.value.wanted == wanted
