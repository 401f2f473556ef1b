"""Both twins of the tar scan against Go's archive/tar, hostile tars, and each other."""

from __future__ import annotations

import bz2
import gzip
import json
import tarfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import TarError, TarLimitError, TarTruncated
from occy_fast.kernels.tar_problems import PROBLEMS, Problem
from support import tar_strategies as build
from support.go_listings import agrees, same_text
from support.tar_scans import (
    NATIVE,
    TWINS,
    as_go_shows,
    as_go_wants,
    described,
    go_vectors,
    problem_of,
    refused,
    scanned,
    skimmed,
    with_pax,
)


def test_native_is_native() -> None:
    assert not str(NATIVE.__file__).endswith(".py")


@cache
def go_file(shared: Path, name: str) -> bytes:
    raw = (shared / "corpus/go-archive-tar" / name).read_bytes()
    return bz2.decompress(raw) if name.endswith(".bz2") else raw


@pytest.mark.parametrize("window", [1 << 20, 512, 97])
def test_reads_what_go_reads(tar_scan: ModuleType, shared: Path, window: int) -> None:
    vectors = go_vectors(shared)["reader"]
    assert len(vectors) == 33
    for vector in vectors:
        records, error, _ = scanned(tar_scan, go_file(shared, vector["file"]), window)
        assert agrees(error, vector["err"]), (vector["file"], error)
        assert [as_go_shows(record) for record in records] == [as_go_wants(each) for each in vector["headers"]], vector[
            "file"
        ]


def truncation_input(shared: Path, pieces: list[list[Any]]) -> bytes:
    inputs = {
        "data1": go_file(shared, "gnu.tar"),
        "data2": go_file(shared, "ustar-file-reg.tar") + bytes(5120),
        "pax": go_file(shared, "pax-path-hdr.tar"),
        "sparse": go_file(shared, "sparse-formats.tar"),
        "trash": b"garbage " * 64,
    }
    return b"".join(inputs[name][:length] for name, length in pieces)


@pytest.mark.parametrize("window", [1 << 20, 512, 100, 1])
def test_truncation_is_told_where_go_tells_it(tar_scan: ModuleType, shared: Path, window: int) -> None:
    cases = go_vectors(shared)["truncation"]["cases"]
    assert len(cases) == 40
    for case in cases:
        tar = truncation_input(shared, case["input"])
        records, error, _ = scanned(tar_scan, tar, window)
        assert (len(records), agrees(error, case["err"])) == (case["headers"], True), (case, error)
        assert (skimmed(tar_scan, tar, window)[0], described(skimmed(tar_scan, tar, window)[1])) == (
            records,
            described(error),
        )


# ------------------------------------------------------------------------------------------- what other readers saw


def test_fuzz_seeds_read_as_go_read_them(tar_scan: ModuleType, shared: Path) -> None:
    seen = json.loads((shared / "corpus/go-fuzz-corpus/observed.json").read_text())["tar"]
    read = 0
    with tarfile.open(shared / "corpus/go-fuzz-corpus/tar-corpus.tar") as seeds:
        for seed in filter(tarfile.TarInfo.isfile, seeds):
            go = seen[Path(seed.name).name]["go"]
            content = seeds.extractfile(seed)
            assert content is not None
            records, error, _ = scanned(tar_scan, content.read())
            assert agrees(error, go["err"]), (seed.name, error)
            assert [record.size for record in records][: len(go["sizes"])] == go["sizes"], seed.name
            assert len(records) == go["n"], seed.name
            read += 1
    assert read == 226


def hostile_cases(shared: Path) -> list[tuple[dict[str, Any], bytes]]:
    directory = shared / "corpus/hostile"
    cases = []
    for case in json.loads((directory / "expected.json").read_text())["cases"]:
        if case["op"] != "scan" or ".tar" not in case["file"]:
            continue
        raw = (directory / Path(case["file"]).name).read_bytes()
        cases.append((case, gzip.decompress(raw) if case["stored"] == "gzip" else raw))
    return cases


def seen_by_go(case: dict[str, Any]) -> dict[str, Any]:
    return next(value for key, value in case["observed"].items() if key.startswith("go"))


