"""diff_ids of layers in any encoding, found by reading them."""

from __future__ import annotations

import bz2
import lzma
import os
from pathlib import Path

import pytest

from occy_fast.engine.layer_job import NO_PROOFS
from occy_fast.errors import CorruptStream, DecompressionBomb, LimitError, PlanStale
from occy_fast.image.blob import FileRegion, InlineBytes, identity_of
from occy_fast.spec.limits import Limits
from occy_fast.streams import layer_pass as layer_pass_module
from occy_fast.transports.archive.diff_ids import diff_ids_of
from support.image_builders import encode, make_layer, sha256
from support.leaks import nothing_left
from support.opening import call_of

TAR = make_layer("a", 40_000)
ENCODED = {
    "none": TAR,
    "gzip": encode(TAR, "gzip"),
    "zstd": encode(TAR, "zstd"),
    "xz": lzma.compress(TAR),
    "bzip2": bz2.compress(TAR),
    "empty": b"",
}


def regions(path: Path, blobs: dict[str, bytes]) -> dict[str, FileRegion]:
    """Lay blobs one behind the other in a file."""
    path.write_bytes(b"".join(blobs.values()))
    found, offset = {}, 0
    for name, data in blobs.items():
        found[name] = FileRegion(str(path), offset, len(data), identity_of(path.stat()))
        offset += len(data)
    return found


def test_every_encoding(tmp_path: Path) -> None:
    found = diff_ids_of(regions(tmp_path / "file", ENCODED), "here", call_of(), NO_PROOFS)
    expected = {name: sha256(TAR) for name in ENCODED} | {"empty": sha256(b"")}
    assert {name: digest.hex for name, digest in found.items()} == expected


def test_bytes_in_memory() -> None:
    assert diff_ids_of({"a": InlineBytes(TAR)}, "here", call_of(), NO_PROOFS)["a"].hex == sha256(TAR)
    assert diff_ids_of({}, "here", call_of(), NO_PROOFS) == {}


def test_one_place_under_several_names_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    original = layer_pass_module.WorkerPool.start
    monkeypatch.setattr(
        layer_pass_module.WorkerPool, "start", lambda pool, job: (started.append(job), original(pool, job))[1]
    )
    [region] = regions(tmp_path / "file", {"a": TAR}).values()
    found = diff_ids_of({f"n{number}": region for number in range(50)}, "here", call_of(), NO_PROOFS)
    assert {digest.hex for digest in found.values()} == {sha256(TAR)}
    assert len(found) == 50
    assert len(started) == 1


@pytest.mark.parametrize("codec", ["gzip", "zstd", "xz", "bzip2"])
def test_a_broken_layer_is_named_and_nothing_stays_open(tmp_path: Path, codec: str) -> None:
    blobs = {f"good{number}": TAR for number in range(3)} | {"bad": ENCODED[codec][:-7]} | {"late": TAR}
    with nothing_left(), pytest.raises(CorruptStream, match="here: bad"):
        diff_ids_of(regions(tmp_path / "file", blobs), "here", call_of(), NO_PROOFS)


@pytest.mark.parametrize("codec", ["none", "gzip", "xz"])
def test_the_limit_of_a_layer(tmp_path: Path, codec: str) -> None:
    layers = regions(tmp_path / "file", {"a": ENCODED[codec]})
    assert diff_ids_of(layers, "here", call_of(Limits(layer=len(TAR))), NO_PROOFS)["a"].hex == sha256(TAR)
    with pytest.raises(LimitError):
        diff_ids_of(layers, "here", call_of(Limits(layer=len(TAR) - 1)), NO_PROOFS)


def test_nothing_vouches_for_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_pass_module, "RATIO_FLOOR", 1 << 20)
    layers = regions(tmp_path / "file", {"a": encode(bytes(8 << 20), "zstd")})
    with pytest.raises(DecompressionBomb):
        diff_ids_of(layers, "here", call_of(), NO_PROOFS)


def test_a_file_that_changed(tmp_path: Path) -> None:
    layers = regions(tmp_path / "file", {"a": TAR})
    os.utime(tmp_path / "file", ns=(1, 1))
    with pytest.raises(PlanStale):
        diff_ids_of(layers, "here", call_of(), NO_PROOFS)
