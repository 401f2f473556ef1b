"""Plan → JSON: exactly what execute will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from occy_fast import schema
from occy_fast.planning.explain import describe_step, estimate_written, fate_of, recoded_bytes, verb_of, why_rule
from occy_fast.planning.steps import (
    Adopt,
    BlobPlan,
    ImagePlan,
    IndexPlan,
    LayerStep,
    RootPlan,
    Skip,
    images_of,
    plans_of,
)
from occy_fast.words import text_or_none

if TYPE_CHECKING:
    from occy_fast.planning.plan import Plan, StreamPlan
    from occy_fast.planning.stream_rules import Rule


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return *plan* as a JSON object; sizes are bytes."""
    return _head(plan) | {
        "images": [
            {
                "names": list(named.names),
                "ref": named.ref,
                "index": _index_document(named.root),
                "manifests": [_image_document(image, plan) for image in images_of(named.root)],
                "blobs": [_step_document(p.step, plan) for p in plans_of(named.root) if isinstance(p, BlobPlan)],
            }
            for named in plan.roots
        ],
        "steps": len(plan.steps),
        "recoded_one_by_one": plan.recodes_one_by_one,
        "bytes_copied": plan.copied_bytes,
        "bytes_recoded": recoded_bytes(plan),
        "bytes_written_estimate": estimate_written(plan),
    }


def stream_plan_document(plan: StreamPlan) -> dict[str, Any]:
    """Return *plan* as a JSON object; what it cannot know before the manifest has come is not in it."""
    return _head(plan) | {
        "rules": [_rule_document(rule, plan) for rule in plan.rules],
        "recoded_one_by_one": plan.recodes_one_by_one,
    }


def _head(plan: Plan | StreamPlan) -> dict[str, Any]:
    goal = plan.goal
    return {
        "schema": schema.PLAN,
        "source": plan.source,
        "destination": plan.destination,
        "goal": {
            "encoding": text_or_none(goal.encoding),
            "format": goal.format,
            "platforms": [str(platform) for platform in goal.platforms],
            "verify": goal.verify,
            "link": goal.link,
            "target": None if goal.target is None else goal.target.name,
            "strict": goal.strict,
            "attestations": goal.attestations,
            "archive_layout": goal.archive_layout,
            "tags": list(goal.tags),
        },
        "bytes_free": plan.free,
        "memory_above_usual": plan.memory,
        "notes": list(plan.notes),
    }


def _rule_document(rule: Rule, plan: StreamPlan) -> dict[str, Any]:
    return {
        "kind": rule.kind,
        "step": rule.act,
        "to": text_or_none(rule.encoding),
        "encoder": text_or_none(rule.identity),
        "why": why_rule(rule, plan),
    }


def _index_document(root: RootPlan) -> dict[str, Any] | None:
    if not isinstance(root, IndexPlan):
        return None
    return {"family": root.family, "fate": fate_of(root), "children": len(root.children)}


def _image_document(image: ImagePlan, plan: Plan) -> dict[str, Any]:
    return {
        "platform": text_or_none(image.image.platform),
        "artifact": image.image.artifact,
        "family": image.family,
        "manifest": fate_of(image),
        "config": text_or_none(image.image.config_blob.digest),
        "layers": [_step_document(step, plan) for step in image.steps],
    }


def _step_document(step: LayerStep, plan: Plan) -> dict[str, Any]:
    layer = step.layer
    return {
        "step": step.kind,
        "how": step.how if isinstance(step, Adopt) else None,
        "otherwise": verb_of(step.otherwise) if isinstance(step, Skip) and step.otherwise is not None else None,
        "digest": text_or_none(layer.digest),
        "diff_id": text_or_none(layer.diff_id),
        "size": layer.size,
        "from": str(layer.encoding),
        "to": str(step.encoding),
        "encoder": str(step.identity) if step.identity else None,
        "verifies_tar": step.decode,
        "strict": step.strict,
        "why": describe_step(step, plan)[1],
    }
