"""Errors of what was read: bytes, documents and names that are not what they must be, or more than allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from occy_fast.errors.base import OccyError, shown, with_fields

if TYPE_CHECKING:
    from occy_fast.spec.digest import Digest


class IntegrityError(OccyError, ValueError):
    """Bytes are not what they claim to be."""

    exit_code = 4
    problem: str


@with_fields
class DigestMismatch(IntegrityError):
    """The bytes that arrived are not the bytes the descriptor names."""

    message = "expected {expected}, found {found}"
    where: str
    expected: Digest
    found: Digest


@with_fields
class SizeMismatch(IntegrityError):
    """There are more or fewer bytes than the descriptor names."""

    message = "expected {expected} bytes, found {found}"
    where: str
    expected: int
    found: int


@with_fields
class LayerCountMismatch(IntegrityError):
    """Manifest, diff_ids and history do not count the same layers."""

    message = "expected {expected} layers, found {found}"
    where: str
    expected: int
    found: int


@with_fields
class CorruptStream(IntegrityError):
    """A compressed stream is broken, or ends before its verified end; *offset* counts its bytes."""

    message = "{problem} at byte {offset}"
    where: str
    offset: int
    problem: str


@with_fields
class MediaTypeConflict(IntegrityError):
    """Two places disagree about what a document or blob is."""

    message = "expected {expected}, found {found}"
    where: str
    expected: str
    found: str


class BadArchive(IntegrityError):
    """An archive or layout is not built as its format demands."""


class BadManifest(IntegrityError):
    """A manifest, index or config is not built as its specification demands."""


class BadJSON(IntegrityError):
    """The text is not JSON, or JSON that readers understand differently."""


@with_fields
class DuplicateKey(IntegrityError):
    """One JSON object has a key twice, or two that differ in case only."""

    where: str
    path: str
    key: str
    other: str

    def describe(self) -> str:
        place = f"at {shown(self.path)}"
        if self.key == self.other:
            return f"key '{shown(self.key)}' appears twice {place}"
        return f"keys '{shown(self.key)}' and '{shown(self.other)}' differ in case only {place}"


@with_fields
class DuplicateEntry(IntegrityError):
    """An archive has two entries of one name, and readers differ in which they take."""

    message = "entry '{name}' appears twice"
    where: str
    name: str | bytes


class BadDescriptor(IntegrityError):
    """A descriptor lacks a field, or has one that cannot be."""


@with_fields
class BadDigest(IntegrityError):
    """The string is not a digest, or one of an algorithm that proves nothing."""

    message = "'{found}' is no digest: {problem}"
    where: str
    found: str
    problem: str


@with_fields
class TarError(IntegrityError):
    """A tar stream is broken at *offset*, counted in its uncompressed bytes."""

    message = "{problem} at byte {offset} of the tar"
    where: str
    offset: int
    problem: str


class TarHeaderError(TarError):
    """A header has a field that cannot be."""


class TarChecksumError(TarError):
    """A header's checksum does not hold."""


class TarPaxError(TarError):
    """A PAX record is malformed."""


class TarTruncated(TarError):
    """The tar ends inside an entry, or an archive without its end."""


class TarFormatError(TarError):
    """The bytes are not a tar, or a dialect that is not read."""


class TarAmbiguous(TarError):
    """Readers are known to disagree about this entry."""


@with_fields
class PathError(OccyError):
    """A name would lead out of the place it belongs to."""

    exit_code = 4
    message = "'{name}': {problem}"
    where: str
    name: str | bytes
    problem: str


class UnsafePath(PathError):
    """A path is absolute or climbs out."""


@with_fields
class LimitError(OccyError):
    """Something is larger, deeper or more than allowed.

    Attributes:
        limit: what is limited, in words.
        value: what was found or claimed.
        settings: the fields of `Limits` that allow more when they are raised; empty where nothing does.
    """

    exit_code = 6
    message = "{limit}: {value} exceeds the limit of {allowed}"
    where: str
    limit: str
    allowed: int
    value: int
    settings: tuple[str, ...]


class TarLimitError(LimitError, TarError):
    """A tar header asks for more than is granted to headers."""

    fields = ("where", "offset", "limit", "allowed", "value", "settings")
    message = f"{LimitError.message} at byte {{offset}} of the tar"

    def __init__(
        self, where: str, offset: int, limit: str, allowed: int, value: int, settings: tuple[str, ...]
    ) -> None:
        self._keep(where, offset, limit, allowed, value, settings)


class DecompressionBomb(LimitError):
    """A stream decodes to more than allowed."""


class WindowTooLarge(LimitError):
    """A zstd frame asks for more memory than allowed."""


class ManifestTooLarge(LimitError):
    """A manifest or index is larger than allowed."""


class ConfigTooLarge(LimitError):
    """An image config is larger than allowed."""
