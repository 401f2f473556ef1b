"""How new entries join those of an index.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast.spec.descriptor import REF_NAME, Descriptor
from occy_fast.transports.layout import index_file
from support.image_builders import dumps, make_image, oci_layout
from support.layouts import only_image, put, read, refs


def test_a_reference_is_replaced_where_it_stands(tmp_path: Path) -> None:
    put(tmp_path / "o", make_image("a"), ref="one")
    put(tmp_path / "o", make_image("b"), ref="two")
    put(tmp_path / "o", make_image("c"), ref="one")
    assert refs(tmp_path / "o") == ["one", "two"]
    assert only_image(read(tmp_path / "o", ":one")).manifest.raw == make_image("c").manifest


def test_references_stay_unique(tmp_path: Path) -> None:
    """Two images with the same tag under different names get their full names as ref names."""
    put(tmp_path / "o", make_image("a", names=("a:1",)))
    put(tmp_path / "o", make_image("b", names=("b:1",)))
    put(tmp_path / "o", make_image("c", names=("b:1",)))
    assert refs(tmp_path / "o") == ["1", "docker.io/library/b:1"]
    assert only_image(read(tmp_path / "o", ":b:1")).manifest.raw == make_image("c").manifest
    assert only_image(read(tmp_path / "o", ":1")).manifest.raw == make_image("a").manifest


def test_a_reference_is_not_taken_from_another_image(tmp_path: Path) -> None:
    put(tmp_path / "o", make_image("a"), ref="1")
    put(tmp_path / "o", make_image("b", names=("b:1",)))
    assert refs(tmp_path / "o") == ["1", "docker.io/library/b:1"]


def test_an_image_without_name_is_added_once(tmp_path: Path) -> None:
    for seed in ("a", "b", "a"):
        put(tmp_path / "o", make_image(seed, names=()))
    assert refs(tmp_path / "o") == [None, None]


def test_what_is_unknown_in_an_index_survives(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")], ["old"])
    index = json.loads((layout / "index.json").read_bytes())
    index["annotations"] = {"z": "1", "a": "2"}
    index["x-unknown"] = [1.5, {"b": None}]
    index["manifests"][0]["x"] = "y"
    (layout / "index.json").write_bytes(json.dumps(index, indent=3).encode())
    put(layout, make_image("b", names=("new:1",)))
    found = json.loads((layout / "index.json").read_bytes())
    assert found["manifests"][:1] == index["manifests"]
    assert list(found) == list(index)
    assert {**found, "manifests": None} == {**index, "manifests": None}


def test_an_index_without_a_list_is_added_to(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "o", [])
    (layout / "index.json").write_bytes(b'{"schemaVersion":2,"manifests":null}')
    put(layout, make_image("b"), ref="new")
    assert refs(layout) == ["new"]


@pytest.mark.parametrize("speaking", [False, True])
def test_thousands_of_references_are_not_compared_with_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speaking: bool
) -> None:
    """Each entry is compared with few others, whatever their number, when it is read and when it is written."""
    count = 600
    layout = oci_layout(tmp_path / "in", [make_image("a")], ["r0"])
    index = json.loads((layout / "index.json").read_bytes())
    (entry,) = index["manifests"]
    index["manifests"] = [with_notes(entry, {REF_NAME: f"r{number}"}) for number in range(count)]
    if speaking:
        about = {"vnd.docker.reference.digest": entry["digest"]}
        index["manifests"] += [with_notes(entry, {**about, "n": f"{number}"}) for number in range(count)]
    (layout / "index.json").write_bytes(dumps(index))
    compared, looked = 0, 0
    equal, ref_of = Descriptor.__eq__, index_file._ref

    def count_equal(one: Descriptor, other: object) -> bool:
        nonlocal compared
        compared += 1
        return equal(one, other)

    def count_look(entry: dict[str, Any]) -> str | None:
        nonlocal looked
        looked += 1
        return ref_of(entry)

    monkeypatch.setattr(Descriptor, "__eq__", count_equal)
    contents = read(layout)
    assert [named.position for named in contents.images] == list(range(len(index["manifests"])))
    assert compared < 20 * count
    monkeypatch.setattr(index_file, "_ref", count_look)
    occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path}/out")
    occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path}/out")
    assert looked < 40 * count
    assert sum(named.ref is not None for named in read(tmp_path / "out").images) == count


def with_notes(entry: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    return {**entry, "annotations": annotations}


def test_entries_in_the_same_words_have_the_first_ones_place(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "in", [make_image("a")], ["a"])
    index = json.loads((layout / "index.json").read_bytes())
    entry = index["manifests"][0]
    index["manifests"] = [entry, with_notes(entry, {REF_NAME: "b"}), entry]
    (layout / "index.json").write_bytes(dumps(index))
    assert [named.position for named in read(layout).images] == [0, 1, 0]
