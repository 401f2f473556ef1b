"""What targets refuse in configs: who, when, and in which words."""

from __future__ import annotations

import json

import pytest

from occy_fast.image.place import Place
from occy_fast.targets.catalog import find_target
from occy_fast.targets.config_traits import ConfigReader, Form, knows_configs
from occy_fast.targets.judge import judge
from support.config_damage import with_value

DIFF_IDS = ["sha256:" + "0" * 64]
NAMES = (
    "docker-20.10", "docker-25-graphdriver", "docker-29-graphdriver", "docker-25-containerd", "docker-29",
    "containerd-1.6", "podman-4.3", "skopeo-1.9",
)  # fmt: skip
# a value, and who refuses it when, in that order: l = loading, r = making a container, c = copying, - = nobody
CASES = {
    ("config", "Cmd"): ("/bin/app --serve", "--llrllc"),
    ("config", "Entrypoint"): ("/bin/app", "--llrllc"),
    ("config", "OnBuild"): ("RUN x", "lllrr-ll"),
    ("config", "Tty"): ("false", "lll---ll"),
    ("config", "OpenStdin"): (1, "lll---ll"),
    ("config", "Shell"): ("/bin/sh", "--lrr---"),
    ("config", "StopTimeout"): (10.5, "lll---ll"),
    ("config", "Healthcheck"): ({"Test": ["NONE"], "StartInterval": "30s"}, "-llrr---"),
    ("config", "Healthcheck", "Interval"): ("30s", "lllrr-ll"),
    ("config", "ExposedPorts"): ({"http/tcp": {}}, "--l-----"),
    ("config", "Labels"): ({"a": 1}, "llllrlll"),
    ("Size",): (1.5, "lll---ll"),
    ("container_config",): ({"Tty": "x"}, "lll---ll"),
    ("parent",): (1, "lll---ll"),
    ("created",): ("2020-01-01", "llllrlll"),
    ("architecture",): (1, "llllllll"),
}


def verdict(raw: bytes, name: str, form: Form = "archive") -> str:
    target = find_target(name)
    traits = ConfigReader().traits([(Place("config"), "c.json", raw)], form, target)
    found = judge(traits, target)
    if not found:
        return "-"
    (finding,) = found
    return {"config-run": "r", "config-field": "l"}[finding.rule] if finding.severity == "error" else "c"


@pytest.mark.parametrize("path", CASES, ids=".".join)
def test_who_refuses_it_and_when(path: tuple[str, ...]) -> None:
    value, expected = CASES[path]
    raw = with_value(DIFF_IDS, path, json.dumps(value))
    assert "".join(verdict(raw, name) for name in NAMES) == expected


def test_what_is_pulled_meets_other_decoders() -> None:
    """An archive's config tells whom the image is for; of one that is pulled, Docker looks at that later."""
    raw = with_value(DIFF_IDS, ("config", "Cmd"), '"x"')
    assert [verdict(raw, name, "layout") for name in NAMES] == list("--lrrllc")


def test_it_is_told_in_their_words() -> None:
    raw = with_value(DIFF_IDS, ("config", "Tty"), '"false"')
    target = find_target("podman-4.3")
    (found,) = judge(ConfigReader().traits([(Place("config"), "c.json", raw)], "archive", target), target)
    assert found.problem == "config.Tty is a string, and should be true or false"
    assert found.says == (
        "decoding tar config c.json: "
        "json: cannot unmarshal string into Go struct field Schema2Config.config.Tty of type bool"
    )


def test_of_a_target_that_nobody_looked_into_nothing_is_claimed() -> None:
    target = find_target("ecr")
    assert not knows_configs(target)
    raw = with_value(DIFF_IDS, ("config", "Tty"), '"false"')
    (found,) = judge(ConfigReader().traits([(Place("config"), "", raw)], "layout", target), target)
    assert found.severity == "unknown"
    sound = with_value(DIFF_IDS, ("config", "Tty"), "false")
    assert list(ConfigReader().traits([(Place("config"), "", sound)], "layout", target)) == []
