"""A finished plan, and what was left behind -> notes; each note's text is in the table of test_planner."""

from __future__ import annotations

from dataclasses import replace

from occy_fast.planning.facts import Facts
from occy_fast.planning.goal import Goal
from occy_fast.planning.notes import name_destination, notes_of, stream_notes
from occy_fast.planning.planner import make_plan
from occy_fast.planning.remarks import Absent, Extras, Joined, OtherPlatforms, Unnamed
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.limits import LIMITS
from support.contents import ARCHIVE, LAYOUT, attestation, contents, digest, image

IMAGE = image("a.zstd", "b.zstd")


def test_notes_keep_their_order_and_come_once() -> None:
    capabilities = replace(ARCHIVE, keeps_manifest=False)
    shown, goal = contents(IMAGE), Goal(link=True)
    plan = make_plan(shown, goal, capabilities, Facts(), destination="docker-archive:out.tar", limits=LIMITS)
    remarks = (
        OtherPlatforms(("linux/arm64", "linux/s390x")),
        Absent(digest("x")),
        Extras("of the index", behind=2, dropped=1, unchanged=1),
        Joined(("linux/amd64", "linux/arm64")),
        Unnamed("v1"),
        Extras("beside the image"),
    )
    assert notes_of(plan, remarks, capabilities, ["of the destination", "of both", "of both", "of the target"]) == (
        "of the destination",
        "of both",
        "of the target",
        "stays behind: linux/arm64, linux/s390x; oci: and oci-archive: hold all of it, --platform chooses",
        f"named by the index, but stays behind: {digest('x')}",
        "stays behind: 2 attestations or artifacts of the index; oci: and oci-archive: hold all of it",
        "left out: 1 attestation",
        "stays as it is: 1 attestation or artifact of the index",
        "2 images of one name become one index: linux/amd64, linux/arm64",
        "'v1' is no image reference, so the image gets no name there; --tag NAME:TAG gives one",
        "docker-archive has no place for manifests: the digest is of one that stays behind",
        "docker-archive cannot hold zstd: layers 1-2 become uncompressed",
    )


def test_an_attestation_outlives_the_manifest_it_is_about() -> None:
    shown, goal = contents(IMAGE, attestation(IMAGE)), Goal(encoding=Encoding("none"))
    plan = make_plan(shown, goal, LAYOUT, Facts(), destination="oci:out", limits=LIMITS)
    assert f"an attestation speaks of the manifest as it was: {str(IMAGE.digest)[:19]}" in plan.notes


def test_a_layer_is_copied_and_not_linked() -> None:
    plan = make_plan(contents(IMAGE), Goal(link=True), LAYOUT, Facts(), destination="oci:out", limits=LIMITS)
    assert plan.notes == ("2 layers copied, not linked: no whole file on the destination's file system",)


def test_a_plan_of_rules_has_notes_of_its_own() -> None:
    capabilities = replace(LAYOUT, writes="one after another")
    assert stream_notes(Goal(link=True), capabilities, ["of the destination", "of the target"]) == (
        "no layer is linked: what comes by once is no file",
        "what is recoded waits in a temporary file without a name until its size is known",
        "of the destination",
        "of the target",
    )
    assert stream_notes(Goal(), LAYOUT, []) == ()


def test_a_destination_is_called_by_its_kind() -> None:
    assert name_destination(ARCHIVE, Goal()) == "docker-archive"
    old = Goal(archive_layout="docker-20.10")
    assert name_destination(ARCHIVE, old) == "docker-archive in the layout docker-20.10"
