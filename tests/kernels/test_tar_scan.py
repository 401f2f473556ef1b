"""Both twins of the tar scan against Go's archive/tar, hostile tars, and each other."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import TarError, TarLimitError, TarTruncated
from occy_fast.kernels.tar_problems import PROBLEMS, Problem, tar_error
from occy_fast.kernels.tar_records import TarFormat, TarRecord, merge_records
from support import tar_strategies as build
from support.go_listings import agrees, nanoseconds, octets, same_text

NATIVE = import_module("occy_fast.kernels.native.tar_scan")
PURE = import_module("occy_fast.kernels.pure.tar_scan")
TWINS = (NATIVE, PURE)


@pytest.fixture(params=["native", "pure"])
def tar_scan(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(f"occy_fast.kernels.{request.param}.tar_scan")


def test_native_is_native() -> None:
    assert not str(NATIVE.__file__).endswith(".py")


# ---------------------------------------------------------------------------------------------------------- running


def windows_of(tar: bytes, size: int) -> Iterator[bytes]:
    return (tar[at : at + size] for at in range(0, len(tar), size))


def scanned(
    twin: ModuleType, tar: bytes, window: int = 1 << 20, **options: Any
) -> tuple[list[TarRecord], Exception | None, Any]:
    """Return the records of *tar*, the error it ends with, and the scan."""
    scan = twin.TarScan(**options)
    records: list[TarRecord] = []
    try:
        for piece in windows_of(tar, window):
            records += scan.feed(piece)
        scan.finish()
    except TarError as error:
        return records, error, scan
    return records, None, scan


def skimmed(twin: ModuleType, tar: bytes, window: int, **options: Any) -> tuple[list[TarRecord], Exception | None]:
    """The same, without showing the scan what it need not see."""
    scan = twin.TarScan(**options)
    records: list[TarRecord] = []
    try:
        while scan.offset < len(tar):
            scan.skip(min(scan.skippable, len(tar) - scan.offset))
            records += scan.feed(tar[scan.offset : scan.offset + window])
        scan.finish()
    except TarError as error:
        return records, error
    return records, None


def described(error: Exception | None) -> tuple[type[Exception], str] | None:
    return None if error is None else (type(error), str(error))


def names(twin: ModuleType, tar: bytes, **options: Any) -> list[bytes]:
    records, error, _ = scanned(twin, tar, **options)
    assert error is None
    return [record.name for record in records]


def problem_of(twin: ModuleType, tar: bytes, **options: Any) -> Exception | None:
    return scanned(twin, tar, **options)[1]


def refused(problem: Problem, offset: int) -> tuple[type[Exception], str]:
    error = tar_error(problem, offset)
    return type(error), str(error)


# --------------------------------------------------------------------------------------------- Go's own test vectors


@cache
def go_vectors(shared: Path) -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads((shared / "corpus/go-archive-tar/expected.json").read_text())
    return vectors


@cache
def go_file(shared: Path, name: str) -> bytes:
    raw = (shared / "corpus/go-archive-tar" / name).read_bytes()
    return bz2.decompress(raw) if name.endswith(".bz2") else raw


def as_go_shows(record: TarRecord) -> dict[str, Any]:
    """Return a record with the names Go gives the fields, those that are zero left out."""
    pax = merge_records(PURE.parse_records(record.pax)) if record.pax is not None else {}
    prefix = b"SCHILY.xattr."
    shown = {
        "Name": record.name,
        "Linkname": record.linkname,
        "Uname": record.uname,
        "Gname": record.gname,
        "Mode": record.mode,
        "Uid": record.uid,
        "Gid": record.gid,
        "Devmajor": record.devmajor,
        "Devminor": record.devminor,
        "ModTime": record.mtime,
        "AccessTime": record.atime,
        "ChangeTime": record.ctime,
        "Format": "" if not record.format else TarFormat(record.format).name,
        "PAXRecords": pax,
        "Xattrs": {key[len(prefix) :]: value for key, value in pax.items() if key.startswith(prefix) and value},
    }
    times = ("ModTime", "AccessTime", "ChangeTime")
    kept = {key: value for key, value in shown.items() if (value is not None if key in times else value)}
    return kept | {"Size": record.size, "Typeflag": record.type}


def as_go_wants(fields: dict[str, Any]) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    for key, value in fields.items():
        if key in ("Name", "Linkname", "Uname", "Gname", "Typeflag"):
            wanted[key] = octets(value)
        elif key.endswith("Time"):
            wanted[key] = nanoseconds(value)
        elif key in ("PAXRecords", "Xattrs"):
            wanted[key] = {octets(name): octets(text) for name, text in value.items()}
        else:
            wanted[key] = value
    return wanted


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


def sparse_tar(vector: dict[str, Any]) -> bytes:
    """Return a tar for a vector of Go's map reader: there, nobody asks whether the map fits the file; here it does."""
    regions = [(region["Offset"], region["Length"]) for region in vector.get("wantMap") or []]
    records = {octets(key): octets(value) for key, value in vector.get("inputHdrs", {}).items()}
    content = octets(vector["inputData"]) + bytes(sum(length for _, length in regions))
    fits = max((offset + length for offset, length in regions), default=0)
    if records and vector.get("wantSize", 0) < fits:
        records.pop(b"GNU.sparse.realsize", None)
        records[b"GNU.sparse.size"] = b"%d" % fits
    return build.pax(*records.items()) + build.entry(b"plain", content)


