"""Image + Goal + Capabilities + Facts → Plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING

from occy_fast.errors import (
    AmbiguousReference,
    BadReference,
    DigestMismatch,
    MediaTypeConflict,
    MissingPlatform,
    NotFound,
    Unsupported,
    UnsupportedMediaType,
)
from occy_fast.image.attestation import digest_of, is_attestation, subject_of, with_referrers
from occy_fast.image.graph import leaves, walk
from occy_fast.image.image import Image, ImageIndex, Opaque
from occy_fast.image.validate import validate
from occy_fast.planning.demands import check_demands, refusals
from occy_fast.planning.joining import choose_one, join, selector
from occy_fast.planning.ladder import layer_step
from occy_fast.planning.narrowing import fit, fit_facts, narrow, reads, surely_reads
from occy_fast.planning.plan import Plan
from occy_fast.planning.steps import (
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
    images_of,
    is_tar,
    layer_of,
    plans_of,
    steps_of,
)
from occy_fast.spec.config import chain_ids
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.limits import LIMITS
from occy_fast.spec.media_type import describe
from occy_fast.spec.reference import parse_reference
from occy_fast.transforms.media_types import MediaTypes
from occy_fast.transforms.platforms import Platforms
from occy_fast.words import format_layers

if TYPE_CHECKING:
    from occy_fast.image.image import Contents, Layer, Leaf, NamedImage, Node
    from occy_fast.planning.capabilities import Capabilities
    from occy_fast.planning.facts import Facts
    from occy_fast.planning.goal import Goal, Verify
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.limits import Limits
    from occy_fast.spec.platform import Platform
    from occy_fast.transforms.base import ManifestEdit

# What a consistent set of media types does away with.
_MIXED = {"oci-layer-in-v2s2", "docker-layer-in-oci", "oci-config-in-v2s2", "docker-config-in-oci"}


def make_plan(
    contents: Contents,
    goal: Goal,
    capabilities: Capabilities,
    facts: Facts,
    *,
    destination: str,
    reference: str | None = None,
    limits: Limits = LIMITS,
) -> Plan:
    """Choose the cheapest way to bring what the source shows to the destination.

    Args:
        destination: its locator.
        reference: what the image is to be called there; None keeps the source's names.
        limits: what the source was read with.
    Raises:
        Unsupported: the destination cannot hold what is demanded.
        UsageError: the demand leaves open which image is meant.
        NotFound: the source has no image.
        MissingPlatform: a platform that is demanded is not there.
        IntegrityError: the image contradicts itself.
    """
    capabilities = fit(capabilities, goal, destination)
    return _Planner(contents, goal, capabilities, facts, destination, reference, limits).plan()


class _Planner:
    """One call of make_plan: its arguments, and the notes that gather on the way."""

    def __init__(
        self,
        contents: Contents,
        goal: Goal,
        capabilities: Capabilities,
        facts: Facts,
        destination: str,
        reference: str | None,
        limits: Limits,
    ) -> None:
        self.limits = limits
        self.contents = contents
        self.goal = goal
        self.capabilities = capabilities
        self.facts = fit_facts(facts, capabilities)
        self.destination = destination
        self.reference = reference
        self.notes = list(capabilities.notes)
        self.refused = frozenset(mark.rule for mark in facts.refused)
        self.chosen = reference is not None or bool(goal.names)
        self.images: tuple[NamedImage, ...] = ()         # once the demands are checked
        if "index-attestation" in self.refused and capabilities.multi_platform:
            self.goal = replace(goal, attestations="drop")

    def plan(self) -> Plan:
        self._check_demands()
        self.notes += refusals(self.facts, self.goal, self.contents.locator)
        roots = self._roots()
        if not any(True for named in roots for _ in images_of(named.root)):
            raise NotFound(self.contents.locator, "image")
        steps = self._order(step for named in roots for step in steps_of(named.root))
        self._note_orphaned(roots)
        if self.capabilities.identity == "manifest" and not self.capabilities.keeps_manifest:
            self.notes.append(f"{self._kind()} has no place for manifests: the digest is of one that stays behind")
        self._note_turned_plain(roots)
        self._note_unlinked(steps)
        self._note_spooled(steps)
        return Plan(
            source=self.contents.locator,
            destination=self.destination,
            goal=self.goal,
            roots=roots,
            steps=steps,
            writes=self.capabilities.writes,
            identity=self.capabilities.identity,
            notes=tuple(dict.fromkeys(self.notes)),
            memory=self._memory(steps),
            free=self.facts.free,
        )

    # -------------------------------------------------------------------------------------------------- the demands

    def _check_demands(self) -> None:
        check_demands(self.goal, self.capabilities, self.destination)
        self.images = join(
            self.contents,
            self.goal.platforms,
            refs=self.capabilities.names == "ref",
            limits=self.limits,
            called=self.chosen,
        )
        images = [named for named in self.images if not self._is_referrer(named)]
        if len(images) > 1 and (self.chosen or not self.capabilities.many_images):
            problem = "has several images, and the destination names one" if self.chosen else "has several images"
            raise AmbiguousReference(
                self.contents.locator,
                problem,
                self._selectors(),
                choose_one(self.contents, self.contents.images[0]),
            )

    def _selectors(self) -> tuple[str, ...]:
        return tuple(selector(named, at) for at, named in enumerate(self.contents.images))

    # -------------------------------------------------------------------------------------------------- roots

    def _is_referrer(self, named: NamedImage) -> bool:
        """Tell whether a root speaks of what stands under another one, and is nothing by itself."""
        return bool(self._subjects(named)) and self._subjects(named) <= self._known

    @cached_property
    def _known(self) -> frozenset[str]:
        """The digests of all that the source shows."""
        roots = [named.root for named in self.images]
        return frozenset(digest_of(node) for root in roots for node in walk(root, self.contents.locator, self.limits))

    def _subjects(self, named: NamedImage) -> frozenset[str]:
        """Return the digests that a root speaks of; none for one that holds an image, or anything by itself."""
        root = named.root
        nodes = (root,) if subject_of(root) else tuple(leaves(root))
        if any(_is_real(node) for node in leaves(root)) or not all(map(subject_of, nodes)):
            return frozenset()
        return frozenset(filter(None, map(subject_of, nodes)))

    def _roots(self) -> tuple[NamedPlan, ...]:
        """Plan every root; what speaks of another one goes along if that goes, and if the destination can hold it."""
        referrers = {id(named) for named in self.images if self._is_referrer(named)}
        plans = {id(named): self._named(named) for named in self.images if id(named) not in referrers}
        going = {digest_of(_node_of(plan)) for named in plans.values() for plan in plans_of(named.root)}
        speaking = [named for named in self.images if id(named) in referrers]
        kept = [named for named in speaking if not self._is_dropped(named.root)]
        nodes = (node for named in kept for node in walk(named.root, self.contents.locator, self.limits))
        going = set(with_referrers(going, nodes))
        unmet = left = 0
        for named in kept:
            if self.capabilities.referrers and self._subjects(named) <= going:
                plans[id(named)] = NamedPlan(self._referrer(named.root), named.names, named.ref)
                unmet += isinstance(named.root, Image) and self._asks_to_change(named.root)
            else:
                left += 1
        self._note_extras(left, len(speaking) - len(kept), unmet, "beside the image")
        return tuple(plans[id(named)] for named in self.images if id(named) in plans)

    def _referrer(self, root: Node) -> RootPlan:
        match root:
            case Image():
                return self._image(root)
            case ImageIndex():
                return self._index(root, None)
            case Opaque():
                return self._blob(root)

    def _note_extras(self, left: int, dropped: int, unmet: int, where: str) -> None:
        if left:
            self.notes.append(f"stays behind: {_extras(left)} {where}")
        if dropped:
            self.notes.append(f"left out: {_count(dropped, 'attestation')}")
        if unmet:
            self.notes.append(f"stays as it is: {_extras(unmet)} {where}")

    # -------------------------------------------------------------------------------------------------- names

    def _named(self, named: NamedImage) -> NamedPlan:
        root = self._root(named.root)
        if self.reference is None:
            names, ref = named.names, named.ref
        else:
            name = _full_name(self.reference)
            names, ref = (() if name is None else (name,)), self.reference
        names = tuple(dict.fromkeys((*names, *self.goal.names)))
        if self.capabilities.names == "reference":
            if ref is not None and not names:
                problem = f"'{ref}' is no image reference, so the image gets no name there"
                self.notes.append(f"{problem}; --tag NAME:TAG gives one")
            ref = None
        return NamedPlan(root, names, ref)

    # -------------------------------------------------------------------------------------------------- which images

    def _root(self, root: Node) -> RootPlan:
        artifact = isinstance(root, Opaque) or (isinstance(root, Image) and root.artifact)
        if artifact and not self.capabilities.artifacts:
            choices = [
                selector(named, at)
                for at, named in enumerate(self.contents.images)
                if isinstance(named.root, ImageIndex) or _is_real(named.root)
            ]
            remedy = f"choose an image: {', '.join(choices)}" if choices else None
            problem = "it cannot hold artifacts, only images with a root filesystem"
            raise Unsupported(self.destination, problem, remedy)
        if artifact and self._asks_to_change(root):
            raise Unsupported(self._where(root), "an artifact travels as it is", "name no compression or format")
        if isinstance(root, Opaque):
            if self.goal.platforms:
                raise MissingPlatform(self.contents.locator, str(self.goal.platforms[0]), ("unknown",))
            return self._blob(root)
        if isinstance(root, Image):
            for wanted in self.goal.platforms:
                if not _is_for(root, wanted):
                    raise MissingPlatform(self.contents.locator, str(wanted), (str(root.platform or "unknown"),))
            return self._image(root)
        images = tuple(_real_images(root))
        offered = tuple(dict.fromkeys(str(image.platform or "unknown") for image in images))
        for wanted in self.goal.platforms:
            if not any(_is_for(image, wanted) for image in images):
                raise MissingPlatform(self.contents.locator, str(wanted), offered)
        chosen = tuple(image for image in images if self._is_wanted(image))
        if not self.capabilities.multi_platform:
            if not images:
                raise Unsupported(self.destination, "it cannot hold an index without images")
            if len(chosen) > 1:
                what = "is an index of several images" if root.descriptor else "has images of several platforms"
                raise AmbiguousReference(
                    self.contents.locator,
                    f"{what}, and a name stands for one there",
                    tuple(str(image.platform or "unknown") for image in chosen),
                    f"name one, as --platform {chosen[0].platform or 'PLATFORM'} does",
                )
            return self._single(root, chosen[0])
        if not self.goal.platforms:
            return self._index(root, None)
        going = self._going(root, chosen)
        if len(chosen) == 1 and len(images) > 1 and len(going) == 1:
            return self._single(root, chosen[0])
        self._note_left_behind(root)
        return self._index(root, going)

    def _going(self, root: ImageIndex, chosen: tuple[Image, ...]) -> frozenset[str]:
        """Return the digests of the images that were chosen of an index, and of what goes along with them."""
        extras = [node for node in leaves(root) if isinstance(node, Image) and not _is_real(node)]
        kept = [node for node in extras if not self._is_dropped(node)]
        return with_referrers(map(digest_of, chosen), kept)

    def _is_dropped(self, node: Node) -> bool:
        return self.goal.attestations == "drop" and is_attestation(node)

    def _asks_to_change(self, node: Node) -> bool:
        """Tell whether a compression or a format is demanded that might change *node*."""
        family = node.manifest.family if isinstance(node, Image) and node.manifest else self.goal.format
        return isinstance(self.goal.encoding, Encoding) or self.goal.format not in ("keep", family)

    def _is_wanted(self, image: Image) -> bool:
        return not self.goal.platforms or any(_is_for(image, wanted) for wanted in self.goal.platforms)

    def _single(self, index: ImageIndex, image: Image) -> ImagePlan:
        """Plan one image of an index as a root of its own."""
        self._note_left_behind(index)
        extras = [leaf for leaf in leaves(index) if not _is_real(leaf)]
        dropped = sum(map(self._is_dropped, extras))
        self._note_extras(len(extras) - dropped, dropped, 0, "of the index")
        return self._image(image)

    def _index(self, index: ImageIndex, going: frozenset[str] | None) -> IndexPlan:
        """Plan an index: images that are wanted, and others whose digests are *going*; None takes all of these."""
        kept: dict[int, RootPlan | Opaque] = {}
        left = dropped = 0
        for position, child in enumerate(index.children):
            if self._is_dropped(child):
                dropped += 1
            elif isinstance(child, ImageIndex):
                if going is None or any(self._goes(leaf, going) for leaf in leaves(child)):
                    kept[position] = self._index(child, going)
            elif isinstance(child, Image) and self._goes(child, going):
                kept[position] = self._image(child)
            elif isinstance(child, Opaque) and going is None:
                if child.blob is None or child.blob.address is None:
                    kept[position] = child
                    self.notes.append(f"named by the index, but stays behind: {child.descriptor.digest}")
                else:
                    kept[position] = self._blob(child)
            elif not _is_real(child):
                left += 1
        nodes = [_node_of(plan) for plan in kept.values() if isinstance(plan, ImagePlan | BlobPlan)]
        unmet = sum(self._asks_to_change(node) for node in nodes if not isinstance(node, Image) or node.artifact)
        self._note_extras(left, dropped, unmet, "of the index")
        if index.descriptor is None:
            platforms = [str(node.platform) for node in nodes if isinstance(node, Image) and _is_real(node)]
            self.notes.append(f"{len(platforms)} images of one name become one index: {', '.join(platforms)}")
        original = index.index.family
        family = self._family(original)
        edit = MediaTypes(family)
        edits: tuple[ManifestEdit, ...] = ()
        if self._translates(original, family) and edit.touches_index(index.index):
            edits = (edit,)
        if "index-no-platform" in self.refused and (unsaid := _unsaid(tuple(kept.values()))):
            edits += (Platforms(unsaid),)
        return IndexPlan(index, tuple(kept.values()), tuple(kept), family, edits)

    def _goes(self, leaf: Leaf, going: frozenset[str] | None) -> bool:
        """Tell an image by its platform, as one manifest may stand for several, and what speaks of it by its digest."""
        if going is None:
            return True
        return self._is_wanted(leaf) if isinstance(leaf, Image) and _is_real(leaf) else digest_of(leaf) in going

    def _note_left_behind(self, index: ImageIndex) -> None:
        others = [str(image.platform or "unknown") for image in _real_images(index) if not self._is_wanted(image)]
        if others:
            self.notes.append("stays behind: " + ", ".join(others))

    def _note_orphaned(self, roots: tuple[NamedPlan, ...]) -> None:
        """Say what speaks of a manifest that will be another one."""
        plans = [plan for named in roots for plan in plans_of(named.root)]
        changed = {digest_of(_node_of(plan)) for plan in plans if not plan.manifest_kept}
        for plan in plans:
            node = _node_of(plan)
            if (subject := subject_of(node)) in changed:
                kind = "an attestation" if is_attestation(node) else "a referrer"
                self.notes.append(f"{kind} speaks of the manifest as it was: {str(subject)[:19]}")

    # -------------------------------------------------------------------------------------------------- one image

    def _blob(self, opaque: Opaque) -> BlobPlan:
        """Plan what is of a kind unknown here. Raises MissingBlob, SizeMismatch."""
        for finding in validate(opaque, f"{self.contents.locator}: {opaque.descriptor.digest}", self.limits):
            if finding.error is not None:
                raise finding.error
        goal = _for_bytes(self.goal)
        return BlobPlan(opaque, layer_step(layer_of(opaque), goal, self.facts))

    def _image(self, image: Image) -> ImagePlan:
        where = self._where(image)
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
            return ImagePlan(image, steps, original or "oci")
        family = self._family_for(image, original)
        self._check_layer_types(image, original, family, where)
        edits: tuple[MediaTypes, ...] = ()
        mixed = not self.refused.isdisjoint(_MIXED)
        if image.manifest is not None and (mixed or self._translates(original, family)):
            edit = MediaTypes(family)
            try:
                edits = (edit,) if edit.touches_manifest(image.manifest) else ()
            except UnsupportedMediaType as error:
                raise error.at(where) from None
        chains = chain_ids(image.config.diff_ids) if image.config is not None and self.facts.chains else ()
        steps = tuple(
            self._step(layer, family, where, chain) for layer, chain in zip_longest(image.layers, chains)
        )
        return ImagePlan(image, steps, family, edits)

    def _check_layer_types(self, image: Image, original: str | None, family: str, where: str) -> None:
        """Raise UnsupportedMediaType for a layer that is more than a tar in a codec, where that would not be told.

        An encrypted layer, say: who is not told so takes it for a tar, and fails in the middle of it.
        """
        for layer in image.layers:
            if is_tar(layer):
                continue
            unsaid = f"{self._kind()} has no word for what it is" if not self.capabilities.layer_types else ""
            if not unsaid and (self.goal.format == "docker" or original != family):
                unsaid = f"it has no form in the format '{family}'"
            if unsaid:
                remedy = f"{unsaid}; oci:DIR and oci-archive:PATH keep it, and its manifest, as they are"
                raise UnsupportedMediaType(f"{where}: layer {layer.digest}", layer.described_type, remedy)

    def _step(self, layer: Layer, family: str, where: str, chain: Digest | None) -> LayerStep:
        place = f"{where}: layer {layer.digest or layer.diff_id}"
        meaning = describe(layer.media_type)
        if meaning is None or not is_tar(layer):
            if isinstance(self.goal.encoding, Encoding):
                remedy = "such a layer cannot be recoded; keep the compression"
                raise UnsupportedMediaType(place, layer.described_type, remedy)
            if (self.goal.proves_layers or self.goal.strict) and layer.diff_id is not None:
                remedy = "the tar inside cannot be read: --verify blobs, and no --strict"
                raise UnsupportedMediaType(place, layer.described_type, remedy)
            return layer_step(layer, _for_bytes(self.goal), self.facts)
        digest, diff_id = layer.digest, layer.diff_id
        assert diff_id is not None, "a tar has a diff_id"
        comparable = digest is not None and digest.algorithm == diff_id.algorithm
        if layer.encoding.codec == "none" and digest is not None and comparable and digest != diff_id:
            raise DigestMismatch(f"{place}: diff_id", diff_id, digest)
        if chain is not None and chain in self.facts.chains:
            return Skip(layer, self.goal.proves_layers or self.goal.strict, self.goal.strict, chain)
        goal = narrow(layer, self.goal, family, self.capabilities, self.destination)
        if goal is self.goal and "leading-skippable-frame" in self.refused and digest in self.facts.skippable:
            codec = layer.encoding.codec             # with a level: by our encoder, which writes no such frame
            goal = replace(goal, encoding=Encoding(codec, Encoding(codec).effective_level))
        step = layer_step(layer, goal, self.facts)
        if diff_id.algorithm != "sha256" and (step.decode or goal.proves_layers):
            raise Unsupported(place, f"its diff_id is a {diff_id.algorithm}, and tars are proved by sha256 alone")
        if not step.is_encoded and meaning.codec != layer.encoding.codec:
            raise MediaTypeConflict(place, layer.media_type, f"{layer.encoding.codec} bytes")
        return step

    def _family(self, original: str | None) -> str:
        if self.goal.format != "keep":
            return self.goal.format
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
        if all(reads(target, codec, family, self.destination) for codec in codecs):
            return family
        others = sorted(self.capabilities.families - {family})
        suits = (all(surely_reads(target, codec, other, self.destination) for codec in codecs) for other in others)
        return next((other for other, suited in zip(others, suits, strict=True) if suited), family)

    def _translates(self, original: str | None, family: str) -> bool:
        """Tell whether media types are rewritten; on demand even if only some of them are others."""
        return self.goal.format != "keep" or original != family

    def _where(self, node: Node) -> str:
        platform = node.platform if isinstance(node, Image) else None
        return f"{self.contents.locator}: {digest_of(node) or platform or 'image'}"

    # -------------------------------------------------------------------------------------------------- all steps

    def _order(self, steps: Iterable[LayerStep]) -> tuple[LayerStep, ...]:
        """Keep each work once; where recodings wait for their turn, what has a known size goes first."""
        first: dict[WorkKey, LayerStep] = {}
        for step in steps:
            first.setdefault(step.work_key, step)
        if self.capabilities.writes == "any order":
            return tuple(first.values())
        return tuple(sorted(first.values(), key=lambda step: step.is_encoded))

    def _memory(self, steps: tuple[LayerStep, ...]) -> int:
        windows = dict(self.facts.windows)
        encoders = {fact.encoding: fact.memory for fact in self.facts.encoders}
        memory = 0
        for step in steps:
            decoded = isinstance(step, Recode) or step.decode
            window = windows.get(step.layer.digest, 0) if decoded and step.layer.digest is not None else 0
            encoder = encoders.get(step.encoding, 0) * self.facts.workers if isinstance(step, Recode) else 0
            memory = max(memory, window + encoder)
        return memory

    def _note_turned_plain(self, roots: tuple[NamedPlan, ...]) -> None:
        if self.goal.encoding is not None:
            return
        for named in roots:
            for image in images_of(named.root):
                turned = [number for number, step in enumerate(image.steps, 1) if isinstance(step, Recode)]
                if turned:
                    codecs = sorted({image.steps[number - 1].layer.encoding.codec for number in turned})
                    become = "becomes" if len(turned) == 1 else "become"
                    held = " or ".join(codecs)
                    target = self.goal.target
                    who = f"{self._kind()} cannot hold"
                    if target is not None and not all(
                        reads(target, codec, image.family, self.destination) for codec in codecs
                    ):
                        who = f"{target.name} does not read"
                    made = sorted({step.encoding.codec for step in image.steps if isinstance(step, Recode)})
                    what = " or ".join("uncompressed" if codec == "none" else codec for codec in made)
                    self.notes.append(f"{who} {held}: {format_layers(turned)} {become} {what}")

    def _kind(self) -> str:
        """Return what to call the destination's kind."""
        kind, layout = self.destination.partition(":")[0], self.goal.archive_layout
        return kind if layout == "universal" else f"{kind} in the layout {layout}"

    def _note_spooled(self, steps: tuple[LayerStep, ...]) -> None:
        recoded = sum(isinstance(step, Recode) for step in steps)
        if self.capabilities.writes == "one after another" and recoded:
            files = "a temporary file" if recoded == 1 else "temporary files"
            self.notes.append(f"{_count(recoded, 'recoded layer')} in {files} without a name until the size is known")

    def _note_unlinked(self, steps: tuple[LayerStep, ...]) -> None:
        copies = sum(isinstance(step, Copy) for step in steps)
        if self.goal.link and copies:
            why = "no whole file on the destination's file system"
            if not self.capabilities.adopts:
                one_file = f"{self._kind()} is one file, which shares none of its layers"
                streamed = self.capabilities.writes == "one after another"
                why = f"{self._kind()} takes bytes, and no files" if streamed else one_file
            self.notes.append(f"{_count(copies, 'layer')} copied, not linked: {why}")


