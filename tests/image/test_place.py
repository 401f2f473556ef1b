"""Where in a source something is: printed, in JSON, and carried by the errors of whoever reads it."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import BadManifest, OccyError, UsageError
from occy_fast.image.place import WHOLE_IMAGE, Place, format_places, located, place_of
from support.image_builders import (
    BuiltImage,
    archive_members,
    docker_archive,
    dumps,
    make_image,
    make_layer,
    make_tar,
    oci_layout,
    sha256,
)

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("place", "text", "document"),
    [
        (WHOLE_IMAGE, "image", {"part": "image"}),
        (Place("archive"), "archive", {"part": "archive"}),
        (Place("layer", number=3), "layer 3", {"part": "layer", "number": 3}),
        (Place("RepoTags", 0), "@0 RepoTags", {"part": "RepoTags", "image": 0}),
        (
            Place("layer", 1, "linux/arm64", 3),
            "@1 linux/arm64 layer 3",
            {"part": "layer", "image": 1, "platform": "linux/arm64", "number": 3},
        ),
        (Place("member", name="../x"), "../x", {"part": "member", "name": "../x"}),
        (Place("manifest.json", path="[2]"), "manifest.json[2]", {"part": "manifest.json", "path": "[2]"}),
        (
            Place("manifest", name=DIGEST, path=" $.config"),
            f"{DIGEST} $.config",
            {"part": "manifest", "name": DIGEST, "path": "$.config"},
        ),
    ],
)
def test_a_place_is_printed_and_written(place: Place, text: str, document: dict[str, object]) -> None:
    assert str(place) == text
    assert place.to_json() == document
    assert pickle.loads(pickle.dumps(place)) == place


def test_parts_of_one_image() -> None:
    within = Place("image", 1, "linux/arm64")
    assert str(within.inside("config")) == "@1 linux/arm64 config"
    assert within.inside("layer", 2) == Place("layer", 1, "linux/arm64", 2)


def test_layers_are_printed_together() -> None:
    layers = [Place("layer", number=number) for number in (4, 1, 2, 6)]
    assert format_places(sorted(layers, key=str)) == "layers 1-2, 4, 6"
    assert format_places(layers[:1]) == "layer 4"
    others = [Place("layer", 1, number=1), Place("config"), Place("config")]
    assert format_places([*others, *layers[1:2]]) == "layer 1, @1 layer 1, config"


def test_an_error_is_located_by_whoever_knows_what_it_is_about() -> None:
    def raised(error: OccyError) -> OccyError:
        with pytest.raises(OccyError) as caught, located(Place("config"), "oci:x: app.json"):
            raise error
        return caught.value

    assert raised(BadManifest("oci:x: app.json", "bad")).place == Place("config")
    assert raised(BadManifest("oci:x: app.json $.rootfs", "bad")).place == Place("config", path=" $.rootfs")
    assert raised(BadManifest("oci:x: other", "bad")).place is None
    assert raised(UsageError("bad")).place is None
    nearer = BadManifest("oci:x: app.json", "bad").about(Place("layer", number=1))
    assert raised(nearer).place == Place("layer", number=1)
    assert place_of(BadManifest("", "bad"), "oci:x") == Place("source", name="oci:x")


def test_a_place_survives_where_an_error_goes() -> None:
    error = BadManifest("oci:x: config", "bad").about(Place("config"))
    assert pickle.loads(pickle.dumps(error)).place == Place("config")
    assert error.at("elsewhere").place == Place("config")
    assert pickle.loads(pickle.dumps(BadManifest("oci:x", "bad"))).place is None


# -------------------------------------------------------------------------------------------------- what readers say

Damage = Callable[[Path, BuiltImage], Path]


def _blob(layout: Path, data: bytes) -> Path:
    return layout / "blobs" / "sha256" / sha256(data)


def _layout(change: Callable[[Path, BuiltImage], object]) -> Damage:
    def damage(directory: Path, image: BuiltImage) -> Path:
        layout = oci_layout(directory / "layout", [image])
        change(layout, image)
        return layout

    return damage


def _archive(change: Callable[[dict[str, bytes], BuiltImage], object], era: str = "B") -> Damage:
    def damage(directory: Path, image: BuiltImage) -> Path:
        members = dict(archive_members([image], era))  # type: ignore[arg-type]
        change(members, image)
        (directory / "a.tar").write_bytes(make_tar(members.items()))
        return directory / "a.tar"

    return damage


def _manifest(layout: Path, image: BuiltImage, changes: dict[str, object]) -> None:
    raw = dumps(json.loads(image.manifest) | changes)
    _blob(layout, raw).write_bytes(raw)
    entry = {"mediaType": image.manifest_type, "digest": "sha256:" + sha256(raw), "size": len(raw)}
    (layout / "index.json").write_bytes(dumps({"schemaVersion": 2, "manifests": [entry]}))


def _legacy(members: dict[str, bytes], image: BuiltImage) -> None:
    id_ = sha256(b"one")
    document = {"id": id_, "created": "2014-01-01T00:00:00Z", "docker_version": "1.6.0", "os": "linux"}
    members.clear()
    members |= {f"{id_}/VERSION": b"1.0", f"{id_}/json": dumps(document), f"{id_}/layer.tar": make_layer("one")}
    members["repositories"] = dumps({"app": {"1": id_}})


def _legacy_with(**changed: bytes) -> Damage:
    def change(members: dict[str, bytes], image: BuiltImage) -> None:
        _legacy(members, image)
        for name, raw in changed.items():
            members[next(known for known in members if known.endswith(name))] = raw

    return _archive(change)


def _config_name(members: dict[str, bytes], image: BuiltImage) -> str:
    return next(name for name, raw in members.items() if raw == image.config)


READ: dict[str, tuple[Damage, str]] = {
    "oci-layout": (_layout(lambda layout, _: (layout / "oci-layout").write_bytes(b"{")), "oci-layout"),
    "index.json": (_layout(lambda layout, _: (layout / "index.json").write_bytes(b"[]")), "index"),
    "a link for an index": (
        _layout(lambda layout, _: ((layout / "index.json").unlink(), (layout / "index.json").symlink_to("x"))),
        "index",
    ),
    "a damaged manifest": (_layout(lambda layout, image: _blob(layout, image.manifest).write_bytes(b"x")), "manifest"),
    "a false digest": (
        _layout(lambda layout, image: _manifest(layout, image, {"config": {"digest": "md5:1", "size": 1}})),
        "manifest",
    ),
    "a damaged config": (_layout(lambda layout, image: _blob(layout, image.config).write_bytes(b"x")), "config"),
    "no config": (_layout(lambda layout, image: _blob(layout, image.config).unlink()), "config"),
    "a directory for a blob": (
        _layout(lambda layout, image: (_blob(layout, image.config).unlink(), _blob(layout, image.config).mkdir())),
        "blob",
    ),
    "a link for blobs": (
        _layout(lambda layout, _: ((layout / "blobs").rename(layout / "b"), (layout / "blobs").symlink_to("/"))),
        "member",
    ),
    "manifest.json": (_archive(lambda members, _: members.update({"manifest.json": b"{}"})), "manifest.json"),
    "an item": (_archive(lambda members, _: members.update({"manifest.json": b"[[]]"})), "manifest.json"),
    "a name": (
        _archive(
            lambda members, image: members.update(
                {"manifest.json": dumps([{"Config": _config_name(members, image), "RepoTags": ["A B"], "Layers": []}])}
            )
        ),
        "manifest.json",
    ),
    "a config": (_archive(lambda members, image: members.update({_config_name(members, image): b"{}"})), "config"),
    "a stored index": (_archive(lambda members, _: members.update({"index.json": b"[]"}), "C"), "index"),
    "a v1 image": (_legacy_with(json=b"[]"), "member"),
    "repositories": (_legacy_with(repositories=b"[1]"), "repositories"),
    "a v1 layer": (_legacy_with(tar=gzip.compress(make_layer("one"))[:-9]), "member"),
    "a parent": (_legacy_with(json=dumps({"id": sha256(b"one"), "parent": "b" * 64})), "member"),
}


@pytest.mark.parametrize("what", READ)
def test_what_cannot_be_read_has_its_place(tmp_path: Path, what: str) -> None:
    """The place is what the error's text has behind the locator, and nobody takes the text apart for it."""
    damage, part = READ[what]
    source = str(damage(tmp_path, make_image("one")))
    with pytest.raises(OccyError) as caught, occy_fast.open_image(source):
        pass
    error = caught.value
    assert error.place is not None
    assert (error.place.part, error.where) == (part, f"{source}: {error.place}")
    [finding] = occy_fast.verify(source).findings
    assert (finding.place, finding.where) == (error.place, error.where)


