"""Layers that end early, at every byte: none passes for a whole one."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
import zstandard

from occy_fast import api
from occy_fast.errors import CorruptStream, OccyError
from support.image_builders import archive_members, encode, make_image, make_tar

TARS = (
    make_tar([]),
    make_tar([("a", b"")]),
    make_tar([("etc/hostname", b"box\n")]),
    make_tar([("etc/a", b"text " * 40), ("etc/b", bytes(range(40)))]),
    make_tar([("noise", bytes((number * number * 31 + 7) % 251 for number in range(90)))]),
)
CODECS = ("gzip", "zstd", "zstd without a checksum", "gzip in two", "zstd in two")


def encoded(tar: bytes, codec: str) -> tuple[bytes, int | None]:
    """Return a layer, and where in it one member or frame ends and another begins."""
    name, _, more = codec.partition(" ")
    if more == "in two":
        first = encode(tar[:512], name)
        return first + encode(tar[512:], name), len(first)
    if more:
        return zstandard.ZstdCompressor(3, write_checksum=False, write_content_size=False).compress(tar), None
    return encode(tar, name), None


@pytest.mark.parametrize("tar", TARS, ids=range(1, 6))
@pytest.mark.parametrize("codec", CODECS)
def test_recompress(codec: str, tar: bytes) -> None:
    """Only a cut between two members goes unnoticed here: nothing says that there were two."""
    whole, seam = encoded(tar, codec)
    for cut in range(len(whole)):
        if cut != seam:
            with pytest.raises(CorruptStream) as caught:
                api.recompress(whole[:cut], None, "none")
            assert caught.value.offset <= cut
    assert api.recompress(whole, None, "none").size_tar == len(tar)


@pytest.mark.parametrize("tar", TARS, ids=range(1, 6))
@pytest.mark.parametrize("codec", CODECS[:2])
def test_convert(tmp_path: Path, codec: str, tar: bytes) -> None:
    """The archive around the layer is whole, and says of it no more than its name."""
    whole, _ = encoded(tar, codec)
    members = dict(archive_members([make_image(tars=[tar])]))
    layer = next(name for name in members if name.endswith("layer.tar"))
    archive = tmp_path / "in.tar"
    for cut in range(len(whole)):
        archive.write_bytes(make_tar({**members, layer: whole[:cut]}.items()))
        with pytest.raises(OccyError) as caught:
            api.convert(str(archive), f"oci:{tmp_path}/out", verify="layers")
        assert caught.value.exit_code == 4, (cut, caught.value)
        assert os.listdir(tmp_path) == ["in.tar"], cut
    archive.write_bytes(make_tar({**members, layer: whole}.items()))
    api.convert(str(archive), f"oci:{tmp_path}/out", verify="layers")


@pytest.mark.parametrize(
    "stream", [b"", b"\x1f", b"\x1f\x8b", b"\x28\xb5\x2f", b"\xfd7zXZ", b"BZh9\x31\x41", gzip.compress(b"")[:9]]
)
def test_a_stream_that_ends_in_its_magic(tmp_path: Path, stream: bytes) -> None:
    (tmp_path / "in").write_bytes(stream)
    with (tmp_path / "in").open("rb") as file:
        for source in (stream, tmp_path / "in", file.fileno(), file):
            with pytest.raises(CorruptStream):
                api.recompress(source, None, "zstd")
