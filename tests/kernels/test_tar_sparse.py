"""Sparse maps, as Go reads them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support import tar_strategies as build
from support.go_listings import agrees, octets
from support.tar_scans import (
    go_vectors,
    scanned,
)


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
