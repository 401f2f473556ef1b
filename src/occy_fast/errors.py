"""Name every way in which occy_fast can fail, with the exit code of each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EIO, EMFILE, ENFILE, ENOENT, ENOMEM, ENOTDIR
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from occy_fast.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from occy_fast.image.place import Place
    from occy_fast.spec.digest import Digest

# A password may hold what should have been escaped: a slash behind `USER:` begins a path only where a port ends before.
_USERINFO = re.compile(r"(?<=://)(?:[^/?#\s]*@|(?!\[)[^/?#\s@]+:(?![0-9]*[/?#])[^\s@]*@)")
_WORD = re.compile(r"\S+")
_QUERY = re.compile(r"(?<![^\s?#\"'<>])(?=[^\s?#\"'<>]*://)([^\s?#\"'<>]*)\?[^\s\"'<>]*")
_LONGEST_FIELD = 300


def without_secrets(field: Any) -> Any:
    """Drop user names, passwords and signed queries from the URLs in *field*, a text or a tuple of them.

    A text may be a document of an image: the time grows with its length alone, whatever stands in it.
    """
    if isinstance(field, str) and "://" in field:
        return _QUERY.sub(r"\1?…", _WORD.sub(_without_login, field) if "@" in field else field)
    if isinstance(field, tuple):
        return tuple(without_secrets(item) for item in field)
    return field


def _without_login(word: re.Match[str]) -> str:
    head, at, rest = word[0].rpartition("@")         # behind every place the pattern looks at, there is an @ to stop it
    return _USERINFO.sub("…@", head + at) + rest


def _listed(items: Iterable[object]) -> str:
    return ", ".join(printable(str(item), _LONGEST_FIELD) for item in items) or "none"


def _shown(field: object) -> str:
    """Return *field* fit for a message: escaped, and cut where it would drown the rest."""
    return printable(field if isinstance(field, bytes) else str(field), _LONGEST_FIELD)


class OccyError(Exception):
    """Anything this library raises on purpose.

    `args` are the values of the fields that `fields` names, so that every error pickles and can be built again; URLs in
    them carry no secrets.

    Attributes:
        place: the part of the source it is about, where whoever raised it knows that; `where` is the text of it.
    """

    exit_code: ClassVar[int] = 1
    fields: ClassVar[tuple[str, ...]] = ("where", "problem", "remedy")
    where: str = ""
    remedy: str | None = None
    place: Place | None = None
    _place: ClassVar[str] = "where"

    def __init__(self, where: str, problem: str, remedy: str | None = None) -> None:
        self._keep(where, problem, remedy)

    def _keep(self, *values: object) -> None:
        values = tuple(without_secrets(value) for value in values)
        self.args = values
        for name, value in zip(self.fields, values, strict=True):
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {} if self.place is None else {"place": self.place}
        return type(self), self.args, state              # OSError's own would cut them

    def about(self, place: Place) -> Self:
        """Return this error, and have it say what it is about."""
        self.place = place
        return self

    def at(self, where: str) -> Self:
        """Return the same error, seen from the place that knows *where* it happened."""
        if self._place not in self.fields:
            return self
        values = [where if name == self._place else value for name, value in zip(self.fields, self.args, strict=True)]
        error = type(self)(*values)
        error.place = self.place
        error.__cause__, error.__context__, error.__traceback__ = self.__cause__, self.__context__, self.__traceback__
        return error

    def describe(self) -> str:
        """Return what was expected and found, without the place and the remedy."""
        return _shown(self.args[self.fields.index("problem")])

    def __str__(self) -> str:
        where, text = printable(self.where or ""), self.describe()
        text = f"{where}: {text}" if where else text
        return f"{text} ({printable(self.remedy)})" if self.remedy else text


class Cancelled(OccyError):
    """The caller asked to stop."""

    exit_code = 130
    fields = ("where",)

    def __init__(self, where: str = "") -> None:
        self._keep(where)

    def describe(self) -> str:
        return "cancelled"


# ---------------------------------------------------------------------------------------------------------- usage: 2


class UsageError(OccyError, ValueError):
    """The request itself cannot be understood."""

    exit_code = 2
    fields: ClassVar[tuple[str, ...]] = ("problem", "remedy")

    def __init__(self, problem: str, remedy: str | None = None) -> None:
        self._keep(problem, remedy)


class BadReference(UsageError):
    """The text is no image reference."""

    fields = ("text", "problem", "where")
    text: str
    problem: str

    def __init__(self, text: str, problem: str, where: str = "") -> None:
        self._keep(text, problem, where)

    def describe(self) -> str:
        return f"'{_shown(self.text)}' is no image reference: {_shown(self.problem)}"


class AmbiguousReference(UsageError):
    """Several images answer to the request, and one was asked for."""

    fields = ("where", "problem", "candidates", "remedy")
    candidates: tuple[str, ...]

    def __init__(self, where: str, problem: str, candidates: tuple[str, ...] = (), remedy: str | None = None) -> None:
        self._keep(where, problem, tuple(candidates), remedy)

    def describe(self) -> str:
        text = super().describe()
        return f"{text}: {_listed(self.candidates)}" if self.candidates else text


class UnknownTarget(UsageError):
    """No consumer of that name is known."""

    fields = ("name", "known")
    name: str
    known: tuple[str, ...]

    def __init__(self, name: str, known: tuple[str, ...] = ()) -> None:
        self._keep(name, tuple(known))

    def describe(self) -> str:
        return f"unknown target '{_shown(self.name)}'; known are: {_listed(self.known)}"


# ------------------------------------------------------------------------------------------------------ not found: 3


class NotFound(OccyError, LookupError):
    """What was asked for is not there."""

    exit_code = 3
    fields: ClassVar[tuple[str, ...]] = ("where", "what", "remedy")
    what: str

    def __init__(self, where: str, what: str, remedy: str | None = None) -> None:
        self._keep(where, what, remedy)

    def describe(self) -> str:
        return f"{_shown(self.what)} not found"


class MissingFile(NotFound, FileNotFoundError):
    """There is no such file, or no such directory on the way to it: *errno* is ENOENT or ENOTDIR."""

    fields = ("where", "what", "errno", "remedy")
    errno: int

    def __init__(self, where: str, what: str, errno: int = ENOENT, remedy: str | None = None) -> None:
        self._keep(where, what, errno, remedy)
        self.filename, self.strerror = self.what, os.strerror(errno)

    def describe(self) -> str:
        return f"{_shown(self.what)}: {os.strerror(self.errno)}"


class MissingBlob(NotFound):
    """A document names a blob that the source does not have."""

    fields = ("where", "digest")
    digest: Digest | str

    def __init__(self, where: str, digest: Digest | str) -> None:
        self._keep(where, digest)

    def describe(self) -> str:
        return f"blob {_shown(self.digest)} not found"


class MissingPlatform(NotFound):
    """The image is not made for the platform that was asked for."""

    fields = ("where", "wanted", "offered")
    wanted: str
    offered: tuple[str, ...]

    def __init__(self, where: str, wanted: str, offered: tuple[str, ...] = ()) -> None:
        self._keep(where, wanted, tuple(offered))

    def describe(self) -> str:
        return f"no image for {_shown(self.wanted)}; offered are: {_listed(self.offered)}"


# ------------------------------------------------------------------------------------------------------ integrity: 4


class IntegrityError(OccyError, ValueError):
    """Bytes are not what they claim to be."""

    exit_code = 4
    problem: str


class DigestMismatch(IntegrityError):
    """The bytes that arrived are not the bytes the descriptor names."""

    fields = ("where", "expected", "found")
    expected: Digest
    found: Digest

    def __init__(self, where: str, expected: Digest, found: Digest) -> None:
        self._keep(where, expected, found)

    def describe(self) -> str:
        return f"expected {_shown(self.expected)}, found {_shown(self.found)}"


class SizeMismatch(IntegrityError):
    """There are more or fewer bytes than the descriptor names."""

    fields = ("where", "expected", "found")
    expected: int
    found: int

    def __init__(self, where: str, expected: int, found: int) -> None:
        self._keep(where, expected, found)

    def describe(self) -> str:
        return f"expected {self.expected} bytes, found {self.found}"


class LayerCountMismatch(IntegrityError):
    """Manifest, diff_ids and history do not count the same layers."""

    fields = ("where", "expected", "found")
    expected: int
    found: int

    def __init__(self, where: str, expected: int, found: int) -> None:
        self._keep(where, expected, found)

    def describe(self) -> str:
        return f"expected {self.expected} layers, found {self.found}"


class CorruptStream(IntegrityError):
    """A compressed stream is broken, or ends before its verified end; *offset* counts its bytes."""

    fields = ("where", "offset", "problem")
    offset: int

    def __init__(self, where: str, offset: int, problem: str) -> None:
        self._keep(where, offset, problem)

    def describe(self) -> str:
        return f"{super().describe()} at byte {self.offset}"


class MediaTypeConflict(IntegrityError):
    """Two places disagree about what a document or blob is."""

    fields = ("where", "expected", "found")
    expected: str
    found: str

    def __init__(self, where: str, expected: str, found: str) -> None:
        self._keep(where, expected, found)

    def describe(self) -> str:
        return f"expected {_shown(self.expected)}, found {_shown(self.found)}"


class BadArchive(IntegrityError):
    """An archive or layout is not built as its format demands."""


class BadManifest(IntegrityError):
    """A manifest, index or config is not built as its specification demands."""


class BadJSON(IntegrityError):
    """The text is no JSON, or JSON that readers understand differently."""


class DuplicateKey(IntegrityError):
    """One JSON object has a key twice, or two that differ in case only."""

    fields = ("where", "path", "key", "other")
    path: str
    key: str
    other: str

    def __init__(self, where: str, path: str, key: str, other: str) -> None:
        self._keep(where, path, key, other)

    def describe(self) -> str:
        place = f"at {_shown(self.path)}"
        if self.key == self.other:
            return f"key '{_shown(self.key)}' appears twice {place}"
        return f"keys '{_shown(self.key)}' and '{_shown(self.other)}' differ in case only {place}"


class DuplicateEntry(IntegrityError):
    """An archive has two entries of one name, and readers differ in which they take."""

    fields = ("where", "name")
    name: str | bytes

    def __init__(self, where: str, name: str | bytes) -> None:
        self._keep(where, name)

    def describe(self) -> str:
        return f"entry '{_shown(self.name)}' appears twice"


class BadDescriptor(IntegrityError):
    """A descriptor lacks a field, or has one that cannot be."""


class BadDigest(IntegrityError):
    """The text is no digest, or one of an algorithm that proves nothing."""

    fields = ("where", "found", "problem")
    found: str

    def __init__(self, where: str, found: str, problem: str) -> None:
        self._keep(where, found, problem)

    def describe(self) -> str:
        return f"'{_shown(self.found)}' is no digest: {_shown(self.problem)}"


class TarError(IntegrityError):
    """A tar stream is broken at *offset*, counted in its uncompressed bytes."""

    fields: ClassVar[tuple[str, ...]] = ("where", "offset", "problem")
    offset: int

    def __init__(self, where: str | None, offset: int, problem: str) -> None:
        self._keep(where or "", offset, problem)

    def describe(self) -> str:
        return f"{super().describe()} at byte {self.offset} of the tar"


class TarHeaderError(TarError):
    """A header has a field that cannot be."""


class TarChecksumError(TarError):
    """A header's checksum does not hold."""


