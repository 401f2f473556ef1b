"""The structs of consumers, each field held against every kind of value."""

from __future__ import annotations

import pytest

from occy_fast.image.go_decoding import find_refusal
from occy_fast.targets.config_structs import STRUCTS
from support.config_damage import VALUES, damaged, fields, is_taken, sound_config, with_value

DIFF_IDS = ["sha256:" + "0" * 64]


LOOKED_INTO = ("rewritten", "podman-4", "podman-5")
"""Not decoded alone: of what has been decoded, single values are refused."""
DECODED = [name for name in STRUCTS if name not in LOOKED_INTO]


@pytest.mark.parametrize("name", DECODED)
def test_a_field_takes_the_values_of_its_kind_and_no_others(name: str) -> None:
    struct, refused = STRUCTS[name], 0
    known = dict(struct.walk())
    for case in damaged(DIFF_IDS):
        kind = known.get(case.path)
        # what stands in a field that is unknown goes by, and so it does in one that is odd in another struct
        expected = is_taken(kind, case.value) if kind is not None else True
        if name == "docker-29" and case.path[-1] == "ExposedPorts":
            continue                                     # its keys are parsed, too
        refusal = find_refusal(case.raw, struct)
        assert (refusal is None) == expected, (name, str(case), refusal)
        if refusal is not None:
            assert refusal.path == ".".join(case.path)
            refused += 1
    assert refused > 40


def test_fields_are_those_of_the_sources() -> None:
    assert {len(STRUCTS[name].fields) for name in DECODED} == {5, 10, 17}
    assert len(fields()) > 60
    assert ("config", "MacAddress") not in dict(STRUCTS["docker-29"].walk())
    assert ("config", "Healthcheck", "StartInterval") not in dict(STRUCTS["docker-20.10"].walk())
    for name, struct in STRUCTS.items():
        assert (("config", "OnBuild") in dict(struct.walk())) == (name not in ("platform", "oci", *LOOKED_INTO)), name


def test_the_sound_config_is_sound() -> None:
    for struct in STRUCTS.values():
        assert find_refusal(with_value(DIFF_IDS, ("created",), VALUES["time"]), struct) is None
    assert sound_config(DIFF_IDS)["rootfs"]["diff_ids"] == DIFF_IDS
