"""Plan → text or JSON: exactly what execute will do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from occy_fast.planning.rules import Rule, RulePlan
from occy_fast.planning.steps import (
    Adopt,
    BlobPlan,
    Copy,
    ImagePlan,
    IndexPlan,
    LayerStep,
    NamedPlan,
    Plan,
    Recode,
    RootPlan,
    Skip,
    images_of,
    is_tar,
    plans_of,
    work_of,
)
from occy_fast.spec.encoding import Encoding
from occy_fast.words import printable

if TYPE_CHECKING:
    from occy_fast.spec.encoding import EncoderIdentity

SCHEMA = 1

KIND_NAMES = {
    "none": "plain tars",
    "gzip": "gzip",
    "zstd": "zstd",
    "xz": "xz",
    "bzip2": "bzip2",
    "other": "anything else",
}

# What a tar of programs and libraries comes to, of its uncompressed size: good for an estimate, and for nothing else.
_TYPICAL = {"none": 1.0, "gzip": 0.38, "zstd": 0.33, "xz": 0.27, "bzip2": 0.34}


def estimate_written(plan: Plan) -> int:
    """Estimate the bytes the destination grows by: what is copied exactly, what is recoded by a typical ratio."""
    return plan.copied_bytes + sum(_estimate(step) for step in plan.steps if isinstance(step, Recode))


def explain_text(plan: Plan | RulePlan) -> str:
    """Print the plan for people, a line per layer, or per rule."""
    return "\n".join(map(printable, explain_lines(plan)))  # refs and platforms are the image's own words


def explain_lines(plan: Plan | RulePlan) -> list[str]:
    """Return the same as lines, in the image's own words."""
    lines = [f"{plan.source} -> {plan.destination}"]
    if isinstance(plan, RulePlan):
        return lines + _rule_lines(plan)
    seen: set[tuple[object, ...]] = set()
    for named in plan.roots:
        lines += _named_lines(named, plan, seen)
    lines.append(_totals(plan))
    lines += _ending(plan, (step.identity for step in plan.steps if isinstance(step, Recode)))
    return lines


def explain_document(plan: Plan | RulePlan) -> dict[str, Any]:
    """Return the plan as a JSON object; sizes are bytes, and what a plan of rules cannot know is not in it."""
    goal = plan.goal
    document = {
        "schema": SCHEMA,
        "source": plan.source,
        "destination": plan.destination,
        "goal": {
            "encoding": None if goal.encoding is None else str(goal.encoding),
            "format": goal.format,
            "platforms": [str(platform) for platform in goal.platforms],
            "verify": goal.verify,
            "link": goal.link,
            "target": None if goal.target is None else goal.target.name,
            "strict": goal.strict,
            "attestations": goal.attestations,
            "archive_layout": goal.archive_layout,
        },
        "bytes_free": plan.free,
        "memory_above_usual": plan.memory,
        "notes": list(plan.notes),
    }
    if isinstance(plan, RulePlan):
        recodes = any(rule.act == "recode" for rule in plan.rules)
        return document | {
            "rules": [_rule_document(rule, plan) for rule in plan.rules],
            "recoded_one_by_one": plan.one_by_one and recodes,
        }
    return document | {
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
        "recoded_one_by_one": plan.one_by_one and any(isinstance(step, Recode) for step in plan.steps),
        "bytes_copied": plan.copied_bytes,
        "bytes_recoded": _recoded_bytes(plan),
        "bytes_written_estimate": estimate_written(plan),
    }


