from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest

from occy_fast.errors import (
    DigestMismatch,
    ForeignLayerRefused,
    LayerCountMismatch,
    LimitError,
    MediaTypeConflict,
    MissingBlob,
    OccyError,
    SizeMismatch,
    UnsupportedMediaType,
)
from occy_fast.image.blob import Blob, InlineBytes
from occy_fast.image.finding import Finding
from occy_fast.image.image import Contents, Image, ImageIndex, Layer, NamedImage, Node, Opaque
from occy_fast.image.validate import validate as validate_within
from occy_fast.spec.config import ImageConfig
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.json import format_json
from occy_fast.spec.limits import LIMITS
from occy_fast.spec.manifest import Index
from occy_fast.spec.media_type import OCI_CONFIG, OCI_MANIFEST, media_type
from occy_fast.spec.platform import Platform

GZIP = media_type("oci", "layer", "gzip")


def validate(found: Node, where: str = "") -> tuple[Finding, ...]:
    """Validate within the default limits."""
    return validate_within(found, where, LIMITS)



def config(layers: int, **changes: Any) -> ImageConfig:
    document = {
        "os": "linux",
        "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [str(Digest.sha256(b"%d" % number)) for number in range(layers)]},
        "history": [{"created_by": "x"}] * layers + [{"empty_layer": True}],
    }
    return ImageConfig.parse(format_json(document | changes), "config", LIMITS)


def layer(number: int = 0) -> Layer:
    data = b"layer %d" % number
    blob = Blob(Digest.sha256(data), len(data), GZIP, InlineBytes(data))
    return Layer(blob, GZIP, Encoding("gzip"), Digest.sha256(b"%d" % number))


def image(layers: int = 2, **changes: Any) -> Image:
    made = config(layers)
    stored = Blob(made.digest, len(made.raw), OCI_CONFIG, InlineBytes(made.raw))
    return replace(Image(None, made, stored, tuple(map(layer, range(layers))), Platform("linux", "amd64")), **changes)


def changed_layer(**changes: Any) -> Image:
    return replace(image(1), layers=(replace(layer(), **changes),))


def test_nothing_to_find() -> None:
    assert validate(image()) == ()
    assert validate(image(125), "here") == ()
    assert validate(image(config_file_digest=image().config_blob.digest)) == ()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (image(config=config(1)), LayerCountMismatch),
        (image(config=config(3)), LayerCountMismatch),
        (replace(image(), layers=(layer(),)), LayerCountMismatch),
        (image(4097), LimitError),
        (image(config_blob=Blob(None, 5, OCI_CONFIG, None)), MissingBlob),
        (image(config_blob=Blob(None, 5, OCI_CONFIG, InlineBytes(b"x"))), SizeMismatch),
        (changed_layer(blob=Blob(None, 5, GZIP, None)), MissingBlob),
        (changed_layer(blob=Blob(None, 5, GZIP, InlineBytes(b"x"))), SizeMismatch),
        (changed_layer(blob=Blob(None, 5, GZIP, None), urls=("http://169.254.169.254/",)), ForeignLayerRefused),
    ],
)
def test_errors(wrong: Image, error: type[OccyError]) -> None:
    found = [finding for finding in validate(wrong, "here") if finding.severity == "error"]
    assert [type(finding.error) for finding in found] == [error]
    assert found[0].where.startswith("here")
    assert found[0].error is not None
    assert found[0].error.where.startswith("here")


@pytest.mark.parametrize(
    ("odd", "words", "error"),
    [
        (image(0), "no layers", None),
        (image(126), "126 layers", None),
        (image(4096), "4096 layers", None),
        (image(config=config(2, history=[{}])), "history", LayerCountMismatch),
        (image(config=config(2, history=[{}] * 3)), "history", LayerCountMismatch),
        (
            image(config=config(2, rootfs={"type": "evil", "diff_ids": [str(layer(n).diff_id) for n in (0, 1)]})),
            "evil",
            None,
        ),
        (image(config=config(2, os=None)), "no os", None),
        (image(config=config(2, architecture="")), "no architecture", None),
        (image(config=config(2, config={"Env": ["A=b", "foo"]})), "'foo'", None),
        (image(config=config(2, config={"Env": ["=x"]})), "'=x'", None),
        (
            image(descriptor=Descriptor(OCI_MANIFEST, Digest.sha256(b""), 1, platform=Platform("linux", "arm64"))),
            "the index says linux/arm64",
            None,
        ),
        (changed_layer(media_type=GZIP + "x"), "media type", UnsupportedMediaType),
        (changed_layer(media_type=OCI_CONFIG), "media type", UnsupportedMediaType),
        (changed_layer(encoding=Encoding("none")), "the bytes are none", MediaTypeConflict),
        (image(config_file_digest=Digest.sha256(b"")), "edited, or is damaged", DigestMismatch),
    ],
)
def test_warnings(odd: Image, words: str, error: type[OccyError] | None) -> None:
    found = validate(odd, "here")
    assert [finding.severity for finding in found] == ["warning"]
    assert words in found[0].problem
    assert found[0].where.startswith("here")
    assert (type(found[0].error) if found[0].error is not None else None) is error


