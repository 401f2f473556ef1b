"""Tars scanned by one twin or the other, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from occy_fast.errors import TarError
from occy_fast.kernels.tar_problems import Problem, tar_error
from occy_fast.kernels.tar_records import TarFormat, TarRecord, merge_records
from support import tar_strategies as build
from support.go_listings import nanoseconds, octets

NATIVE = import_module("occy_fast.kernels.native.tar_scan")
PURE = import_module("occy_fast.kernels.pure.tar_scan")
TWINS = (NATIVE, PURE)


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


def with_pax(*records: tuple[bytes, bytes], kind: bytes = b"0", size: int = 0) -> bytes:
    return build.pax(*records) + build.header(b"a", size, kind)


def called(function: Callable[[bytes], Any], argument: bytes) -> Any:
    try:
        return function(argument)
    except TarError as error:
        return described(error)
