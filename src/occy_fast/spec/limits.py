"""Limits: the most that what is read may ask for, before any memory is spent on it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Literal

from occy_fast.errors import ConfigTooLarge, LimitError, ManifestTooLarge, UsageError

DocumentLimit = Literal["manifest", "docker_manifest", "config"]
"""The limits that one document is read within."""

LARGEST_NUMBER: Final = (1 << 63) - 1
"""What the kernels count bytes with."""

# What a limit itself may be: what the kernels take, what recursion allows, and no less than a header needs.
_RANGES: Final[dict[str, tuple[int, int]]] = {
    "gzip_header": (10, (1 << 32) - 1),
    "zstd_window": (1 << 10, 1 << 31),
    "tar_extension": (0, (1 << 31) - 1),
    "tar_sparse_map": (0, (1 << 31) - 1),
    "tar_extension_count": (0, (1 << 31) - 1),
    "entry_count": (1, (1 << 31) - 1),
    "link_count": (0, 40),
    "index_depth": (1, 64),
    "json_depth": (1, 256),
}

_TOO_LARGE: Final[dict[DocumentLimit, type[LimitError]]] = {
    "manifest": ManifestTooLarge,
    "docker_manifest": ManifestTooLarge,
    "config": ConfigTooLarge,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """State how much of each thing is accepted; bytes, unless it says otherwise.

    What exceeds one of them is a LimitError that names it, found before the excess is read. Four are no LimitError: a
    gzip header (CorruptStream) and a chain of links (BadArchive), as what exceeds them is broken as well, and what was
    not kept of an archive that is streamed (Unsupported), as it can be read from a file; and of layers with too many
    entries, no verdict is given on whether they can be unpacked.

    Attributes:
        layer: the tar of one layer.
        ratio: of tar to source, past 256 MiB of what is decoded, by any decoder, before anybody can say what it should
            be: in recompress, of a layer or archive that is streamed, and where diff_ids are computed.
        gzip_header: one member's header, without the extra field, which the format bounds.
        zstd_window: what a zstd frame may keep in memory; a power of two.
        xz_memory: what an xz stream may make its decoder allocate.
        tar_extension: one PAX header or GNU long name.
        tar_sparse_map: the map of one sparse file.
        tar_extension_count: extension headers in front of one entry.
        entry_count: entries of one image's layers that are followed to tell whether they can be unpacked.
        member_count: members of an archive.
        member_names: all their names.
        stream_documents: small members kept of an archive that is streamed, until its manifest says what they are.
        stream_blob_count: members of such an archive that are not kept, and remembered instead.
        legacy_documents: all v1 images of a pre-1.10 archive, and all configs made of them.
        link_count: links in an archive that may lead from a name to its file, one after the other.
        manifest: one manifest or index.
        docker_manifest: manifest.json of a docker-archive.
        config: one image config.
        layer_count: layers of one image.
        index_depth: indexes inside one another.
        manifest_count: manifests and indexes in a source, each as often as it is named.
        json_depth: objects and arrays inside one another.
    Raises:
        UsageError: a limit that cannot be.
    """

    layer: int = 64 << 30
    ratio: int = 1000
    gzip_header: int = 64 << 10
    zstd_window: int = 128 << 20
    xz_memory: int = 128 << 20
    tar_extension: int = 1 << 20
    tar_sparse_map: int = 1 << 20
    tar_extension_count: int = 16
    entry_count: int = 4_000_000
    member_count: int = 200_000
    member_names: int = 32 << 20
    stream_documents: int = 24 << 20
    stream_blob_count: int = 16_384
    legacy_documents: int = 64 << 20
    link_count: int = 1
    manifest: int = 4 << 20
    docker_manifest: int = 1 << 20
    config: int = 4 << 20
    layer_count: int = 4096
    index_depth: int = 8
    manifest_count: int = 10_000
    json_depth: int = 64

    def __post_init__(self) -> None:
        for field in fields(self):
            check_limit(field.name, getattr(self, field.name), f"{field.name} limit")

    def check_document(self, kind: DocumentLimit, size: int, where: str, called: str = "document size") -> None:
        """Raise ManifestTooLarge or ConfigTooLarge for a document of *size* bytes that is larger than the limit *kind*.

        Args:
            where: the document, for messages, which say *called* of its size.
        """
        allowed: int = getattr(self, kind)
        if size > allowed:
            raise _TOO_LARGE[kind](where, called, allowed, size, (kind,))


def check_limit(name: str, value: object, called: str) -> None:
    """Raise UsageError unless the limit *name* may have that *value*; *called* is what the message calls it."""
    least, most = _RANGES.get(name, (1, LARGEST_NUMBER))
    remedy = f"it takes a number from {least} to {most}"
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UsageError(f"the {called} is '{value}'", remedy)
    if name == "zstd_window" and value.bit_count() != 1:
        raise UsageError(f"the {called} is '{value}'", f"{remedy} that is a power of two")


def check_written(kind: DocumentLimit, size: int, where: str) -> None:
    """Raise ManifestTooLarge or ConfigTooLarge for a document that was made and is larger than every reader accepts.

    What is made anew holds to the limits of those who are not told to accept more, whatever is accepted here. What
    keeps its bytes is not asked: it was accepted, and is what its digest names.
    """
    allowed: int = getattr(LIMITS, kind)
    if size > allowed:
        raise _TOO_LARGE[kind](where, "size of a document to be written", allowed, size, ())


LIMITS: Final = Limits()
"""What holds where nobody says otherwise."""

UNBOUNDED: Final = Limits(
    manifest=LARGEST_NUMBER, docker_manifest=LARGEST_NUMBER, config=LARGEST_NUMBER, json_depth=_RANGES["json_depth"][1]
)
"""For documents that were accepted before, by limits nobody remembers, or that are made here."""
