"""What is remarkable about an image, whoever reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from occy_fast.image.loader_view import ListedImage, ListedLayer, LoaderView
from occy_fast.image.place import Place
from occy_fast.targets.traits import contents_traits, layer_type_traits, loader_view_traits
from support.contents import attestation, contents, image, index

LAYERS = (ListedLayer("l.tar", True, codec="gzip"),)
PLAIN = ListedImage(0, ("app:1",), "c.json", LAYERS, diff_ids=("sha256:1",), os="linux", architecture="amd64")


def found(view: LoaderView) -> list[str]:
    """Return the rules, but for that of the layer's encoding: every layer has one."""
    rules = [str(trait.rule) for trait in loader_view_traits(view, "amd64")]
    return [rule for rule in rules if rule != "gzip-layer"]


@pytest.mark.parametrize(
    ("view", "rules"),
    [
        (LoaderView("docker-archive", images=(PLAIN,)), []),
        (LoaderView("layout"), []),
        (LoaderView("docker-archive", compression="zstd", images=(PLAIN,)), ["whole-zstd"]),
        (LoaderView("broken", problem="cut"), ["broken-archive"]),
        (LoaderView("empty"), ["no-image"]),
        (LoaderView("oci-archive", escaping=("../x",)), ["oci-only-archive", "entry-parent"]),
        (LoaderView("empty", stray_directories=("d",)), ["no-image"]),
        (LoaderView("oci-archive", versioned=False), ["oci-only-archive", "no-oci-layout"]),
        (LoaderView("legacy", stray_directories=("d",)), ["legacy-v1", "legacy-repositories", "legacy-strays"]),
        (LoaderView("docker-archive", images=None), ["manifest-unreadable"]),
        (LoaderView("docker-archive", images=(PLAIN, PLAIN)), ["several-images"]),
        (LoaderView("docker-archive", images=(replace(PLAIN, tags=()),)), ["tag-none"]),
        (LoaderView("docker-archive", images=(replace(PLAIN, tags=("APP",)),)), ["tag-invalid"]),
    ],
)
def test_what_a_loader_meets(view: LoaderView, rules: list[str]) -> None:
    assert found(view) == rules


def test_what_is_in_the_manifests() -> None:
    shown = contents(index(image("a.zstd"), attestation(image("a.zstd"))))
    assert [(str(trait.rule), str(trait.place)) for trait in contents_traits(shown)] == [
        ("oci-index", "index"),
        ("index-attestation", "index"),
        ("oci-manifest", "linux/amd64 manifest"),
        ("zstd-layer", "linux/amd64 layer 1"),
    ]


def test_what_is_more_than_a_tar() -> None:
    (trait,) = layer_type_traits(image("a", label="application/x-wasm"), Place("image"))
    assert trait.words == (("type", "application/x-wasm"),)
    assert list(layer_type_traits(image("a"), Place("image"))) == []