class TarPaxError(TarError):
    """A PAX record is malformed."""


class TarTruncated(TarError):
    """The tar ends inside an entry, or an archive without its end."""


class TarFormatError(TarError):
    """The bytes are no tar, or a dialect that is not read."""


class TarAmbiguous(TarError):
    """Readers are known to disagree about this entry."""


# ----------------------------------------------------------------------------------------------------------- paths: 4


class PathError(OccyError):
    """A name would lead out of the place it belongs to."""

    exit_code = 4
    fields = ("where", "name", "problem")
    name: str | bytes
    problem: str

    def __init__(self, where: str, name: str | bytes, problem: str) -> None:
        self._keep(where, name, problem)

    def describe(self) -> str:
        return f"'{_shown(self.name)}': {super().describe()}"


class UnsafePath(PathError):
    """A path is absolute or climbs out."""


class UnsafeLink(PathError):
    """A link points out."""


class UnsafeWhiteout(PathError):
    """A whiteout names what it must not hide."""


class UnsafeInode(PathError):
    """An entry is of a type that must not be created or read here."""


# ----------------------------------------------------------------------------------------------------- unsupported: 5


class Unsupported(OccyError):
    """The request is understood, and cannot be met."""

    exit_code = 5
    problem: str


class UnsupportedFormat(Unsupported):
    """The format is known or unknown, but not handled."""

    fields = ("where", "found", "remedy")
    found: str

    def __init__(self, where: str, found: str, remedy: str | None = None) -> None:
        self._keep(where, found, remedy)

    def describe(self) -> str:
        return f"format not supported: {_shown(self.found)}"


