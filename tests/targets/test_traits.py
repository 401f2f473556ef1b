"""What is remarkable about an image, whoever reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from occy_fast.image.loader_view import ListedImage, ListedLayer, LoaderView
from occy_fast.image.place import Place
from occy_fast.targets.traits import (
    contents_traits,
    entry_traits,
    layer_type_traits,
    loader_view_traits,
    no_image_traits,
)
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
        (
            LoaderView("docker-archive", images=(PLAIN, replace(PLAIN, config="d.json"))),
            ["several-images", "tag-repeated"],
        ),
        (LoaderView("docker-archive", images=(PLAIN, replace(PLAIN, position=1))), ["several-images"]),
        (LoaderView("docker-archive", images=(replace(PLAIN, os="freebsd"),)), ["foreign-os"]),
        (LoaderView("docker-archive", images=(replace(PLAIN, os="Linux"),)), ["os-spelling"]),
        (LoaderView("docker-archive", images=(replace(PLAIN, os=""),)), ["os-missing"]),
        (LoaderView("docker-archive", images=(replace(PLAIN, os="windows", architecture="arm64"),)), ["windows"]),
        (
            LoaderView("docker-archive", images=(replace(PLAIN, os="freebsd", architecture="arm64"),)),
            ["foreign-os", "foreign-architecture"],
        ),
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


def test_what_the_entries_of_an_archive_are_called() -> None:
    one, other = image("a"), image("b")
    assert not list(entry_traits(contents(one, names=["app:1"])))
    assert [str(trait.rule) for trait in entry_traits(contents(one))] == ["tag-none"]
    bare = contents(one)
    bare = replace(bare, images=(replace(bare.images[0], ref="one"),))
    assert [(str(trait.rule), trait.words) for trait in entry_traits(bare)] == [("bare-name", (("ref", "one"),))]
    assert [str(trait.rule) for trait in entry_traits(contents(one, other, names=["app:1"]))] == [
        "several-entries",
        "tag-none",
    ]


def test_an_attestation_needs_no_name() -> None:
    one = image("a")
    assert [str(trait.rule) for trait in entry_traits(contents(one, attestation(one), names=["app:1"]))] == [
        "several-entries"
    ]


def test_that_no_image_is_there() -> None:
    chart = contents(image("a", config_type="application/vnd.cncf.helm.config.v1+json"))
    assert [trait.problem for trait in no_image_traits(chart)] == ["no image here: a Helm chart"]
    assert [trait.feature for trait in no_image_traits(contents())] == ["load.no_entries"]
    assert not list(no_image_traits(contents(image("a"))))
