"""Image + Goal + Capabilities + Facts → Plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from occy_fast.errors import (
    DigestMismatch,
    MediaTypeConflict,
    NotFound,
    Unsupported,
    UnsupportedMediaType,
)
from occy_fast.image.attestation import is_real
from occy_fast.image.image import Image, Layer, Opaque
from occy_fast.image.validate import validate
from occy_fast.planning.demands import check_demands, refused_by_target
from occy_fast.planning.facts import memory_above_usual
from occy_fast.planning.ladder import layer_step
from occy_fast.planning.narrowing import fit_destination, fit_facts, fit_goal, fit_target, reads, surely_reads
from occy_fast.planning.notes import name_destination, notes_of
from occy_fast.planning.plan import Plan
from occy_fast.planning.selection import ChosenIndex, ChosenNode, is_absent, select, where_of
from occy_fast.planning.steps import (
    BlobPlan,
    ImagePlan,
    IndexPlan,
    LayerStep,
    NamedPlan,
    RootPlan,
    Skip,
    WorkKey,
    images_of,
    is_provable,
    is_tar,
    steps_of,
)
from occy_fast.spec.config import chain_ids
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.media_type import describe
from occy_fast.targets.rules import INDEX_NO_PLATFORM, LEADING_SKIPPABLE_FRAME, MIXED_FAMILIES
from occy_fast.transforms.media_types import MediaTypes
from occy_fast.transforms.platforms import Platforms
from occy_fast.transforms.zstd_marks import ZstdMarks

if TYPE_CHECKING:
    from occy_fast.image.image import Contents
    from occy_fast.planning.capabilities import Capabilities, Writes
    from occy_fast.planning.facts import Facts
    from occy_fast.planning.goal import Goal, Verify
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.limits import Limits
    from occy_fast.spec.platform import Platform
    from occy_fast.transforms.base import ManifestEdit


def make_plan(
    contents: Contents,
    goal: Goal,
    capabilities: Capabilities,
    facts: Facts,
    *,
    destination: str,
    limits: Limits,
    reference: str | None = None,
) -> Plan:
    """Choose the cheapest way to bring what the source shows to the destination.

    Args:
        destination: its locator.
        limits: what the source was read with.
        reference: what the image is to be called there; None keeps the source's names.
    Raises:
        Unsupported: the destination cannot hold what is demanded.
        UsageError: the demand leaves open which image is meant.
        NotFound: the source has no image.
        MissingPlatform: a platform that is demanded is not there.
        IntegrityError: the image contradicts itself.
    """
    capabilities = fit_target(capabilities, goal, destination)
    facts = fit_facts(facts, capabilities)
    goal = fit_goal(goal, capabilities, facts)
    check_demands(goal, capabilities, destination)
    selection = select(contents, goal, capabilities, destination=destination, reference=reference, limits=limits)
    beside = (finding.problem for finding in contents.passed_over)
    warnings = map(str, contents.warnings)
    found = (*facts.notes, *warnings, *refused_by_target(facts, goal, contents.locator), *beside)
    planner = _Planner(contents.locator, goal, capabilities, facts, destination, limits)
    roots = tuple(NamedPlan(planner.node(chosen.root), chosen.names, chosen.ref) for chosen in selection.roots)
    steps = _in_order((step for named in roots for step in steps_of(named.root)), capabilities.writes)
    if not steps and not any(True for named in roots for _ in images_of(named.root)):
        raise NotFound(contents.locator, "image")
    plan = Plan(
        source=contents.locator,
        destination=destination,
        goal=goal,
        roots=roots,
        steps=steps,
        writes=capabilities.writes,
        identity=capabilities.identity,
        memory=memory_above_usual(
            facts,
            (
                (step.encoding if step.changes_blob else None, step.layer.digest if step.decode else None)
                for step in steps
            ),
        ),
        free=facts.free,
    )
    return replace(plan, notes=notes_of(plan, selection.remarks, capabilities, found))


def _in_order(steps: Iterable[LayerStep], writes: Writes) -> tuple[LayerStep, ...]:
    """Keep each work once; where a blob of unknown size waits for its turn, what has a known size goes first."""
    first: dict[WorkKey, LayerStep] = {}
    for step in steps:
        first.setdefault(step.work_key, step)
    if writes == "any order":
        return tuple(first.values())
    return tuple(sorted(first.values(), key=lambda step: step.unknown_size))


@dataclass(frozen=True, slots=True)
class _Planner:
    """What the plans of all nodes depend on: *goal*, *capabilities* and *facts* are fitted to one another."""

    source: str
    goal: Goal
    capabilities: Capabilities
    facts: Facts
    destination: str
    limits: Limits

    def node(self, node: ChosenNode) -> RootPlan:
        """Plan what was chosen. Raises what is wrong with it."""
        match node:
            case Image():
                return self._image(node)
            case ChosenIndex():
                return self._index(node)
            case Opaque():
                return self._blob(node)

    # ------------------------------------------------------------------------------------------------- indexes

    def _index(self, chosen: ChosenIndex) -> IndexPlan:
        children = tuple(
            child if isinstance(child, Opaque) and is_absent(child) else self.node(child) for child in chosen.children
        )
        index = chosen.index.index
        family = self._family(index.family)
        edit = MediaTypes(family)
        edits: tuple[ManifestEdit, ...] = ()
        if self._translates(index.family, family) and edit.touches_index(index):
            edits = (edit,)
        if self.facts.refuses(INDEX_NO_PLATFORM) and (unsaid := _unsaid(children)):
            edits += (Platforms(unsaid),)
        plan = IndexPlan(chosen.index, children, chosen.positions, family, edits)
        if family == "docker" or (plan.manifest_kept and chosen.index.descriptor is not None):
            return plan                              # a Docker list has no annotations, and one nobody edits keeps its
        marks = ZstdMarks(_with_zstd(children))      # bytes; one without a descriptor was made by us a moment ago
        return replace(plan, edits=(*edits, marks)) if marks.touches_index(chosen.index.index, plan.positions) else plan

    def _blob(self, opaque: Opaque) -> BlobPlan:
        """Plan what is of a kind unknown here. Raises MissingBlob, SizeMismatch."""
        for finding in validate(opaque, f"{self.source}: {opaque.descriptor.digest}", self.limits):
            if finding.error is not None:
                raise finding.error
        assert opaque.blob is not None, "what is absent is not chosen"
        return BlobPlan(opaque, layer_step(Layer.of_blob(opaque.blob), _for_bytes(self.goal), self.facts))

    # ------------------------------------------------------------------------------------------------- images

    def _image(self, image: Image) -> ImagePlan:
        where = where_of(image, self.source)
        for finding in validate(image, where, self.limits):
            if finding.error is not None and finding.severity == "error":
                raise finding.error
        if self.goal.proves_layers:                  # who wants proof is not served by an edited config
            called, digest = image.config_file_digest, image.config_blob.digest
            if called is not None and digest is not None and called != digest:
                raise DigestMismatch(f"{where}: config, by its name", called, digest)
        original = image.manifest.family if image.manifest else None
        if image.artifact:  # its manifest has words of its own: it travels as it is
            goal = _for_bytes(self.goal)
            steps = tuple(layer_step(layer, goal, self.facts) for layer in image.layers)
            return self._without_held(ImagePlan(image, steps, original or "oci"))
        family = self._family_for(image, original)
        self._check_layer_types(image, original, family, where)
        edits: tuple[MediaTypes, ...] = ()
        mixed = any(map(self.facts.refuses, MIXED_FAMILIES))
        if image.manifest is not None and (mixed or self._translates(original, family)):
            edit = MediaTypes(family)
            try:
                edits = (edit,) if edit.touches_manifest(image.manifest) else ()
            except UnsupportedMediaType as error:
                raise error.at(where) from None
        chains = chain_ids(image.config.diff_ids) if image.config is not None and self.facts.chains else ()
        steps = tuple(self._step(layer, family, where, chain) for layer, chain in zip_longest(image.layers, chains))
        return self._without_held(ImagePlan(image, steps, family, edits))

    def _without_held(self, plan: ImagePlan) -> ImagePlan:
        """Return *plan* with nothing to be sent, where the destination has its manifest, and all that this names."""
        digest = plan.image.manifest.digest if plan.image.manifest is not None else None
        if digest not in self.facts.manifests or not plan.manifest_kept:
            return plan
        proves = self.goal.proves_layers or self.goal.strict
        steps = tuple(
            Skip(step.layer, proves and is_provable(step.layer), self.goal.strict, manifest=digest)
            for step in plan.steps
        )
        return replace(plan, steps=steps)

    def _check_layer_types(self, image: Image, original: str | None, family: str, where: str) -> None:
        """Raise UnsupportedMediaType for a layer that is more than a tar in a codec, where that would not be told.

        An encrypted layer, say: who is not told so takes it for a tar, and fails in the middle of it.
        """
        for layer in image.layers:
            if is_tar(layer):
                continue
            kind = name_destination(self.capabilities, self.goal)
            unsaid = f"{kind} has no word for what it is" if not self.capabilities.layer_types else ""
            if not unsaid and (self.goal.format == "docker" or original != family):
                unsaid = f"it has no form in the format '{family}'"
            if unsaid:
                remedy = f"{unsaid}; oci:DIR and oci-archive:PATH keep it, and its manifest, as they are"
                raise UnsupportedMediaType(f"{where}: layer {layer.digest}", layer.described_type, remedy)

    def _family(self, original: str | None) -> str:
        """Return what the family of a manifest or an index becomes, which is the same for all that stands in one."""
        if self.goal.format != "keep":
            return self.goal.format
        zstd = isinstance(self.goal.encoding, Encoding) and self.goal.encoding.codec == "zstd"
        if zstd and "oci" in self.capabilities.families:
            return "oci"                             # under Docker's media types, few would read it
        if original is not None and original in self.capabilities.families:
            return original
        return "oci" if "oci" in self.capabilities.families else "docker"

    def _family_for(self, image: Image, original: str | None) -> str:
        """Return the family of an image's manifest; a target may read its zstd layers in OCI's alone."""
        family, target = self._family(original), self.goal.target
        if target is None or self.goal.format != "keep":
            return family
        codecs = {layer.encoding.codec for layer in image.layers} & self.capabilities.encodings
        if isinstance(self.goal.encoding, Encoding):
            codecs = {self.goal.encoding.codec}
        read_by = self.capabilities.read_by
        if all(reads(target, codec, family, read_by) for codec in codecs):
            return family
        others = sorted(self.capabilities.families - {family})
        suits = (all(surely_reads(target, codec, other, read_by) for codec in codecs) for other in others)
        return next((other for other, suited in zip(others, suits, strict=True) if suited), family)

    def _translates(self, original: str | None, family: str) -> bool:
        """Tell whether media types are rewritten; on demand even if only some of them are others."""
        return self.goal.format != "keep" or original != family

    # ------------------------------------------------------------------------------------------------- layers

    def _step(self, layer: Layer, family: str, where: str, chain: Digest | None) -> LayerStep:
        place = f"{where}: layer {layer.digest or layer.diff_id}"
        meaning = describe(layer.media_type)
        if meaning is None or not is_tar(layer):
            return self._unread(layer, place)
        digest, diff_id = layer.digest, layer.diff_id
        assert diff_id is not None, "a tar has a diff_id"
        comparable = digest is not None and digest.algorithm == diff_id.algorithm
        if layer.encoding.codec == "none" and digest is not None and comparable and digest != diff_id:
            raise DigestMismatch(f"{place}: diff_id", diff_id, digest)
        if chain is not None and chain in self.facts.chains:
            return Skip(layer, self.goal.proves_layers or self.goal.strict, self.goal.strict, chain)
        goal = fit_destination(layer, self.goal, family, self.capabilities, self.destination)
        if goal is self.goal and self.facts.refuses(LEADING_SKIPPABLE_FRAME) and digest in self.facts.skippable:
            codec = layer.encoding.codec             # with a level: by our encoder, which writes no such frame
            goal = replace(goal, encoding=Encoding(codec, Encoding(codec).effective_level))
        step = layer_step(layer, goal, self.facts)
        if not is_provable(layer) and (step.decode or goal.proves_layers):
            raise Unsupported(place, f"its diff_id is a {diff_id.algorithm}, and tars are proved by sha256 alone")
        if not step.changes_blob and meaning.codec != layer.encoding.codec:
            raise MediaTypeConflict(place, layer.media_type, f"{layer.encoding.codec} bytes")
        return step

    def _unread(self, layer: Layer, place: str) -> LayerStep:
        """Plan a layer whose tar nobody here can read. Raises UnsupportedMediaType where it would have to be."""
        if isinstance(self.goal.encoding, Encoding):
            remedy = "such a layer cannot be recoded; keep its encoding"
            raise UnsupportedMediaType(place, layer.described_type, remedy)
        if (self.goal.proves_layers or self.goal.strict) and layer.diff_id is not None:
            remedy = "the tar inside cannot be read: --verify blobs, and no --strict"
            raise UnsupportedMediaType(place, layer.described_type, remedy)
        return layer_step(layer, _for_bytes(self.goal), self.facts)


def _for_bytes(goal: Goal) -> Goal:
    """Return *goal* as it is for what has no tar inside: it stays as it is, and its digest is all there is to prove."""
    verify: Verify = "destination" if goal.verify == "destination" else "blobs"
    return replace(goal, encoding=None, verify=verify, strict=False)


def _unsaid(children: tuple[RootPlan | Opaque, ...]) -> tuple[tuple[int, Platform], ...]:
    """Return the platforms that an index does not say of its images, by where they will stand in it."""
    return tuple(
        (position, child.image.platform)
        for position, child in enumerate(children)
        if isinstance(child, ImagePlan) and child.image.descriptor is not None
        if child.image.descriptor.platform is None and child.image.platform is not None and is_real(child.image)
    )


def _with_zstd(children: tuple[RootPlan | Opaque, ...]) -> tuple[tuple[int, bool], ...]:
    """Tell of the images of an index, by where they will stand in it, whether a layer of theirs will be zstd."""
    return tuple(
        (position, any(step.encoding.codec == "zstd" for step in child.steps))
        for position, child in enumerate(children)
        if isinstance(child, ImagePlan) and not child.image.artifact
    )
