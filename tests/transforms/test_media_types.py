"""Media types rewritten between the two families."""

from __future__ import annotations

import json
from typing import Any

import pytest

from occy_fast.errors import UnsupportedMediaType
from occy_fast.spec.limits import LIMITS
from occy_fast.spec.manifest import Index, Manifest
from occy_fast.transforms.media_types import MediaTypes
from support.image_builders import dumps, make_image

CODECS = ["none", "gzip", "zstd"]


def edited(edit: MediaTypes, manifest: Manifest) -> dict[str, Any]:
    document = manifest.document()
    edit.edit_manifest(document)
    return document


def test_there_and_back() -> None:
    oci = make_image("a", "b", "c", codec=CODECS).manifest
    docker = make_image("a", "b", "c", codec=CODECS, docker=True).manifest
    assert edited(MediaTypes("docker"), Manifest.parse(oci, "oci", LIMITS)) == json.loads(docker)
    assert edited(MediaTypes("oci"), Manifest.parse(docker, "docker", LIMITS)) == json.loads(oci)


@pytest.mark.parametrize("family", ["oci", "docker"])
def test_what_it_touches(family: str) -> None:
    own = Manifest.parse(make_image("a", codec="gzip", docker=family == "docker").manifest, "own", LIMITS)
    other = Manifest.parse(make_image("a", codec="gzip", docker=family != "docker").manifest, "other", LIMITS)
    assert not MediaTypes(family).touches_manifest(own)
    assert MediaTypes(family).touches_manifest(other)


def test_half_converted_manifests_are_mended() -> None:
    """A schema 2 manifest with an OCI config and OCI layers, as some builders push it."""
    document = json.loads(make_image("a", codec="gzip").manifest)
    document["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = Manifest.parse(dumps(document), "half", LIMITS)
    assert MediaTypes("docker").touches_manifest(manifest)
    assert edited(MediaTypes("docker"), manifest) == json.loads(make_image("a", codec="gzip", docker=True).manifest)


def test_a_manifest_without_media_type_gets_one_behind_its_version() -> None:
    document = json.loads(make_image("a").manifest)
    del document["mediaType"]
    made = edited(MediaTypes("docker"), Manifest.parse(dumps(document), "bare", LIMITS))
    assert list(made)[:2] == ["schemaVersion", "mediaType"]


def test_no_layers_as_go_writes_them() -> None:
    document = {**json.loads(make_image("a").manifest), "layers": None}
    assert edited(MediaTypes("docker"), Manifest.parse(dumps(document), "empty", LIMITS))["layers"] is None


def test_foreign_layers_stay_foreign() -> None:
    document = json.loads(make_image("a", codec="gzip", docker=True).manifest)
    document["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    made = edited(MediaTypes("oci"), Manifest.parse(dumps(document), "foreign", LIMITS))
    assert made["layers"][0]["mediaType"] == "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


def test_a_type_the_family_has_no_word_for() -> None:
    document = json.loads(make_image("a").manifest)
    document["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+encrypted"
    with pytest.raises(UnsupportedMediaType):
        MediaTypes("docker").touches_manifest(Manifest.parse(dumps(document), "encrypted", LIMITS))


def test_an_index_and_unknown_fields() -> None:
    index = Index.parse(dumps({"schemaVersion": 2, "manifests": [], "x": {"y": 1}}), "index", LIMITS)
    document = index.document()
    MediaTypes("docker").edit_index(document)
    assert document == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
        "manifests": [],
        "x": {"y": 1},
    }
    assert MediaTypes("docker").touches_index(index)
    assert not MediaTypes("oci").touches_index(index)
