"""What a conversion came to, of a plan that was made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from occy_fast.engine.layer_job import LayerProof
from occy_fast.planning.steps import Copy, LayerStep, Recode, Skip
from occy_fast.running.result import ConvertResult, LayerOutcome, outcome_of
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import Encoding
from support.contents import contents, digest, image
from support.plans import ZSTD, goal, plan_of


def outcomes_of(plan: Any) -> list[LayerOutcome]:
    sizes = [(step.layer.size, step.layer.size // 2 if step.changes_blob else step.layer.size) for step in plan.steps]
    return [
        LayerOutcome(step, digest(f"out {number}"), step.layer.diff_id, *each, step.identity)
        for number, (step, each) in enumerate(zip(plan.steps, sizes, strict=True))
    ]


def test_json() -> None:
    plan = plan_of(contents(image("a", "b.zstd"), names=["app:1"]), goal("zstd"))
    names, sizes, seconds = ("docker.io/library/app:1",), (2_000_000, 1_500_000), 1.23456789
    layers = tuple(outcomes_of(plan))
    result = ConvertResult(digest("m"), (digest("m"),), digest("c"), layers, names, *sizes, seconds, plan)
    document = result.to_json()
    assert json.loads(json.dumps(document)) == document
    assert (document["digest"], document["config_digest"]) == (str(digest("m")), str(digest("c")))
    assert (document["bytes_read"], document["bytes_written"], document["seconds"]) == (2_000_000, 1_500_000, 1.234568)
    shown = {layer["step"]: (layer["from"], layer["to"], layer["size_out"]) for layer in document["layers"]}
    assert shown == {"recode": ("none", "zstd:3", 500_000), "copy": ("zstd", "zstd", 1_000_000)}
    assert repr(result) == f"ConvertResult({digest('m').short} 2 layers, 2.0 MB -> 1.5 MB, 1.23 s)"


def test_a_damaged_blob_that_was_replaced_was_not_skipped() -> None:
    (layer,) = image("a").layers
    step = Skip(layer, otherwise=Copy(layer))
    outcome = LayerOutcome(step, digest("a"), None, 5, 5)
    assert outcome.kind == "skip"
    assert LayerOutcome(step, digest("a"), None, 5, 5, replaced=True).kind == "copy"
    assert outcome.to_json()["diff_id"] is None


LAYER = image("a.gzip").layers[0]
PROOF = LayerProof(digest("stored"), digest("tar"), digest("made"), 100, 300, 70, ZSTD)
SHA512 = Digest("sha512", "0" * 128)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Copy(LAYER), (digest("stored"), digest("tar"), 100, 100)),
        (Skip(LAYER, decode=True), (digest("stored"), digest("tar"), 100, 100)),
        (Recode(LAYER, Encoding("zstd", 3)), (digest("made"), digest("tar"), 100, 70)),
        # what a pass cannot prove, or nobody has said, is not what it has found
        (Copy(replace(LAYER, diff_id=SHA512)), (digest("stored"), SHA512, 100, 100)),
        (Copy(replace(LAYER, diff_id=None)), (digest("stored"), None, 100, 100)),
    ],
)
def test_what_was_read_tells_what_became_of_a_layer(step: LayerStep, expected: tuple[Any, ...]) -> None:
    outcome = outcome_of(step, PROOF)
    assert (outcome.digest, outcome.diff_id, outcome.size_in, outcome.size_out) == expected
    assert (outcome.step, outcome.identity) == (step, ZSTD)


def test_what_was_not_read_is_what_the_source_says() -> None:
    outcome = outcome_of(Skip(LAYER), None)
    assert (outcome.digest, outcome.diff_id, outcome.size_out) == (LAYER.digest, LAYER.diff_id, LAYER.size)
    unpacked = replace(LAYER, blob=replace(LAYER.blob, digest=None))
    assert outcome_of(Skip(unpacked, chain=digest("chain")), None).digest == LAYER.diff_id