@pytest.mark.parametrize("what", [what for what, (damage, _) in READ.items() if "archive" in damage.__qualname__])
def test_a_stream_says_the_same(tmp_path: Path, what: str) -> None:
    archive = READ[what][0](tmp_path, make_image("one"))
    with pytest.raises(OccyError) as at_rest, occy_fast.open_image(archive):
        pass
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(archive.read_bytes()))
    [finding] = occy_fast.verify(tmp_path / "a.tar.gz").findings
    assert finding.place == at_rest.value.place


def test_of_several_images_each_has_its_place(tmp_path: Path) -> None:
    images = [make_image("one", names=("a:1",)), make_image("two", names=("b:1",), config_changes={"os": "windows"})]
    archive = docker_archive(tmp_path / "a.tar", images)
    [finding] = occy_fast.check(str(archive), ["docker-20.10"]).findings
    assert finding.place == Place("config", image=1)
    assert finding.where == "@1 config"


@pytest.mark.parametrize("what", ["blob", "diff_id"])
def test_verify_tells_which_layer_of_which_image(tmp_path: Path, what: str) -> None:
    diff_ids = {"rootfs": {"type": "layers", "diff_ids": [DIGEST, "sha256:" + sha256(make_layer("own"))]}}
    images = [
        make_image("base", "x", architecture="amd64"),
        make_image("own", "own", architecture="arm64", codec="gzip", config_changes=diff_ids if what != "blob" else {}),
    ]
    layout = oci_layout(tmp_path / "in", images, ["app"], nested=True)
    if what == "blob":
        _blob(layout, images[1].blobs[0]).write_bytes(b"x" * len(images[1].blobs[0]))
    (finding,) = occy_fast.verify(f"oci:{layout}").errors
    assert finding.place == Place("layer", platform="linux/arm64", number=1)
    assert finding.where.startswith(f"oci:{layout}: layer sha256:")
    found = occy_fast.check(f"oci:{layout}", ["docker-29"], deep=True).errors
    assert Place("layer", platform="linux/arm64", number=1) in {finding.place for finding in found}
    assert all(finding.place.part == "layer" and finding.place.platform for finding in found)


