"""The walks of what refers to one another by digest: how far they may go, and the place of each image on the way."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from occy_fast.errors import LimitError, OccyError
from occy_fast.image.attestation import is_real
from occy_fast.image.image import Contents, Image, ImageIndex, Layer, Leaf, Node, Unreadable
from occy_fast.image.place import WHOLE_IMAGE, Place
from occy_fast.spec.limits import Limits

T = TypeVar("T")


def post_order(
    roots: Iterable[T],
    successors: Callable[[T], Iterable[T]],
    key: Callable[[T], Hashable],
    where: str,
    limits: Limits,
) -> Iterator[T]:
    """Yield every distinct node once, what it refers to before itself.

    Args:
        successors: called once for every distinct node, before anything below it is yielded; it may read.
        key: what tells nodes apart, usually the digest.
        limits: *index_depth* is how many steps a node may be away from its root, *manifest_count* how many distinct
            nodes there may be.

    Raises:
        LimitError: deeper or more than allowed.
    """
    seen: set[Hashable] = set()
    deepest, most = limits.index_depth, limits.manifest_count

    def enter(node: T, depth: int) -> Iterator[T] | None:
        """Return what is below a node that is new, None for one that is not."""
        if key(node) in seen:
            return None
        if depth > deepest:
            raise LimitError(where, "depth of nested indexes", deepest, depth, ("index_depth",))
        seen.add(key(node))
        if len(seen) > most:
            raise LimitError(where, "number of manifests", most, len(seen), ("manifest_count",))
        return iter(successors(node))

    for root in roots:
        below = enter(root, 0)
        if below is None:
            continue
        stack: list[tuple[T, Iterator[T]]] = [(root, below)]
        while stack:
            node, rest = stack[-1]
            for child in rest:
                below = enter(child, len(stack))
                if below is not None:
                    stack.append((child, below))
                    break
            else:
                stack.pop()
                yield node


def walk(root: Node, where: str, limits: Limits) -> Iterator[Node]:
    """Yield the distinct images and indexes under *root*, children before parents, *root* last."""

    def children(node: Node) -> tuple[Node, ...]:
        return node.children if isinstance(node, ImageIndex) else ()

    def name(node: Node) -> Hashable:
        return node.digest if node.digest is not None else id(node)

    return post_order([root], children, name, where, limits)


def leaves(root: Node) -> Iterator[Leaf]:
    """Yield what stands under *root* and is no index, in the indexes' order, repeats included."""
    if not isinstance(root, ImageIndex):
        yield root
        return
    for child in root.children:
        yield from leaves(child)


def roots(contents: Contents) -> Iterator[tuple[Place, Node]]:
    """Yield what has a name, each with its place: the number that `@INDEX` takes, and one alone needs none."""
    several = len(contents.images) > 1
    for at, named in enumerate(contents.images):
        yield replace(WHOLE_IMAGE, image=named.number(at) if several else None), named.root


def nodes(contents: Contents) -> Iterator[tuple[Place, Leaf]]:
    """Yield all that is no index, with its place, in the order of the names and indexes, repeats included."""
    for within, root in roots(contents):
        for leaf in leaves(root):
            yield within if leaf is root else child_place(within, leaf), leaf


def images(contents: Contents) -> Iterator[tuple[Place, Image]]:
    """Yield every image and artifact with its place, as `nodes` does."""
    return ((place, node) for place, node in nodes(contents) if isinstance(node, Image))


def real_images(root: Node) -> Iterator[Image]:
    """Yield what a user calls an image of what is under *root*: no attestations, no artifacts, nothing absent."""
    return filter(is_real, leaves(root))


def unreadable(contents: Contents) -> Iterator[OccyError]:
    """Yield why images that were asked for cannot be read."""
    return (node.error for _, node in nodes(contents) if isinstance(node, Unreadable))


def check_readable(contents: Contents) -> None:
    """Raise why an image that was asked for cannot be read, or what it is called that is no name."""
    for error in unreadable(contents):
        raise error
    for named in contents.images:
        for wrong in named.wrong_names:
            raise wrong


def layers(contents: Contents) -> Iterator[tuple[Place, Layer]]:
    """Yield the layers of every image with their places, as `nodes` does."""
    for within, image in images(contents):
        for number, layer in enumerate(image.layers, 1):
            yield within.inside("layer", number), layer


def child_place(within: Place, leaf: Leaf) -> Place:
    """Return the place of what an index that is *within* names: its platform tells it, or its digest."""
    platform = leaf.platform if isinstance(leaf, Image) else None
    return replace(within, platform=str(platform if platform is not None else leaf.digest))
