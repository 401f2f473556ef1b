from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import UsageError
from occy_fast.spec.platform import ALL_PLATFORMS, Platform, parse_platform

words = st.text("abcdefghijklmnopqrstuvwxyz0123456789_.-", min_size=1, max_size=12)
platforms = st.builds(
    Platform,
    st.sampled_from(["linux", "windows", "freebsd"]) | words,
    st.sampled_from(["amd64", "arm64", "arm", "386", "riscv64", "x86_64", "aarch64", "armhf"]) | words,
    st.none() | st.sampled_from(["v1", "v6", "v7", "v8", "8"]) | words,
)


@given(platforms)
def test_round_trip(platform: Platform) -> None:
    parsed = parse_platform(str(platform))
    assert parse_platform(str(parsed)) == parsed
    assert parsed.normalized() == platform.normalized() or platform.variant is None
    assert platform.matches(parsed)
    assert pickle.loads(pickle.dumps(platform)) == platform


@given(platforms)
def test_normalizing_twice_is_once(platform: Platform) -> None:
    assert platform.normalized().normalized() == platform.normalized()


@given(platforms)
def test_meets_itself(platform: Platform) -> None:
    assert platform.matches(platform)
    assert platform.matches(platform.normalized())


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("linux/x86_64", Platform("linux", "amd64")),
        ("Linux/X86-64", Platform("linux", "amd64")),
        ("linux/aarch64", Platform("linux", "arm64")),
        ("linux/arm64/v8", Platform("linux", "arm64", "v8")),
        ("linux/arm64/8", Platform("linux", "arm64", "v8")),
        ("linux/amd64/v1", Platform("linux", "amd64", "v1")),
        ("linux/amd64/v3", Platform("linux", "amd64", "v3")),
        ("linux/arm", Platform("linux", "arm")),
        ("linux/arm/7", Platform("linux", "arm", "v7")),
        ("linux/armhf", Platform("linux", "arm", "v7")),
        ("linux/armel", Platform("linux", "arm", "v6")),
        ("linux/i386", Platform("linux", "386")),
        ("macos/arm64", Platform("darwin", "arm64")),
        ("windows(10.0.17763)/amd64", Platform("windows", "amd64", None, "10.0.17763")),
    ],
)
def test_parse(text: str, platform: Platform) -> None:
    assert parse_platform(text) == platform


@pytest.mark.parametrize(
    "text", ["", "linux", "linux/", "/amd64", "linux/amd64/", "a/b/c/d", "linux/am d64", "linux/amd64\n", "(1)/x"]
)
def test_no_platform(text: str) -> None:
    with pytest.raises(UsageError):
        parse_platform(text)


@pytest.mark.parametrize(
    ("offered", "wanted", "met"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/arm64", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/arm/v6", "linux/arm", True),
        ("linux/arm", "linux/arm/v7", True),
        ("linux/arm", "linux/arm/v6", False),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64/v9", "linux/arm64/v8", False),
        ("linux/arm64/v9", "linux/arm64", True),
        ("linux/amd64/v3", "linux/amd64", True),
        ("linux/amd64/v3", "linux/amd64/v1", False),
        ("linux/amd64", "linux/amd64/v1", True),
        ("linux/amd64", "linux/x86_64", True),
        ("windows(10.0.17763.1)/amd64", "windows(10.0.17763)/amd64", True),
        ("windows(10.0.17763)/amd64", "windows(10.0.17763)/amd64", True),
        ("windows(10.0.177634)/amd64", "windows(10.0.17763)/amd64", False),
        ("windows(10.0.17763)/amd64", "windows/amd64", True),
        ("windows/amd64", "windows(10.0.17763)/amd64", False),
    ],
)
def test_matches(offered: str, wanted: str, met: bool) -> None:
    assert parse_platform(offered).matches(parse_platform(wanted)) is met


def test_features_that_are_wanted_must_be_there() -> None:
    plain, rich = Platform("windows", "amd64"), Platform("windows", "amd64", os_features=("win32k",))
    assert rich.matches(plain)
    assert not plain.matches(rich)


# Words as a document may have them, also such as make the text of one platform that of another.
hostile = st.text("a/(:)", max_size=3)
any_platform = st.builds(
    Platform, hostile, hostile, st.none() | hostile, st.none() | hostile, st.sampled_from([(), ("win32k",)])
)


@given(any_platform, any_platform)
def test_a_text_equals_one_platform_at_the_most(platform: Platform, other: Platform) -> None:
    text = str(platform)
    assert hash(platform) == hash(text)
    if platform == text and other == text:
        assert platform == other
    if platform == other:
        assert hash(platform) == hash(other)
        assert (other == text) == (platform == text)


@given(platforms)
def test_a_platform_equals_its_text_unless_that_leaves_features_out(platform: Platform) -> None:
    text = str(platform)
    assert (platform == text) == (text == platform) == (not platform.os_features)
    assert (platform == 5) is False


def test_what_is_meant_is_not_what_is_written() -> None:
    assert Platform("linux", "arm64") == "linux/arm64"
    assert Platform("linux", "arm64", "v8") != "linux/arm64"
    assert Platform("linux", "x86_64") != "linux/amd64"
    assert Platform("windows", "amd64", None, "10.0.17763") == "windows(10.0.17763)/amd64"
    assert Platform("", ALL_PLATFORMS) != ALL_PLATFORMS
    assert Platform("linux/arm", "v7") != "linux/arm/v7"
