"""One table of an archive's members, and the two ways in which names are found in it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from occy_fast.errors import BadArchive, DuplicateEntry, LimitError, UnsafePath
from occy_fast.image.blob import FileRegion, InlineBytes
from occy_fast.image.loader_view import leads_out
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.streams.tar import Entry, scan_region
from occy_fast.transports.archive.members import LONGEST_NAME, MemberTable, clean_name, inside, shortened
from support.tar_reading import read_entries

Written = tuple[str, bytes | str | None]


def place(offset: int, size: int) -> FileRegion:
    return FileRegion("here", offset, size)


def table_of(tmp_path: Path, *written: Written, hard: bool = False, limits: Limits = LIMITS) -> MemberTable:
    """Return the members of a tar: bytes are a file, text is where a link leads, None is a directory."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in written:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.LNKTYPE if hard else tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content if isinstance(content, bytes) else b""))
    table = MemberTable("here", limits, place)
    with path.open("rb") as file:
        for entry in scan_region(file.fileno(), 0, path.stat().st_size, limits=limits, where="t"):
            table.add(entry)
    return table


@pytest.mark.parametrize(
    ("written", "clean", "loader"),
    [
        ("a/b", {"a/b"}, {"a/b"}),
        ("./a//b", {"a/b"}, {"a/b"}),
        ("/a", {"a"}, {"a"}),
        ("../a", {"a"}, {"a"}),
        ("a/../b", {"b"}, {"b"}),
        ("a/../../b", {"b"}, {"b"}),
        ("n" * LONGEST_NAME, {"n" * LONGEST_NAME}, {"n" * LONGEST_NAME}),
        ("n" * (LONGEST_NAME + 1), set(), {"n" * (LONGEST_NAME + 1)}),
    ],
)
def test_what_readers_reach_and_what_loaders_do(
    tmp_path: Path, written: str, clean: set[str], loader: set[str]
) -> None:
    table = table_of(tmp_path, (written, b"x"))
    assert (set(table.clean_names()), set(table.loader_names())) == (clean, loader)


@pytest.mark.parametrize("other", ["/x", "../x", "y/../x"])
@pytest.mark.parametrize("reachable_last", [False, True])
def test_the_last_of_a_name_counts_for_a_loader_alone(tmp_path: Path, other: str, reachable_last: bool) -> None:
    written: list[Written] = [(other, b"22"), ("x", b"1")] if reachable_last else [("x", b"1"), (other, b"22")]
    table = table_of(tmp_path, *written)
    found = table.clean_names().find("x")
    assert found is not None
    assert found.size == 1
    member, _ = table.loader_names().follow("x")
    assert member is not None
    assert member.address.size == (1 if reachable_last else 2)


def test_what_is_there_twice_is_refused_by_readers(tmp_path: Path) -> None:
    table = table_of(tmp_path, ("x", b"1"), ("./x", b"22"), ("y", b""))
    names = table.clean_names()
    assert names.find("y") is not None
    with pytest.raises(DuplicateEntry):
        names.find("x")
    member, _ = table.loader_names().follow("x")
    assert member is not None
    assert member.address.size == 2


@pytest.mark.parametrize(
    ("name", "target", "hard", "clean", "kind"),
    [
        ("a/l", "../x", False, True, "symbolic"),
        ("a/l", "/x", False, True, "absolute"),
        ("a/l", "x", True, True, "hard"),
        ("a/l", "../../x", False, False, "escaping"),
        ("a/l", "../l2", False, False, "symbolic"),
    ],
)
def test_links_are_followed_by_either(
    tmp_path: Path, name: str, target: str, hard: bool, clean: bool, kind: str
) -> None:
    """A loader follows any, and more than one; a reader those that stay inside, and as many as its limit says."""
    table = table_of(tmp_path, ("x", b"1"), (name, target), hard=hard)
    if target == "../l2":
        table = table_of(tmp_path, ("x", b"1"), (name, target), ("l2", "x"))
    member, found = table.loader_names().follow(name)
    assert (member is not None, found) == (True, kind)
    names = table.clean_names()
    if clean:
        assert names.find(name) == names.find("x")
    else:
        with pytest.raises(BadArchive):
            names.find(name)
    with pytest.raises(BadArchive):
        names.find(name, follow=False)


