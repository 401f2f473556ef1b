"""What the model says can be unpacked is what daemons have unpacked; tests/interop/test_unpack.py asks them again."""

from __future__ import annotations

import pytest

from occy_fast.kernels.unpack_model import UnpackModel
from occy_fast.kernels.unpack_problems import Unpacker, UnpackKind
from support.unpack_layers import BASE, BY_HAND, Layer, Stack, file, folder, hard, list_of, refused_by, symbolic

SEEN = {
    "": """
        plain plnk aufs child-of-symlink child-of-absolute child-of-out child-of-symlink-same
        deep-child-of-symlink no-parent whiteout whiteout-nothing whiteout-nothing-parent
        whiteout-before whiteout-dir-before whiteout-below-symlink whiteout-below-broken
        whiteout-as-directory whiteout-as-directory-child whiteout-as-symlink whiteout-as-hard-link
        whiteout-whiteout opaque opaque-last opaque-nothing opaque-root opaque-below-file
        opaque-of-symlink opaque-no-parent file-over-directory symlink-over-directory
        directory-over-file directory-over-symlink pipe-over-file devices longest-component
        parent-out parent-inside parent-far absolute xattr-user xattr-trusted xattr-security
        xattr-unknown xattr-system xattr-user-directory xattr-trusted-symlink xattr-overlay
        owner-large owner-none owner-huge
    """,
    "c": """
        hard-link-whited hard-link-whited-dir root-dot-hard-link root-dot-symlink root-dot-file
        root-of-dots root-pipe child-of-file child-of-file-dir child-of-broken whiteout-below-file
        empty-name xattr-user-symlink xattr-user-pipe
    """,
    "oc": """
        root-directory root-hard-link root-symlink root-file child-of-symlink-to-file
        file-over-directory-same file-over-empty-directory-same directory-over-file-same duplicate
    """,
    "os": """
        hard-link-lower hard-link-absolute hard-link-dot hard-link-through-symlink
        hard-link-through-absolute hard-link-to-symlink hard-link-to-broken hard-link-inside-dotdot
        hard-link-over-directory hard-link-whited-after whiteout-of-same whiteout-of-replaced
        whiteout-dir-child whiteout-below-whiteout whiteout-below-whiteout-deep whiteout-empty
        whiteout-dot
    """,
    "osc": """
        hard-link-missing hard-link-later hard-link-itself hard-link-itself-there
        hard-link-itself-lower hard-link-directory hard-link-through-loop hard-link-outside
        hard-link-through-file hard-link-empty hard-link-opaque hard-link-plnk child-of-file-same
        child-of-pipe child-of-loop-same whiteout-dir-of-same whiteout-twice
        whiteout-below-file-same whiteout-empty-root whiteout-dotdot whiteout-dotdot-root contiguous
        unknown-type volume multi-volume dump-directory long-component long-parent long-path
        long-hard-link long-symlink empty-symlink xattr-bare xattr-long
    """,
    "s": """
        opaque-below-whiteout
    """,
    "sc": """
        child-of-file-deep child-of-loop whiteout-below-loop
    """,
}
"""What was refused, seen: by Docker 20.10 on overlay2 (o), Docker 26.1 with containerd (s), podman 4.3 on vfs (c)."""

LETTERS = {"o": Unpacker.OVERLAY, "s": Unpacker.SNAPSHOT, "c": Unpacker.COPY}
CASES = [(name, letters) for letters, names in SEEN.items() for name in names.split()]


def kinds(*layers: Layer) -> set[UnpackKind]:
    model = UnpackModel(1000)
    return {problem.kind for layer in layers for problem in model.apply(list_of(layer))}


def test_every_layer_made_by_hand_was_seen() -> None:
    assert {name for name, _ in CASES} == BY_HAND.keys()


@pytest.mark.parametrize(("name", "letters"), CASES)
def test_the_verdict_is_the_daemons(name: str, letters: str) -> None:
    stack: Stack = (BASE, BY_HAND[name])
    podman = letters == "c" and name in ("xattr-user-symlink", "xattr-user-pipe")
    found = refused_by(stack, podman=podman)
    assert {letter for letter, one in LETTERS.items() if one in found} == ({*"osc"} if podman else set(letters))


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        ((hard("a", "none"),), UnpackKind.HARD_LINK_MISSING),
        ((hard("a", "b"), file("b")), UnpackKind.HARD_LINK_LATER),
        ((hard("a", "top"),), UnpackKind.HARD_LINK_LOWER),
        ((hard("a", "a"),), UnpackKind.HARD_LINK_ITSELF),
        ((folder("e"), hard("a", "e")), UnpackKind.HARD_LINK_DIRECTORY),
        ((file("a"), file("a/b")), UnpackKind.CHILD_OF_FILE),
        ((file(".wh.d"), file("d/x")), UnpackKind.CHILD_OF_WHITEOUT),
        ((symbolic("l", "l"), file("l/x")), UnpackKind.LINK_LOOP),
        ((file("a"), file(".wh.a")), UnpackKind.WHITEOUT_OF_SAME_LAYER),
        ((folder("e"), file("./e")), UnpackKind.DUPLICATE),
        ((file("a", "com.apple.x"),), UnpackKind.XATTR_NAMESPACE),
    ],
)
def test_a_problem_is_called_by_its_name(layer: Layer, kind: UnpackKind) -> None:
    assert kind in kinds(BASE, layer)


def test_the_first_of_a_kind_is_told_with_how_many_there_are() -> None:
    entries = list_of((hard("a", "none"), file("b"), hard("c", "no")))
    (problem,) = UnpackModel(10).apply(entries)
    assert (problem.name, problem.other, problem.offset, problem.times) == (b"a", b"none", 0, 2)
    assert problem.unpackers == Unpacker.OVERLAY | Unpacker.SNAPSHOT | Unpacker.COPY


@pytest.mark.parametrize(("most", "exceeded"), [(3, False), (2, True)])
def test_of_more_entries_than_may_be_nothing_is_said(most: int, exceeded: bool) -> None:
    model = UnpackModel(most)
    model.apply(list_of((file("a"),)))
    assert (model.apply(list_of((hard("b", "none"), file("c")))) == []) == exceeded
    assert model.exceeded == exceeded


def test_above_a_layer_without_a_list_nothing_is_said() -> None:
    model = UnpackModel(10)
    assert model.apply(None) == []
    assert model.exceeded
    assert model.apply(list_of((hard("a", "none"),))) == []
