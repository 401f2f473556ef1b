from __future__ import annotations

import pytest

from occy_fast.errors import UnsupportedMediaType
from occy_fast.spec.media_type import MediaType, describe, is_layer, is_media_type, media_type

KINDS = ["index", "manifest", "config", "layer", "foreign_layer"]


def cells() -> list[tuple[str, str, str]]:
    codecs = {"layer": ["none", "gzip", "zstd"], "foreign_layer": ["none", "gzip", "zstd"]}
    return [
        (family, kind, codec) for family in ("oci", "docker") for kind in KINDS for codec in codecs.get(kind, ["none"])
    ]


@pytest.mark.parametrize(("family", "kind", "codec"), cells())
def test_there_and_back(family: str, kind: str, codec: str) -> None:
    text = media_type(family, kind, codec)
    assert describe(text) == MediaType(family, kind, codec)
    assert is_media_type(text)
    assert is_layer(text) == ("layer" in kind)
    assert family in text


def test_all_differ() -> None:
    assert len({media_type(*cell) for cell in cells()}) == len(cells()) == 18


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (("oci", "layer", "zstd"), "application/vnd.oci.image.layer.v1.tar+zstd"),
        (("oci", "foreign_layer", "gzip"), "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        (("docker", "layer", "none"), "application/vnd.docker.image.rootfs.diff.tar"),
        (("docker", "layer", "gzip"), "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        (("docker", "layer", "zstd"), "application/vnd.docker.image.rootfs.diff.tar.zstd"),
        (("docker", "foreign_layer", "gzip"), "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        (("docker", "index", "none"), "application/vnd.docker.distribution.manifest.list.v2+json"),
        (("docker", "manifest", "none"), "application/vnd.docker.distribution.manifest.v2+json"),
        (("docker", "config", "none"), "application/vnd.docker.container.image.v1+json"),
        (("oci", "index", "none"), "application/vnd.oci.image.index.v1+json"),
    ],
)
def test_the_words(cell: tuple[str, str, str], text: str) -> None:
    assert media_type(*cell) == text


@pytest.mark.parametrize(
    "cell", [("oci", "layer", "xz"), ("docker", "layer", "bzip2"), ("oci", "manifest", "gzip"), ("x", "layer", "none")]
)
def test_what_has_no_word(cell: tuple[str, str, str]) -> None:
    with pytest.raises(UnsupportedMediaType):
        media_type(*cell)


@pytest.mark.parametrize("text", ["", "application/vnd.oci.image.layer.v1.tar+brotli", "text/plain"])
def test_unknown(text: str) -> None:
    assert describe(text) is None


def test_a_layer_in_an_unknown_encoding_is_a_layer() -> None:
    assert is_layer("application/vnd.oci.image.layer.v1.tar+encrypted")
    assert not is_layer("application/vnd.in-toto+json")


@pytest.mark.parametrize("text", ["", "a", "a/", "/a", "a/b/c", "a b/c", "a/b;q=1", "a/b\n", "é/b", ".a/b"])
def test_no_media_type(text: str) -> None:
    assert not is_media_type(text)
