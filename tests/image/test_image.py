"""What a source shows, and what nobody has to say twice."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from support.contents import contents, digest, image, index

ENCRYPTED = "org.opencontainers.image.enc.keys.jwe"


def test_a_digest_is_the_one_that_names_it() -> None:
    named = image("a")
    assert named.manifest is not None
    assert named.descriptor is not None
    assert replace(named, descriptor=None).digest == named.manifest.digest
    other = replace(named, descriptor=replace(named.descriptor, digest=digest("other")))
    assert other.digest == digest("other")
    assert image("a", manifest=False).digest is None
    assert index(named).digest == index(named).index.digest


@pytest.mark.parametrize(
    ("media_type", "annotations", "said"),
    [
        ("a/tar", (), "a/tar"),
        ("a/tar+encrypted", (), "a/tar+encrypted"),
        ("a/tar", ((ENCRYPTED, "key"),), f"a/tar, with {ENCRYPTED}"),
        ("a/tar+encrypted", ((ENCRYPTED, "key"),), "a/tar+encrypted"),
    ],
)
def test_ciphertext_is_told_by_type_or_annotation(
    media_type: str, annotations: tuple[tuple[str, str], ...], said: str
) -> None:
    (layer,) = image("a").layers
    layer = replace(layer, media_type=media_type, annotations=annotations)
    assert layer.described_type == said
    assert layer.encrypted == (said != "a/tar")


def test_contents_are_values() -> None:
    shown = contents(index(image("a"), image("b", architecture="arm64")), names=["app:1"])
    assert pickle.loads(pickle.dumps(shown)) == shown
    assert hash(shown) == hash(contents(index(image("a"), image("b", architecture="arm64")), names=["app:1"]))
    moved = replace(shown, images=(replace(shown.images[0], position=7),))
    assert moved == shown                            # where a source lists it is no part of what it is
