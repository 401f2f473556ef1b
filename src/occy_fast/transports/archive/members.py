"""The members of an archive, one table filled by one scan, and the two ways in which names are found among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from occy_fast.errors import BadArchive, DuplicateEntry, LimitError, UnsafePath
from occy_fast.image.blob import read_head
from occy_fast.image.loader_view import leads_out
from occy_fast.image.place import Place
from occy_fast.streams.sniff import SNIFF_SIZE, begins_skippable, may_be_json, sniff
from occy_fast.streams.tar import FILE_TYPES

if TYPE_CHECKING:
    from occy_fast.image.blob import Address
    from occy_fast.image.loader_view import Link
    from occy_fast.spec.limits import Limits
    from occy_fast.streams.tar import Entry

LONGEST_NAME = 4095                                  # PATH_MAX: no loader could unpack a longer one
_LONGEST_CHAIN = 40                                  # links a kernel follows, and with it a loader


class FirstBytes(NamedTuple):
    """What the first bytes of a file show.

    Attributes:
        codec: how it is encoded.
        skippable: they are a zstd frame that decoders skip.
        json: a JSON document may begin so.
    """

    codec: str
    skippable: bool
    json: bool

    @staticmethod
    def of(head: bytes) -> FirstBytes:
        return FirstBytes(sniff(head).codec, begins_skippable(head), may_be_json(head))


@dataclass(slots=True, eq=False)
class Member:
    """A file or link of an archive, without what nobody asks of it: an entry may bring a megabyte of PAX records.

    Attributes:
        name: without '.' and empty components; empty for one that is absolute, climbs, or is too long.
        beyond: the name it has inside the archive where *name* is empty and a loader gives it one: x for "/x", "../x".
        written: of such a one, its name as it is written, shortened as Go's path.Clean does: "/x", "../x".
        type: the typeflag of its entry.
        offset, size: of the bytes stored for it in the archive; the offset tells the later of two members.
        target: where a link leads, as it is written; None for what is no link.
        sparse: the file has holes, so that its bytes are not in one piece.
        place: makes an address of offset and size; None in a stream.
        streamed: where the content of a streamed file is, since it has come.
        first: what its first bytes show; None where they can be read again.
    """

    name: str
    type: bytes
    offset: int
    size: int
    target: str | None
    sparse: bool
    place: Callable[[int, int], Address] | None
    beyond: str = ""
    written: str = ""
    streamed: Address | None = None
    first: FirstBytes | None = None

    @property
    def is_file(self) -> bool:
        return self.type in FILE_TYPES

    @property
    def address(self) -> Address:
        """Return where a file's content is; of a streamed one, once it has come."""
        if self.place is not None:
            return self.place(self.offset, self.size)
        assert self.streamed is not None, "it has not come yet"
        return self.streamed

    @property
    def problem(self) -> str:
        """Return why the bytes cannot be had; empty for a regular file."""
        if self.target is not None:
            return "a link to a link, or out of the archive"
        if self.sparse:
            return "a sparse file"
        return "" if self.is_file else f"an entry of type {self.type.decode('latin-1')!r}"

    @property
    def clean_target(self) -> str | None:
        """Return where a link leads as a clean name; None where it is no link, or leads out of the archive.

        A symbolic link starts at its directory, a hard or an absolute one at the top.
        """
        if self.target is None:
            return None
        name = self.name or self.beyond
        parts = [] if self.type == b"1" or self.target.startswith("/") else name.split("/")[:-1]
        for part in self.target.split("/"):
            if part == "..":
                if not parts:
                    return None
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        return "/".join(parts) or None

    def look(self) -> FirstBytes:
        """Return what a file's first bytes show. Raises what reading them does."""
        if self.first is not None:
            return self.first
        return FirstBytes.of(read_head(self.address, SNIFF_SIZE))


