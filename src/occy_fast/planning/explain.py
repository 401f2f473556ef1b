"""Plan → text: exactly what execute will do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from occy_fast.planning.steps import (
    Adopt,
    BlobPlan,
    Copy,
    ImagePlan,
    IndexPlan,
    LayerStep,
    NamedPlan,
    Recode,
    RootPlan,
    Skip,
    WorkKey,
    is_tar,
    plans_of,
)
from occy_fast.spec.encoding import CODECS, Encoding
from occy_fast.words import format_size

if TYPE_CHECKING:
    from occy_fast.planning.plan import Plan, StreamPlan
    from occy_fast.planning.stream_rules import Rule
    from occy_fast.spec.encoding import EncoderIdentity


_KIND_NAMES = {"none": "plain tars", "other": "anything else"}         # the others are called by their codecs


def estimate_written(plan: Plan) -> int:
    """Estimate the bytes the destination grows by: what is copied exactly, what is recoded by a typical ratio."""
    return plan.copied_bytes + sum(_estimate(step) for step in plan.steps if step.unknown_size)


def plan_lines(plan: Plan) -> list[str]:
    """Print the plan for people, a line per layer, in the image's own words."""
    lines = [f"{plan.source} -> {plan.destination}"]
    seen: set[WorkKey] = set()
    for named in plan.roots:
        lines += _named_lines(named, plan, seen)
    lines.append(_totals(plan))
    lines += _ending(plan, (step.identity for step in plan.steps))
    return lines


def _ending(plan: Plan | StreamPlan, identities: Iterable[EncoderIdentity | None]) -> list[str]:
    lines = [f"encoder: {identity}" for identity in dict.fromkeys(identities) if identity]
    if plan.memory:
        lines.append(f"memory: {format_size(plan.memory)} more than usual")
    return lines + [f"note: {note}" for note in plan.notes]


def stream_plan_lines(plan: StreamPlan) -> list[str]:
    """Print the plan for people, a line per rule."""
    lines = [f"{plan.source} -> {plan.destination}"]
    lines += [f"announced: layer {number}, {diff_id}" for number, diff_id in enumerate(plan.expected_diff_ids, 1)]
    lines.append("each blob as it comes by, told by its first bytes; the manifest is matched at the end")
    for rule in plan.rules:
        verb = rule.act if rule.encoding is None else f"{rule.kind} -> {rule.encoding}"
        lines.append(f"  {_KIND_NAMES.get(rule.kind, rule.kind):<14}  {verb:<16}  {why_rule(rule, plan)}".rstrip())
    totals = ["recodes one layer at a time"] if plan.writes == "one of unknown size" else []
    if plan.free is not None:
        totals.append(f"{format_size(plan.free)} free")
    lines.append("; ".join([*totals, "verifies layers"]))
    return lines + _ending(plan, (rule.identity for rule in plan.rules))


def why_rule(rule: Rule, plan: StreamPlan) -> str:
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


def _named_lines(named: NamedPlan, plan: Plan, seen: set[WorkKey]) -> list[str]:
    name = ", ".join(named.names) or named.ref or "without a name"
    if named.names and named.ref and named.ref not in named.names:
        name += f" as {named.ref}"
    lines = [name]
    if isinstance(named.root, IndexPlan):
        lines.append(f"  {named.root.family} index of {len(named.root.children)}, {fate_of(named.root)}")
    for part in plans_of(named.root):
        if isinstance(part, ImagePlan):
            lines += _image_lines(part, plan, seen)
        elif isinstance(part, BlobPlan):
            lines += _blob_lines(part, plan, seen)
    return lines


