"""What a conversion came to, of a plan that was made by hand."""

from __future__ import annotations

import json
from typing import Any

from occy_fast.planning.steps import Copy, Skip
from occy_fast.running.result import ConvertResult, LayerOutcome
from support.contents import contents, digest, image
from support.plans import goal, plan_of


def outcomes_of(plan: Any) -> list[LayerOutcome]:
    sizes = [(step.layer.size, step.layer.size // 2 if step.is_encoded else step.layer.size) for step in plan.steps]
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
