"""Entries of an index whose images have zstd layers are marked, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast.planning.plan import Plan
from occy_fast.planning.steps import IndexPlan
from occy_fast.spec.json import format_json
from occy_fast.spec.limits import LIMITS
from occy_fast.spec.manifest import Index
from occy_fast.transforms.zstd_marks import ZSTD_ANNOTATION, ZstdMarks
from support.contents import attestation, contents, image, index
from support.image_builders import DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, make_image, oci_layout
from support.plans import goal, plan_of

ARM = "linux/arm64"
MARK = {ZSTD_ANNOTATION: "true"}


def entry(**more: object) -> dict[str, object]:
    kind = "application/vnd.oci.image.manifest.v1+json"
    return {"mediaType": kind, "digest": "sha256:" + "a" * 64, "size": 2, **more}


@pytest.mark.parametrize(
    ("before", "has", "after"),
    [
        (None, True, MARK),
        ({"a": "b"}, True, {"a": "b", **MARK}),
        (MARK, True, MARK),
        ({ZSTD_ANNOTATION: "false"}, True, MARK),
        (MARK, False, None),
        ({"a": "b", **MARK}, False, {"a": "b"}),
        (None, False, None),
    ],
)
def test_an_entry_is_marked_by_what_its_layers_are(
    before: dict[str, str] | None, has: bool, after: dict[str, str] | None
) -> None:
    other = entry(annotations={"kept": "as it is"})
    marked = entry() if before is None else entry(annotations=dict(before))
    document: dict[str, Any] = {"schemaVersion": 2, "manifests": [other, marked]}
    read = Index.parse(format_json(document), "index", LIMITS)
    edit = ZstdMarks(((1, has),))
    assert edit.touches_index(read, (0, 1)) == (before != after)
    assert not ZstdMarks(((0, False),)).touches_index(read, (0, 1))
    edit.edit_index(document)
    assert document["manifests"][1].get("annotations") == after
    assert document["manifests"][0] is other
    assert other["annotations"] == {"kept": "as it is"}


def marks(plan: Plan) -> tuple[tuple[int, bool], ...] | None:
    root = plan.roots[0].root
    assert isinstance(root, IndexPlan)
    return next((edit.said for edit in root.edits if isinstance(edit, ZstdMarks)), None)


def test_only_an_index_that_is_written_anyway_is_marked() -> None:
    arm = image("a.zstd", "b.gzip", architecture="arm64")
    amd = image("c.gzip")
    whole = contents(index(arm, amd))
    assert plan_of(whole, goal()).roots[0].root.manifest_kept
    assert marks(plan_of(whole, goal())) is None
    assert marks(plan_of(contents(index(arm, amd, attestation(amd))), goal("zstd"))) == ((0, True), (1, True))
    some = plan_of(contents(index(image("d", architecture="s390x"), arm, amd)), goal(platforms=[ARM, "linux/amd64"]))
    assert marks(some) == ((0, True), (1, False))
    assert marks(plan_of(whole, goal("gzip"))) is None   # nothing was marked, and nothing is zstd any longer


def test_a_docker_list_has_no_annotations() -> None:
    both = [image("a.gzip", family="docker"), image("b", family="docker", architecture="arm64")]
    plan = plan_of(contents(index(*both, family="docker")), goal("zstd", format="docker"))
    assert marks(plan) is None
    assert [one.family for one in plan.images()] == ["docker", "docker"]


def blob(layout: Path, digest: str) -> Any:
    return json.loads((layout / "blobs" / "sha256" / digest.partition(":")[2]).read_bytes())


def test_what_is_written_agrees_with_itself(tmp_path: Path) -> None:
    images = [make_image("a", docker=True), make_image("b", codec="zstd", architecture="arm64", docker=True)]
    source = oci_layout(tmp_path / "in", images, ["v1"], nested=True)
    made = tmp_path / "out"
    occy_fast.convert(f"oci:{source}:v1", f"oci:{made}:v1", encoding="zstd")
    [named] = json.loads((made / "index.json").read_bytes())["manifests"]
    entries = blob(made, named["digest"])["manifests"]
    assert [(one["mediaType"], one["annotations"]) for one in entries] == [(OCI_MANIFEST, MARK)] * 2
    for one in entries:
        manifest = blob(made, one["digest"])
        kinds = [part["mediaType"] for part in (manifest, manifest["config"], *manifest["layers"])]
        assert kinds == [OCI_MANIFEST, OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar+zstd"]
    assert occy_fast.verify(f"oci:{made}").ok
    assert not occy_fast.check(f"oci:{made}", ["podman-4.3", "containerd-1.6", "docker-29"]).findings

    kept = tmp_path / "kept"
    occy_fast.convert(f"oci:{source}:v1", f"oci:{kept}:v1")
    assert (kept / "index.json").read_bytes() != (made / "index.json").read_bytes()
    [named] = json.loads((kept / "index.json").read_bytes())["manifests"]
    index = blob(kept, named["digest"])
    assert index["mediaType"] == OCI_INDEX
    assert {one["mediaType"] for one in index["manifests"]} == {DOCKER_MANIFEST}
    assert not any("annotations" in one for one in index["manifests"])