def test_sparse_maps_are_read_as_go_does(tar_scan: ModuleType, shared: Path) -> None:
    vectors = go_vectors(shared)["gnu_sparse_pax"]
    assert len(vectors) == 26
    for vector in vectors:
        records, error, _ = scanned(tar_scan, sparse_tar(vector))
        assert agrees(error, vector.get("wantErr")), (vector.get("inputHdrs"), vector["inputData"][:40], error)
        if error is None:
            wanted = vector.get("wantMap")
            regions = None if wanted is None else tuple((each["Offset"], each["Length"]) for each in wanted)
            assert records[0].sparse == regions
            assert records[0].name == (octets(vector["wantName"]) or b"plain")
            if regions and vector["wantSize"] >= sum(regions[-1]):
                assert records[0].size == vector["wantSize"]


def test_sparse_regions_are_judged_as_go_does(tar_scan: ModuleType, shared: Path) -> None:
    vectors = go_vectors(shared)["sparse_entries"]
    assert len(vectors) == 20
    for vector in vectors:
        regions = [(region["Offset"], region["Length"]) for region in vector["in"]]
        stored = sum(length for _, length in regions) if vector["wantValid"] else 0
        tar = build.pax_sparse("0.1", b"n", vector["size"], regions, bytes(stored))
        if not regions:  # an empty map needs the version that later writers add
            version = [(b"GNU.sparse.major", b"0"), (b"GNU.sparse.minor", b"1"), (b"GNU.sparse.numblocks", b"0")]
            tar = build.pax(*version, (b"GNU.sparse.size", b"%d" % vector["size"])) + build.entry()
        records, error, _ = scanned(tar_scan, tar)
        assert (error is None) == vector["wantValid"], (vector, error)
        if error is None:
            assert (records[0].sparse, records[0].size) == (tuple(regions), vector["size"])


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


def test_every_dialect_gives_its_fields(tar_scan: ModuleType) -> None:
    for dialect, wanted in (("v7", 0), ("ustar", TarFormat.USTAR), ("gnu", TarFormat.GNU), ("star", 0)):
        tar = build.entry(
            b"name", b"content", dialect=dialect, mode=0o755, uid=7, gid=8, mtime=9, uname=b"u", gname=b"g"
        )
        record = scanned(tar_scan, tar + build.END)[0][0]
        assert (record.name, record.size, record.stored, record.data_offset) == (b"name", 7, 7, 512)
        assert (record.mode, record.uid, record.gid, record.mtime) == (0o755, 7, 8, 9 * 10**9)
        assert (record.uname, record.gname) == ((b"", b"") if dialect == "v7" else (b"u", b"g"))
        assert record.format == wanted
        assert (record.atime, record.ctime) == ((10**9, 2 * 10**9) if dialect == "star" else (None, None))


def test_the_prefix_stands_before_the_name(tar_scan: ModuleType) -> None:
    assert names(tar_scan, build.header(b"name", prefix=b"a/b")) == [b"a/b/name"]
    assert names(tar_scan, build.header(b"name", dialect="gnu")) == [b"name"]


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


def test_a_batch_is_a_sequence(tar_scan: ModuleType) -> None:
    batch = tar_scan.TarScan().feed(b"".join(build.header(name) for name in (b"a", b"b", b"c")))
    assert len(batch) == 3
    assert [record.name for record in batch] == [b"a", b"b", b"c"]
    assert (batch[1].name, batch[-1].name) == (b"b", b"c")
    assert [record.name for record in batch[1:]] == [b"b", b"c"]
    with pytest.raises(IndexError):
        batch[3]


SPARSE = {
    "old": build.old_sparse,
    **{each: lambda *given, version=each: build.pax_sparse(version, *given) for each in ("0.0", "0.1", "1.0")},
}


