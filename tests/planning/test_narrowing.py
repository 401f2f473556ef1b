"""(image, target) -> what of it changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from occy_fast.errors import Unsupported
from occy_fast.image.image import Contents, Image, ImageIndex
from occy_fast.planning.facts import EncoderFact, Facts
from occy_fast.planning.goal import Goal
from occy_fast.planning.narrowing import fallback, fit_target, reads
from occy_fast.planning.plan import Plan
from occy_fast.planning.planner import make_plan
from occy_fast.planning.steps import ImagePlan, IndexPlan
from occy_fast.planning.stream_planner import make_rules
from occy_fast.spec.encoding import EncoderIdentity, Encoding
from occy_fast.spec.limits import LIMITS
from occy_fast.targets.catalog import find_target
from occy_fast.targets.judge import refused
from occy_fast.targets.target import Support, Target
from occy_fast.targets.traits import contents_traits
from support.contents import ARCHIVE, LAYOUT, attestation, contents, image, index

GZIP = EncoderFact(Encoding("gzip", 2), EncoderIdentity("gzip", "isal", "1", 2, 1 << 20, "native-1"))


def refusing(*features: str) -> Target:
    """Make a target that refuses some features, and nothing else is known of it."""
    no = Support("no", "no", ("tested",))
    return Target("some", "some", "Some", "runtime", "", tuple((feature, no) for feature in features))


def plan_for(shown: Contents, target: Target | None, *, archive: bool = False, **wanted: object) -> Plan:
    found = () if target is None else refused(contents_traits(shown), target)
    facts = Facts(encoders=(GZIP,), refused=found)
    return make_plan(
        shown,
        Goal(target=target, **wanted),  # type: ignore[arg-type]
        ARCHIVE if archive else LAYOUT,
        facts,
        destination="docker-archive:out.tar" if archive else "oci:out",
        limits=LIMITS,
    )


def encodings(plan: Plan) -> list[str]:
    """Return what each layer will be."""
    return [
        step.encoding.codec
        for one in plan.images()
        for step in one.steps
    ]


@pytest.mark.parametrize(
    ("target", "codecs", "archive", "become"),
    [
        ("docker-20.10", ("zstd", "gzip", "none"), False, ["gzip", "gzip", "none"]),
        ("docker-20.10", ("zstd", "gzip", "none"), True, ["none", "gzip", "none"]),
        ("docker-29", ("zstd", "gzip", "none"), False, ["zstd", "gzip", "none"]),
        ("singularity-ce", ("zstd", "gzip", "none"), False, ["zstd", "gzip", "none"]),
        ("apple-container", ("zstd", "gzip"), False, ["gzip", "gzip"]),
    ],
)
def test_only_what_is_refused_is_recoded(
    target: str, codecs: tuple[str, ...], archive: bool, become: list[str]
) -> None:
    shown = contents(image(*(f"layer {number}.{codec}" for number, codec in enumerate(codecs))))
    assert encodings(plan_for(shown, find_target(target), archive=archive)) == become


def test_a_manifest_nobody_there_pulls_becomes_one_of_the_other_family() -> None:
    plan = plan_for(contents(index(image("a.gzip"), image("b.gzip", architecture="arm64"))), find_target("docker-1.10"))
    root = plan.roots[0].root
    assert isinstance(root, IndexPlan)
    assert {root.family, *(one.family for one in plan.images())} == {"docker"}
    assert root.edits
    with pytest.raises(Unsupported, match="reads no manifests of the format oci"):
        plan_for(contents(image("a.gzip")), find_target("docker-1.10"), format="oci")


def test_layers_nobody_there_pulls_uncompressed_are_compressed() -> None:
    plan = plan_for(contents(image("a", family="docker")), find_target("aws-lambda"), format="docker")
    assert encodings(plan) == ["gzip"]
    assert "aws-lambda does not read none: layer 1 becomes gzip" in plan.notes


def test_attestations_stay_behind_where_an_index_may_have_none() -> None:
    one, other = image("a.gzip"), image("b.gzip", architecture="arm64")
    shown = contents(index(one, attestation(one), other))
    kept = plan_for(shown, refusing()).roots[0].root
    assert isinstance(kept, IndexPlan)
    assert len(kept.children) == 3
    plan = plan_for(shown, refusing("pull.index_attestation"))
    root = plan.roots[0].root
    assert isinstance(root, IndexPlan)
    assert len(root.children) == 2
    assert any(note.startswith("index-attestation: index, for some") for note in plan.notes)


def test_an_index_nobody_there_pulls_becomes_its_image() -> None:
    one = image("a.gzip")
    plan = plan_for(contents(index(one, attestation(one))), refusing("pull.oci_index", "pull.manifest_list"))
    assert isinstance(plan.roots[0].root, ImagePlan)


def test_what_nobody_reads_is_refused() -> None:
    shown = contents(image("a.zstd"))
    every = refusing("pull.layer_zstd_oci", "pull.layer_zstd_docker", "pull.oci_manifest", "pull.v2s2")
    with pytest.raises(Unsupported, match="no manifests of the format docker or oci"):
        plan_for(shown, every)
    nothing = refusing(
        "pull.layer_zstd_oci", "pull.layer_zstd_docker", "pull.layer_uncompressed_oci", "pull.layer_uncompressed_docker"
    )
    with pytest.raises(Unsupported, match="some does not read the zstd"):
        plan_for(shown, nothing, encoding="keep")
    assert encodings(plan_for(shown, nothing)) == ["gzip"]
    with pytest.raises(Unsupported, match="reads no zstd layers"):
        plan_for(shown, nothing, encoding=Encoding("zstd"))


def test_a_demanded_encoding_may_take_the_other_family() -> None:
    shown = contents(image("a.gzip", family="docker"))
    plan = plan_for(shown, find_target("podman-4.3"), encoding=Encoding("zstd", 3))
    assert ([one.family for one in plan.images()], encodings(plan)) == (["oci"], ["zstd"])
    with pytest.raises(Unsupported, match="reads no zstd layers in docker manifests"):
        plan_for(shown, find_target("podman-4.3"), encoding=Encoding("zstd", 3), format="docker")
    with pytest.raises(Unsupported, match="reads no zstd layers in oci manifests"):
        plan_for(contents(image("a.gzip")), find_target("apple-container"), encoding=Encoding("zstd", 3))


def test_without_a_target_nothing_is_narrowed() -> None:
    assert fit_target(LAYOUT, Goal(), "oci:out") is LAYOUT
    assert reads(None, "zstd", "docker", "pull")
    assert fallback(Goal(), LAYOUT, "oci", "oci:out") == Encoding("none")


def test_several_images_are_one_too_many_for_some() -> None:
    target = find_target("crane")
    assert not fit_target(ARCHIVE, Goal(target=target), "docker-archive:out.tar").many_images
    assert fit_target(LAYOUT, Goal(target=target), "oci:out").many_images


def test_an_oci_archive_is_for_who_loads_one() -> None:
    target = find_target("docker-20.10")
    archive = replace(LAYOUT, kind="oci-archive", read_by="load an OCI archive")
    with pytest.raises(Unsupported, match=r"docker-20\.10 reads no OCI archives"):
        fit_target(archive, Goal(target=target), "oci-archive:out.tar")
    assert fit_target(archive, Goal(target=find_target("podman-4.3")), "oci-archive:out.tar").kind == "oci-archive"
    assert fit_target(LAYOUT, Goal(target=target), "oci:out").kind == "oci"


def test_rules_for_what_comes_by_once_are_narrowed_too() -> None:
    goal = Goal(target=find_target("docker-20.10"))
    plan = make_rules("-", goal, LAYOUT, Facts(encoders=(GZIP,)), destination="oci:out")
    assert [(rule.kind, rule.act, rule.encoding and rule.encoding.codec) for rule in plan.rules][:3] == [
        ("none", "copy", None),
        ("gzip", "copy", None),
        ("zstd", "recode", "gzip"),
    ]
    assert plan.capabilities == replace(LAYOUT, encodings=frozenset({"none", "gzip"}))


@pytest.mark.parametrize(
    ("root", "families", "became"),
    [
        (image("a.gzip", family="docker"), ["oci"], 1),
        (image("a.zstd", family="docker"), ["oci"], 1),
        (index(image("a", family="docker"), image("b.gzip", family="docker", architecture="arm64"), family="docker"),
         ["oci", "oci"], 2),
        (index(image("a.gzip"), image("b.gzip", family="docker", architecture="arm64"), family="docker"),
         ["oci", "oci"], 1),
        (index(image("a.gzip", family="docker"), image("b.gzip", architecture="arm64")), ["oci", "oci"], 1),
    ],
)
@pytest.mark.parametrize("target", [None, "podman-4.3", "docker-29", "containerd-1.6"])
def test_zstd_that_is_asked_for_comes_under_media_types_that_are_read(
    root: Image | ImageIndex, families: list[str], became: int, target: str | None
) -> None:
    """All images of an index change together, and the plan says so."""
    shown = contents(root)
    plan = plan_for(shown, None if target is None else find_target(target), encoding=Encoding("zstd", 3))
    assert [one.family for one in plan.images()] == families
    assert plan.roots[0].root.family == "oci"            # type: ignore[union-attr]  # no blob of an unknown kind
    assert sum("OCI, as few read zstd" in note for note in plan.notes) == 1
    assert any(note.startswith(f"{became} Docker manifest") for note in plan.notes)
    if target is None:
        demanded = plan_for(shown, None, encoding=Encoding("zstd", 3), format="docker")
        assert {one.family for one in demanded.images()} == {"docker"}
        assert not any("OCI" in note for note in demanded.notes)


def test_what_nobody_asked_to_be_zstd_keeps_its_family() -> None:
    for encoding in (None, Encoding("gzip"), "keep"):
        plan = plan_for(contents(image("a.zstd", family="docker")), None, encoding=encoding)
        assert ([one.family for one in plan.images()], plan.notes) == (["docker"], ())
