from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import LimitError
from occy_fast.image.blob import Blob
from occy_fast.image.graph import images, layers, nodes, post_order, real_images, roots, walk
from occy_fast.image.image import Contents, Image, ImageIndex, Layer, NamedImage, Node, Opaque
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.json import format_json
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.spec.manifest import Index
from occy_fast.spec.media_type import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from occy_fast.spec.platform import Platform


def described(seed: str, kind: str = OCI_MANIFEST) -> Descriptor:
    return Descriptor(kind, Digest.sha256(seed.encode()), len(seed))


def image(seed: str) -> Image:
    return Image(None, None, Blob(None, 0, OCI_CONFIG, None), (), None, described(seed))


def index(seed: str, *children: Node) -> ImageIndex:
    raw = format_json({"schemaVersion": 2, "manifests": [], "annotations": {"seed": seed}})
    return ImageIndex(Index.parse(raw, seed, LIMITS), described(seed, OCI_INDEX), children)


# Edges of graphs without cycles: every node refers to higher numbers only.
graphs = st.dictionaries(st.integers(0, 12), st.lists(st.integers(1, 4), max_size=4), max_size=13).map(
    lambda steps: {node: [node + step for step in jumps if node + step <= 12] for node, jumps in steps.items()}
)


@given(graphs)
def test_children_come_before_parents_and_all_once(graph: dict[int, list[int]]) -> None:
    asked: list[int] = []

    def below(node: int) -> list[int]:
        asked.append(node)
        return graph.get(node, [])

    order = list(post_order([0, 5], below, lambda node: node, "here", Limits(index_depth=20)))
    reachable = {0, 5}
    for node in range(13):
        reachable |= set(graph.get(node, [])) if node in reachable else set()
    assert sorted(order) == sorted(reachable) == sorted(asked)
    for node in order:
        assert all(order.index(child) < order.index(node) for child in graph.get(node, []))


def test_order_of_children_is_kept() -> None:
    graph = {"r": ["a", "b", "c"], "b": ["c", "d"]}
    assert list(post_order(["r"], lambda node: graph.get(node, []), str, "here", LIMITS)) == ["a", "c", "d", "b", "r"]


def test_depth() -> None:
    assert LIMITS.index_depth == 8
    order = post_order([0], lambda node: [node + 1] if node < 8 else [], int, "here", LIMITS)
    assert list(order) == list(range(8, -1, -1))
    with pytest.raises(LimitError) as caught:
        list(post_order([0], lambda node: [node + 1], int, "here", LIMITS))
    assert (caught.value.where, caught.value.allowed, caught.value.value) == ("here", 8, 9)


def test_a_circle_ends() -> None:
    assert list(post_order([0], lambda node: [(node + 1) % 3], int, "here", LIMITS)) == [2, 1, 0]


def test_number_of_nodes() -> None:
    def wide(count: int) -> list[int]:
        return list(post_order([0], lambda node: range(1, count) if node == 0 else [], int, "here", LIMITS))

    assert len(wide(10_000)) == LIMITS.manifest_count == 10_000
    with pytest.raises(LimitError) as caught:
        wide(10_001)
    assert (caught.value.allowed, caught.value.value) == (10_000, 10_001)


def test_the_same_manifest_many_times_is_one() -> None:
    assert len(list(post_order([0] * 20_000, lambda node: [1] * 5, int, "here", LIMITS))) == 2


def test_walk() -> None:
    one, two, absent = image("one"), image("two"), Opaque(described("absent"), None)
    inner = index("inner", two, one)
    root = index("root", one, inner, absent, image("one"))
    assert list(walk(root, "", LIMITS)) == [one, two, inner, absent, root]
    assert list(walk(one, "", LIMITS)) == [one]


def test_walk_of_images_without_digest() -> None:
    nameless = [Image(None, None, Blob(None, 0, OCI_CONFIG, None), (), None) for _ in range(2)]
    assert len(list(walk(index("root", *nameless), "", LIMITS))) == 3


def test_walk_is_bounded() -> None:
    node: Node = image("leaf")
    for depth in range(9):
        node = index(f"level {depth}", node)
    with pytest.raises(LimitError):
        list(walk(node, "here", LIMITS))


# -------------------------------------------------------------------------------------------------- with their places


def layer(seed: str) -> Layer:
    return Layer(Blob(Digest.sha256(seed.encode()), 1, "", None), "", Encoding("gzip"), None)


def contents(*shown: Node) -> Contents:
    return Contents("oci:x", "oci", tuple(NamedImage(root) for root in shown))


def test_each_image_has_its_place() -> None:
    one = replace(image("one"), layers=(layer("a"), layer("b")), platform=Platform("linux", "arm64"))
    two, thing = replace(image("two"), layers=(layer("c"),)), Opaque(described("thing"), None)
    both = contents(index("root", one, thing), two)
    assert [(str(place), root) for place, root in roots(both)] == [("@0 image", both.images[0].root), ("@1 image", two)]
    assert [(str(place), node) for place, node in nodes(both)] == [
        ("@0 linux/arm64 image", one),
        (f"@0 {thing.digest} image", thing),
        ("@1 image", two),
    ]
    assert [node for _, node in images(both)] == [one, two]
    assert [(str(place), found.digest) for place, found in layers(both)] == [
        ("@0 linux/arm64 layer 1", layer("a").digest),
        ("@0 linux/arm64 layer 2", layer("b").digest),
        ("@1 layer 1", layer("c").digest),
    ]


def test_an_image_has_the_number_that_chooses_it() -> None:
    one, two = image("one"), image("two")
    some = Contents("oci:x:b", "oci", (NamedImage(one, position=1), NamedImage(two, position=2)))
    assert [str(place) for place, _ in images(some)] == ["@1 image", "@2 image"]


def test_one_image_needs_no_number() -> None:
    assert [str(place) for place, _ in images(contents(image("one")))] == ["image"]
    assert [str(place) for place, _ in nodes(contents(index("root", image("one"))))] == [f"{image('one').digest} image"]


def test_what_a_user_calls_an_image() -> None:
    one, artifact, absent = image("one"), replace(image("two"), artifact=True), Opaque(described("absent"), None)
    unknown = Platform("unknown", "unknown")
    attestation = replace(image("three"), descriptor=replace(described("three"), platform=unknown))
    assert list(real_images(index("root", absent, attestation, index("inner", one), artifact))) == [one]
