"""The shape of what a locator names: an archive's members and manifest.json as loaders meet them, faults included."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from occy_fast.errors import (
    ConfigTooLarge,
    CorruptStream,
    LimitError,
    ManifestTooLarge,
    OccyError,
    TarError,
    TarTruncated,
    Unsupported,
    UnsupportedFormat,
    read_errors,
    unreadable,
)
from occy_fast.image.blob import SAVE_FIRST
from occy_fast.image.loader_view import Link, ListedImage, ListedLayer, Shape
from occy_fast.spec.limits import Limits
from occy_fast.streams.sniff import SNIFF_SIZE, begins_skippable, foreign_kind, may_be_json, sniff
from occy_fast.streams.tar import NO_END, scan_region
from occy_fast.transports.archive.legacy_reader import sign_of_a_cut
from occy_fast.transports.locator import STREAM, Locator

if TYPE_CHECKING:
    from occy_fast.streams.tar import Entry
    from occy_fast.transports.archive.stream import ArchiveStream

_LEGACY_NAME = re.compile(r"([0-9a-f]{64})/(?:json|layer\.tar|VERSION)")
_PATHS = ("", "docker-archive", "oci-archive", "oci")
_LONGEST_CHAIN = 40                                  # links a kernel follows, and with it a loader


def survey(where: Locator, limits: Limits) -> Shape | None:
    """Return the shape of what *where* names; None where a place has none, as a daemon's store.

    Nothing is refused for what it holds: an archive that no loader takes has a shape, too. Of one that is compressed as
    a whole no more is told than that: an Onlooker tells the rest when it comes by.

    Raises:
        UsageError, MissingFile: there is no such thing to be looked at.
        InputError: it cannot be read.
        Unsupported: it is a pipe, which would be gone afterwards.
        LimitError: more members than allowed.
    """
    locator = where.text
    if where.transport not in _PATHS:
        return None
    if where.path == STREAM:
        raise Unsupported(locator, "a pipe cannot be looked at before it is read", SAVE_FIRST)
    try:
        fd = os.open(where.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(error, locator, where.path) from error
    try:
        with read_errors(locator, where.path):
            status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            return Shape("layout")
        if not stat.S_ISREG(status.st_mode):
            raise Unsupported(locator, "a pipe or device cannot be looked at before it is read", SAVE_FIRST)
        with read_errors(locator, where.path):
            codec = sniff(os.pread(fd, SNIFF_SIZE, 0)).codec
        if codec != "none":
            return Shape("docker-archive", codec)
        return _archive(fd, status.st_size, locator, limits)
    finally:
        os.close(fd)


class Onlooker:
    """Looks on while an archive comes by that can be read only once, and tells its shape afterwards."""

    def __init__(self, source: ArchiveStream, limits: Limits) -> None:
        """Look at what comes by in *source*, from its begin."""
        self._source = source
        self._members = _Members(-1, source.locator, limits)
        source.watch(self._members.add)

    def shape(self, error: OccyError | None = None) -> Shape:
        """Return the shape of what came; *error* is what reading its entries raised.

        Raises Unsupported where a document was not kept, of which nobody can say then what a loader makes of it.
        """
        codec = self._source.codec
        if error is None:
            return _shape(self._members, codec)
        if not codec:                                    # not one byte came: loaders find no images in that
            return Shape("empty")
        if isinstance(error, UnsupportedFormat) and isinstance(error.__cause__, TarError):
            return Shape("broken", codec, problem=error.found, reason=_reason(error.__cause__))
        return Shape("broken", codec, problem=_problem(error), reason=_reason(error))


@dataclass(frozen=True, slots=True)
class _Member:
    """The last entry of its name, without what nobody asks of it, as an entry may bring a megabyte of PAX records.

    Attributes:
        target: of a link, where it leads.
        hard: it is a hard link.
        plain: it is a regular file whose bytes stand in one piece.
        seen: of a file that came by once, what its first bytes are, and whether decoders skip them.
        content: all bytes of such a file, where they were kept; none of what is no JSON, where somebody looks for some.
    """

    offset: int
    size: int
    target: str | None
    hard: bool
    file: bool
    plain: bool
    seen: tuple[str, bool] | None = None
    content: bytes | None = None


class _Members:
    """An archive unpacked by a loader that keeps every name inside: "../x" and "/x" are x."""

    def __init__(self, fd: int, where: str, limits: Limits) -> None:
        self._fd, self._where, self.limits = fd, where, limits
        self._names: dict[str, _Member] = {}
        self.directories: set[str] = set()
        self.climbing: list[str] = []
        self._length = 0

    def add(self, entry: Entry, head: bytes | None = None, content: bytes | None = None) -> None:
        raw = entry.name.decode("utf-8", "surrogateescape")
        name = inside(raw)
        target = entry.linkname.decode("utf-8", "surrogateescape") if entry.is_link else None
        if raw.startswith("../") or "/../" in raw:
            self.climbing.append(raw)
        if entry.is_directory:
            self.directories.add(name)
        elif entry.type not in b"gx":
            plain = entry.is_file and entry.sparse is None
            hard = entry.type == b"1"
            seen = None if head is None else (sniff(head).codec, begins_skippable(head))
            if head is not None and content is None and not may_be_json(head):
                content = b""
            self._names[name] = _Member(
                entry.data_offset, entry.stored, target, hard, entry.is_file, plain, seen, content
            )
        self._length += len(entry.name) + len(entry.linkname)
        count = max(len(self._names) + len(self.directories), len(self.climbing))
        if count > self.limits.member_count:
            raise LimitError(self._where, "members of an archive", self.limits.member_count, count)
        if self._length > self.limits.member_names:
            raise LimitError(self._where, "bytes of names in an archive", self.limits.member_names, self._length)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def follow(self, path: str) -> tuple[_Member | None, Link]:
        """Return the file that *path* leads to, and what kind of link stood first on the way."""
        name, first = inside(path), ""
        kind: Link = ""
        for _ in range(_LONGEST_CHAIN):
            member = self._names.get(name)
            if member is None or member.target is None:
                return member if member is not None and member.file else None, kind
            target, hard = member.target, member.hard
            base = "" if hard or target.startswith("/") else name.rpartition("/")[0]
            if not first:
                first = name
                kind = "hard" if hard else "absolute" if target.startswith("/") else "symbolic"
                if kind == "symbolic" and leads_out(f"{base}/{target}"):
                    kind = "escaping"
            name = inside(f"{base}/{target}")
        return None, kind

    def read(self, path: str, limit: int, too_large: type[LimitError]) -> bytes | None:
        """Return a document; None where there is none, or not in one piece. Raises LimitError, Unsupported."""
        member, _ = self.follow(path)
        if member is None or not member.plain:
            return None
        if member.size > limit:
            raise too_large(f"{self._where}: {path}", "document size", limit, member.size)
        if member.seen is None:
            with read_errors(self._where):
                return os.pread(self._fd, member.size, member.offset)
        if member.content is None:
            raise Unsupported(f"{self._where}: {path}", "it came by once, and was not kept", SAVE_FIRST)
        return member.content

    def looks(self, member: _Member) -> tuple[str, bool]:
        """Return what a file's first bytes are, and whether decoders skip them."""
        if member.seen is not None:
            return member.seen
        with read_errors(self._where):
            head = os.pread(self._fd, min(SNIFF_SIZE, member.size), member.offset)
        return sniff(head).codec, begins_skippable(head)


