"""The list of a layer's entries: what stands in it, what it may take, and that it can be read back."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.kernels.entry_list import ENTRY_SIZE, EntryList, ListedEntry, read_entries
from occy_fast.kernels.pass_options import PassOptions
from occy_fast.kernels.tar_records import TarRecord
from support import tar_strategies as build
from support.tar_scans import PURE, TWINS, scanned

PASSES = [import_module(f"occy_fast.kernels.{side}.layer_pass") for side in ("native", "pure")]
XATTR = b"SCHILY.xattr."


def listed(twin: ModuleType, tar: bytes, window: int = 1 << 20, most: int = 1000) -> bytes | None:
    """Return the list that a scan of *tar* makes."""
    found: bytes | None = scanned(twin, tar, window, max_entries=most)[2].entries()
    return found


def entry_of(record: TarRecord, parse_records: Any) -> ListedEntry:
    records = parse_records(record.pax) if record.pax and record.type != b"g" else ()
    keys = b"\0".join(key[len(XATTR) :] for key, value in records if key.startswith(XATTR) and value)
    xattrs = tuple(keys.split(b"\0")) if keys else ()
    return ListedEntry(record.type, record.header_offset, record.name, record.linkname, xattrs)


@given(build.damaged_tars(), build.window_sizes)
def test_a_list_has_every_entry_as_the_scan_found_it(tar: bytes, window: int) -> None:
    for twin in TWINS:
        records, _, _ = scanned(twin, tar)
        raw = listed(twin, tar, window)
        assert raw is not None
        assert list(read_entries(raw)) == [entry_of(record, twin.parse_records) for record in records]


TAR = b"".join(
    (
        build.entry(b"usr/", kind=b"5"),
        build.entry(b"usr/share", b"x" * 600),
        build.entry(b"usr/share/doc", kind=b"2", linkname=b"../doc"),
        build.header(b"c", prefix=b"usr/share/d"),
        build.header(b"c", prefix=b"usr/share"),
        build.pax((XATTR + b"user.a", b"1"), (XATTR + b"user.b", b""), (XATTR + b"user.c", b"\0")) + build.header(b"x"),
        build.pax((b"comment", b"c"), kind=b"g"),
        build.long_name(b"usr/" + b"n" * 101) + build.header(),
        build.END,
    )
)


def test_what_a_list_says_of_each_kind_of_entry(tar_scan: ModuleType) -> None:
    raw = listed(tar_scan, TAR)
    assert raw is not None
    assert [(entry.type, entry.name, entry.linkname, entry.xattrs) for entry in read_entries(raw)] == [
        (b"5", b"usr/", b"", ()),
        (b"0", b"usr/share", b"", ()),
        (b"2", b"usr/share/doc", b"../doc", ()),
        (b"0", b"usr/share/d/c", b"", ()),
        (b"0", b"usr/share/c", b"", ()),
        (b"0", b"x", b"", (b"user.a", b"user.c")),
        (b"g", b"PaxHeaders/x", b"", ()),
        (b"0", b"usr/" + b"n" * 101, b"", ()),
    ]


def test_names_that_begin_alike_take_little(tar_scan: ModuleType) -> None:
    """A change here means another form: everything that reads lists must follow."""
    tar = build.entry(b"usr/share/doc/a") + build.entry(b"usr/share/doc/b", kind=b"1", linkname=b"c") + build.END
    expected = b"0" + b"\0\0\x0fusr/share/doc/a\0\0" + b"1" + b"\x01\x0e\x01b\x01c\0"
    assert listed(tar_scan, tar) == expected


def test_no_list_is_made_unasked(tar_scan: ModuleType) -> None:
    assert listed(tar_scan, TAR, most=0) is None


def test_one_entry_more_than_may_be_drops_the_list(tar_scan: ModuleType) -> None:
    assert listed(tar_scan, TAR, most=8) is not None
    assert listed(tar_scan, TAR, most=7) is None


def test_names_longer_than_may_be_drop_the_list(tar_scan: ModuleType) -> None:
    longest = ENTRY_SIZE - len(b"0\0\0\0\0\0")
    assert listed(tar_scan, build.header(b"n" * longest), most=1) is not None
    assert listed(tar_scan, build.header(b"n" * (longest + 1)), most=1) is None


@given(st.data())
def test_a_damaged_list_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(listed(PURE, TAR) or b"")
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    try:
        found = list(read_entries(bytes(raw[: data.draw(st.integers(0, len(raw)))])))
    except ValueError:
        return
    assert len(found) <= len(raw)


@given(st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=5)), max_size=20))
def test_what_is_written_can_be_read(names: Sequence[tuple[bytes, bytes]]) -> None:
    written = EntryList(1 << 20)
    for at, (name, linkname) in enumerate(names):
        written.add(b"0", at << 20, name, linkname, ())
    raw = written.entries()
    assert raw is not None
    assert [(entry.offset, entry.name, entry.linkname) for entry in read_entries(raw)] == [
        (at << 20, name, linkname) for at, (name, linkname) in enumerate(names)
    ]


@pytest.mark.parametrize("layer_pass", PASSES)
def test_a_pass_makes_the_same_list(layer_pass: ModuleType) -> None:
    pool = layer_pass.Pool(1)
    try:
        for most, expected in ((0, None), (7, None), (8, listed(PURE, TAR))):
            started = pool.start(PassOptions(scan_tar=1, max_entries=most))
            with pytest.raises(RuntimeError, match="has not ended"):
                started.entries()
            assert started.feed(TAR) == len(TAR)
            while not started.end_feed():
                pass
            while not started.ended:
                pass
            started.result()
            assert started.entries() == expected
            assert started.entries() is None
    finally:
        pool.close()
