"""Which of an archive's two faces a target reads, and what it meets there."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

from occy_fast.image.blob import FileRegion
from occy_fast.image.loader_view import LoaderView
from occy_fast.running.source_traits import host_architecture, loader_view_of, skippable_layers, traits_of
from occy_fast.targets.target import Support, Target
from support.contents import contents, image

LOADER = Target("app", "app", "App", "runtime", "", ())
READS_LAYOUTS = replace(LOADER, supports=(("load.oci_archive", Support("yes", "", ("tested",))),))


def rules(view: LoaderView | None, target: Target = LOADER) -> set[str]:
    shown = contents(image("a.zstd", architecture=host_architecture()), names=["app:1"])
    return {str(trait.rule) for trait in traits_of(view, shown, target, frozenset())}


def test_who_reads_the_layout_beside_manifest_json_meets_its_manifests() -> None:
    dual = LoaderView("docker-archive", dual=True)
    assert "oci-manifest" in rules(None)
    assert "oci-manifest" in rules(LoaderView("docker-archive"))
    assert "oci-manifest" not in rules(dual)
    assert "oci-manifest" in rules(dual, READS_LAYOUTS)


def test_layers_that_are_no_tars_are_met_all_the_same() -> None:
    shown = contents(image("a", label="application/x-wasm"))
    dual = LoaderView("docker-archive", dual=True)
    assert "layer-type" in {str(trait.rule) for trait in traits_of(dual, shown, LOADER, frozenset())}


def test_what_a_reader_can_tell_of_an_archive_that_is_gone() -> None:
    view = loader_view_of(contents(image("a", "b.gzip"), names=["app:1"], locator="docker-archive:a.tar"))
    assert view.images is not None
    (listed,) = view.images
    assert (listed.tags, [layer.codec for layer in listed.layers]) == (("docker.io/library/app:1",), ["none", "gzip"])
    assert listed.diff_ids is not None
    assert len(listed.diff_ids) == 2
    assert loader_view_of(contents(image("a"), locator="oci-archive:a.tar")) == LoaderView("oci-archive")


def test_a_leading_skippable_frame_is_seen_in_zstd_alone(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(struct.pack("<II", 0x184D2A50, 0) + bytes(100))
    made = image("a.zstd", "b.gzip")
    layers = tuple(
        replace(layer, blob=replace(layer.blob, address=FileRegion(str(tmp_path / "blob"), 0, 108, None)))
        for layer in made.layers
    )
    assert skippable_layers(contents(replace(made, layers=layers))) == {layers[0].digest}
