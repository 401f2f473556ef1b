"""Image + Goal + Capabilities + Facts → Plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
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
from occy_fast.image.graph import leaves
from occy_fast.image.image import Image, ImageIndex
from occy_fast.image.validate import validate
from occy_fast.planning.steps import (
    Adopt,
    Copy,
    ImagePlan,
    IndexPlan,
    LayerStep,
    NamedPlan,
    Plan,
    Recode,
    Skip,
    images_of,
    is_tar,
    work_of,
)
from occy_fast.spec.config import chain_ids
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.media_type import describe, media_type
from occy_fast.spec.reference import parse_reference
from occy_fast.transforms.media_types import MediaTypes

if TYPE_CHECKING:
    from occy_fast.image.image import Contents, Layer, NamedImage, Opaque
    from occy_fast.planning.capabilities import Capabilities
    from occy_fast.planning.facts import Facts
    from occy_fast.planning.goal import Goal
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.platform import Platform

ATTESTATION_TYPE = "vnd.docker.reference.type"
ATTESTATION_SUBJECT = "vnd.docker.reference.digest"


def layer_step(layer: Layer, goal: Goal, facts: Facts) -> LayerStep:
    """Choose the cheapest step for *layer*; *goal* is already narrowed to what the destination accepts."""
    if isinstance(goal.encoding, Encoding) and not goal.encoding.met_by(layer.encoding):
        encoding = Encoding(goal.encoding.codec, goal.encoding.effective_level)
        encoder = facts.find_encoder(encoding)
        return Recode(layer, encoding, encoder.identity if encoder else None)
    decode = needs_decoding(layer, goal)
    if layer.digest in facts.present:
        return Skip(layer, decode or (goal.verify == "layers" and layer.diff_id is not None))  # nothing else reads it
    if goal.link and layer.digest in facts.links:
        return Adopt(layer, "link", decode)
    if layer.digest in facts.reflinks:
        return Adopt(layer, "reflink", decode)
    return Copy(layer, decode)


def needs_decoding(layer: Layer, goal: Goal) -> bool:
    """Tell whether the diff_id must be proved by decoding: on demand, and where no digest vouches for the blob.

    An uncompressed layer's digest is its diff_id; comparing the two takes no decoding.
    """
    return (
        layer.diff_id is not None
        and layer.encoding.codec != "none"
        and (goal.verify == "layers" or layer.digest is None)
    )


def narrow(layer: Layer, goal: Goal, family: str, capabilities: Capabilities, destination: str) -> Goal:
    """Return *goal* as the destination and the manifest's family let it be for *layer*.

    Raises Unsupported, where that would change what was demanded.
    """
    codec, name = layer.encoding.codec, layer.digest or layer.diff_id
    if isinstance(goal.encoding, Encoding):
        return goal
    if goal.format == "docker" and codec == "zstd" and codec in capabilities.encodings:
        raise Unsupported(
            destination,
            f"{f'layer {name}' if name else 'a layer'} is zstd, which hardly anything reads under Docker's media types",
            "name a compression: gzip, or zstd if that is what you want",
        )
    if codec in capabilities.encodings and _has_word_for(family, codec):
        return goal
    if goal.encoding == "keep":
        whose = f" of layer {name}" if name else ""
        raise Unsupported(destination, f"it cannot hold the {codec}{whose}", "do not demand to keep it")
    return replace(goal, encoding=Encoding("none"))


def check_demands(goal: Goal, capabilities: Capabilities, destination: str) -> None:
    """Raise Unsupported or AmbiguousReference where no image at all could be brought to the destination as demanded."""
    if isinstance(goal.encoding, Encoding):
        goal.encoding.check_level()
        if goal.encoding.codec not in capabilities.encodings:
            raise Unsupported(
                destination,
                f"it cannot hold {goal.encoding.codec} layers",
                "it holds " + ", ".join(sorted(capabilities.encodings)),
            )
    if goal.format != "keep" and goal.format not in capabilities.families:
        raise Unsupported(destination, f"it cannot hold manifests of the format {goal.format}")
    if goal.names and capabilities.refs:
        raise Unsupported(destination, "an image has one name there", "name it behind the path")
    if len(goal.platforms) > 1 and not capabilities.multi_platform:
        raise AmbiguousReference(
            destination,
            "a name stands for one platform there",
            tuple(map(str, goal.platforms)),
            "name one platform",
        )


def make_plan(
    contents: Contents,
    goal: Goal,
    capabilities: Capabilities,
    facts: Facts,
    *,
    destination: str,
    reference: str | None = None,
) -> Plan:
    """Choose the cheapest way to bring what the source shows to the destination.

    Args:
        destination: its locator.
        reference: what the image is to be called there; None keeps the source's names.
    Raises:
        Unsupported: the destination cannot hold what is demanded.
        UsageError: the demand leaves open which image is meant.
        NotFound: the source has no image.
        MissingPlatform: a platform that is demanded is not there.
        IntegrityError: the image contradicts itself.
    """
    return _Planner(contents, goal, capabilities, facts, destination, reference).plan()


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
    ) -> None:
        self.contents = contents
        self.goal = goal
        self.capabilities = capabilities
        self.facts = facts if capabilities.adopts else replace(facts, links=frozenset(), reflinks=frozenset())
        self.destination = destination
        self.reference = reference
        self.notes = list(capabilities.notes)

    def plan(self) -> Plan:
        self._check_demands()
        roots = tuple(self._named(named) for named in self.contents.images)
        if not any(True for named in roots for _ in images_of(named.root)):
            raise NotFound(self.contents.locator, "image")
        steps = self._order(step for named in roots for image in images_of(named.root) for step in image.steps)
        self._note_turned_plain(roots)
        self._note_unlinked(steps)
        self._note_spooled(steps)
        return Plan(
            source=self.contents.locator,
            destination=self.destination,
            goal=self.goal,
            roots=roots,
            steps=steps,
            one_by_one=not self.capabilities.concurrent_unknown,
            streams=self.capabilities.streams,
            keeps_manifest=self.capabilities.keeps_manifest,
            notes=tuple(dict.fromkeys(self.notes)),
            memory=self._memory(steps),
            free=self.facts.free,
        )

    # -------------------------------------------------------------------------------------------------- the demands

    def _check_demands(self) -> None:
        check_demands(self.goal, self.capabilities, self.destination)
        images = self.contents.images
        named = self.reference is not None or bool(self.goal.names)
        if len(images) > 1 and (named or not self.capabilities.many_images):
            problem = "has several images, and the destination names one" if named else "has several images"
            raise AmbiguousReference(
                self.contents.locator,
                problem,
                tuple(f"@{position} ({_name_of(named)})" for position, named in enumerate(images)),
                "choose one by :@INDEX behind the path",
            )

    # -------------------------------------------------------------------------------------------------- names

    def _named(self, named: NamedImage) -> NamedPlan:
        root = self._root(named.image_or_index)
        if self.reference is None:
            names, ref = named.names, named.ref
        else:
            name = _full_name(self.reference)
            names, ref = (() if name is None else (name,)), self.reference
        names = tuple(dict.fromkeys((*names, *self.goal.names)))
        if not self.capabilities.refs:
            if ref is not None and not names:
                self.notes.append(f"'{ref}' is no image reference, so the image gets no name there")
            ref = None
        return NamedPlan(root, names, ref)

    # -------------------------------------------------------------------------------------------------- which images

    def _root(self, root: Image | ImageIndex) -> ImagePlan | IndexPlan:
        if not isinstance(root, Image | ImageIndex):
            raise UnsupportedMediaType(self.contents.locator, root.descriptor.media_type)
        if isinstance(root, Image):
            if root.artifact and not self.capabilities.artifacts:
                raise Unsupported(self.destination, "it cannot hold artifacts, only images with a root filesystem")
            if root.artifact and self._asks_to_change(root):
                raise Unsupported(self._where(root), "an artifact travels as it is", "name no compression or format")
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
                raise AmbiguousReference(
                    self.contents.locator,
                    "is an index of several images, and a name stands for one there",
                    tuple(str(image.platform or "unknown") for image in chosen),
                    "name one platform",
                )
            return self._single(root, chosen[0])
        if len(chosen) == 1 and len(images) > 1:
            return self._single(root, chosen[0])
        return self._index(root)

    def _asks_to_change(self, image: Image) -> bool:
        """Tell whether a compression or a format is demanded that might change *image*."""
        family = image.manifest.family if image.manifest else None
        return isinstance(self.goal.encoding, Encoding) or self.goal.format not in ("keep", family)

    def _is_wanted(self, image: Image) -> bool:
        return not self.goal.platforms or any(_is_for(image, wanted) for wanted in self.goal.platforms)

    def _single(self, index: ImageIndex, image: Image) -> ImagePlan:
        """Plan one image of an index as a root of its own."""
        others = [str(other.platform or "unknown") for other in _real_images(index) if other is not image]
        if others:
            self.notes.append("stays behind: " + ", ".join(others))
        extras = sum(1 for leaf in leaves(index) if not _is_real(leaf))
        if extras:
            self.notes.append(f"stays behind: {_count(extras, 'attestation or artifact')} of the index")
        return self._image(image)

    def _index(self, index: ImageIndex) -> IndexPlan:
        kept: dict[int, ImagePlan | IndexPlan | Opaque] = {}
        wanted = {str(image.digest) for image in _real_images(index) if self._is_wanted(image)}
        for position, child in enumerate(index.children):
            if isinstance(child, ImageIndex):
                if not self.goal.platforms or any(self._is_wanted(image) for image in _real_images(child)):
                    kept[position] = self._index(child)
            elif isinstance(child, Image):
                if _is_real(child):
                    if self._is_wanted(child):
                        kept[position] = self._image(child)
                elif not self.goal.platforms or _subject_of(child) in wanted:
                    kept[position] = self._image(child)
            elif not self.goal.platforms:
                kept[position] = child
                self.notes.append(f"named by the index, but stays behind: {child.descriptor.digest}")
        if len(kept) < len(index.children):
            self._note_left_behind(index)
        artifacts = [child.image for child in kept.values() if isinstance(child, ImagePlan) and child.image.artifact]
        if unmet := sum(map(self._asks_to_change, artifacts)):
            self.notes.append(f"stays as it is: {_count(unmet, 'attestation or artifact')} of the index")
        original = index.index.family
        family = self._family(original)
        edit = MediaTypes(family)
        edits = (edit,) if self._translates(original, family) and edit.touches_index(index.index) else ()
        plan = IndexPlan(index, tuple(kept.values()), tuple(kept), family, edits)
        self._note_orphaned(plan)
        return plan

    def _note_left_behind(self, index: ImageIndex) -> None:
        others = [str(image.platform or "unknown") for image in _real_images(index) if not self._is_wanted(image)]
        if others:
            self.notes.append("stays behind: " + ", ".join(others))

    def _note_orphaned(self, plan: IndexPlan) -> None:
        changed = {
            str(child.image.digest)
            for child in plan.children
            if isinstance(child, ImagePlan) and not child.manifest_kept
        }
        for child in plan.children:
            if isinstance(child, ImagePlan) and (subject := _subject_of(child.image)) in changed:
                self.notes.append(f"an attestation speaks of the manifest as it was: {str(subject)[:19]}")

    # -------------------------------------------------------------------------------------------------- one image

    def _image(self, image: Image) -> ImagePlan:
        where = self._where(image)
        for finding in validate(image, where):
            if finding.error is not None and finding.severity == "error":
                raise finding.error
        original = image.manifest.family if image.manifest else None
        if image.artifact:  # its manifest has words of its own: it travels as it is
            goal = replace(self.goal, encoding=None, verify="blobs")
            steps = tuple(layer_step(layer, goal, self.facts) for layer in image.layers)
            return ImagePlan(image, steps, original or "oci")
        family = self._family(original)
        edits: tuple[MediaTypes, ...] = ()
        if image.manifest is not None and self._translates(original, family):
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

    def _step(self, layer: Layer, family: str, where: str, chain: Digest | None) -> LayerStep:
        place = f"{where}: layer {layer.digest or layer.diff_id}"
        meaning = describe(layer.media_type)
        if meaning is None or not is_tar(layer):
            if isinstance(self.goal.encoding, Encoding):
                raise UnsupportedMediaType(
                    place, layer.media_type, "such a layer cannot be recoded; keep the compression"
                )
            if self.goal.verify == "layers" and layer.diff_id is not None:
                raise Unsupported(place, f"the tar inside cannot be read: it is {layer.media_type}", "--verify blobs")
            return layer_step(layer, replace(self.goal, encoding=None, verify="blobs"), self.facts)
        digest, diff_id = layer.digest, layer.diff_id
        assert diff_id is not None, "a tar has a diff_id"
        comparable = digest is not None and digest.algorithm == diff_id.algorithm
        if layer.encoding.codec == "none" and digest is not None and comparable and digest != diff_id:
            raise DigestMismatch(f"{place}: diff_id", diff_id, digest)
        if chain is not None and chain in self.facts.chains:
            return Skip(layer, self.goal.verify == "layers", chain)
        goal = narrow(layer, self.goal, family, self.capabilities, self.destination)
        step = layer_step(layer, goal, self.facts)
        if diff_id.algorithm != "sha256" and (isinstance(step, Recode) or step.decode or goal.verify == "layers"):
            raise Unsupported(place, f"its diff_id is a {diff_id.algorithm}, and tars are proved by sha256 alone")
        if not isinstance(step, Recode) and meaning.codec != layer.encoding.codec:
            raise MediaTypeConflict(place, layer.media_type, f"{layer.encoding.codec} bytes")
        return step

    def _family(self, original: str | None) -> str:
        if self.goal.format != "keep":
            return self.goal.format
        if original is not None and original in self.capabilities.families:
            return original
        return "oci" if "oci" in self.capabilities.families else "docker"

    def _translates(self, original: str | None, family: str) -> bool:
        """Tell whether media types are rewritten; on demand even if only some of them are others."""
        return self.goal.format != "keep" or original != family

    def _where(self, image: Image) -> str:
        return f"{self.contents.locator}: {image.digest or image.platform or 'image'}"

    # -------------------------------------------------------------------------------------------------- all steps

    def _order(self, steps: Iterable[LayerStep]) -> tuple[LayerStep, ...]:
        """Keep each work once; where recodings wait for their turn, what has a known size goes first."""
        first: dict[tuple[object, ...], LayerStep] = {}
        for step in steps:
            first.setdefault(work_of(step), step)
        if self.capabilities.concurrent_unknown and not self.capabilities.streams:
            return tuple(first.values())
        return tuple(sorted(first.values(), key=lambda step: isinstance(step, Recode)))

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
        kind = self.destination.partition(":")[0]
        for named in roots:
            for image in images_of(named.root):
                turned = [number for number, step in enumerate(image.steps, 1) if isinstance(step, Recode)]
                if turned:
                    codecs = sorted({image.steps[number - 1].layer.encoding.codec for number in turned})
                    become = "becomes" if len(turned) == 1 else "become"
                    held = " or ".join(codecs)
                    self.notes.append(f"{kind} cannot hold {held}: {_numbers(turned)} {become} uncompressed")

    def _note_spooled(self, steps: tuple[LayerStep, ...]) -> None:
        recoded = sum(isinstance(step, Recode) for step in steps)
        if self.capabilities.streams and recoded:
            files = "a temporary file" if recoded == 1 else "temporary files"
            self.notes.append(f"{_count(recoded, 'recoded layer')} in {files} without a name until the size is known")

    def _note_unlinked(self, steps: tuple[LayerStep, ...]) -> None:
        copies = sum(isinstance(step, Copy) for step in steps)
        if self.goal.link and copies:
            why = "no whole file on the destination's file system"
            if not self.capabilities.adopts:
                kind = self.destination.partition(":")[0]
                one_file = f"{kind} is one file, which shares none of its layers"
                why = f"{kind} takes bytes, and no files" if self.capabilities.streams else one_file
            self.notes.append(f"{_count(copies, 'layer')} copied, not linked: {why}")


def _has_word_for(family: str, codec: str) -> bool:
    try:
        media_type(family, "layer", codec)
    except UnsupportedMediaType:
        return False
    return True


def _real_images(index: ImageIndex) -> Iterator[Image]:
    """Walk the images a user means by "the image": no attestations, no artifacts, nothing that is absent."""
    return (leaf for leaf in leaves(index) if isinstance(leaf, Image) and _is_real(leaf))


def _is_real(leaf: Image | Opaque) -> bool:
    return isinstance(leaf, Image) and not leaf.artifact and not _is_attestation(leaf)


def _is_attestation(image: Image) -> bool:
    return image.descriptor is not None and image.descriptor.annotation(ATTESTATION_TYPE) is not None


def _subject_of(image: Image) -> str | None:
    return image.descriptor.annotation(ATTESTATION_SUBJECT) if image.descriptor else None


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


def _name_of(named: NamedImage) -> str:
    return ", ".join(named.names) or named.ref or "without a name"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _numbers(numbers: list[int]) -> str:
    """Print layer numbers: "layer 2", "layers 1-4, 6"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    text = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"layer{'s' * (len(numbers) > 1)} {text}"