def _image_lines(image: ImagePlan, plan: Plan, seen: set[WorkKey]) -> list[str]:
    platform = "artifact" if image.image.artifact else str(image.image.platform or "platform unknown")
    config = format_size(image.image.config_blob.size)
    manifest = f"{image.family} manifest {fate_of(image)}, " if plan.identity == "manifest" else ""
    lines = [f"  {platform}: {manifest}config kept ({config})"]
    width = len(str(len(image.steps)))
    for number, step in enumerate(image.steps, 1):
        verb, why = describe_step(step, plan, repeated=step.work_key in seen)
        seen.add(step.work_key)
        label = str(step.layer.digest or step.layer.diff_id)[:19]
        lines.append(
            f"    {number:>{width}}  {label:<19}  {format_size(step.layer.size):>8}  {verb:<16}  {why}".rstrip()
        )
    return lines


def _blob_lines(blob: BlobPlan, plan: Plan, seen: set[WorkKey]) -> list[str]:
    step = blob.step
    verb, why = describe_step(step, plan, repeated=step.work_key in seen)
    seen.add(step.work_key)
    size = format_size(step.layer.size)
    return [
        f"  no image, but {blob.opaque.descriptor.media_type}",
        f"    -  {str(step.layer.digest)[:19]}  {size:>8}  {verb:<16}  {why}",
    ]


def describe_step(step: LayerStep, plan: Plan, *, repeated: bool = False) -> tuple[str, str]:
    """Say in words what a step does, and why."""
    codec = step.layer.encoding.codec
    if repeated:
        return verb_of(step), "the same as above, done once"
    if isinstance(step, Recode):
        why = "asked for" if isinstance(plan.goal.encoding, Encoding) else f"{codec} cannot stay"
        if step.encoding.codec == codec and why != "asked for":
            why = "it begins with a frame that decoders skip"
        return verb_of(step), f"{why}; its tar is read strictly" if step.strict else why
    if isinstance(step, Skip):
        why = "there already" if step.chain is None else "unpacked there already"
        if step.manifest is not None:
            why = "there already, as its manifest is"
        if step.otherwise is not None:
            why = f"there already, if proved there; else {verb_of(step.otherwise)}"
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
    return verb_of(step), why


def verb_of(step: LayerStep) -> str:
    match step:
        case Skip():
            return "skip"
        case Adopt():
            return step.how
        case Copy():
            return "copy"
        case Recode():
            return f"{step.layer.encoding.codec} -> {step.encoding}"


def fate_of(plan: RootPlan) -> str:
    if plan.manifest_kept and not _is_joined(plan):
        return "kept"
    made = plan.image.manifest is None if isinstance(plan, ImagePlan) else _is_joined(plan)
    return "made" if made else "edited"


def _is_joined(plan: RootPlan) -> bool:
    """Tell whether nothing names the index yet: it is made of images of one name."""
    return isinstance(plan, IndexPlan) and plan.index.descriptor is None


def _totals(plan: Plan) -> str:
    parts = []
    adopted = sum(step.layer.size for step in plan.steps if step.kind == "adopt")
    for verb, size in (("copies", plan.copied_bytes), ("shares", adopted)):
        if size:
            parts.append(f"{verb} {format_size(size)}")
    if recoded := recoded_bytes(plan):
        one_by_one = ", one layer at a time" if plan.recodes_one_by_one else ""
        parts.append(f"recodes {format_size(recoded)}{one_by_one}")
        parts.append(f"writes about {format_size(estimate_written(plan))}")
    if plan.free is not None:
        short = ", which may not do" if estimate_written(plan) > plan.free else ""
        parts.append(f"{format_size(plan.free)} free{short}")
    proved = "layers, and what the destination has" if plan.goal.verify == "destination" else plan.goal.verify
    parts.append(f"verifies {proved}" + (", reads tars strictly" if plan.goal.strict else ""))
    return "; ".join(parts)


def recoded_bytes(plan: Plan) -> int:
    return sum(step.layer.size for step in plan.steps if step.changes_blob)


def _estimate(step: LayerStep) -> int:
    stored, written = CODECS[step.layer.encoding.codec], CODECS[step.encoding.codec]
    return int(step.layer.size / stored.typical_ratio * written.typical_ratio)
