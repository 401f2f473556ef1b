"""Which reader an archive is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from occy_fast.engine.layer_job import NO_PROOFS, Proofs
from occy_fast.errors import TarError, UnsupportedFormat
from occy_fast.streams.foreign import foreign, mangled
from occy_fast.streams.sniff import SNIFF_SIZE
from occy_fast.transports.archive.docker_reader import DockerArchiveReader
from occy_fast.transports.archive.members import CleanNames
from occy_fast.transports.archive.oci_reader import OciArchiveReader

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.transports.locator import Locator


def check_foreign(head: bytes, where: str, error: TarError, before: bytes = b"") -> None:
    """Raise UnsupportedFormat where what begins with *head*, and is no tar for *error*, is known to be something else.

    Args:
        before: bytes in front of where it breaks, if they can be had.
    """
    found = foreign(head) if error.offset < SNIFF_SIZE else mangled(before)
    if found is not None:
        raise UnsupportedFormat(where, f"{found.kind}, where an archive is expected", found.remedy) from error


def archive_reader(
    locator: Locator,
    members: CleanNames,
    call: Call,
    *,
    lenient: bool = False,
    proofs: Proofs = NO_PROOFS,
) -> DockerArchiveReader | OciArchiveReader:
    """Return what makes images of *members*: what the locator names, else what is there.

    Args:
        lenient, proofs: as DockerArchiveReader takes them.

    Where manifest.json stands beside a layout, it is docker save's, and says how the images are called.
    """
    is_layout = "oci-layout" in members or "index.json" in members
    if locator.transport == "oci-archive" or (not locator.transport and is_layout and "manifest.json" not in members):
        return OciArchiveReader(locator, call.limits)
    return DockerArchiveReader(locator, call, lenient=lenient, proofs=proofs)