def test_hostile_tars_are_refused_by_name(tar_scan: ModuleType, shared: Path) -> None:
    cases = hostile_cases(shared)
    assert len(cases) > 60
    for case, tar in cases:
        # 20,000 stacked headers are beyond the default limit, which Go does not have.
        records, error, _ = scanned(tar_scan, tar, max_extensions=20_000)
        kind = type(error).__name__
        if case["expect"] == "refuse" and case["mode"] == "any":
            assert kind in case["errors"], (case["id"], error)
            assert problem_of(tar_scan, tar, strict=True) is not None, case["id"]
            continue
        go = seen_by_go(case)
        if "data_error" not in go:
            assert (error is None) == ("err" not in go), (case["id"], error)
        for record, (name, kind, size) in zip(records, go["m"], strict=False):  # long lists are not whole
            same = str(name).startswith("{'len'") or same_text(record.name, name)
            assert (same, record.type.decode("latin1"), record.size) == (True, kind, size), case["id"]
        assert len(records) == go["n"] or "data_error" in go, case["id"]
        if case["mode"] == "strict":
            assert type(problem_of(tar_scan, tar, strict=True)).__name__ in case["errors"], case["id"]


# ---------------------------------------------------------------------------------------------------- the definition


def test_an_empty_tar_has_no_entries(tar_scan: ModuleType) -> None:
    records, error, scan = scanned(tar_scan, b"")
    assert (records, error, scan.ended) == ([], None, False)


def test_one_zero_block_is_told_from_none_and_from_two(tar_scan: ModuleType) -> None:
    entry, zeros = build.entry(b"a", b"x"), bytes(512)
    told = []
    for tar in (entry, entry[:-1], entry + zeros, entry + zeros * 2, build.long_name(b"a"), zeros, b"", bytes(300)):
        _, _, scan = scanned(tar_scan, tar, window=100)
        told.append((scan.closed, scan.ended))
    none, one, two = (False, False), (True, False), (True, True)
    assert told == [none, none, one, two, none, one, none, none]


def test_what_follows_the_end_is_told_and_not_read(tar_scan: ModuleType) -> None:
    tar = build.entry(b"a", b"x") + build.END
    _, error, scan = scanned(tar_scan, tar + bytes(600))
    assert (error, scan.ended, scan.hidden) == (None, True, -1)
    records, error, scan = scanned(tar_scan, tar + bytes(600) + build.header(b"hidden"), window=7)
    assert (len(records), error, scan.hidden) == (1, None, len(tar) + 600)


def test_entries_before_an_error_come_out_first(tar_scan: ModuleType) -> None:
    scan = tar_scan.TarScan()
    batch = scan.feed(build.header(b"a") + b"trash" * 200)
    assert [record.name for record in batch] == [b"a"]
    assert scan.skippable == 0
    for call in (lambda: scan.feed(b"more"), scan.finish, lambda: scan.skip(0)):
        with pytest.raises(TarError, match="at byte 512 of the tar"):
            call()


def test_only_what_need_not_be_seen_can_be_skipped(tar_scan: ModuleType) -> None:
    scan = tar_scan.TarScan()
    scan.feed(build.header(b"a", 700))
    assert scan.skippable == 1024
    with pytest.raises(ValueError, match="1025 bytes cannot be skipped, 1024 can"):
        scan.skip(1025)
    with pytest.raises(ValueError, match="cannot be skipped"):
        scan.skip(-1)
    scan.skip(699)
    with pytest.raises(TarTruncated):
        scan.finish()
    scan = tar_scan.TarScan()
    scan.feed(build.header(b"a", 700))
    scan.skip(700)
    scan.finish()
    assert (scan.offset, scan.members) == (1212, 1)


def test_checking_alone_gives_the_same_errors_and_no_records(tar_scan: ModuleType) -> None:
    tar = build.pax_sparse("1.0", b"n", 100, [(0, 5)], b"12345") + build.header(b"a")
    records, error, scan = scanned(tar_scan, tar, keep=False)
    assert (records, error, scan.members) == ([], None, 2)
    assert described(problem_of(tar_scan, tar + b"x", keep=False)) == refused(Problem.CUT_HEADER, len(tar) + 1)


# ------------------------------------------------------------------------------------------------------------ limits


def with_pax_body(size: int) -> bytes:
    return build.entry(b"x", b"%d k=" % size + b"v" * (size - 7) + b"\n", b"x") + build.header()


def with_long_name(size: int) -> bytes:
    return build.long_name(b"n" * (size - 1)) + build.header()


