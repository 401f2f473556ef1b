from __future__ import annotations

import copy
import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import (
    BadDescriptor,
    BadDigest,
    BadJSON,
    BadManifest,
    DuplicateKey,
    IntegrityError,
    ManifestTooLarge,
    MediaTypeConflict,
    OccyError,
    UnsupportedFormat,
    UnsupportedMediaType,
)
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.json import format_json
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.spec.manifest import Index, Manifest
from occy_fast.spec.media_type import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    OCTETS,
    media_type,
)
from support.descriptor_strategies import descriptors


def descriptor(kind: str, seed: str = "x") -> dict[str, Any]:
    return {"mediaType": kind, "digest": str(Digest.sha256(seed.encode())), "size": len(seed)}


MANIFEST: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": OCI_MANIFEST,
    "config": descriptor(OCI_CONFIG, "config"),
    "layers": [descriptor(media_type("oci", "layer", "gzip"), f"layer {number}") for number in range(4)],
}
INDEX: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": OCI_INDEX,
    "manifests": [
        descriptor(OCI_MANIFEST, "amd64") | {"platform": {"os": "linux", "architecture": "amd64"}},
        descriptor(OCI_MANIFEST, "arm64") | {"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
    ],
}


def manifest(**changes: Any) -> bytes:
    return format_json(MANIFEST | changes)


def index(**changes: Any) -> bytes:
    return format_json(INDEX | changes)


def without(document: dict[str, Any], *keys: str) -> bytes:
    return format_json({key: value for key, value in document.items() if key not in keys})


@given(descriptors, st.lists(descriptors), st.none() | descriptors, st.dictionaries(st.text("ab"), st.text("cd")))
def test_manifest_round_trip(
    config: Descriptor, layers: list[Descriptor], subject: Descriptor | None, annotations: dict[str, str]
) -> None:
    document = {
        "schemaVersion": 2,
        "config": config.document(),
        "layers": [layer.document() for layer in layers],
        "subject": subject.document() if subject is not None else None,
        "annotations": annotations,
    }
    raw = format_json(document)
    parsed = Manifest.parse(raw, "here", LIMITS)
    assert (parsed.config, parsed.layers, parsed.subject) == (config, tuple(layers), subject)
    assert dict(parsed.annotations) == annotations
    assert parsed.raw == raw
    assert parsed.document() == document
    assert format_json(parsed.document()) == raw
    again = pickle.loads(pickle.dumps(parsed))
    assert again == parsed
    assert len({again, parsed}) == 1


@given(st.lists(descriptors))
def test_index_round_trip(manifests: list[Descriptor]) -> None:
    raw = format_json({"schemaVersion": 2, "manifests": [entry.document() for entry in manifests]})
    parsed = Index.parse(raw, "here", LIMITS)
    assert parsed.manifests == tuple(manifests)
    assert format_json(parsed.document()) == parsed.raw == raw
    assert pickle.loads(pickle.dumps(parsed)) == parsed
    assert len({parsed, Index.parse(raw, "there", LIMITS)}) == 1


def test_bytes_that_nobody_writes_alike_are_kept() -> None:
    raw = json.dumps(MANIFEST | {"z": {"unknown": [1.5]}}, indent=7).encode() + b"\n"
    parsed = Manifest.parse(raw, "here", LIMITS)
    assert parsed.raw == raw
    assert parsed.digest == Digest.sha256(raw)
    assert parsed.document()["z"] == {"unknown": [1.5]}


def test_a_document_is_fresh_each_time() -> None:
    parsed = Manifest.parse(manifest(), "here", LIMITS)
    parsed.document()["layers"].clear()
    assert len(parsed.document()["layers"]) == 4


@pytest.mark.parametrize(
    ("kind", "family"),
    [(OCI_MANIFEST, "oci"), (DOCKER_MANIFEST, "docker")],
)
def test_family_of_a_manifest(kind: str, family: str) -> None:
    assert Manifest.parse(manifest(mediaType=kind), "here", LIMITS).family == family
    assert Manifest.parse(without(MANIFEST, "mediaType"), "here", LIMITS, kind).media_type == kind


@pytest.mark.parametrize(("kind", "family"), [(OCI_INDEX, "oci"), (DOCKER_INDEX, "docker")])
def test_family_of_an_index(kind: str, family: str) -> None:
    parsed = Index.parse(index(mediaType=kind), "here", LIMITS)
    assert (parsed.family, parsed.media_type) == (family, kind)
    assert parsed.digest == Digest.sha256(parsed.raw)
    assert parsed.manifests[1].platform is not None
    assert str(parsed.manifests[1].platform) == "linux/arm64/v8"


def test_without_media_type_it_is_oci() -> None:
    assert Manifest.parse(without(MANIFEST, "mediaType"), "here", LIMITS).media_type == OCI_MANIFEST
    assert Manifest.parse(manifest(mediaType=""), "here", LIMITS).media_type == OCI_MANIFEST
    assert Index.parse(without(INDEX, "mediaType"), "here", LIMITS).media_type == OCI_INDEX


