"""The members of an archive by clean name: one pass over headers, nothing extracted, no file system behind a name."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from occy_fast.errors import BadArchive, DuplicateEntry, LimitError, UnsafePath
from occy_fast.image.blob import Address, FileRegion
from occy_fast.image.place import Place
from occy_fast.spec.limits import Limits
from occy_fast.streams.tar import Entry, scan_region

LONGEST_NAME = 4095                                  # PATH_MAX: no loader could unpack a longer one


@dataclass(frozen=True, slots=True)
class Member:
    """One name in the archive.

    Attributes:
        regular: a file whose bytes stand in one piece at *offset*.
        link: where a symbolic or hard link leads, as a clean name; None if it is no link or leads out.
        problem: why the bytes cannot be had; empty for a regular file.
    """

    name: str
    offset: int
    size: int
    problem: str = ""
    link: str | None = None


class MemberTable:
    """Members by clean name; names that are absolute or climb out are left out, as nothing can ask for them.

    Attributes:
        directories: names of the directories at the archive's top that have entries of their own.
    """

    def __init__(self, locator: str, limits: Limits) -> None:
        self._locator, self._limits = locator, limits
        self._members: dict[str, Member] = {}
        self._twice: set[str] = set()
        self.directories: set[str] = set()
        self._length = 0

    def add(self, entry: Entry) -> Member | None:
        """Take in an entry of the archive; None where nothing can ask for it. Raises LimitError."""
        member = _member(entry)
        if member is None:
            self._add_directory(_top_directory(entry))
            return None
        if member.name in self._members:
            self._twice.add(member.name)
        self._members[member.name] = member
        self._length += len(member.name) + len(member.link or "")
        self._check_limits()
        return member

    def _add_directory(self, name: str) -> None:
        if name and name not in self.directories:
            self.directories.add(name)
            self._length += len(name)
            self._check_limits()

    def _check_limits(self) -> None:
        found, limits = len(self._members) + len(self.directories), self._limits
        if found > limits.member_count:
            raise LimitError(self._locator, "members of an archive", limits.member_count, found)
        if self._length > limits.member_names:
            raise LimitError(self._locator, "bytes of names in an archive", limits.member_names, self._length)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def find_member(self, name: str, *, follow: bool = True) -> Member | None:
        """Find a regular file by its clean name, through as many links as allowed; None if nothing has that name.

        Raises DuplicateEntry, BadArchive.
        """
        member = self._get(name)
        if member is None:
            return None
        for _ in range(self._limits.link_count if follow else 0):
            if member.link is None:
                break
            target = self._get(member.link)
            if target is None:
                problem = f"a link to '{member.link}', which is not in the archive"
                raise BadArchive(self._where(name), problem).about(Place("member", name=name))
            member = target
        if member.problem:
            problem = f"a regular file is expected, found {member.problem}"
            raise BadArchive(self._where(name), problem).about(Place("member", name=name))
        return member

    def _get(self, name: str) -> Member | None:
        if name in self._twice:
            raise DuplicateEntry(self._locator, name)
        return self._members.get(name)

    def _where(self, name: str) -> str:
        return f"{self._locator}: {name}"


class Members(Protocol):
    """What a reader asks of an archive's members, be they in a file or gone by."""

    @property
    def directories(self) -> AbstractSet[str]: ...

    def __contains__(self, name: str) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...

    def find(self, name: str, *, follow: bool = True) -> Address | None:
        """Find a regular file by its clean name, through as many links as allowed; None if nothing has that name.

        Raises DuplicateEntry, BadArchive.
        """


class ArchiveMembers(MemberTable):
    """The members of an archive in a regular file."""

    def __init__(
        self,
        fd: int,
        size: int,
        path: str,
        inode: tuple[int, int, int, int],
        locator: str,
        limits: Limits,
    ) -> None:
        """Scan the headers of *fd*, and see that the archive has an end. Raises TarError, LimitError."""
        super().__init__(locator, limits)
        self._path, self._inode = path, inode
        for entry in scan_region(fd, 0, size, whole=True, where=locator, limits=limits):
            self.add(entry)

    def find(self, name: str, *, follow: bool = True) -> FileRegion | None:
        """Find a regular file; see Members."""
        member = self.find_member(name, follow=follow)
        return None if member is None else FileRegion(self._path, member.offset, member.size, self._inode)


class PassedMembers(MemberTable):
    """The members of an archive that came by once, each with the address that was made for it as it came."""

    def __init__(self, locator: str, limits: Limits) -> None:
        super().__init__(locator, limits)
        self._addresses: dict[str, Address] = {}

    def settle(self, name: str, address: Address) -> None:
        """Say where the bytes of the regular file *name* are, or what became of them."""
        self._addresses[name] = address

    def find(self, name: str, *, follow: bool = True) -> Address | None:
        """Find a regular file; see Members."""
        member = self.find_member(name, follow=follow)
        return None if member is None else self._addresses[member.name]


def clean_name(name: str, where: str) -> str:
    """Return a name that a document gives to a member, without './'. Raises UnsafePath."""
    cleaned = _clean(name)
    if not cleaned:
        problem = "empty" if not name.strip("./") and ".." not in name else "absolute, or leads out of the archive"
        raise UnsafePath(where, name, problem)
    return cleaned


def _clean(name: str) -> str:
    """Return *name* without '.' and empty components; empty if it is absolute or climbs."""
    parts = name.split("/")
    if not parts[0] or ".." in parts:
        return ""
    return "/".join(part for part in parts if part not in ("", "."))


def _member(entry: Entry) -> Member | None:
    """Make a Member of a tar entry; None for directories, global headers and names out of reach."""
    if len(entry.name) > LONGEST_NAME or len(entry.linkname) > LONGEST_NAME:
        return None
    name = _clean(entry.name.decode("utf-8", "surrogateescape"))
    if not name or entry.is_directory or entry.type in b"gx":
        return None
    if entry.is_link:
        return Member(name, entry.data_offset, 0, "a link to a link, or out of the archive", _link_target(entry, name))
    if entry.sparse is not None:
        return Member(name, entry.data_offset, entry.size, "a sparse file")
    if not entry.is_file:
        return Member(name, entry.data_offset, 0, f"an entry of type {entry.type.decode('latin-1')!r}")
    return Member(name, entry.data_offset, entry.size)


def _top_directory(entry: Entry) -> str:
    """Return the first component of a directory's clean name; empty for what is no directory, or out of reach."""
    if not entry.is_directory or len(entry.name) > LONGEST_NAME:
        return ""
    return _clean(entry.name.decode("utf-8", "surrogateescape")).partition("/")[0]


def _link_target(entry: Entry, name: str) -> str | None:
    """Return a link's target as a clean name: a symbolic one starts at its directory, others at the top."""
    target = entry.linkname.decode("utf-8", "surrogateescape")
    parts = [] if entry.type == b"1" or target.startswith("/") else name.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts) or None
