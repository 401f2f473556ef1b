"""A plan as JSON."""

from __future__ import annotations

from dataclasses import fields

from occy_fast.planning.facts import Facts
from occy_fast.planning.goal import Goal
from support.contents import contents, image
from support.plans import goal, plan_of


def test_the_same_plan_as_json() -> None:
    plan = plan_of(contents(image("a", "b.gzip"), names=["app:1"]), goal("gzip"), Facts(free=10**9))
    document = plan.to_json()
    assert document["source"] == "oci:in"
    assert document["destination"] == "oci:out"
    assert document["goal"]["encoding"] == "gzip"
    assert document["bytes_copied"] == 1_000_000
    assert document["bytes_recoded"] == 1_000_000
    assert document["bytes_written_estimate"] == 1_380_000
    assert document["bytes_free"] == 10**9
    (shown,) = document["images"]
    assert shown["names"] == ["docker.io/library/app:1"]
    (manifest,) = shown["manifests"]
    assert [(each["step"], each["from"], each["to"]) for each in manifest["layers"]] == [
        ("recode", "none", "gzip:2"),
        ("copy", "gzip", "gzip"),
    ]


def test_all_that_was_asked_for_is_in_it() -> None:
    asked = goal(tags=("docker.io/library/app:2",))
    document = plan_of(contents(image("a")), asked, Facts(), archive=True).to_json()["goal"]
    assert document.keys() == {field.name for field in fields(Goal)}
    assert document["tags"] == ["docker.io/library/app:2"]