class UnsupportedMediaType(Unsupported):
    """The media type cannot be handled in this place."""

    fields = ("where", "found", "remedy")
    found: str

    def __init__(self, where: str, found: str, remedy: str | None = None) -> None:
        self._keep(where, found, remedy)

    def describe(self) -> str:
        return f"media type not supported: {_shown(self.found)}"


class ForeignLayerRefused(Unsupported):
    """A layer is only to be had from URLs that the image names, and those are not followed."""

    fields = ("where", "digest", "urls", "remedy")
    digest: Digest | str
    urls: tuple[str, ...]

    def __init__(self, where: str, digest: Digest | str, urls: tuple[str, ...] = (), remedy: str | None = None) -> None:
        self._keep(where, digest, tuple(urls), remedy)

    def describe(self) -> str:
        return f"layer {_shown(self.digest)} is only to be had from {_listed(self.urls)}"


# ---------------------------------------------------------------------------------------------------------- limits: 6


class LimitError(OccyError):
    """Something is larger, deeper or more than allowed.

    Attributes:
        limit: what is limited, in words.
        value: what was found or claimed.
        settings: the fields of `Limits` that allow more when they are raised; empty where nothing does.
    """

    exit_code = 6
    fields: ClassVar[tuple[str, ...]] = ("where", "limit", "allowed", "value", "settings")
    limit: str
    allowed: int
    value: int
    settings: tuple[str, ...]

    def __init__(self, where: str, limit: str, allowed: int, value: int, settings: tuple[str, ...]) -> None:
        self._keep(where, limit, allowed, value, tuple(settings))

    def describe(self) -> str:
        return f"{_shown(self.limit)}: {self.value} exceeds the limit of {self.allowed}"


