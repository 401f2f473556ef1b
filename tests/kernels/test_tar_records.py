"""What a scan hands out, in its packed form."""

from __future__ import annotations

import hashlib
from types import ModuleType

import pytest

from support import tar_strategies as build


def test_a_batch_is_a_sequence(tar_scan: ModuleType) -> None:
    batch = tar_scan.TarScan().feed(b"".join(build.header(name) for name in (b"a", b"b", b"c")))
    assert len(batch) == 3
    assert [record.name for record in batch] == [b"a", b"b", b"c"]
    assert (batch[1].name, batch[-1].name) == (b"b", b"c")
    assert [record.name for record in batch[1:]] == [b"b", b"c"]
    with pytest.raises(IndexError):
        batch[3]


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
