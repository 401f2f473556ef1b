"""What containerd keeps of a load that was cut off, cleared before it spoils the next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from occy_fast.errors import DaemonError
from occy_fast.files.tar_writer import END_OF_ARCHIVE, tar_member
from occy_fast.log import log

if TYPE_CHECKING:
    from collections.abc import Iterable

    from occy_fast.transports.daemon.client import DaemonClient

_LEFT = re.compile(r"total differs from status: [0-9]+ != ([0-9]+)|unexpected commit size ([0-9]+), expected")
"""How containerd says of how many bytes an upload is that it resumes: those announced, or those that came."""

_LARGEST = 16 << 20
_TRIES = 4


def clear_unfinished(client: DaemonClient, name: str, *before: tuple[str, bytes]) -> None:
    """Clear what is left of an upload that was cut off in the middle of an archive's member *name*.

    containerd keeps it for a day, and resumes it with whatever comes under that name: of another size it is refused,
    and of the same it ends as a mixture of both. An archive without an image, with a member of the size that is left,
    ends it and leaves nothing. What cannot be cleared so is left to the load itself, which then fails in its own words.

    Args:
        before: what the archive begins with.
    Raises DaemonError where the daemon cannot be reached.
    """
    data = b"{}"
    for _ in range(_TRIES):
        found = _LEFT.search(_try_load(client, (*before, (name, data))))
        size = int(next(filter(None, found.groups()))) if found else 0
        if not 0 < size <= _LARGEST:
            return
        log.info("%s: clears %d bytes left of a load that was cut off", client.kind.name, size)
        data = b" " * size


def _try_load(client: DaemonClient, members: Iterable[tuple[str, bytes]]) -> str:
    """Load a small archive, and return what the daemon has against it. Raises DaemonError for what is no answer."""
    raw = b"".join(tar_member(name, data) for name, data in members) + END_OF_ARCHIVE
    client.begin_load()
    try:
        client.end_load(whole=client.connection.send(raw))
    except DaemonError as error:
        if error.__cause__ is not None:              # the connection failed
            raise
        return str(error)
    finally:
        client.close()
    return ""
