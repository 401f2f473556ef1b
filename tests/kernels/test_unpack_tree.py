"""The tree answers as a kernel does."""

from __future__ import annotations

import pytest

from occy_fast.kernels.unpack_tree import Node, Tree, TreeError, clean, rooted

LONG = b"/d/" + b"n" * 256


def tree() -> Tree:
    made = Tree()
    made.make_directories(b"/d/sub")
    made.add(b"/d/f", Node("file"))
    for name, target in ((b"/s", b"d"), (b"/d/up", b"../d/f"), (b"/loop", b"loop"), (b"/out", b"../../d")):
        made.add(name, Node("link", target))
    return made


@pytest.mark.parametrize(
    ("path", "errno"), [(b"/none", "ENOENT"), (b"/d/f/x", "ENOTDIR"), (b"/loop/x", "ELOOP"), (LONG, "ENAMETOOLONG")]
)
def test_what_is_not_there_is_refused_as_kernels_do(path: bytes, errno: str) -> None:
    with pytest.raises(TreeError, match=errno):
        tree().lstat(path)


@pytest.mark.parametrize("path", [b"/s/f", b"/d/up", b"/out/f", b"/d/sub/../f", b"/../d/f"])
def test_links_are_followed_and_nothing_leads_out(path: bytes) -> None:
    made = tree()
    assert made.stat(path) is made.lstat(b"/d/f")


@pytest.mark.parametrize(("path", "seen"), [(b"s/f", b"/d/f"), (b"/out/new/x", b"/d/new/x"), (b"no/such", b"/no/such")])
def test_a_path_is_resolved_below_the_root(path: bytes, seen: bytes) -> None:
    assert tree().scoped(path) == seen


def test_what_is_removed_is_gone_and_the_root_stays() -> None:
    made = tree()
    made.remove(b"/d")
    assert made.find(b"/d/f") is None
    made.remove(b"/d/f")
    with pytest.raises(TreeError, match="EBUSY"):
        made.remove(b"/")


@pytest.mark.parametrize(("name", "cleaned"), [(b"./a/", b"a"), (b"", b"."), (b"//x", b"/x"), (b"../x", b"../x")])
def test_names_are_cleaned_as_go_does(name: bytes, cleaned: bytes) -> None:
    assert clean(name) == cleaned
    assert rooted(b"../x") == b"/x"