def test_a_link_beyond_the_longest_name_is_there_for_a_loader_alone(tmp_path: Path) -> None:
    table = table_of(tmp_path, ("x", "n" * (LONGEST_NAME + 1)))
    assert (set(table.clean_names()), set(table.loader_names())) == (set(), {"x"})


def test_a_chain_of_links_that_never_ends(tmp_path: Path) -> None:
    table = table_of(tmp_path, ("a", "b"), ("b", "a"))
    assert table.loader_names().follow("a") == (None, "symbolic")


def test_directories_at_the_top(tmp_path: Path) -> None:
    table = table_of(tmp_path, ("./", None), ("a", None), ("a/b", None), ("/c", None), ("../d/e", None), ("f/g", b""))
    assert table.clean_names().directories == {"a"}
    assert table.loader_names().directories == {"a", "c", "d"}
    assert table.loader_names().escaping == ("../d/e/",)
    assert "a" not in table.clean_names()


def test_a_streamed_member_is_where_its_asker_put_it() -> None:
    table = MemberTable("here", LIMITS)
    [entry] = entries_of(("x", b"1"))
    member = table.add(entry)
    assert member is not None
    member.streamed = InlineBytes(b"1")
    assert table.clean_names().find("x") == InlineBytes(b"1")


def entries_of(*written: Written) -> list[Entry]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in written:
            assert isinstance(content, bytes)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return list(read_entries([out.getvalue()]))


@pytest.mark.parametrize("name", ["x{}", "../x{}", "/x{}", "d{}/"])
def test_every_name_that_is_kept_counts(tmp_path: Path, name: str) -> None:
    written: list[Written] = [
        (name.format(number).rstrip("/"), None if name.endswith("/") else b"") for number in range(20)
    ]
    table_of(tmp_path, *written, limits=Limits(member_count=20))
    with pytest.raises(LimitError, match="members of an archive"):
        table_of(tmp_path, *written, limits=Limits(member_count=19))
    length = sum(len(name.format(number)) for number in range(20))
    table_of(tmp_path, *written, limits=Limits(member_names=length))
    with pytest.raises(LimitError, match="bytes of names"):
        table_of(tmp_path, *written, limits=Limits(member_names=length - 1))


@pytest.mark.parametrize(
    ("path", "clean", "out"),
    [("a/b", "a/b", False), ("./a", "a", False), ("../a", "a", True), ("a/../../b", "b", True), ("a/../b", "b", False)],
)
def test_names_are_kept_inside(path: str, clean: str, out: bool) -> None:
    assert (inside(path), leads_out(path)) == (clean, out)


@pytest.mark.parametrize(
    ("path", "short"),
    [
        ("x", "x"), ("./x", "x"), ("/x", "/x"), ("//x", "/x"), ("../x", "../x"), ("a/../x", "x"), ("a/../../x", "../x"),
        ("/../x", "/x"), ("../../a/x", "../../a/x"), ("a//b/", "a/b"), ("", "."), ("a/..", "."), ("/", "/"),
    ],
)  # fmt: skip
def test_a_path_is_shortened_as_go_does(path: str, short: str) -> None:
    assert shortened(path) == short


@pytest.mark.parametrize("path", ["x", "/x", "//x", "./x", "a/../x", "a/b/../../x", "/a/../x"])
def test_a_document_may_name_a_member_by_any_path_inside(path: str) -> None:
    assert clean_name(path, "there") == "x"


@pytest.mark.parametrize("path", ["", ".", "/", "..", "../x", "a/../../x", "./../x", "a/.."])
def test_a_document_names_nothing_outside(path: str) -> None:
    with pytest.raises(UnsafePath):
        clean_name(path, "there")
