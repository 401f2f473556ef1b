"""What the reader of a plan would not expect, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from occy_fast.image.attestation import digest_of, is_attestation, subject_of
from occy_fast.image.blob import FileRegion
from occy_fast.planning.narrowing import reads
from occy_fast.planning.remarks import Absent, Beside, Extras, Joined, OtherPlatforms, Remark, Unnamed, Unread
from occy_fast.planning.steps import ImagePlan, LayerStep, known_digest, node_of, plans_of
from occy_fast.words import format_count, format_layers

if TYPE_CHECKING:
    from occy_fast.planning.capabilities import Capabilities
    from occy_fast.planning.goal import Goal
    from occy_fast.planning.plan import Plan


def notes_of(
    plan: Plan, remarks: Iterable[Remark], capabilities: Capabilities, found: Iterable[str]
) -> tuple[str, ...]:
    """Return the notes on a *plan* that is finished but for them, each once.

    Args:
        remarks: of the selection.
        capabilities: what the destination accepts, and the goal's target reads.
        found: what is at the destination, and what of the source the target does not read.
    """
    notes = [
        *found,
        *(line for remark in remarks for line in _remark(remark, _holders(plan.goal, capabilities))),
        *_outdated_subjects(plan),
        *_lost_manifest(plan, capabilities),
        *_other_family(plan),
        *_forced_encodings(plan, capabilities),
        *_not_linked(plan, capabilities),
        *_waiting(plan, capabilities),
    ]
    return tuple(dict.fromkeys(notes))


def stream_notes(goal: Goal, capabilities: Capabilities, found: Iterable[str]) -> tuple[str, ...]:
    """Return the notes on a plan of rules; the arguments are those of notes_of."""
    notes = ["no layer is linked: what comes by once is no file"] if goal.link else []
    if capabilities.names_by_digest:
        notes.append("each blob waits in a temporary file without a name until its digest is known")
    elif capabilities.writes == "one after another":
        notes.append("what is recoded waits in a temporary file without a name until its size is known")
    return (*notes, *found)


def name_destination(capabilities: Capabilities, goal: Goal) -> str:
    """Return what to call the kind of a destination."""
    kind, layout = capabilities.kind, goal.archive_layout
    return kind if layout == "universal" else f"{kind} in the layout {layout}"


def _holders(goal: Goal, capabilities: Capabilities) -> str:
    """Say how to get what stays behind where nobody has asked for a part."""
    if capabilities.multi_platform or goal.platforms:
        return ""
    return "; oci: and oci-archive: hold all of it, --platform chooses"


def _remark(remark: Remark, holders: str) -> Iterator[str]:
    match remark:
        case OtherPlatforms(platforms):
            yield f"stays behind: {', '.join(platforms)}{holders}"
        case Extras(where, behind, dropped, unchanged):
            if behind:
                yield f"stays behind: {_extras(behind)} {where}{holders.partition(',')[0]}"
            if dropped:
                yield f"left out: {format_count(dropped, 'attestation')}"
            if unchanged:
                yield f"stays as it is: {_extras(unchanged)} {where}"
        case Absent(digest):
            yield f"named by the index, but stays behind: {digest}"
        case Joined(platforms):
            yield f"{len(platforms)} images of one name become one index: {', '.join(platforms)}"
        case Beside(what, locator):
            how = f"; {locator} chooses it" if locator else ""
            yield f"stays behind: {what}, which index.json alone names{how}; oci: and oci-archive: hold all of it"
        case Unread(what, error):
            yield f"stays behind: {what}, which cannot be read: {error.describe()}"
        case Unnamed(ref):
            problem = f"'{ref}' is no image reference, so the image gets no name there"
            yield f"{problem}; --tag NAME:TAG gives one"


def _outdated_subjects(plan: Plan) -> Iterator[str]:
    """Say what refers to a manifest that will be another one."""
    plans = [part for named in plan.roots for part in plans_of(named.root)]
    changed = {digest_of(node_of(part)) for part in plans if not part.manifest_kept}
    for node in map(node_of, plans):
        if (subject := subject_of(node)) in changed:
            kind = "an attestation" if is_attestation(node) else "a referrer"
            yield f"{kind} speaks of the manifest as it was: {str(subject)[:19]}"


def _lost_manifest(plan: Plan, capabilities: Capabilities) -> Iterator[str]:
    if plan.identity == "manifest" and not capabilities.keeps_manifest:
        kind = name_destination(capabilities, plan.goal)
        yield f"{kind} has no place for manifests: the digest is of one that stays behind"


def _other_family(plan: Plan) -> Iterator[str]:
    """Say whose manifest became OCI's for the sake of its zstd layers, though nobody asked for a format."""
    if plan.goal.format != "keep":
        return
    became = sum(
        image.image.manifest is not None and image.image.manifest.family == "docker" and image.family == "oci"
        for image in plan.images()
        if not image.image.artifact and any(step.encoding.codec == "zstd" for step in image.steps)
    )
    if became:
        become = "becomes" if became == 1 else "become"
        yield f"{format_count(became, 'Docker manifest')} {become} OCI, as few read zstd in the other (--format docker)"


