"""Words become a goal, and stand in the signature of everything that takes them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import occy_fast
from occy_fast.errors import BadReference, Unsupported, UsageError
from occy_fast.planning.goal import Goal
from occy_fast.planning.goal_words import GoalWords, make_goal
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.platform import Platform


def test_nothing_asked_is_the_default() -> None:
    assert make_goal() == Goal()


def test_words_are_parsed_and_values_taken() -> None:
    goal = make_goal(encoding="zstd:3", platforms=["linux/arm64"], tags=["app"], target="docker-20.10")
    assert goal.encoding == Encoding("zstd", 3)
    assert goal.platforms == (Platform("linux", "arm64"),)
    assert goal.tags == ("docker.io/library/app:latest",)
    assert goal.target is not None
    assert make_goal(target=goal.target, encoding=Encoding("gzip"), platforms=["all"]).platforms == ()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"platforms": "linux/arm64"}, UsageError),
        ({"platforms": ["all", "linux/arm64"]}, UsageError),
        ({"tags": "app:1"}, UsageError),
        ({"tags": [f"app@sha256:{'a' * 64}"]}, BadReference),
        ({"encoding": "zstd:99"}, Unsupported),
        ({"format": "ocy"}, UsageError),
        ({"encodign": "zstd"}, TypeError),
    ],
)
def test_what_is_no_goal(words: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        make_goal(**words)


@pytest.mark.parametrize("function", [occy_fast.convert, occy_fast.plan])
def test_the_words_are_listed_where_they_are_taken(function: Any) -> None:
    parameters = inspect.signature(function).parameters
    assert GoalWords.__annotations__.keys() <= parameters.keys()
    assert all(parameters[word].default == getattr(Goal(), word) for word in GoalWords.__annotations__)
    assert "link: blobs may be hard links" in function.__doc__
