"""What stands in the place where an archive is to be written: an image archive is replaced, and nothing else is."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from io import RawIOBase
from itertools import chain, islice
from typing import TYPE_CHECKING

from occy_fast.errors import OccyError, Unsupported
from occy_fast.files.spool import temporary_directory
from occy_fast.spec.limits import LIMITS
from occy_fast.streams.decode import decode_whole
from occy_fast.streams.sniff import SNIFF_SIZE, sniff
from occy_fast.streams.tar import begins_tar, scan_region
from occy_fast.streams.tar_stream import TarStream
from occy_fast.transports.archive.members import inside
from occy_fast.transports.locator import STREAM

if TYPE_CHECKING:
    from occy_fast.streams.decode import Buffer
    from occy_fast.streams.tar import Entry

_EMPTY_TAR = 10_240                                  # bytes of a tar without members; disk images begin with zeros, too
_PIECE = 64 << 10
_BEGIN = 64                                          # bytes of a document that show what it is
_PACKED = (".gz", ".tgz", ".zst", ".xz", ".bz2")
_IMAGE_MEMBER = re.compile(
    r"manifest\.json|index\.json|oci-layout|repositories|blobs/sha(?:256|512)(?:/.*)?"
    r"|[0-9a-f]{64}(?:/.*|\.json|\.tar.*)?|sha256:[0-9a-f]{64}.*"
)
_MOST_ENTRIES = 4096                                 # that are looked at for one of these
_MOST_DECODED = 16 << 20                             # bytes, where decoding is what it takes


def notes_on(path: str, where: str) -> tuple[str, ...]:
    """Say of *path*, where an archive is to be, what is replaced there, and what it is called that it is not.

    Raises Unsupported: something else stands there, which nobody meant.
    """
    if path == STREAM:
        return (f"standard output cannot be patched: the archive is made in {temporary_directory()}, without a name",)
    misnamed = (f"{path} is written as a plain tar, whatever its name says",) if path.endswith(_PACKED) else ()
    return (*_replaced(path, where), *misnamed)


def _replaced(path: str, where: str) -> tuple[str, ...]:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return ()                            # what that means, opening the stage says
            head = file.read(SNIFF_SIZE) or b""
            if not head:
                return ()
            problem = _problem(file, head, status.st_size)
    except PermissionError as error:
        problem = "a file stands there that may not be read, so that nobody knows what would be lost"
        raise Unsupported(where, problem, "remove it, or name another") from error
    except OSError:                                  # there is nothing, or whoever opens it says what is wrong
        return ()
    if problem:
        raise Unsupported(where, problem, "remove it, or name another")
    return (f"{path} is there, and is replaced",)


def _problem(file: RawIOBase, head: bytes, size: int) -> str:
    """Say why a file that begins with *head* is not to be replaced; empty for an image archive and an empty tar."""
    codec = sniff(head).codec
    block = head if codec == "none" else _first_block(codec, head, file)
    if not (begins_tar(block) and (any(block) or size <= _EMPTY_TAR)):
        return "a file stands there that is no archive"
    if not any(block):
        return ""
    entries = scan_region(file.fileno(), 0, size, where="", limits=LIMITS) if codec == "none" else _decoded(codec, file)
    with suppress(OccyError):                        # of a broken one, what can be seen counts
        for entry in islice(entries, _MOST_ENTRIES):
            name = inside(entry.name.decode("utf-8", "replace"))
            if _IMAGE_MEMBER.fullmatch(name) and not (name == "manifest.json" and _is_other(entry, file, codec)):
                return ""
    return "a tar stands there that holds no image"


def _is_other(entry: Entry, file: RawIOBase, codec: str) -> bool:
    """Tell a manifest.json that lists no images, as browsers want one of an application."""
    if codec != "none":
        return False
    return os.pread(file.fileno(), _BEGIN, entry.data_offset).lstrip()[:1] == b"{"


def _decoded(codec: str, file: RawIOBase) -> Iterator[Entry]:
    """Yield the first entries of a tar that is compressed as a whole."""
    file.seek(0)
    with closing(decode_whole(codec, _pieces(file), "", LIMITS)) as decoded:  # type: ignore[type-var]
        yield from TarStream(_first(decoded), where="", limits=LIMITS).entries()


def _first(buffers: Iterator[Buffer]) -> Iterator[Buffer]:
    seen = 0
    for buffer in buffers:
        yield buffer
        seen += len(buffer)
        if seen >= _MOST_DECODED:
            return


def _pieces(file: RawIOBase) -> Iterator[bytes]:
    return iter(lambda: file.read(_PIECE) or b"", b"")


def _first_block(codec: str, head: bytes, file: RawIOBase) -> bytes:
    """Return the first 512 decoded bytes of *file*, of which *head* was read; fewer where it cannot be decoded."""
    block = b""
    with suppress(OccyError), closing(decode_whole(codec, chain([head], _pieces(file)), "", LIMITS)) as decoded:  # type: ignore[type-var]
        for piece in decoded:
            block += piece
            if len(block) >= SNIFF_SIZE:
                break
    return block[:SNIFF_SIZE]
