"""What probing finds, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import zstandard

from occy_fast.files.space import free_space
from occy_fast.planning.facts import Facts
from occy_fast.planning.goal_words import make_goal
from occy_fast.running.probe import nearest_directory, probe
from occy_fast.spec.digest import Digest
from occy_fast.transports.opening import parse_locator
from support import image_builders
from support.image_builders import docker_archive, make_image, oci_layout, sha256
from support.opening import call_of, open_destination, open_source


def facts_of(source: str, destination: str, **wanted: Any) -> Facts:
    with open_source(source) as opened:
        contents = opened.read()
        return probe(contents, opened.loader_view(), open_destination(destination), make_goal(**wanted), call_of())


def digests(image: Any) -> frozenset[Digest]:
    return frozenset(Digest.sha256(blob) for blob in image.blobs)


def test_what_is_there_counts_only_with_its_size(tmp_path: Path) -> None:
    image = make_image("one", "two", codec="gzip")
    oci_layout(tmp_path / "in", [image])
    oci_layout(tmp_path / "out", [image])
    assert facts_of(f"oci:{tmp_path}/in", f"oci:{tmp_path}/out").present == digests(image)
    (tmp_path / "out" / "blobs" / "sha256" / sha256(image.blobs[0])).write_bytes(b"short")
    assert facts_of(f"oci:{tmp_path}/in", f"oci:{tmp_path}/out").present == {Digest.sha256(image.blobs[1])}


def test_links_are_for_whole_files_and_on_demand(tmp_path: Path) -> None:
    image = make_image("one", "two")
    oci_layout(tmp_path / "in", [image])
    docker_archive(tmp_path / "in.tar", [image])
    out = f"oci:{tmp_path}/out"
    assert facts_of(f"oci:{tmp_path}/in", out, link=True).links == digests(image)
    assert facts_of(f"oci:{tmp_path}/in", out).links == frozenset()
    assert facts_of(f"docker-archive:{tmp_path}/in.tar", out, link=True).links == frozenset()


def test_links_do_not_cross_file_systems(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    oci_layout(tmp_path / "in", [make_image("one")])
    assert facts_of(f"oci:{tmp_path}/in", f"oci:{elsewhere}/nothing-of-that-name", link=True).links == frozenset()


@pytest.mark.parametrize(("window_log", "more"), [(20, 0), (23, 0), (24, 8 << 20), (27, 120 << 20)])
def test_the_window_of_a_zstd_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window_log: int, more: int
) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=window_log)

    def encode(tar: bytes, codec: str) -> bytes:
        compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        return compressor.compress(tar) + compressor.flush()

    monkeypatch.setattr(image_builders, "encode", encode)
    image = make_image("one", codec="zstd")
    oci_layout(tmp_path / "in", [image])
    facts = facts_of(f"oci:{tmp_path}/in", f"oci:{tmp_path}/out")
    assert facts.windows == (((Digest.sha256(image.blobs[0]), more),) if more else ())


def test_room(tmp_path: Path) -> None:
    oci_layout(tmp_path / "in", [make_image("one")])
    facts = facts_of(f"oci:{tmp_path}/in", f"oci:{tmp_path}/not/made/yet", encoding="zstd:19")
    assert facts.free is not None and facts.free > 0
    assert nearest_directory(parse_locator(f"oci:{tmp_path}/not/made/yet:app")) == str(tmp_path)
    assert free_space(f"{tmp_path}/not") is None
    assert free_space("/proc") is None
    (encoder,) = facts.encoders
    assert (encoder.identity.codec, encoder.identity.level) == ("zstd", 19)
    assert 20 << 20 < encoder.memory < 200 << 20
    (modest,) = facts_of(f"oci:{tmp_path}/in", f"oci:{tmp_path}/out", encoding="zstd").encoders
    assert modest.memory == 0


def test_a_link_to_a_directory_is_where_it_leads(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "deep"
    elsewhere.mkdir(parents=True)
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "dangling").symlink_to(elsewhere / "not-yet")
    for path in ("link", "link/not/yet", "dangling"):
        assert nearest_directory(parse_locator(f"oci:{tmp_path}/{path}")) == str(elsewhere)
    assert nearest_directory(parse_locator(f"oci:{tmp_path}/link/../not-yet")) == str(elsewhere.parent)
