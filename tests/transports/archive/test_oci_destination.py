"""Layouts written into a tar: what is in it, byte by byte, and what does not fit."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import (
    MissingBlob,
    Unsupported,
)
from occy_fast.image.image import Image
from occy_fast.image.publication import Publication, PublishedBlob, PublishedIndex, PublishedRoot
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from support.image_builders import (
    OCI_INDEX,
    OCI_MANIFEST,
    dumps,
    make_image,
    oci_layout,
    sha256,
)
from support.oci_archives import members_of, put, read, write_members
from support.opening import open_destination
from support.publishing import published, write

GOLDEN = "c1041e4b045d039b20afe9742cb330754d6f153c1bced9b32e9f5a3a0f19115e"


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_layers_of_any_encoding_fit(tmp_path: Path, codec: str) -> None:
    """zstd layers go into an OCI archive as they are, by default and on demand."""
    layout = oci_layout(tmp_path / "o", [make_image("a", "b", codec=codec)], ["1"])
    result = occy_fast.convert(f"oci:{layout}", f"oci-archive:{tmp_path}/a.tar")
    assert [layer.kind for layer in result.layers] == ["copy", "copy"]
    occy_fast.convert(f"oci:{layout}", f"oci-archive:{tmp_path}/a.tar", encoding="zstd:3")
    assert {layer.encoding.codec for layer in read(tmp_path / "a.tar").images[0].root.layers} == {"zstd"}  # type: ignore[union-attr]
    assert occy_fast.verify(f"oci-archive:{tmp_path}/a.tar").exit_code == 0


def test_what_stands_in_the_archive(tmp_path: Path) -> None:
    one, two = make_image("a", codec="zstd", names=("t5/app:1",)), make_image("a", "b", names=())
    members = put(tmp_path / "a.tar", one, two)
    documents = (one.config, one.manifest, two.config, two.manifest)
    assert list(members) == [
        "blobs",
        "blobs/sha256",
        *(f"blobs/sha256/{sha256(data)}" for data in (*one.blobs, *two.blobs, *documents)),
        "index.json",
        "oci-layout",
    ]
    assert members["oci-layout"] == b'{"imageLayoutVersion":"1.0.0"}'
    annotations = {"io.containerd.image.name": "docker.io/t5/app:1", "org.opencontainers.image.ref.name": "1"}
    assert json.loads(members["index.json"]) == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [one.descriptor(annotations=annotations), two.descriptor()],
    }


def test_golden_bytes(tmp_path: Path) -> None:
    """If this breaks, archives made from the same image differ from those of earlier releases."""
    put(tmp_path / "a.tar", make_image("a", "b", names=("app:1",)))
    assert hashlib.sha256((tmp_path / "a.tar").read_bytes()).hexdigest() == GOLDEN


def test_an_index_and_what_it_does_not_bring(tmp_path: Path) -> None:
    image = make_image("a")
    child = replace(published(image), artifact=True)
    raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [image.descriptor()]})
    index = PublishedIndex(Descriptor(OCI_INDEX, Digest.sha256(raw), len(raw)), raw, (child,))
    with open_destination(f"oci-archive:{tmp_path}/a.tar").stage() as stage:
        write(stage, image.blobs[0])
        stage.publish(Publication((PublishedRoot(index, (), "all"),)))
    members = members_of(tmp_path / "a.tar")
    assert members[f"blobs/sha256/{sha256(raw)}"] == raw
    assert json.loads(members["index.json"])["manifests"][0]["digest"] == "sha256:" + sha256(raw)
    with pytest.raises(MissingBlob), open_destination(f"oci-archive:{tmp_path}/a.tar").stage() as stage:
        stage.publish(Publication((PublishedRoot(index, (), "all"),)))
    assert members_of(tmp_path / "a.tar") == members


@pytest.mark.parametrize("transport", ["oci", "oci-archive"])
@pytest.mark.parametrize("nested", [False, True])
def test_what_is_no_image_must_have_been_staged(tmp_path: Path, transport: str, nested: bool) -> None:
    blob = PublishedBlob(Descriptor("text/plain", Digest.sha256(b"text"), 4))
    raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [blob.descriptor.document()]})
    index = PublishedIndex(Descriptor(OCI_INDEX, Digest.sha256(raw), len(raw)), raw, (blob,))
    wanted = Publication((PublishedRoot(index if nested else blob, (), "it"),))
    destination = open_destination(f"{transport}:{tmp_path}/out")
    with pytest.raises(MissingBlob), destination.stage() as stage:
        stage.publish(wanted)
    assert os.listdir(tmp_path) == []
    with destination.stage() as stage:
        write(stage, b"text")
        stage.publish(wanted)
    assert occy_fast.verify(f"{transport}:{tmp_path}/out").exit_code == 0


def test_an_archive_is_replaced_and_not_added_to(tmp_path: Path) -> None:
    put(tmp_path / "a.tar", make_image("old", names=("old:1",)))
    put(tmp_path / "a.tar", make_image("a", names=("new:1",)))
    assert [named.names for named in read(tmp_path / "a.tar").images] == [("docker.io/library/new:1",)]


def test_an_archive_may_be_its_own_source(tmp_path: Path) -> None:
    image = make_image("a", names=("app:1",))
    put(tmp_path / "a.tar", image)
    occy_fast.convert(f"oci-archive:{tmp_path}/a.tar", f"oci-archive:{tmp_path}/a.tar", encoding="gzip")
    found = read(tmp_path / "a.tar").images[0].root
    assert isinstance(found, Image)
    assert [str(layer.diff_id) for layer in found.layers] == image.diff_ids


def test_long_digests_do_not_fit(tmp_path: Path) -> None:
    digest = Digest("sha512", hashlib.sha512(b"{}").hexdigest())
    stage = open_destination(f"oci-archive:{tmp_path}/a.tar").stage()
    with stage, pytest.raises(Unsupported, match="sha512 digests do not fit an OCI archive"):
        stage.put_bytes(digest, b"{}")
    assert os.listdir(tmp_path) == []


def test_an_artifact_goes_from_archive_to_archive(tmp_path: Path) -> None:
    """With a referrer of it, whose subject it is; a docker-archive holds neither."""
    blobs: dict[str, bytes] = {}

    def artifact(text: bytes, subject: dict[str, object] | None) -> dict[str, object]:
        empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:" + sha256(b"{}"), "size": 2}
        layer = {"mediaType": "text/plain", "digest": "sha256:" + sha256(text), "size": len(text)}
        document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty, "layers": [layer]}
        raw = dumps(document if subject is None else {**document, "subject": subject})
        blobs.update({sha256(data): data for data in (b"{}", text, raw)})
        return {"mediaType": OCI_MANIFEST, "digest": "sha256:" + sha256(raw), "size": len(raw)}

    first = artifact(b"chart", None)
    second = artifact(b"signature", dict(first))
    index = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [first, second]})
    members = {f"blobs/sha256/{name}": data for name, data in blobs.items()}
    layout = b'{"imageLayoutVersion":"1.0.0"}'
    path = write_members(tmp_path / "a.tar", {**members, "index.json": index, "oci-layout": layout})
    occy_fast.convert(f"oci-archive:{path}", f"oci-archive:{tmp_path}/b.tar")
    written = members_of(tmp_path / "b.tar")
    assert {name: data for name, data in written.items() if name.startswith("blobs/sha256/")} == members
    assert json.loads(written["index.json"])["manifests"] == [first, second]
    with pytest.raises(Unsupported, match="artifacts"):
        occy_fast.convert(f"oci-archive:{path}", f"docker-archive:{tmp_path}/c.tar")
