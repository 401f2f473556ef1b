"""PAX records, and what they change of an entry, as Go reads them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import TarError
from occy_fast.kernels.tar_problems import Problem
from occy_fast.kernels.tar_records import merge_records
from support import tar_strategies as build
from support.go_listings import octets
from support.tar_scans import (
    TWINS,
    as_go_shows,
    as_go_wants,
    called,
    described,
    go_vectors,
    problem_of,
    refused,
    scanned,
    with_pax,
)


def test_pax_records_are_parsed_as_go_does(tar_scan: ModuleType, shared: Path) -> None:
    vectors = go_vectors(shared)
    for vector in vectors["parse_pax"]:
        if not vector["ok"]:
            with pytest.raises(TarError):
                tar_scan.parse_records(octets(vector["in"]))
            continue
        wanted = {octets(key): octets(value) for key, value in vector.get("want", {}).items()}
        assert merge_records(tar_scan.parse_records(octets(vector["in"]))) == wanted, vector
    for vector in vectors["parse_pax_record"]:
        text, rest = octets(vector["in"]), octets(vector["wantRes"])
        if vector["ok"]:
            assert tar_scan.parse_records(text[: len(text) - len(rest)]) == (
                (octets(vector["wantKey"]), octets(vector["wantVal"])),
            )
        else:
            with pytest.raises(TarError):
                tar_scan.parse_records(text)
    assert (len(vectors["parse_pax"]), len(vectors["parse_pax_record"])) == (12, 25)


def test_pax_records_are_merged_as_go_does(tar_scan: ModuleType, shared: Path) -> None:
    vectors = go_vectors(shared)["merge_pax"]
    assert len(vectors) == 3
    for vector in vectors:
        given_records = [(octets(key), octets(value)) for key, value in vector["in"].items()]
        records, error, _ = scanned(tar_scan, build.pax(*given_records) + build.header(b"", dialect="v7", mode=0))
        assert (error is None) == vector["ok"], vector
        if vector["ok"]:
            wanted = as_go_wants(vector["want"])
            shown = as_go_shows(records[0])
            assert {key: shown[key] for key in wanted} == wanted


def test_extensions_apply_to_the_next_entry_only(tar_scan: ModuleType) -> None:
    tar = (
        build.pax((b"path", b"long"), (b"size", b"3")) + build.header(b"a") + build.padded(b"abc") + build.header(b"b")
    )
    records = scanned(tar_scan, tar)[0]
    assert [(record.name, record.size, record.start, record.header_offset) for record in records] == [
        (b"long", 3, 0, 1024),
        (b"b", 0, 2048, 2048),
    ]
    assert records[1].pax is None


def test_a_global_header_is_an_entry_and_changes_none(tar_scan: ModuleType) -> None:
    tar = build.pax((b"path", b"global"), (b"size", b"9"), kind=b"g") + build.header(b"a")
    first, second = scanned(tar_scan, tar)[0]
    assert (first.type, first.name, first.mtime, first.stored) == (b"g", b"global", None, len(first.pax or b""))
    assert (second.name, second.size, second.pax) == (b"a", 0, None)


def test_gnu_names_win_over_pax(tar_scan: ModuleType) -> None:
    tar = (
        build.long_name(b"gnu")
        + build.pax((b"path", b"pax"))
        + build.long_name(b"to", b"K")
        + build.header(b"a", kind=b"2")
    )
    record = scanned(tar_scan, tar)[0][0]
    assert (record.name, record.linkname) == (b"gnu", b"to")


@pytest.mark.parametrize(
    "text",
    [
        b"\x80", b"\xc1\xbf", b"\xc2", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xef\xbf", b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"a\xc3\xa9\xff", b"\xc3\xc3\xa9",
    ],
)  # fmt: skip
def test_strict_reading_knows_utf8(tar_scan: ModuleType, text: bytes) -> None:
    assert described(problem_of(tar_scan, with_pax((b"path", text)), strict=True)) == refused(Problem.NOT_UTF8, 512)


def test_a_global_header_behind_the_last_entry_is_told_where_it_is(tar_scan: ModuleType) -> None:
    comment = build.pax((b"comment", b"c"), kind=b"g")
    for end in (b"", build.END):
        tar = comment + build.header() + comment + comment + end
        assert described(problem_of(tar_scan, tar, strict=True)) == refused(Problem.DANGLING_EXTENSION, 1536)


@given(
    st.lists(build.any_record, max_size=5).map(lambda records: build.pax_records(*records)),
    st.binary(max_size=4),
    st.floats(0, 1),
)
def test_twins_agree_on_records(body: bytes, patch: bytes, where: float) -> None:
    at = int(where * len(body))
    body = body[:at] + patch + body[at + len(patch) :]
    native, pure = (called(twin.parse_records, body) for twin in TWINS)
    assert native == pure
