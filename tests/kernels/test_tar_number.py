"""The numbers of tar headers and PAX records, as Go reads them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import TarError
from support.go_listings import nanoseconds, octets
from support.tar_scans import (
    TWINS,
    called,
    go_vectors,
)


def test_pax_times_are_parsed_as_go_does(tar_scan: ModuleType, shared: Path) -> None:
    vectors = go_vectors(shared)["parse_pax_time"]
    assert len(vectors) == 56
    for vector in vectors:
        if vector["ok"]:
            assert tar_scan.parse_time(octets(vector["in"])) == nanoseconds(vector["want"]), vector
        else:
            with pytest.raises(TarError):
                tar_scan.parse_time(octets(vector["in"]))


def test_numbers_are_parsed_as_go_does(tar_scan: ModuleType, shared: Path) -> None:
    vectors = go_vectors(shared)["parse_numeric"]
    assert len(vectors) == 34
    for vector in vectors:
        if vector["ok"]:
            assert tar_scan.parse_number(octets(vector["in"])) == vector["want"], vector
        else:
            with pytest.raises(TarError):
                tar_scan.parse_number(octets(vector["in"]))


@given(st.binary(max_size=14) | st.from_regex(rb"[ \0]*[0-7]*[ \0]*[0-9]*[ \0]*", fullmatch=True))
def test_twins_agree_on_numbers(field: bytes) -> None:
    native, pure = (called(twin.parse_number, field) for twin in TWINS)
    assert native == pure


@given(st.from_regex(rb"[+-]?[0-9]{0,21}(\.[0-9]{0,12})?.?", fullmatch=True) | st.binary(max_size=9))
def test_twins_agree_on_times(text: bytes) -> None:
    native, pure = (called(twin.parse_time, text) for twin in TWINS)
    assert native == pure
