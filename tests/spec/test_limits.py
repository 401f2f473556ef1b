"""What a limit itself may be."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace

import pytest

from occy_fast.errors import UsageError
from occy_fast.spec.limits import LIMITS, Limits, check_limit

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

DEFAULTS = {
    "layer": 64 * GIB,
    "ratio": 1000,
    "gzip_header": 64 * KIB,
    "zstd_window": 128 * MIB,
    "xz_memory": 128 * MIB,
    "tar_extension": MIB,
    "tar_sparse_map": MIB,
    "tar_extension_count": 16,
    "member_count": 200_000,
    "member_names": 32 * MIB,
    "stream_documents": 24 * MIB,
    "stream_blob_count": 16_384,
    "legacy_documents": 64 * MIB,
    "link_count": 1,
    "manifest": 4 * MIB,
    "docker_manifest": MIB,
    "config": 4 * MIB,
    "layer_count": 4096,
    "index_depth": 8,
    "manifest_count": 10_000,
    "json_depth": 64,
}


def test_the_defaults() -> None:
    assert {field.name: getattr(LIMITS, field.name) for field in fields(Limits)} == DEFAULTS
    assert Limits() == LIMITS == pickle.loads(pickle.dumps(LIMITS))
    assert len({LIMITS, Limits(layer=1)}) == 2


# The least and the most that each may be; the others take 1 to 2**63 - 1.
RANGES = {
    "gzip_header": (10, (1 << 32) - 1),
    "zstd_window": (1024, 1 << 31),
    "tar_extension": (0, (1 << 31) - 1),
    "tar_sparse_map": (0, (1 << 31) - 1),
    "tar_extension_count": (0, (1 << 31) - 1),
    "link_count": (0, 40),
    "index_depth": (1, 64),
    "json_depth": (1, 256),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_a_limit_may_be(name: str) -> None:
    least, most = RANGES.get(name, (1, (1 << 63) - 1))
    for value in (least, most):
        assert getattr(replace(LIMITS, **{name: value}), name) == value
    wrong: object
    for wrong in (least - 1, most + 1, -1, True, 1.5, "7", None):
        with pytest.raises(
            UsageError, match=f"the {name} limit is '{wrong}' .it takes a number from {least} to {most}"
        ):
            replace(LIMITS, **{name: wrong})  # type: ignore[arg-type]


def test_a_window_is_a_power_of_two() -> None:
    with pytest.raises(UsageError, match=r"the thing is '1025' .*a power of two"):
        check_limit("zstd_window", 1025, "thing")
