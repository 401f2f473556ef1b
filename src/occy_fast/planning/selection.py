"""Which of a source's images go to the destination, and what each of them is to be called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from occy_fast.errors import AmbiguousReference, BadReference, MissingPlatform, Unsupported
from occy_fast.image.attestation import digest_of, is_attestation, is_real, subject_of, with_referrers
from occy_fast.image.graph import leaves, real_images, walk
from occy_fast.image.image import Image, ImageIndex, Opaque, Unreadable
from occy_fast.image.kinds import kind_of
from occy_fast.planning.choices import choose_one, locator_of, selector
from occy_fast.planning.joining import join
from occy_fast.planning.remarks import Absent, Beside, Extras, Joined, OtherPlatforms, Remark, Unnamed, Unread
from occy_fast.planning.siblings import siblings_for
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.reference import parse_reference

if TYPE_CHECKING:
    from occy_fast.image.image import Contents, Leaf, NamedImage, Node
    from occy_fast.planning.capabilities import Capabilities
    from occy_fast.planning.goal import Goal
    from occy_fast.spec.limits import Limits
    from occy_fast.spec.platform import Platform


@dataclass(frozen=True, slots=True)
class ChosenIndex:
    """What goes of an index: *children* in its order, and the *positions* where they are in it.

    A child that the source does not have is among them where the whole index goes.
    """

    index: ImageIndex
    children: tuple[ChosenNode, ...]
    positions: tuple[int, ...]


ChosenNode = Image | ChosenIndex | Opaque

_AS_IT_IS = "oci:DIR and oci-archive:PATH hold it as it is"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A root that goes, and what it is to be called: *names* in full form, *ref* inside an OCI layout."""

    root: ChosenNode
    names: tuple[str, ...] = ()
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """What goes to the destination, in the source's order; *remarks* are in the order in which it was walked."""

    roots: tuple[Chosen, ...]
    remarks: tuple[Remark, ...]


def select(
    contents: Contents,
    goal: Goal,
    capabilities: Capabilities,
    *,
    destination: str,
    reference: str | None,
    limits: Limits,
) -> Selection:
    """Choose what of *contents* goes to the destination.

    Args:
        destination: its locator, for messages.
        reference: what the image is to be called there; None keeps the source's names.
        limits: what the source was read with.
    Raises:
        AmbiguousReference: the goal leaves open which image is meant.
        MissingPlatform: a platform that is demanded is not there.
        Unsupported: the destination cannot hold an artifact, or an artifact would have to change.
    """
    return _Selector(contents, goal, capabilities, destination, reference, limits).select()


def nodes_of(root: ChosenNode) -> Iterator[Node]:
    """Walk what goes of *root*, children before parents; a child that the source does not have is not among it."""
    if isinstance(root, ChosenIndex):
        for child in root.children:
            if not is_absent(child):
                yield from nodes_of(child)
        yield root.index
    else:
        yield root


def is_absent(child: ChosenNode) -> bool:
    """Tell whether an index names *child*, and the source does not have it."""
    return isinstance(child, Opaque) and (child.blob is None or child.blob.address is None)


def where_of(node: Node, locator: str) -> str:
    """Return what to call *node* of the source *locator* in a message."""
    platform = node.platform if isinstance(node, Image) else None
    return f"{locator}: {digest_of(node) or platform or 'image'}"