@pytest.mark.parametrize(
    ("config", "layer", "kind", "artifact"),
    [
        (OCI_CONFIG, media_type("oci", "layer", "zstd"), OCI_MANIFEST, False),
        (OCI_CONFIG, media_type("docker", "layer", "gzip"), OCI_MANIFEST, False),
        (OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar+encrypted", OCI_MANIFEST, False),
        (DOCKER_CONFIG, media_type("docker", "foreign_layer", "gzip"), DOCKER_MANIFEST, False),
        (OCTETS, media_type("docker", "layer", "gzip"), DOCKER_MANIFEST, False),
        (OCTETS, media_type("oci", "layer", "gzip"), OCI_MANIFEST, True),
        ("application/vnd.oci.empty.v1+json", "application/vnd.example+type", OCI_MANIFEST, True),
        (OCI_CONFIG, "application/vnd.in-toto+json", OCI_MANIFEST, True),
        ("application/vnd.cncf.helm.config.v1+json", media_type("oci", "layer", "gzip"), OCI_MANIFEST, True),
    ],
)
def test_artifact(config: str, layer: str, kind: str, artifact: bool) -> None:
    raw = manifest(mediaType=kind, config=descriptor(config), layers=[descriptor(layer)])
    assert Manifest.parse(raw, "here", LIMITS).artifact is artifact


@pytest.mark.parametrize("layers", [[], None])
def test_an_image_from_scratch_has_no_layers(layers: list[Any] | None) -> None:
    assert Manifest.parse(manifest(layers=layers), "here", LIMITS).layers == ()
    assert Index.parse(index(manifests=layers), "here", LIMITS).manifests == ()


CONFLICTS = [
    (Manifest, manifest(manifests=[]), None),
    (Manifest, manifest(manifests=INDEX["manifests"]), None),
    (Manifest, manifest(manifests=None), None),
    (Manifest, manifest(Manifests=[]), None),
    (Manifest, manifest(), DOCKER_MANIFEST),
    (Manifest, manifest(), OCI_INDEX),
    (Manifest, manifest(mediaType=OCI_INDEX), None),
    (Manifest, manifest(mediaType=OCI_INDEX), OCI_INDEX),
    (Manifest, manifest(mediaType=OCI_CONFIG), None),
    (Manifest, without(MANIFEST, "mediaType"), OCI_INDEX),
    (Index, index(config=MANIFEST["config"], layers=[]), None),
    (Index, index(layers=[]), None),
    (Index, index(config=None), None),
    (Index, index(LAYERS=[]), None),
    (Index, index(mediaType=OCI_MANIFEST), None),
    (Index, index(), DOCKER_INDEX),
    (Index, manifest(), OCI_INDEX),
    (Index, without(MANIFEST, "mediaType"), OCI_INDEX),
]


@pytest.mark.parametrize(("kind", "raw", "called"), CONFLICTS, ids=range(len(CONFLICTS)))
def test_what_could_be_taken_for_something_else(kind: type[Manifest | Index], raw: bytes, called: str | None) -> None:
    with pytest.raises(MediaTypeConflict) as caught:
        kind.parse(raw, "here", LIMITS, called)
    assert caught.value.where == "here"
    assert caught.value.expected != caught.value.found


def layer_with(**changes: Any) -> bytes:
    layers = copy.deepcopy(MANIFEST["layers"])
    layers[3] |= changes
    return manifest(layers=layers)


REFUSED: list[tuple[bytes, type[OccyError], str]] = [
    (b"null", BadManifest, "no JSON object"),
    (b"[]", BadManifest, "no JSON object"),
    (b"{", BadJSON, "here"),
    (b'{"schemaVersion":2,"layers":[],"layers":[]}', DuplicateKey, "'layers'"),
    (manifest(Layers=[]), DuplicateKey, "'Layers'"),
    (without(MANIFEST, "layers"), BadManifest, "layers"),
    (without(MANIFEST, "config"), BadManifest, "config"),
    (without(MANIFEST, "schemaVersion"), BadManifest, "schemaVersion"),
    (manifest(schemaVersion="2"), BadManifest, "$.schemaVersion"),
    (manifest(schemaVersion=3), BadManifest, "expected 2"),
    (manifest(layers={}), BadManifest, "$.layers"),
    (manifest(config=None), BadDescriptor, "$.config"),
    (manifest(config=[]), BadDescriptor, "$.config"),
    (manifest(subject=".nope"), BadDescriptor, "$.subject"),
    (manifest(layers=["x"]), BadDescriptor, "$.layers[0]"),
    (manifest(annotations=[]), BadManifest, "$.annotations"),
    (manifest(annotations={"k": 1}), BadManifest, "$.annotations"),
    (manifest(artifactType="bad"), BadManifest, "artifactType"),
    (manifest(mediaType=1), BadManifest, "mediaType"),
    (manifest(MediaType=OCI_INDEX), DuplicateKey, "'MediaType'"),
    (without(MANIFEST, "mediaType")[:-1] + b',"MediaType":"%s"}' % OCI_INDEX.encode(), BadManifest, "'MediaType'"),
    (manifest(Subject=None), BadManifest, "'Subject'"),
    (layer_with(size=-1), BadDescriptor, "$.layers[3].size"),
    (layer_with(size=1.5), BadDescriptor, "$.layers[3].size"),
    (layer_with(size=None), BadDescriptor, "$.layers[3].size"),
    (layer_with(size="1"), BadDescriptor, "$.layers[3].size"),
    (layer_with(mediaType="x"), BadDescriptor, "$.layers[3]"),
    (layer_with(digest="sha256:x"), BadDigest, "$.layers[3]"),
    (layer_with(digest="md5:d41d8cd98f00b204e9800998ecf8427e"), BadDigest, "$.layers[3]"),
    (layer_with(data="aGVsbG8="), IntegrityError, "$.layers[3] data"),
    (layer_with(Size=1), DuplicateKey, "$.layers[3]"),
    (layer_with(Data="aGVsbG8="), BadDescriptor, "'Data'"),
    (manifest(schemaVersion=1), UnsupportedFormat, "schema 1"),
    (manifest(fsLayers=[]), UnsupportedFormat, "schema 1"),
    (manifest(mediaType=DOCKER_SCHEMA1[0]), UnsupportedFormat, "schema 1"),
    (manifest(mediaType="application/x.y+json"), UnsupportedMediaType, "x.y+json"),
]


@pytest.mark.parametrize(("raw", "error", "words"), REFUSED, ids=range(len(REFUSED)))
def test_refused(raw: bytes, error: type[OccyError], words: str) -> None:
    with pytest.raises(error) as caught:
        Manifest.parse(raw, "here", LIMITS)
    assert words in str(caught.value)
    assert caught.value.where.startswith("here")


def test_schema_1_is_known_by_its_name() -> None:
    with pytest.raises(UnsupportedFormat):
        Manifest.parse(without(MANIFEST, "mediaType"), "here", LIMITS, DOCKER_SCHEMA1[1])


def test_an_index_entry_that_is_wrong() -> None:
    entries = copy.deepcopy(INDEX["manifests"])
    del entries[1]["platform"]["os"]
    with pytest.raises(BadDescriptor, match=r"\$\.manifests\[1\]\.platform"):
        Index.parse(index(manifests=entries), "here", LIMITS)


@pytest.mark.parametrize("kind", [Manifest, Index])
def test_size(kind: type[Manifest | Index]) -> None:
    raw = manifest() if kind is Manifest else index()
    kind.parse(raw, "here", Limits(manifest=len(raw)))
    with pytest.raises(ManifestTooLarge) as caught:
        kind.parse(raw, "here", Limits(manifest=len(raw) - 1))
    assert caught.value.value == len(raw)


@pytest.mark.parametrize(
    ("raw", "called", "error"),
    [
        (manifest(manifests=[]), None, MediaTypeConflict),
        (without(MANIFEST | {"manifests": []}, "mediaType"), None, MediaTypeConflict),
        (index(), OCI_MANIFEST, MediaTypeConflict),
        (manifest(), OCI_INDEX, MediaTypeConflict),
        (b"[]", None, BadManifest),
        (manifest(mediaType=["x"]), None, BadManifest),
    ],
)
def test_a_document_of_neither_kind(raw: bytes, called: str | None, error: type[OccyError]) -> None:
    for kind in (Manifest, Index):
        with pytest.raises(error):
            kind.parse(raw, "here", LIMITS, called)


def test_vectors_of_the_image_spec(shared: Path) -> None:
    cases = json.loads((shared / "corpus/vectors/image-spec-schema.json").read_text())["cases"]
    wrong: list[Any] = []
    counts: Counter[str] = Counter()
    for case in cases:
        kind = {"manifest": Manifest, "imageIndex": Index}.get(case["field"])
        if kind is None:
            continue
        counts[case["field"]] += 1
        try:
            kind.parse(case["json"].encode(), "here", LIMITS)
            failed = False
        except UnsupportedMediaType:
            failed = True
        except BadDigest as error:
            # The grammar leaves room for algorithms that nobody has; of those no byte can be proved.
            failed = "algorithm is none of" not in error.problem or case["must_fail"]
        except IntegrityError:
            failed = True
        if "empty layer" in case["comment"]:
            # Docker builds images without layers; `validate` warns of them
            assert not failed
        elif failed != case["must_fail"]:
            wrong.append((case, failed))
    assert wrong == []
    assert counts == {"manifest": 12, "imageIndex": 12}