class MemberTable:
    """Everything that an archive holds under a name, filled by one scan of its headers.

    How a name is found is the asker's choice: readers want clean names, and a loader takes whatever it can unpack.
    """

    def __init__(self, locator: str, limits: Limits, place: Callable[[int, int], Address] | None = None) -> None:
        """Make an empty table.

        Args:
            place: makes the address of a file's content of its offset and size; None for a stream, of which each member
                is told as it comes.
        """
        self._locator, self._limits, self._place = locator, limits, place
        self._reachable: dict[str, Member] = {}          # by clean name
        self._beyond: dict[str, Member] = {}             # what only a loader reaches, by the name it has inside
        self._twice: set[str] = set()
        self._twice_beyond: set[str] = set()
        self._directories: set[str] = set()
        self._directories_beyond: set[str] = set()
        self._escaping: list[str] = []
        self._length = 0

    def add(self, entry: Entry) -> Member | None:
        """Take in an entry of the archive; None for a directory or a global header. Raises LimitError."""
        name = entry.name.decode("utf-8", "surrogateescape")
        short = len(entry.name) <= LONGEST_NAME and len(entry.linkname) <= LONGEST_NAME
        clean = _clean(name) if len(entry.name) <= LONGEST_NAME else ""
        if leads_out(name):
            self._escaping.append(name)
        member = None
        if entry.is_directory:
            top = inside(name).partition("/")[0]
            if top:
                (self._directories if clean else self._directories_beyond).add(top)
        elif entry.type not in b"gx":
            member = self._add_member(entry, clean if short else "", name)
            if short and not clean:
                member.beyond, member.written = inside(name), shortened(name)
        self._length += len(entry.name) + len(entry.linkname)
        self._check_limits()
        return member

    def _add_member(self, entry: Entry, clean: str, written: str) -> Member:
        target = entry.linkname.decode("utf-8", "surrogateescape") if entry.is_link else None
        sparse = entry.sparse is not None
        member = Member(clean, entry.type, entry.data_offset, entry.stored, target, sparse, self._place)
        if not clean:
            name = inside(written)
            if name in self._beyond:
                self._twice_beyond.add(name)
            self._beyond[name] = member
            return member
        if clean in self._reachable:
            self._twice.add(clean)
        self._reachable[clean] = member
        return member

    def _check_limits(self) -> None:
        limits = self._limits
        members = len(self._reachable) + len(self._beyond)
        directories = len(self._directories) + len(self._directories_beyond)
        found = max(members + directories, len(self._escaping))
        if found > limits.member_count:
            raise LimitError(self._locator, "members of an archive", limits.member_count, found, ("member_count",))
        if self._length > limits.member_names:
            most, found = limits.member_names, self._length
            raise LimitError(self._locator, "bytes of names in an archive", most, found, ("member_names",))

    def clean_names(self) -> CleanNames:
        """Return the names as this library's readers look them up."""
        members = {member.beyond: member for member in self._beyond.values() if member.beyond} | self._reachable
        twice = self._twice | (self._twice_beyond - self._reachable.keys())
        return CleanNames(self._locator, members, twice, self._directories, self._limits.link_count)

    def loader_names(self) -> LoaderNames:
        """Return the names as a loader meets them that unpacks the archive."""
        names = dict(self._beyond)
        for name, member in self._reachable.items():
            if name not in names or names[name].offset < member.offset:
                names[name] = member
        return LoaderNames(names, self._directories | self._directories_beyond, tuple(self._escaping))


class CleanNames:
    """Members by clean name; what is there twice is refused.

    An absolute name, or one that climbs, is what it is inside the archive, as `docker load` unpacks it, unless a clean
    one is there.

    Attributes:
        directories: names of the directories at the archive's top that have entries of their own.
    """

    def __init__(
        self,
        locator: str,
        members: Mapping[str, Member],
        twice: AbstractSet[str],
        directories: AbstractSet[str],
        link_count: int,
    ) -> None:
        self._locator, self._members, self._twice, self._link_count = locator, members, twice, link_count
        self.directories = directories

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def find(self, name: str, *, follow: bool = True) -> Address | None:
        """Find a regular file by its clean name, through as many links as allowed; None if nothing has that name.

        Raises DuplicateEntry, BadArchive.
        """
        member = self._get(name)
        if member is None:
            return None
        for _ in range(self._link_count if follow else 0):
            link = member.clean_target
            if link is None:
                break
            target = self._get(link)
            if target is None:
                raise self._bad(name, f"a link to '{link}', which is not in the archive")
            member = target
        if member.problem:
            raise self._bad(name, f"a regular file is expected, found {member.problem}")
        return member.address

    def _get(self, name: str) -> Member | None:
        if name in self._twice:
            raise DuplicateEntry(self._locator, name)
        return self._members.get(name)

    def _bad(self, name: str, problem: str) -> BadArchive:
        return BadArchive(f"{self._locator}: {name}", problem).about(Place("member", name=name))


class LoaderNames:
    """Members of an archive that a loader unpacks and keeps inside: "../x" and "/x" are x, and the last of them counts.

    Attributes:
        directories: names of the directories at the top.
        escaping: names of entries that lead out of the directory they are unpacked in, as they are written.
    """

    def __init__(
        self, members: Mapping[str, Member], directories: AbstractSet[str], escaping: tuple[str, ...]
    ) -> None:
        self._members = members
        self.directories, self.escaping = directories, escaping

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def follow(self, path: str) -> tuple[Member | None, Link]:
        """Return the file that *path* leads to, and what kind of link stood first on the way."""
        name, first = inside(path), ""
        kind: Link = ""
        for _ in range(_LONGEST_CHAIN):
            member = self._members.get(name)
            if member is None or member.target is None:
                return member if member is not None and member.is_file else None, kind
            target, hard = member.target, member.type == b"1"
            base = "" if hard or target.startswith("/") else name.rpartition("/")[0]
            if not first:
                first = name
                kind = "hard" if hard else "absolute" if target.startswith("/") else "symbolic"
                if kind == "symbolic" and leads_out(f"{base}/{target}"):
                    kind = "escaping"
            name = inside(f"{base}/{target}")
        return None, kind


def clean_name(name: str, where: str) -> str:
    """Return a name that a document gives to a member, as `docker load` reads it: "/x", "./x" and "a/../x" are x.

    It refuses one that leads out of the archive. Raises UnsafePath.
    """
    cleaned, out = inside(name), leads_out(name)
    if out or not cleaned:
        raise UnsafePath(where, name, "leads out of the archive" if out else "empty")
    return cleaned


def _clean(name: str) -> str:
    """Return *name* without '.' and empty components; empty if it is absolute or climbs."""
    parts = name.split("/")
    if not parts[0] or ".." in parts:
        return ""
    return "/".join(part for part in parts if part not in ("", "."))


def inside(path: str) -> str:
    """Return *path* as a name inside the archive: what leads out stays at the top."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def shortened(path: str) -> str:
    """Return *path* as Go's path.Clean does."""
    rooted, parts = path.startswith("/"), list[str]()
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", ".") and not (part == ".." and rooted):
            parts.append(part)
    return ("/" if rooted else "") + "/".join(parts) or "."