_Remarks = tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class _Selector:
    """The arguments of one call of select."""

    contents: Contents
    goal: Goal
    capabilities: Capabilities
    destination: str
    reference: str | None
    limits: Limits

    def select(self) -> Selection:
        named_once = self._is_named_once()
        readable, remarks = self._readable()
        images = join(
            readable,
            self.goal.platforms,
            refs=self.capabilities.names == "ref",
            limits=self.limits,
            called=named_once,
            destination=self.destination,
        )
        subjects = self._subjects_of_referrers(images)
        places = [at for at in range(len(images)) if at not in subjects]
        siblings = siblings_for(images, places, self.goal.platforms, self.contents.locator)
        places = [at for at in places if at not in siblings.behind]
        firm = [at for at in places if not images[at].beside] or places
        if len(firm) > 1 and (named_once or not self.capabilities.many_images):
            raise self._several(readable, named_once=named_once)
        if siblings.platforms:
            remarks.append(OtherPlatforms(siblings.platforms))
        chosen: dict[int, Chosen] = {}
        for at in places:
            choose = self._named if at in firm else self._beside
            found, more = choose(at, images[at], one_of=at in siblings.going)
            chosen |= {} if found is None else {at: found}
            remarks += more
        referrers, more = self._referrers(images, subjects, chosen)
        chosen |= referrers
        return Selection(tuple(chosen[at] for at in sorted(chosen)), (*remarks, *more))

    def _readable(self) -> tuple[Contents, list[Remark]]:
        """Return the images that can be read. Raises what is wrong with another, unless its platform leaves it out."""
        kept: list[NamedImage] = []
        remarks: list[Remark] = []
        for at, named in enumerate(self.contents.images):
            if not isinstance(named.root, Unreadable):
                kept.append(named)
                continue
            self._leave(named.root)
            remarks.append(Unread(selector(named, at), named.root.error))
        return replace(self.contents, images=tuple(kept)), remarks

    def _leave(self, node: Unreadable) -> None:
        """Leave behind what cannot be read. Raises why, unless it is said to be for a platform nobody asked for."""
        platform = node.platform
        if not self.goal.platforms or platform is None or any(map(platform.matches, self.goal.platforms)):
            raise node.error

    def _several(self, contents: Contents, *, named_once: bool) -> AmbiguousReference:
        problem = "has several images" + (", and the destination names one" if named_once else "")
        candidates = tuple(selector(named, at) for at, named in enumerate(contents.images))
        remedy = choose_one(contents, contents.images[0], self.destination)
        return AmbiguousReference(contents.locator, problem, candidates, remedy)

    def _beside(self, at: int, named: NamedImage, *, one_of: bool) -> tuple[Chosen | None, _Remarks]:
        """Choose what only index.json names, where the destination can hold it; else it stays behind."""
        with suppress(Unsupported, AmbiguousReference, MissingPlatform):
            if self.capabilities.many_images and not self._is_named_once():
                return self._named(at, named, one_of=one_of)
        return None, (Beside(selector(named, at), locator_of(self.contents, named)),)

    # ------------------------------------------------------------------------------------------------- referrers

    def _subjects_of_referrers(self, images: Sequence[NamedImage]) -> dict[int, frozenset[str]]:
        """Find the roots that only refer to others of the source, by position, and the digests they refer to."""
        subjects = {at: found for at, named in enumerate(images) if (found := _subjects(named.root))}
        if not subjects:
            return {}
        known = {digest_of(node) for named in images for node in self._walk(named.root)}
        return {at: found for at, found in subjects.items() if found <= known}

    def _referrers(
        self, images: Sequence[NamedImage], subjects: dict[int, frozenset[str]], chosen: dict[int, Chosen]
    ) -> tuple[dict[int, Chosen], _Remarks]:
        """Choose the referrers whose subjects go too, where the destination can hold them."""
        kept = {at: images[at] for at in subjects if not self._is_dropped(images[at].root)}
        going = with_referrers(
            (digest_of(node) for one in chosen.values() for node in nodes_of(one.root)),
            (node for named in kept.values() for node in self._walk(named.root)),
        )
        going_along: dict[int, Chosen] = {}
        remarks: list[Remark] = []
        unchanged = 0
        for at, named in kept.items():
            root = named.root
            if self.capabilities.referrers and subjects[at] <= going:
                assert not isinstance(root, Unreadable), "what cannot be read was left behind"
                node, found = self._index(root, None) if isinstance(root, ImageIndex) else (root, ())
                going_along[at] = Chosen(node, named.names, named.ref)
                remarks += found
                unchanged += isinstance(root, Image) and self._asks_to_change(root)
        behind, dropped = len(kept) - len(going_along), len(subjects) - len(kept)
        return going_along, (*remarks, Extras("beside the image", behind, dropped, unchanged))

    def _walk(self, root: Node) -> Iterator[Node]:
        return walk(root, self.contents.locator, self.limits)

    # ------------------------------------------------------------------------------------------------- names

    def _is_named_once(self) -> bool:
        """Tell whether the destination has a name for one image."""
        return self.reference is not None or bool(self.goal.tags)

    def _named(self, _: int, named: NamedImage, *, one_of: bool) -> tuple[Chosen, _Remarks]:
        """Choose of one name; with *one_of*, it need not be for each platform that is asked for.

        Raises BadReference for what is no name, where it gets no other.
        """
        root, remarks = self._root(named, one_of=one_of)
        names, ref = named.names, named.ref
        if named.wrong_names and self.reference is None and not self.goal.tags:
            raise named.wrong_names[0]
        if self.reference is not None:
            name, ref = _full_name(self.reference), self.reference
            names = () if name is None else (name,)
        names = tuple(dict.fromkeys((*names, *self.goal.tags)))
        if self.capabilities.names == "reference":
            if ref is not None and not names:
                remarks = (*remarks, Unnamed(ref))
            ref = None
        return Chosen(root, names, ref), remarks

    # ------------------------------------------------------------------------------------------------- one root

    def _root(self, named: NamedImage, *, one_of: bool) -> tuple[ChosenNode, _Remarks]:
        root = named.root
        assert not isinstance(root, Unreadable), "what cannot be read was left behind"
        if isinstance(root, Opaque) or (isinstance(root, Image) and root.artifact):
            self._check_artifact(root)
        if isinstance(root, ImageIndex):
            return self._of_index(root, named.default, one_of=one_of)
        for wanted in () if one_of else self.goal.platforms:
            if isinstance(root, Opaque):
                raise MissingPlatform(self.contents.locator, str(wanted), ("unknown",))
            if not _is_for(root, wanted):
                raise MissingPlatform(self.contents.locator, str(wanted), (_platform_of(root),))
        return root, ()

    def _check_artifact(self, root: Node) -> None:
        """Raise Unsupported where an artifact cannot go, or would have to change."""
        if not self.capabilities.artifacts:
            choices = [
                selector(named, at)
                for at, named in enumerate(self.contents.images)
                if isinstance(named.root, ImageIndex) or is_real(named.root)
            ]
            remedy = f"choose an image: {', '.join(choices)}" if choices else _AS_IT_IS
            raise Unsupported(self.destination, f"no image here, but {kind_of(root)}: it cannot hold artifacts", remedy)
        if self._asks_to_change(root):
            where = where_of(root, self.contents.locator)
            raise Unsupported(where, "an artifact travels as it is", "name no encoding or format")

    def _of_index(self, root: ImageIndex, default: Image | None, *, one_of: bool) -> tuple[ChosenNode, _Remarks]:
        """Choose of an index: all of it, some of its images, or one as a root of its own."""
        images = tuple(real_images(root))
        offered = tuple(dict.fromkeys(map(_platform_of, images)))
        for wanted in self.goal.platforms:
            if not one_of and not any(_is_for(image, wanted) for image in images):
                raise MissingPlatform(self.contents.locator, str(wanted), offered)
        chosen = tuple(image for image in images if self._is_wanted(image))
        if not self.capabilities.multi_platform:
            return self._only(root, chosen, default)
        if not self.goal.platforms:
            return self._index(root, None)
        going = self._going(root, chosen)
        if len(chosen) == 1 and len(images) > 1 and len(going) == 1:
            return self._single(root, chosen[0])
        node, remarks = self._index(root, going)
        return node, (*self._others(root), *remarks)

    def _only(self, root: ImageIndex, chosen: tuple[Image, ...], default: Image | None) -> tuple[Image, _Remarks]:
        """Choose the one image of an index, where a name stands for one; *default*, where nobody asks for another."""
        if not chosen:
            raise Unsupported(self.destination, f"no image here, but {kind_of(root)}, which it cannot hold", _AS_IT_IS)
        if len(chosen) > 1 and default is not None and not self.goal.platforms:
            others = tuple(_platform_of(image) for image in chosen if image.digest != default.digest)
            image, remarks = self._single(root, default)
            return image, (OtherPlatforms(others), *remarks)
        if len(chosen) > 1:
            what = "is an index of several images" if root.descriptor else "has images of several platforms"
            raise AmbiguousReference(
                self.contents.locator,
                f"{what}, and a name stands for one there",
                tuple(map(_platform_of, chosen)),
                f"name one, as --platform {chosen[0].platform or 'PLATFORM'} does",
            )
        return self._single(root, chosen[0])

    def _single(self, index: ImageIndex, image: Image) -> tuple[Image, _Remarks]:
        """Choose one image of an index as a root of its own."""
        extras = [leaf for leaf in leaves(index) if not is_real(leaf)]
        dropped = sum(map(self._is_dropped, extras))
        return image, (*self._others(index), Extras("of the index", len(extras) - dropped, dropped))

    # ------------------------------------------------------------------------------------------------- an index

    def _index(self, index: ImageIndex, going: frozenset[str] | None) -> tuple[ChosenIndex, _Remarks]:
        """Choose of an index the images that are wanted, and others whose digests are *going*; None takes all."""
        kept: dict[int, ChosenNode] = {}
        remarks: list[Remark] = []
        behind = dropped = 0
        for position, child in enumerate(index.children):
            if self._is_dropped(child):
                dropped += 1
            elif isinstance(child, ImageIndex):
                if going is None or any(self._goes(leaf, going) for leaf in leaves(child)):
                    kept[position], found = self._index(child, going)
                    remarks += found
            elif isinstance(child, Unreadable):
                self._leave(child)
                remarks.append(Unread(digest_of(child), child.error))
            elif going is None or (isinstance(child, Image) and self._goes(child, going)):
                kept[position] = child
                if isinstance(child, Opaque) and is_absent(child):
                    remarks.append(Absent(child.descriptor.digest))
            elif not is_real(child):
                behind += 1
        own = [child for child in kept.values() if not isinstance(child, ChosenIndex) and not is_absent(child)]
        unchanged = sum(self._asks_to_change(node) for node in own if isinstance(node, Opaque) or node.artifact)
        remarks.append(Extras("of the index", behind, dropped, unchanged))
        if index.descriptor is None:
            images = (node for node in own if is_real(node))
            remarks.append(Joined(tuple(map(_platform_of, images))))
        return ChosenIndex(index, tuple(kept.values()), tuple(kept)), tuple(remarks)

    def _going(self, root: ImageIndex, chosen: tuple[Image, ...]) -> frozenset[str]:
        """Return the digests of the images that were chosen of an index, and of what goes along with them."""
        extras = [node for node in leaves(root) if isinstance(node, Image) and not is_real(node)]
        kept = [node for node in extras if not self._is_dropped(node)]
        return with_referrers(map(digest_of, chosen), kept)

    def _goes(self, leaf: Leaf, going: frozenset[str]) -> bool:
        """Tell an image by its platform, as one manifest may stand for several, and a referrer by its digest."""
        return self._is_wanted(leaf) if is_real(leaf) else digest_of(leaf) in going

    def _others(self, index: ImageIndex) -> _Remarks:
        others = tuple(_platform_of(image) for image in real_images(index) if not self._is_wanted(image))
        return (OtherPlatforms(others),) if others else ()

    # ------------------------------------------------------------------------------------------------- one node

    def _is_dropped(self, node: Node) -> bool:
        return self.goal.attestations == "drop" and is_attestation(node)

    def _is_wanted(self, image: Image) -> bool:
        return not self.goal.platforms or any(_is_for(image, wanted) for wanted in self.goal.platforms)

    def _asks_to_change(self, node: Node) -> bool:
        """Tell whether an encoding or a format is demanded that might change *node*."""
        family = node.manifest.family if isinstance(node, Image) and node.manifest else self.goal.format
        return isinstance(self.goal.encoding, Encoding) or self.goal.format not in ("keep", family)


def _subjects(root: Node) -> frozenset[str]:
    """Return the digests that a root refers to; none for one that holds an image, or anything by itself."""
    nodes = (root,) if subject_of(root) else tuple(leaves(root))
    if any(is_real(node) for node in leaves(root)) or not all(map(subject_of, nodes)):
        return frozenset()
    return frozenset(filter(None, map(subject_of, nodes)))


def _is_for(image: Image, wanted: Platform) -> bool:
    return image.platform is not None and image.platform.matches(wanted)


def _platform_of(image: Image) -> str:
    return str(image.platform or "unknown")


def _full_name(text: str) -> str | None:
    """Read *text* as an image's name; None for what is a mere tag, or no reference."""
    if ":" not in text and "/" not in text:
        return None
    try:
        reference = parse_reference(text)
    except BadReference:
        return None
    return reference.full() if reference.tag is not None else None