def inside(path: str) -> str:
    """Return *path* as a name inside the archive: what leads out stays at the top."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def leads_out(path: str) -> bool:
    """Tell whether a relative path climbs above where it begins."""
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return False


def _archive(fd: int, size: int, where: str, limits: Limits) -> Shape:
    if not size:
        return Shape("empty")
    members = _Members(fd, where, limits)
    try:
        for entry in scan_region(fd, 0, size, whole=True, where=where, limits=limits):
            members.add(entry)
    except LimitError:
        raise
    except TarError as error:
        with read_errors(where):
            kind = foreign_kind(os.pread(fd, SNIFF_SIZE, 0)) if error.offset < SNIFF_SIZE else ""
        problem = f"{kind}, where an archive is expected" if kind else _problem(error)
        return Shape("broken", problem=problem, reason=_reason(error))
    except OSError as error:
        raise unreadable(error, where) from error
    return _shape(members, "none")


def _problem(error: OccyError) -> str:
    """Say what is wrong, and what to do about it where the archive is cut short."""
    cut = isinstance(error, TarTruncated)
    return f"{error.describe()}: cut short, copy or save it again" if cut else error.describe()


def _reason(error: OccyError) -> str:
    """Return what Go's archive/tar says of an archive that cannot be read to its end; empty where it sees nothing."""
    if isinstance(error, TarTruncated) and error.problem == NO_END:
        return ""
    if isinstance(error, TarTruncated | CorruptStream):
        return "unexpected EOF"
    return "archive/tar: invalid tar header"