def with_old_map(size: int) -> bytes:
    """Return a sparse entry whose map takes *size* bytes, or whole blocks above, behind the header."""
    count = 4 + -(-size // 512) * 21
    return build.old_sparse(b"s", 9 * count, [(9 * i, 1) for i in range(count)], b"c" * count)


def with_stored_map(size: int) -> bytes:
    """Return a sparse entry whose map takes *size* bytes, its numbers filled up with zeros."""
    records = ((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"))
    return build.pax(*records) + build.entry(b"s", build.padded(b"1\n0\n%0*d\n" % (size - 5, 0)))


def with_extensions(count: int) -> bytes:
    return build.long_name(b"n") * count + build.header()


LIMITS = {
    "PAX header": ("max_extension", 100, with_pax_body),
    "long name": ("max_extension", 1000, with_long_name),
    "old map": ("max_sparse_map", 1024, with_old_map),
    "stored map": ("max_sparse_map", 1024, with_stored_map),
    "headers": ("max_extensions", 5, with_extensions),
}


@pytest.mark.parametrize("case", LIMITS)
def test_limits_hold_exactly(tar_scan: ModuleType, case: str) -> None:
    keyword, limit, make = LIMITS[case]
    assert problem_of(tar_scan, make(limit), **{keyword: limit}) is None
    error = problem_of(tar_scan, make(limit + 1), **{keyword: limit})
    assert isinstance(error, TarLimitError)
    assert error.allowed == limit
    assert error.value > limit


def test_default_limits(tar_scan: ModuleType) -> None:
    mebibyte = 1 << 20
    assert problem_of(tar_scan, build.long_name(b"n" * (mebibyte - 1)) + build.header()) is None
    assert isinstance(problem_of(tar_scan, build.long_name(b"n" * mebibyte) + build.header()), TarLimitError)
    assert problem_of(tar_scan, build.long_name(b"n") * 16 + build.header()) is None
    assert isinstance(problem_of(tar_scan, build.long_name(b"n") * 17 + build.header()), TarLimitError)
    with pytest.raises(TarLimitError):  # at once: nothing waits for a body of this size
        tar_scan.TarScan().feed(build.header(b"L", 1 << 40, b"L", dialect="gnu"))


def test_limits_must_be_possible(tar_scan: ModuleType) -> None:
    with pytest.raises(ValueError, match="max_extension: expected 0 to 2147483647, found -1"):
        tar_scan.TarScan(max_extension=-1)
    with pytest.raises(ValueError, match="max_sparse_map"):
        tar_scan.TarScan(max_sparse_map=1 << 31)
    with pytest.raises(ValueError, match="max_entries: expected 0 to"):
        tar_scan.TarScan(max_entries=-1)


# ------------------------------------------------------------------------------------------------- one test per error

FIELD = build.patched
PLAIN = build.header(b"a", dialect="ustar")
X_THEN = 1024  # offset of the header behind a small PAX header
TRASH = b"garbage " * 64


def raw_pax(body: bytes) -> bytes:
    return build.entry(b"x", body, b"x") + build.header()


STORED_MAP = ((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"9"))


def stored_map(content: bytes) -> bytes:
    return build.pax(*STORED_MAP) + build.entry(b"s", content)


LENIENT: dict[Problem, tuple[bytes, int]] = {
    Problem.CUT_HEADER: (PLAIN[:100], 100),
    Problem.CUT_EXTENSION: (build.pax((b"path", b"a"))[:515], 515),
    Problem.CUT_SPARSE_MAP: (build.old_sparse(b"s", 99, [(i, 1) for i in range(5)], b"12345")[:600], 600),
    Problem.CUT_CONTENT: (build.header(b"a", 9), 512),
    Problem.NO_HEADER: (TRASH, 0),
    Problem.CHECKSUM: (PLAIN[:1] + b"b" + PLAIN[2:], 0),
    Problem.LONE_ZERO_BLOCK: (bytes(512) + PLAIN, 512),
    Problem.SIZE: (FIELD(PLAIN, 124, b"12x"), 0),
    Problem.MODE: (FIELD(PLAIN, 100, b"-1"), 0),
    Problem.UID: (FIELD(PLAIN, 108, b"1_0"), 0),
    Problem.GID: (FIELD(PLAIN, 116, b"8"), 0),
    Problem.MTIME: (FIELD(PLAIN, 136, b"\x80" + b"\xff" * 11), 0),
    Problem.DEVICE: (FIELD(PLAIN, 337, b"z"), 0),
    Problem.STAR_TIME: (FIELD(build.header(dialect="star"), 488, b"z"), 0),
    Problem.NEGATIVE_SIZE: (FIELD(PLAIN, 124, b"\xff" * 12), 0),
    Problem.RECORD_LENGTH: (raw_pax(b"9 k=v\n"), 512),
    Problem.RECORD_END: (raw_pax(b"6 k=v\n6 k=vv"), 518),
    Problem.RECORD_EQUALS: (raw_pax(b"6 k_v\n"), 512),
    Problem.RECORD_KEY: (raw_pax(b"6 =vv\n"), 512),
    Problem.RECORD_NUL: (with_pax((b"path", b"a\0b")), 512),
    Problem.RECORD_SPARSE_ORDER: (with_pax((b"GNU.sparse.numbytes", b"1")), 512),
    Problem.PAX_SIZE: (with_pax((b"size", b" 1")), 512),
    Problem.PAX_UID: (with_pax((b"gid", b"1"), (b"uid", b"0x1")), 520),
    Problem.PAX_GID: (with_pax((b"gid", b"9223372036854775808")), 512),
    Problem.PAX_TIME: (with_pax((b"mtime", b"now")), 512),
    Problem.PAX_SPARSE_SIZE: (with_pax((b"GNU.sparse.size", b"x"), (b"GNU.sparse.map", b"0,0")), 512),
    Problem.PAX_SPARSE_COUNT: (with_pax((b"GNU.sparse.numblocks", b"1"), (b"GNU.sparse.map", b"0,0,0")), X_THEN),
    Problem.PAX_SPARSE_NUMBER: (with_pax((b"GNU.sparse.numblocks", b"1"), (b"GNU.sparse.map", b"0,x")), X_THEN),
    Problem.SPARSE_DIALECT: (build.header(b"s", 0, b"S"), 0),
    Problem.SPARSE_SIZE: (FIELD(build.header(b"s", 0, b"S", dialect="gnu"), 483, b"x"), 0),
    Problem.SPARSE_NUMBER: (FIELD(build.header(b"s", 0, b"S", dialect="gnu"), 386, b"x"), 0),
    Problem.SPARSE_COUNT: (stored_map(build.padded(b"-1\n")), X_THEN),
    Problem.SPARSE_PAST_ENTRY: (stored_map(b"1\n0\n"), X_THEN + 512),
    Problem.SPARSE_WITHOUT_CONTENT: (
        with_pax((b"GNU.sparse.numblocks", b"1"), (b"GNU.sparse.map", b"0,0"), kind=b"5"),
        X_THEN,
    ),
    Problem.SPARSE_REGIONS: (with_pax((b"GNU.sparse.numblocks", b"1"), (b"GNU.sparse.map", b"9,1")), X_THEN),
    Problem.SPARSE_MISSING: (build.old_sparse(b"s", 99, [(0, 9)], b"12345678"), 0),
}
STRICT: dict[Problem, tuple[bytes, int]] = {
    Problem.SPARSE_UNREFERENCED: (build.old_sparse(b"s", 99, [(0, 9)], b"1234567890"), 0),
    Problem.TWO_EXTENSIONS: (build.long_name(b"n") * 2 + PLAIN, 1024),
    Problem.TWO_NAMES: (build.long_name(b"n") + with_pax((b"path", b"m")), 2048),
    Problem.TWO_LINKNAMES: (build.long_name(b"n", b"K") + with_pax((b"linkpath", b"m"), kind=b"2"), 2048),
    Problem.TWO_RECORDS: (with_pax((b"path", b"a"), (b"path", b"b")), 521),
    Problem.GLOBAL_RECORD: (build.pax((b"comment", b"c"), (b"size", b"1"), kind=b"g") + PLAIN, 512 + 13),
    Problem.DROPPED_EXTENSION: (build.long_name(b"n") + build.pax((b"comment", b"c"), kind=b"g") + PLAIN, 0),
    Problem.SIZE_WITHOUT_CONTENT: (build.header(b"a", 7, b"5"), 0),
    Problem.GNU_PREFIX: (FIELD(build.header(dialect="gnu"), 345, b"prefix"), 0),
    Problem.USTAR_VERSION: (FIELD(PLAIN, 263, b"\0\0"), 0),
    Problem.SOLARIS_HEADER: (build.header(b"a", 0, b"X"), 0),
    Problem.NUMBER_TAIL: (FIELD(PLAIN, 100, b"644\x00777\0"), 0),
    Problem.SPARSE_VERSION: (with_pax((b"GNU.sparse.major", b"2")), X_THEN),
    Problem.PAX_NUMBER_SIGN: (with_pax((b"uid", b"+1")), 512),
    Problem.EMPTY_NAME: (build.header(b""), 0),
    Problem.DANGLING_EXTENSION: (build.header(b"a") + build.long_name(b"n") + build.END, 512),
    Problem.GNU_TIMES: (FIELD(build.header(dialect="gnu"), 345, b"%011o\0" % 7), 0),
    Problem.VOLUME_LABEL: (build.header(b"a", 0, b"V"), 0),
    Problem.NOT_UTF8: (with_pax((b"uid", b"1"), (b"uname", b"\xed\xa0\x80")), 512 + 8),
    Problem.EMPTY_RECORD: (with_pax((b"uid", b"1"), (b"path", b"")), 512 + 8),
    Problem.SIZE_BEFORE_NAME: (build.pax((b"size", b"0")) + build.long_name(b"n") + PLAIN, X_THEN),
    Problem.CUT_PADDING: (build.entry(b"a", b"x")[:600], 600),
    Problem.HIDDEN_BYTES: (build.END + bytes(512) + PLAIN, 3 * 512),
}


@pytest.mark.parametrize("window", [1 << 20, 1])
@pytest.mark.parametrize("problem", LENIENT, ids=lambda problem: problem.name)
def test_every_problem_is_told(tar_scan: ModuleType, problem: Problem, window: int) -> None:
    tar, offset = LENIENT[problem]
    for strict in (False, True):
        assert described(problem_of(tar_scan, tar, window=window, strict=strict)) == refused(problem, offset)


@pytest.mark.parametrize("problem", STRICT, ids=lambda problem: problem.name)
def test_strict_reading_refuses_what_lenient_reading_takes(tar_scan: ModuleType, problem: Problem) -> None:
    tar, offset = STRICT[problem]
    assert problem_of(tar_scan, tar) is None
    assert described(problem_of(tar_scan, tar, strict=True)) == refused(problem, offset)


NOT_REFUSED = {
    "a name that says it is no UTF-8": build.pax((b"path", b"\xe9"), (b"hdrcharset", b"BINARY")) + PLAIN,
    "a value that is no name": with_pax((b"SCHILY.xattr.user.a", b"\xff"), (b"comment", b"")),
    "every length of UTF-8": with_pax((b"path", "\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff".encode())),
    "a long name in front of a size": build.long_name(b"n") + with_pax((b"size", b"0")),
    "a change time alone": FIELD(build.header(dialect="gnu"), 357, b"%011o\0" % 7),
    "times of a sparse file": FIELD(build.old_sparse(b"s", 9, [(0, 1)], b"c")[:512], 345, b"%011o\0" % 7) + bytes(512),
    "a global header in front of an entry": build.pax((b"comment", b"c"), kind=b"g") + PLAIN,
    "zeros behind the end": PLAIN + build.END + bytes(10_000),
    "no end": PLAIN,
}


@pytest.mark.parametrize("case", NOT_REFUSED)
def test_strict_reading_takes_what_is_read_alike(tar_scan: ModuleType, case: str) -> None:
    assert problem_of(tar_scan, NOT_REFUSED[case], strict=True) is None


def test_every_problem_has_words_and_a_test() -> None:
    limits = {Problem.LIMIT_EXTENSION, Problem.LIMIT_SPARSE_MAP, Problem.LIMIT_EXTENSIONS}
    assert set(PROBLEMS) == set(Problem) - {Problem.NONE}
    assert set(LENIENT) | set(STRICT) | limits == set(PROBLEMS)


# --------------------------------------------------------------------------------------------------------- agreement


def outcome(twin: ModuleType, tar: bytes, window: int, **options: Any) -> tuple[Any, ...]:
    records, error, scan = scanned(twin, tar, window, **options)
    facts = scan.offset, scan.members, scan.closed, scan.ended, scan.hidden, scan.skippable, scan.entries()
    return records, described(error), *facts


@given(build.damaged_tars(), build.window_sizes, st.booleans(), st.booleans(), st.sampled_from([0, 1, 4, 1000]))
def test_twins_agree(tar: bytes, window: int, strict: bool, keep: bool, most: int) -> None:
    native, pure = (outcome(twin, tar, window, strict=strict, keep=keep, max_entries=most) for twin in TWINS)
    assert native == pure


@given(build.damaged_tars(), build.window_sizes, st.booleans())
def test_windows_make_no_difference(tar: bytes, window: int, strict: bool) -> None:
    whole, error, _ = scanned(NATIVE, tar, strict=strict)
    for twin in TWINS:
        pieces, same, _ = scanned(twin, tar, window, strict=strict)
        assert (pieces, described(same)) == (whole, described(error))
        pieces, same = skimmed(twin, tar, window, strict=strict)
        assert (pieces, described(same)) == (whole, described(error))


@given(build.damaged_tars(), st.booleans())
def test_strict_reading_gives_no_more_than_lenient(tar: bytes, keep: bool) -> None:
    lenient, error, _ = scanned(NATIVE, tar)
    strict, refusal, _ = scanned(NATIVE, tar, strict=True)
    assert strict == lenient[: len(strict)]
    assert error is None or refusal is not None