def _for_bytes(goal: Goal) -> Goal:
    """Return *goal* as it is for what has no tar inside: it stays as it is, and its digest is all there is to prove."""
    verify: Verify = "destination" if goal.verify == "destination" else "blobs"
    return replace(goal, encoding=None, verify=verify, strict=False)


def _real_images(index: ImageIndex) -> Iterator[Image]:
    """Walk the images a user means by "the image": no attestations, no artifacts, nothing that is absent."""
    return (leaf for leaf in leaves(index) if isinstance(leaf, Image) and _is_real(leaf))


def _is_real(node: Node) -> bool:
    return isinstance(node, Image) and not node.artifact and not is_attestation(node)


def _node_of(plan: RootPlan) -> Node:
    match plan:
        case ImagePlan():
            return plan.image
        case BlobPlan():
            return plan.opaque
        case IndexPlan():
            return plan.index


def _is_for(image: Image, wanted: Platform) -> bool:
    return image.platform is not None and image.platform.matches(wanted)


def _full_name(text: str) -> str | None:
    """Read *text* as an image's name; None for what is a mere tag, or no reference."""
    if ":" not in text and "/" not in text:
        return None
    try:
        reference = parse_reference(text)
    except BadReference:
        return None
    return reference.full() if reference.tag is not None else None


def _unsaid(children: tuple[RootPlan | Opaque, ...]) -> tuple[tuple[int, Platform], ...]:
    """Return the platforms that an index does not say of its images, by where they will stand in it."""
    return tuple(
        (position, child.image.platform)
        for position, child in enumerate(children)
        if isinstance(child, ImagePlan) and child.image.descriptor is not None
        if child.image.descriptor.platform is None and child.image.platform is not None and _is_real(child.image)
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _extras(number: int) -> str:
    return "1 attestation or artifact" if number == 1 else f"{number} attestations or artifacts"