def _shape(members: _Members, codec: str) -> Shape:
    names = set(members)
    dual = "index.json" in names and "oci-layout" in names
    empty = Shape("empty", codec, climbing=tuple(members.climbing), repositories="repositories" in names)
    if "manifest.json" in names:
        raw = members.read("manifest.json", members.limits.docker_manifest, ManifestTooLarge)
        images = None if raw is None else _images(raw, members)
        return replace(empty, layout="docker-archive", dual=dual, images=images)
    if "oci-layout" in names or "index.json" in names:
        return replace(empty, layout="oci-archive")
    if sign := sign_of_a_cut(names):
        return replace(empty, layout="broken", problem=f"{sign}: cut short, save it again")
    legacy = {found[1] for name in names if (found := _LEGACY_NAME.fullmatch(name))}
    if not legacy:
        return empty
    tops = {name.partition("/")[0] for name in members.directories | {name for name in names if "/" in name}}
    strays = tuple(sorted(name for name in tops if name and f"{name}/json" not in names))
    return replace(empty, layout="legacy", strays=strays)


def _images(raw: bytes, members: _Members) -> tuple[ListedImage, ...] | None:
    """Read manifest.json as Go does; None where it is no list of images, () where it lists none."""
    try:
        document = _parse(raw)
    except (ValueError, RecursionError):
        return None
    if document is None:
        return ()
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        return None
    return tuple(_image(_in_any_case(item), members) for item in document)


def _image(item: dict[str, Any], members: _Members) -> ListedImage:
    paths = item.get("layers") or ()
    layers = tuple(_layer(path, members) for path in paths if isinstance(path, str)) if isinstance(paths, list) else ()
    tags = item.get("repotags") or ()
    named = tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
    path = item.get("config")
    config = path if isinstance(path, str) else ""
    raw = members.read(config, members.limits.config, ConfigTooLarge)
    if raw is None:
        return ListedImage(named, config, layers, present=members.follow(config)[0] is not None, readable=False)
    try:
        document = _parse(raw)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return ListedImage(named, config, layers, readable=False)
    document = _in_any_case(document)
    rootfs, history = document.get("rootfs"), document.get("history")
    diff_ids = (_in_any_case(rootfs).get("diff_ids") or ()) if isinstance(rootfs, dict) else None
    return ListedImage(
        named,
        config,
        layers,
        diff_ids=tuple(map(str, diff_ids)) if isinstance(diff_ids, list | tuple) else None,
        made=_made(history) if isinstance(history, list) and history else None,
        os=_text(document.get("os")),
        architecture=_text(document.get("architecture")),
    )


def _in_any_case(fields: dict[str, Any]) -> dict[str, Any]:
    """Return *fields* by their names in small letters: Go takes a key in any case, and the last of several."""
    return {key.casefold(): value for key, value in fields.items()}


def _parse(raw: bytes) -> Any:
    """Parse JSON as Go does: of any encoding but UTF-8 it knows nothing, nor of a mark for one. Raises ValueError."""
    return json.loads(raw.decode("utf-8", "replace"))


def _layer(path: str, members: _Members) -> ListedLayer:
    member, link = members.follow(path)
    if member is None:
        return ListedLayer(path, False, link)
    return ListedLayer(path, True, link, *members.looks(member))


def _made(history: list[Any]) -> int:
    return sum(not (isinstance(entry, dict) and _in_any_case(entry).get("empty_layer")) for entry in history)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