def test_an_image_has_the_number_that_chooses_it(tmp_path: Path) -> None:
    """Those that were not asked for count as well: @INDEX counts them."""
    images = [make_image("base", content, codec="gzip") for content in ("app", "one", "two")]
    layout = oci_layout(tmp_path / "in", images, ["app", "b", "b"])
    _blob(layout, images[2].blobs[1]).write_bytes(b"x" * len(images[2].blobs[1]))
    (finding,) = occy_fast.verify(f"oci:{layout}:b").errors
    assert finding.place == Place("layer", image=2, number=2)
    (finding,) = occy_fast.verify(f"oci:{layout}:@2").errors
    assert finding.place == Place("layer", number=2)
    windows = {"os": "windows"}
    changes = ({}, windows, windows)
    images = [make_image(f"{at}", names=("b:1",) * (at > 0), config_changes=of) for at, of in enumerate(changes)]
    archive = docker_archive(tmp_path / "a.tar", images)
    findings = occy_fast.check(f"docker-archive:{archive}:b:1", ["docker-20.10"]).errors
    assert [finding.place for finding in findings] == [Place("config", image=1), Place("config", image=2)]


def test_a_place_equals_its_text_and_no_other() -> None:
    place = Place("layer", 1, "linux/arm64", 3)
    assert place == "@1 linux/arm64 layer 3"
    assert place in {"@1 linux/arm64 layer 3"}
    assert place not in ("layer 3", None, Place("layer", 1, "linux/arm64", 2))
    member = Place("member", name="layer 3")
    assert member not in ("layer 3", Place("layer", number=3))
    assert member == Place("member", name="layer 3")
    assert hash(member) == hash(Place("member", name="layer 3"))