def format_size(size: int) -> str:
    """Print bytes in decimal units: "812 B", "77.8 MB"."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if round(value, 1) < 1000:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def _ending(plan: Plan | RulePlan, identities: Iterable[EncoderIdentity | None]) -> list[str]:
    lines = [f"encoder: {identity}" for identity in dict.fromkeys(identities) if identity]
    if plan.memory:
        lines.append(f"memory: {format_size(plan.memory)} more than usual")
    return lines + [f"note: {note}" for note in plan.notes]


def _rule_lines(plan: RulePlan) -> list[str]:
    lines = [f"announced: layer {number}, {diff_id}" for number, diff_id in enumerate(plan.announced, 1)]
    lines.append("each blob as it comes by, told by its first bytes; the manifest is matched at the end")
    for rule in plan.rules:
        verb = rule.act if rule.encoding is None else f"{rule.kind} -> {rule.encoding}"
        lines.append(f"  {KIND_NAMES[rule.kind]:<14}  {verb:<16}  {_why_rule(rule, plan)}".rstrip())
    totals = ["recodes one layer at a time"] if plan.one_by_one else []
    if plan.free is not None:
        totals.append(f"{format_size(plan.free)} free")
    lines.append("; ".join([*totals, "verifies layers"]))
    return lines + _ending(plan, (rule.identity for rule in plan.rules))


def _why_rule(rule: Rule, plan: RulePlan) -> str:
    asked = isinstance(plan.goal.encoding, Encoding)
    match rule.act:
        case "recode":
            return "asked for" if asked else f"{rule.kind} cannot stay"
        case "refuse":
            return rule.problem
        case "skip":
            return "there already"
        case "copy" if rule.kind == "other":
            return "as it is"
        case "copy":
            return "as asked for" if asked else "kept"


def _rule_document(rule: Rule, plan: RulePlan) -> dict[str, Any]:
    return {
        "kind": rule.kind,
        "step": rule.act,
        "to": None if rule.encoding is None else str(rule.encoding),
        "encoder": None if rule.identity is None else str(rule.identity),
        "why": _why_rule(rule, plan),
    }


def _named_lines(named: NamedPlan, plan: Plan, seen: set[tuple[object, ...]]) -> list[str]:
    name = ", ".join(named.names) or named.ref or "without a name"
    if named.names and named.ref and named.ref not in named.names:
        name += f" as {named.ref}"
    lines = [name]
    if isinstance(named.root, IndexPlan):
        lines.append(f"  {named.root.family} index of {len(named.root.children)}, {_fate(named.root)}")
    for part in plans_of(named.root):
        if isinstance(part, ImagePlan):
            lines += _image_lines(part, plan, seen)
        elif isinstance(part, BlobPlan):
            lines += _blob_lines(part, plan, seen)
    return lines


def _image_lines(image: ImagePlan, plan: Plan, seen: set[tuple[object, ...]]) -> list[str]:
    platform = "artifact" if image.image.artifact else str(image.image.platform or "platform unknown")
    config = format_size(image.image.config_blob.size)
    manifest = f"{image.family} manifest {_fate(image)}, " if not plan.streams else ""
    lines = [f"  {platform}: {manifest}config kept ({config})"]
    width = len(str(len(image.steps)))
    for number, step in enumerate(image.steps, 1):
        repeated = work_of(step) in seen
        seen.add(work_of(step))
        verb, why = describe_step(step, plan, repeated=repeated)
        label = str(step.layer.digest or step.layer.diff_id)[:19]
        lines.append(
            f"    {number:>{width}}  {label:<19}  {format_size(step.layer.size):>8}  {verb:<16}  {why}".rstrip()
        )
    return lines


def _blob_lines(blob: BlobPlan, plan: Plan, seen: set[tuple[object, ...]]) -> list[str]:
    step = blob.step
    verb, why = describe_step(step, plan, repeated=work_of(step) in seen)
    seen.add(work_of(step))
    size = format_size(step.layer.size)
    return [
        f"  no image, but {blob.opaque.descriptor.media_type}",
        f"    -  {str(step.layer.digest)[:19]}  {size:>8}  {verb:<16}  {why}",
    ]


def describe_step(step: LayerStep, plan: Plan, *, repeated: bool = False) -> tuple[str, str]:
    """Say in words what a step does, and why."""
    codec = step.layer.encoding.codec
    if repeated:
        return _verb(step), "the same as above, done once"
    if isinstance(step, Recode):
        why = "asked for" if isinstance(plan.goal.encoding, Encoding) else f"{codec} cannot stay"
        if step.encoding.codec == codec and why != "asked for":
            why = "it begins with a frame that decoders skip"
        return _verb(step), f"{why}; its tar is read strictly" if step.strict else why
    if isinstance(step, Skip):
        why = "there already" if step.chain is None else "unpacked there already"
        if step.otherwise is not None:
            why = f"there already, if proved there; else {_verb(step.otherwise)}"
    elif isinstance(step, Adopt):
        why = "the source's own file; copied where that cannot be"
    elif not is_tar(step.layer):
        why = "as it is"
    elif isinstance(plan.goal.encoding, Encoding):
        why = f"{codec}, as asked for"
    else:
        why = f"{codec}, kept"
    if step.strict:
        why += "; its tar is read strictly"
    elif step.decode:
        why += "; its tar is verified"
    return _verb(step), why


def _verb(step: LayerStep) -> str:
    match step:
        case Skip():
            return "skip"
        case Adopt():
            return step.how
        case Copy():
            return "copy"
        case Recode():
            return f"{step.layer.encoding.codec} -> {step.encoding}"


def _fate(plan: RootPlan) -> str:
    if plan.manifest_kept and not _is_joined(plan):
        return "kept"
    made = plan.image.manifest is None if isinstance(plan, ImagePlan) else _is_joined(plan)
    return "made" if made else "edited"


def _is_joined(plan: RootPlan) -> bool:
    """Tell whether nothing names the index yet: it is made of images of one name."""
    return isinstance(plan, IndexPlan) and plan.index.descriptor is None


def _totals(plan: Plan) -> str:
    parts = []
    adopted = sum(step.layer.size for step in plan.steps if isinstance(step, Adopt))
    for verb, size in (("copies", plan.copied_bytes), ("shares", adopted)):
        if size:
            parts.append(f"{verb} {format_size(size)}")
    if recoded := _recoded_bytes(plan):
        one_by_one = ", one layer at a time" if plan.one_by_one else ""
        parts.append(f"recodes {format_size(recoded)}{one_by_one}")
        parts.append(f"writes about {format_size(estimate_written(plan))}")
    if plan.free is not None:
        short = ", which may not do" if estimate_written(plan) > plan.free else ""
        parts.append(f"{format_size(plan.free)} free{short}")
    proved = "layers, and what the destination has" if plan.goal.verify == "destination" else plan.goal.verify
    parts.append(f"verifies {proved}" + (", reads tars strictly" if plan.goal.strict else ""))
    return "; ".join(parts)


def _recoded_bytes(plan: Plan) -> int:
    return sum(step.layer.size for step in plan.steps if isinstance(step, Recode))


def _estimate(step: Recode) -> int:
    return int(step.layer.size / _TYPICAL[step.layer.encoding.codec] * _TYPICAL[step.encoding.codec])


def _index_document(root: RootPlan) -> dict[str, Any] | None:
    if not isinstance(root, IndexPlan):
        return None
    return {"family": root.family, "fate": _fate(root), "children": len(root.children)}


def _image_document(image: ImagePlan, plan: Plan) -> dict[str, Any]:
    return {
        "platform": None if image.image.platform is None else str(image.image.platform),
        "artifact": image.image.artifact,
        "family": image.family,
        "manifest": _fate(image),
        "config": None if image.image.config_blob.digest is None else str(image.image.config_blob.digest),
        "layers": [_step_document(step, plan) for step in image.steps],
    }


def _step_document(step: LayerStep, plan: Plan) -> dict[str, Any]:
    layer = step.layer
    return {
        "step": type(step).__name__.lower(),
        "how": step.how if isinstance(step, Adopt) else None,
        "otherwise": _verb(step.otherwise) if isinstance(step, Skip) and step.otherwise is not None else None,
        "digest": None if layer.digest is None else str(layer.digest),
        "diff_id": None if layer.diff_id is None else str(layer.diff_id),
        "size": layer.size,
        "from": str(layer.encoding),
        "to": str(step.encoding) if isinstance(step, Recode) else str(layer.encoding),
        "encoder": str(step.identity) if isinstance(step, Recode) and step.identity else None,
        "verifies_tar": isinstance(step, Recode) or step.decode,
        "strict": step.strict,
        "why": describe_step(step, plan)[1],
    }
