"""The fields of a tar header in every dialect."""

from __future__ import annotations

import io
import tarfile
from types import ModuleType

import pytest

from occy_fast.kernels.tar_records import TarFormat
from support import tar_strategies as build
from support.tar_scans import (
    names,
    scanned,
)


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