def _forced_encodings(plan: Plan, capabilities: Capabilities) -> Iterator[str]:
    """Say whose layers are given another codec though nobody asked for it."""
    if plan.goal.encoding is None:
        for image in plan.images():
            yield from _forced_encoding(plan, image, capabilities)


def _forced_encoding(plan: Plan, image: ImagePlan, capabilities: Capabilities) -> Iterator[str]:
    steps = enumerate(image.steps, 1)                # one that keeps its codec has another reason, told elsewhere
    forced = {number: step for number, step in steps if step.encoding.codec != step.layer.encoding.codec}
    if not forced:
        return
    target = plan.goal.target
    codecs = sorted({step.layer.encoding.codec for step in forced.values()})
    who = f"{name_destination(capabilities, plan.goal)} cannot hold"
    if target is not None and not all(reads(target, codec, image.family, capabilities.read_by) for codec in codecs):
        who = f"{target.name} does not read"
    made = sorted({step.encoding.codec for step in forced.values()})
    what = " or ".join("uncompressed" if codec == "none" else codec for codec in made)
    become = "becomes" if len(forced) == 1 else "become"
    yield f"{who} {' or '.join(codecs)}: {format_layers(list(forced))} {become} {what}"


def _not_linked(plan: Plan, capabilities: Capabilities) -> Iterator[str]:
    copied = [step for step in plan.steps if step.kind == "copy"]
    copies = len(copied)
    if not (plan.goal.link and copies):
        return
    kind = name_destination(capabilities, plan.goal)
    if capabilities.adopts and all(_is_borrowed(step) for step in copied):
        why = "symbolic links lead to them, and their files may be somebody else's"
    elif capabilities.adopts:
        why = "no whole file on the destination's file system"
    elif plan.writes == "one after another":
        why = f"{kind} takes bytes, and no files"
    else:
        why = f"{kind} is one file, which shares none of its layers"
    yield f"{format_count(copies, 'layer')} copied, not linked: {why}"


def _is_borrowed(step: LayerStep) -> bool:
    address = step.layer.blob.address
    return isinstance(address, FileRegion) and address.borrowed


def _waiting(plan: Plan, capabilities: Capabilities) -> Iterator[str]:
    """Say what waits in temporary files, as it is sent only once its size or its digest is known."""
    if capabilities.names_by_digest:
        unknown = sum(step.kind == "copy" and known_digest(step.layer) is None for step in plan.steps)
        if unknown:
            files = "a temporary file" if unknown == 1 else "temporary files"
            yield f"{format_count(unknown, 'copied layer')} in {files} without a name until the digest is known"
    encoded = sum(step.unknown_size for step in plan.steps)
    if plan.writes == "one after another" and encoded:
        files = "a temporary file" if encoded == 1 else "temporary files"
        yield f"{format_count(encoded, 'recoded layer')} in {files} without a name until the size is known"


def _extras(number: int) -> str:
    return "1 attestation or artifact" if number == 1 else f"{number} attestations or artifacts"