class TarLimitError(LimitError, TarError):
    """A tar header asks for more than is granted to headers."""

    fields = ("where", "offset", "limit", "allowed", "value", "settings")

    def __init__(
        self, where: str | None, offset: int, limit: str, allowed: int, value: int, settings: tuple[str, ...]
    ) -> None:
        self._keep(where or "", offset, limit, allowed, value, tuple(settings))

    def describe(self) -> str:
        return f"{LimitError.describe(self)} at byte {self.offset} of the tar"


class DecompressionBomb(LimitError):
    """A stream decodes to more than allowed."""


class WindowTooLarge(LimitError):
    """A zstd frame asks for more memory than allowed."""


class ManifestTooLarge(LimitError):
    """A manifest or index is larger than allowed."""


class ConfigTooLarge(LimitError):
    """An image config is larger than allowed."""


# ------------------------------------------------------------------------------------------------------- transport: 7


class TransportError(OccyError):
    """A registry or daemon failed; *status* is its answer's, *retryable* whether asking again can help."""

    exit_code = 7
    fields: ClassVar[tuple[str, ...]] = ("side", "where", "status", "problem", "retryable")
    side: str
    status: int | None
    problem: str
    retryable: bool

    def __init__(self, side: str, where: str, status: int | None, problem: str, retryable: bool = False) -> None:
        self._keep(side, where, status, problem, retryable)

    def describe(self) -> str:
        status = "" if self.status is None else f" (status {self.status})"
        return f"{_shown(self.side)}: {super().describe()}{status}"


class RegistryError(TransportError):
    """A registry refused; *codes* are its own words for it."""

    fields = ("side", "where", "status", "problem", "retryable", "codes")
    codes: tuple[str, ...]

    def __init__(
        self,
        side: str,
        where: str,
        status: int | None,
        problem: str,
        retryable: bool = False,
        codes: tuple[str, ...] = (),
    ) -> None:
        self._keep(side, where, status, problem, retryable, tuple(codes))

    def describe(self) -> str:
        text = super().describe()
        return f"{text}: {_listed(self.codes)}" if self.codes else text


class DaemonError(TransportError):
    """A container daemon refused."""


class AuthRealmRefused(TransportError):
    """A registry sends credentials to a place that it does not vouch for."""


class RedirectRefused(TransportError):
    """A redirect leads where it must not."""


# ---------------------------------------------------------------------------------------------------------- the rest: 1


class OutputError(OccyError, OSError):
    """The destination could not be written."""

    exit_code = 1
    fields = ("path", "errno", "operation")
    _place = "path"
    path: str
    errno: int
    operation: str

    def __init__(self, path: str, errno: int, operation: str) -> None:
        self._keep(path, errno, operation)
        self.filename, self.strerror = self.path, os.strerror(errno)

    def describe(self) -> str:
        place = f"{_shown(self.path)}: " if self.path else ""
        return f"{place}cannot {_shown(self.operation)}: {os.strerror(self.errno)}"

    def at(self, where: str) -> Self:
        """Return the same error with *where* as its path, if it has none yet."""
        return self if self.path else super().at(where)