@pytest.mark.parametrize("version", SPARSE)
def test_sparse_regions_are_kept(tar_scan: ModuleType, version: str) -> None:
    regions = [(1000 * i, 7) for i in range(60)]
    tar = SPARSE[version](b"sparse", 1 << 40, regions, b"content" * 60) + build.header(b"next")
    first, second = scanned(tar_scan, tar)[0]
    assert (first.sparse, first.size, first.stored) == (tuple(regions), 1 << 40, 420)
    assert tar[first.data_offset :].startswith(b"contentcontent")
    assert (second.name, second.sparse) == (b"next", None)


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


# ------------------------------------------------------------------------------------------------- one test per error

FIELD = build.patched
PLAIN = build.header(b"a", dialect="ustar")
X_THEN = 1024  # offset of the header behind a small PAX header
TRASH = b"garbage " * 64


def with_pax(*records: tuple[bytes, bytes], kind: bytes = b"0", size: int = 0) -> bytes:
    return build.pax(*records) + build.header(b"a", size, kind)


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


def test_every_problem_has_words_and_a_test() -> None:
    limits = {Problem.LIMIT_EXTENSION, Problem.LIMIT_SPARSE_MAP, Problem.LIMIT_EXTENSIONS}
    assert set(PROBLEMS) == set(Problem) - {Problem.NONE}
    assert set(LENIENT) | set(STRICT) | limits == set(PROBLEMS)


# --------------------------------------------------------------------------------------------------------- agreement


def outcome(twin: ModuleType, tar: bytes, window: int, **options: Any) -> tuple[Any, ...]:
    records, error, scan = scanned(twin, tar, window, **options)
    facts = scan.offset, scan.members, scan.closed, scan.ended, scan.hidden, scan.skippable
    return records, described(error), *facts


@given(build.damaged_tars(), build.window_sizes, st.booleans(), st.booleans())
def test_twins_agree(tar: bytes, window: int, strict: bool, keep: bool) -> None:
    native, pure = (outcome(twin, tar, window, strict=strict, keep=keep) for twin in TWINS)
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


@given(st.binary(max_size=14) | st.from_regex(rb"[ \0]*[0-7]*[ \0]*[0-9]*[ \0]*", fullmatch=True))
def test_twins_agree_on_numbers(field: bytes) -> None:
    native, pure = (called(twin.parse_number, field) for twin in TWINS)
    assert native == pure


@given(st.from_regex(rb"[+-]?[0-9]{0,21}(\.[0-9]{0,12})?.?", fullmatch=True) | st.binary(max_size=9))
def test_twins_agree_on_times(text: bytes) -> None:
    native, pure = (called(twin.parse_time, text) for twin in TWINS)
    assert native == pure


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


def called(function: Callable[[bytes], Any], argument: bytes) -> Any:
    try:
        return function(argument)
    except TarError as error:
        return described(error)


# ------------------------------------------------------------------------------------------- others, and golden bytes


@pytest.mark.parametrize("dialect", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_the_standard_library_writes_is_read(tar_scan: ModuleType, dialect: int) -> None:
    stream = io.BytesIO()
    wanted = []
    with tarfile.open(fileobj=stream, mode="w", format=dialect) as tar:
        for i in range(50):
            member = tarfile.TarInfo("directory/" * (i % 14) + f"file{i}")
            member.size, member.mode, member.mtime, member.uid = 37 * i, 0o600 + i % 8, 10**9 + i, i
            if dialect != tarfile.USTAR_FORMAT and i == 49:
                member.uid, member.mtime = 1 << 40, -5
            tar.addfile(member, io.BytesIO(b"c" * member.size))
            wanted.append((member.name.encode(), member.size, member.mode, member.uid, member.mtime * 10**9))
    records, error, scan = scanned(tar_scan, stream.getvalue(), strict=True)
    assert error is None
    assert scan.ended
    assert [(each.name, each.size, each.mode, each.uid, each.mtime) for each in records] == wanted


GOLDEN = "ec52f90f0317585766515c90ed8a8259a06dacb8e7e79e6f2af7131e75357ded"


def test_packed_records_are_golden(tar_scan: ModuleType) -> None:
    """A change here means a new layout of records: everything that unpacks them must follow."""
    tar = build.pax((b"path", "é".encode()), (b"mtime", b"-1.5"), (b"SCHILY.xattr.user.a", b"\0")) + build.entry(
        b"a", b"abc", uid=1 << 40
    )
    tar += (
        build.old_sparse(b"s", 5000, [(1000 * i, 3) for i in range(5)], b"123" * 5)
        + build.long_name(b"n" * 200)
        + build.header()
    )
    batch = tar_scan.TarScan().feed(tar + build.END)
    assert hashlib.sha256(batch.records + batch.texts).hexdigest() == GOLDEN