def test_125_layers_are_well_and_4097_are_one_error() -> None:
    assert validate(image(125)) == ()
    assert len(validate(image(4097))) == 1


@pytest.mark.parametrize("variant", [None, "v8"])
def test_a_platform_in_other_words_is_the_same(variant: str | None) -> None:
    named = Descriptor(OCI_MANIFEST, Digest.sha256(b""), 1, platform=Platform("linux", "arm64", variant))
    assert validate(image(config=config(2, architecture="arm64"), descriptor=named)) == ()


def test_a_history_may_be_absent() -> None:
    assert validate(image(config=config(2, history=None))) == ()


def test_an_artifact_is_not_measured_as_an_image() -> None:
    blob = replace(layer(), media_type="text/plain", encoding=Encoding("none"), diff_id=None)
    assert validate(replace(image(), config=None, layers=(blob,), artifact=True)) == ()
    absent = replace(blob, blob=Blob(None, 1, "text/plain", None))
    found = validate(replace(image(), config=None, layers=(absent,), artifact=True))
    assert [type(finding.error) for finding in found] == [MissingBlob]


def test_all_of_an_index_is_looked_at() -> None:
    def named(seed: bytes, architecture: str) -> Descriptor:
        return Descriptor(OCI_MANIFEST, Digest.sha256(seed), 1, platform=Platform("linux", architecture))

    good = image(descriptor=named(b"good", "amd64"))
    bad = replace(image(3, config=config(1)), descriptor=named(b"bad", "amd64"))
    absent = Opaque(named(b"absent", "arm64"), None)
    unknown = Opaque(named(b"unknown", "arm64"), layer().blob)
    cut = Opaque(named(b"cut", "arm64"), Blob(None, 5, GZIP, InlineBytes(b"x")))
    raw = format_json({"schemaVersion": 2, "manifests": []})
    whole = ImageIndex(Index.parse(raw, "index", LIMITS), None, (good, bad, bad, absent, unknown, cut))
    found = validate(whole, "here")
    assert [(finding.severity, type(finding.error)) for finding in found] == [
        ("error", LayerCountMismatch),
        ("warning", MissingBlob),
        ("error", SizeMismatch),
    ]
    assert "linux/amd64" in found[0].where


def test_an_index_too_deep_is_a_finding() -> None:
    node: Node = image()
    raw = format_json({"schemaVersion": 2, "manifests": []})
    for number in range(9):
        named = Descriptor(OCI_MANIFEST, Digest.sha256(b"%d" % number), 1)
        node = ImageIndex(Index.parse(raw, "x", LIMITS), named, (node,))
    assert [type(finding.error) for finding in validate(node, "here")] == [LimitError]


def test_image_values_pickle_and_hash() -> None:
    contents = Contents("oci:x", "oci", (NamedImage(image(), ("x:1",), "1"),))
    assert pickle.loads(pickle.dumps(contents)) == contents
    assert len({contents, pickle.loads(pickle.dumps(contents))}) == 1
    assert image().layers[0].digest == image().layers[0].blob.digest
    assert image().layers[0].size == len(b"layer 0")


def test_digests_of_images() -> None:
    named = Descriptor(OCI_MANIFEST, Digest.sha256(b"named"), 1)
    assert image().digest is None
    assert image(descriptor=named).digest == named.digest
    raw = format_json({"schemaVersion": 2, "manifests": []})
    assert ImageIndex(Index.parse(raw, "x", LIMITS), None, ()).digest == Digest.sha256(raw)
    assert ImageIndex(Index.parse(raw, "x", LIMITS), named, ()).digest == named.digest