LESS_MEMORY: Final = "fewer workers (--jobs), a lower level, or more memory (ulimit -v, the container's limit)"
MORE_THREADS: Final = (
    "fewer workers (--jobs), a higher limit (ulimit -u, the container's pids limit), or more memory for their stacks"
)
MORE_FILES: Final = "allow more open files (ulimit -n)"
_NO_FILES: Final = frozenset({EMFILE, ENFILE})
_UNMAPPED: Final = "failed to map segment"           # a library that a module needs, as the dynamic loader says it


class ResourceError(OccyError):
    """Memory, threads or open files of this process ran out; *resource* is which of them."""

    exit_code = 1
    fields = ("where", "resource", "problem", "remedy")
    resource: str
    problem: str

    def __init__(self, where: str, resource: str, problem: str = "", remedy: str | None = None) -> None:
        self._keep(where, resource, problem, remedy)

    def describe(self) -> str:
        text = f"not enough {_shown(self.resource)}"
        return f"{text}: {_shown(self.problem)}" if self.problem else text


class PlanStale(OccyError):
    """The world changed under the plan."""

    exit_code = 1
    problem: str


# ---------------------------------------------------------------------------------------------------------- input: 11


class InputError(OccyError, OSError):
    """It is there, and cannot be read: the disk fails, access is denied, no descriptor is left."""

    exit_code = 11
    fields = ("where", "errno", "path", "remedy")
    errno: int
    path: str

    def __init__(self, where: str, errno: int, path: str = "", remedy: str | None = None) -> None:
        self._keep(where, errno, path, remedy)
        self.filename, self.strerror = self.path or self.where, os.strerror(errno)

    def describe(self) -> str:
        place = f"{_shown(self.path)}: " if self.path and self.path not in self.where else ""
        return f"{place}cannot be read: {os.strerror(self.errno)}"


def unreadable(error: OSError, where: str, path: str = "", remedy: str | None = None) -> OccyError:
    """Return what *error* means, which opening or reading *path* has met; an error of ours is itself."""
    if isinstance(error, OccyError):
        return error
    if error.errno in (ENOENT, ENOTDIR):
        return MissingFile(where, path or "file", error.errno, remedy)
    if error.errno == ENOMEM:
        return ResourceError(where, "memory", "the system has none left to read with", LESS_MEMORY)
    return InputError(where, error.errno or EIO, path, remedy)


def unwritable(error: OSError, path: str, operation: str) -> OccyError:
    """Return what *error* means, which *operation* has met at the destination; an error of ours is itself."""
    if isinstance(error, OccyError):
        return error
    found = exhausted(error)
    return OutputError(path, error.errno or EIO, operation) if found is None else found.at(path)


def is_shortage(error: OccyError) -> bool:
    """Tell whether *error* is of this process, which lacks memory, threads or open files, and not of what it reads."""
    return isinstance(error, ResourceError) or (isinstance(error, InputError) and error.errno in _NO_FILES)


def exhausted(error: BaseException) -> ResourceError | None:
    """Return what *error* means where memory, threads or open files ran out and nothing nearer has said so."""
    if isinstance(error, OccyError):
        return None
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == ENOMEM or (isinstance(error, ImportError) and _UNMAPPED in text):
        return ResourceError("", "memory", "", LESS_MEMORY)
    if isinstance(error, RuntimeError) and "can't start new thread" in text:
        return ResourceError("", "threads", "none can be started", MORE_THREADS)
    if number in _NO_FILES:
        return ResourceError("", "open files", os.strerror(number), MORE_FILES)
    return None


@contextmanager
def resource_errors() -> Iterator[None]:
    """Turn what Python raises when memory, threads or open files run out into a ResourceError."""
    try:
        yield
    except (MemoryError, OSError, ImportError, RuntimeError) as error:
        if (found := exhausted(error)) is None:
            raise
        raise found from error


@contextmanager
def read_errors(where: str, path: str = "") -> Iterator[None]:
    """Turn an OSError of a source into MissingFile or InputError."""
    try:
        yield
    except OccyError:                                # it is named already
        raise
    except OSError as error:
        raise unreadable(error, where, path) from error
