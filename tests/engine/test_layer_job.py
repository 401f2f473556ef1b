"""A layer is what it claims to be, or an error says which claim is false."""

from __future__ import annotations

import bz2
import hashlib
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from occy_fast import api
from occy_fast.errors import CorruptStream, DigestMismatch, IntegrityError, Unsupported
from support.conversions import damage, foreign_archive, layout_of, tree_of_source
from support.image_builders import dumps, make_image, make_layer, oci_layout, sha256
from support.outputs import Layout, tree


@pytest.mark.parametrize("compress", [lzma.compress, bz2.compress])
@pytest.mark.parametrize("cut", [1, 30])
def test_a_foreign_stream_that_ends_early(tmp_path: Path, compress: Any, cut: int) -> None:
    foreign_archive(tmp_path / "in.tar", lambda tar: compress(tar)[:-cut])
    with pytest.raises(CorruptStream):
        api.convert(f"docker-archive:{tmp_path}/in.tar", f"oci:{tmp_path}/out:app", encoding="gzip")
    assert tree(tmp_path) == ["in.tar"]


@pytest.mark.parametrize("verify", ["blobs", "layers"])
def test_a_false_diff_id_of_a_compressed_layer_is_found_by_decoding(tmp_path: Path, verify: Any) -> None:
    image = make_image("one", codec="gzip")
    liar = make_image(
        "one", codec="gzip", config_changes={"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}
    )
    assert image.blobs == liar.blobs
    oci_layout(tmp_path / "in", [liar], ["app"])
    if verify == "blobs":
        api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", verify=verify)
        return
    with pytest.raises(DigestMismatch, match="diff_id"):
        api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", verify=verify)
    with pytest.raises(DigestMismatch, match="diff_id"):
        api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", encoding="zstd")
    assert tree(tmp_path) == tree_of_source(tmp_path, "in")


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("encoding", [None, "none", "gzip:1"])
def test_a_short_layer(tmp_path: Path, codec: str, encoding: str | None) -> None:
    image = make_image("one", codec=codec)
    oci_layout(tmp_path / "in", [image], ["app"])
    blob = tmp_path / "in" / "blobs" / "sha256" / sha256(image.blobs[0])
    blob.write_bytes(image.blobs[0][:-7])
    with pytest.raises(IntegrityError):
        api.convert(f"oci:{tmp_path}/in:app", f"docker-archive:{tmp_path}/out.tar", encoding=encoding)
    assert not (tmp_path / "out.tar").exists()


def test_a_sha512_blob_is_proved_by_its_own_algorithm(tmp_path: Path) -> None:
    image = make_image("one", codec="gzip")
    manifest = json.loads(image.manifest)
    digest = hashlib.sha512(image.blobs[0]).hexdigest()
    manifest["layers"][0]["digest"] = f"sha512:{digest}"
    layout_of(tmp_path / "in", image, dumps(manifest))
    folder = tmp_path / "in" / "blobs" / "sha512"
    folder.mkdir()
    (folder / digest).write_bytes(image.blobs[0])
    api.convert(f"oci:{tmp_path}/in", f"oci:{tmp_path}/out")
    assert Layout(tmp_path / "out").image().tars == image.tars
    damage(folder / digest, -20)
    with pytest.raises(DigestMismatch):
        api.convert(f"oci:{tmp_path}/in", f"oci:{tmp_path}/out2")


def test_a_sha512_diff_id_is_not_taken_on_trust(tmp_path: Path) -> None:
    tar = make_layer("one")
    diff_ids = ["sha512:" + hashlib.sha512(tar).hexdigest()]
    image = make_image(tars=[tar], codec="gzip", config_changes={"rootfs": {"type": "layers", "diff_ids": diff_ids}})
    oci_layout(tmp_path / "in", [image], ["app"])
    api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app")
    for wanted in ({"encoding": "zstd"}, {"verify": "layers"}):
        with pytest.raises(Unsupported, match="sha512"):
            api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out2:app", **wanted)
    assert [type(finding.error) for finding in api.verify(f"oci:{tmp_path}/in").errors] == [Unsupported]
