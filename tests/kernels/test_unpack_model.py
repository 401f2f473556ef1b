"""What the model says can be unpacked is what daemons have unpacked; tests/interop/test_unpack.py asks them again."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.kernels.entry_list import ENTRY_SIZE, EntryList
from occy_fast.kernels.unpack_facts import UnpackFact
from occy_fast.kernels.unpack_problems import REFUSED, Unpacker, UnpackKind, problem_of
from support.unpack_layers import BASE, BY_HAND, Layer, Stack, file, folder, hard, list_of, refused_by, symbolic

TWINS = [import_module(f"occy_fast.kernels.{side}.unpack_model") for side in ("native", "pure")]


@pytest.fixture(params=TWINS, ids=["native", "pure"])
def twin(request: pytest.FixtureRequest) -> ModuleType:
    found: ModuleType = request.param
    return found


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


def kinds(twin: ModuleType, *layers: Layer) -> set[UnpackKind]:
    model = twin.UnpackModel(1000)
    return {problem_of(found).kind for layer in layers for found in model.apply(list_of(layer))}


def test_every_layer_made_by_hand_was_seen() -> None:
    assert {name for name, _ in CASES} == BY_HAND.keys()


@pytest.mark.parametrize(("name", "letters"), CASES)
def test_the_verdict_is_the_daemons(twin: ModuleType, name: str, letters: str) -> None:
    stack: Stack = (BASE, BY_HAND[name])
    podman = letters == "c" and name in ("xattr-user-symlink", "xattr-user-pipe")
    found = refused_by(stack, podman=podman, twin=twin)
    assert {letter for letter, one in LETTERS.items() if one in found} == ({*"osc"} if podman else set(letters))


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        ((hard("a", "none"),), UnpackKind.HARD_LINK_MISSING),
        ((hard("a", "b"), file("b")), UnpackKind.HARD_LINK_MISSING),
        ((hard("a", "top"),), UnpackKind.HARD_LINK_LOWER),
        ((hard("a", "a"),), UnpackKind.HARD_LINK_MISSING),
        ((folder("e"), hard("a", "e")), UnpackKind.HARD_LINK_DIRECTORY),
        ((file("a"), file("a/b")), UnpackKind.CHILD_OF_FILE),
        ((file(".wh.d"), file("d/x")), UnpackKind.CHILD_OF_WHITEOUT),
        ((symbolic("l", "l"), file("l/x")), UnpackKind.LINK_LOOP),
        ((file("a"), file(".wh.a")), UnpackKind.WHITEOUT_OF_SAME_LAYER),
        ((folder("e"), file("./e")), UnpackKind.DUPLICATE),
        ((file("a", "com.apple.x"),), UnpackKind.XATTR_NAMESPACE),
    ],
)
def test_a_problem_is_called_by_its_name(twin: ModuleType, layer: Layer, kind: UnpackKind) -> None:
    assert kind in kinds(twin, BASE, layer)


def test_the_first_of_a_kind_is_told_with_how_many_there_are(twin: ModuleType) -> None:
    entries = list_of((hard("a", "none"), file("b"), hard("c", "no")))
    (problem,) = map(problem_of, twin.UnpackModel(10).apply(entries))
    assert (problem.name, problem.other, problem.offset, problem.times) == (b"a", b"none", 0, 2)
    assert problem.unpackers == Unpacker.OVERLAY | Unpacker.SNAPSHOT | Unpacker.COPY


# ------------------------------------------------------------------------------------------------------- agreement

plain = st.sampled_from([b"a", b"b", b"d", b"etc", b"s", b"..", b".", b"", b"n" * 256])
parts = plain | st.sampled_from([b".wh.a", b".wh.d", b".wh..wh..opq", b".wh."])
long_names = st.integers(24, 40).map(lambda count: b"/".join([b"x" * 120] * count))
names = st.lists(parts, min_size=1, max_size=5).map(b"/".join) | long_names
links = st.sampled_from([b"a", b"/a", b"../..", b"d/a", b"s", b"etc", b"", b"s/s", b".", b"l" * 5000])
types = st.sampled_from([b"0", b"0", b"5", b"5", b"1", b"2", b"2", b"3", b"6", b"7", b"V", b"g"])
xattrs = st.lists(st.sampled_from([b"user.a", b"foo", b"u" * 300, b"system.posix_acl_access", b""]), max_size=2)


@st.composite
def entry_lists(draw: st.DrawFn) -> bytes:
    """Make the list of a layer with a few entries, which meet one another often."""
    made = EntryList(1000)
    for at in range(draw(st.integers(0, 8))):
        records = [(b"SCHILY.xattr." + key, b"1") for key in draw(xattrs)]
        made.add(draw(types), 1024 * at, draw(names), draw(links), records)
    return made.entries() or b""


@st.composite
def damaged_lists(draw: st.DrawFn) -> bytes:
    raw = bytearray(draw(entry_lists()))
    if raw and draw(st.booleans()):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw[: draw(st.integers(0, len(raw)))])


def outcome(twin: ModuleType, most: int, layers: list[bytes]) -> list[Any]:
    model, found = twin.UnpackModel(most), []
    for entries in layers:
        try:
            found.append(([tuple(problem) for problem in model.apply(entries)], model.exceeded))
        except ValueError:
            return [*found, ValueError]
    return found


@given(st.sampled_from([0, 3, 20, 1000]), st.lists(entry_lists() | damaged_lists(), min_size=1, max_size=3))
def test_twins_agree(most: int, layers: list[bytes]) -> None:
    native, pure = (outcome(twin, most, layers) for twin in TWINS)
    assert native == pure


def test_with_more_entries_than_may_be_nothing_is_known(twin: ModuleType) -> None:
    made = EntryList(10)
    for at in range(3):
        made.add(b"V", 512 * at, b"%d" % at, b"", ())
    raw = made.entries()
    model = twin.UnpackModel(6)
    assert [problem.fact for problem in model.apply(raw)] == [UnpackFact.ENTRY_TYPE]
    assert model.apply(raw)[0].times == 3
    assert (model.apply(raw), model.exceeded) == ([], True)
    assert (model.apply(b""), model.exceeded) == ([], True)


def test_links_to_more_than_may_be_kept_end_it(twin: ModuleType) -> None:
    for over in (0, 1):
        made = EntryList(100)
        made.add(b"2", 0, b"s", b"t" * (ENTRY_SIZE + over), ())
        model = twin.UnpackModel(1)
        model.apply(made.entries())
        assert model.exceeded == bool(over)


def test_a_model_is_bounded(twin: ModuleType) -> None:
    for most in (-1, 1 << 31):
        with pytest.raises(ValueError, match="max_entries: expected 0 to"):
            twin.UnpackModel(most)


def test_facts_have_the_numbers_of_the_header() -> None:
    header = (Path(__file__).resolve().parents[2] / "ext" / "unpack_model.h").read_text()
    for fact in UnpackFact:
        assert f"OCCY_UNPACK_{fact.name} = {fact.value}" in header
    assert f"OCCY_UNPACK_KINDS {max(UnpackFact) + 1}" in header
    assert set(REFUSED) == set(UnpackFact)


@pytest.mark.parametrize(
    ("name", "linkname"), [(b"a/" * 80_000, b""), (b"l", b"./" * 150_000)], ids=["a path", "a link"]
)
def test_what_is_too_long_is_told_and_not_followed(twin: ModuleType, name: bytes, linkname: bytes) -> None:
    made = EntryList(100_000)
    made.add(b"2" if linkname else b"5", 0, name, linkname, ())
    model = twin.UnpackModel(100_000)
    (found,) = model.apply(made.entries())
    assert found.fact == (UnpackFact.LINK_TOO_LONG if linkname else UnpackFact.PATH_TOO_LONG)


def test_more_names_than_may_be_end_it(twin: ModuleType) -> None:
    """A path is as many names as it has components, and entries alone would not bound them."""
    made = EntryList(1000)
    for at in range(10):
        made.add(b"5", 512 * at, b"%d/" % at + b"a/" * 1000, b"", ())
    model = twin.UnpackModel(1000)
    model.apply(made.entries())
    assert model.exceeded
