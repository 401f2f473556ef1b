"""Locators: text such as "oci:/path:tag", and the transport each one means."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import fields
from typing import TYPE_CHECKING

from occy_fast.context.access import USUAL_ACCESS, Access
from occy_fast.errors import BadReference, UnsupportedFormat, UsageError, unreadable
from occy_fast.transports.locator import (
    _GRAMMAR,
    _IMAGE_ID,
    DAEMONS,
    SHORT_ID,
    STREAM,
    Locator,
    _remedy,
    _whole_path,
)

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.planning.goal import ArchiveLayout
    from occy_fast.transports.base import Destination, Source


_REF = re.compile(r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*(?:/[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*)*")


_GRAMMAR |= {word: f"{word}:NAME[:TAG]" for word in DAEMONS}


def open_source(locator: Locator, call: Call, *, lenient: bool = False, for_loaders: bool = False) -> Source:
    """Open what a locator names for reading; the caller closes it.

    Args:
        lenient: make do with names in a docker-archive that some loaders refuse; see DockerArchiveReader.
        for_loaders: of a stream, keep also what only a loader finds, for its view.
    Raises:
        NotFound, InputError, UnsupportedFormat.
    """
    if locator.transport in DAEMONS:
        from occy_fast.transports.daemon.source import DaemonSource

        return DaemonSource(locator, call)
    if locator.transport == "oci" or (not locator.transport and _is_layout(locator)):
        from occy_fast.transports.layout.source import OciLayoutSource

        return OciLayoutSource(locator, call.limits)
    from occy_fast.transports.archive.streamed import StreamedArchive, is_streamed

    if is_streamed(locator):
        return StreamedArchive(locator, call, lenient=lenient, for_loaders=for_loaders)
    from occy_fast.transports.archive.file import ArchiveFile

    return ArchiveFile(locator, call, lenient=lenient)


def check_access(access: Access, *locators: Locator) -> None:
    """Raise UsageError where *access* asks for what none of *locators* has, or one socket for two kinds of daemon."""
    kinds = {locator.transport for locator in locators} & set(DAEMONS)
    if access != USUAL_ACCESS and not kinds:
        asked = ", ".join(
            f"{field.name.replace('_', ' ')} {value}"
            for field in fields(access)
            if (value := getattr(access, field.name)) != getattr(USUAL_ACCESS, field.name)
        )
        named = " or ".join(f"{transport}:NAME" for transport in DAEMONS)
        raise UsageError(f"{asked}: that is for a daemon, and none is named", f"leave it out, or name {named}")
    if access.socket is not None and len(kinds) > 1:
        remedy = "name the sockets by DOCKER_HOST and CONTAINER_HOST"
        raise UsageError(f"the socket '{access.socket}' cannot be that of docker and that of podman", remedy)


def check_destination(locator: Locator, archive_layout: ArchiveLayout = "universal") -> None:
    """Raise UsageError or BadReference where nothing can be written under such a locator.

    Args:
        archive_layout: how a docker-archive is to be built; nothing else has a choice.
    """
    text = locator.text
    if archive_layout != "universal" and locator.transport != "docker-archive":
        raise UsageError(
            f"'{text}' is no docker-archive, and nothing else has the layout {archive_layout}",
            f"the form is {_GRAMMAR['docker-archive']}",
        )
    if not locator.transport:
        raise UsageError(f"the destination '{text}' names no transport", _remedy())
    if locator.index is not None:
        raise UsageError(f"a destination has no index: '{text}'", f"the form is {_GRAMMAR[locator.transport]}")
    if locator.transport in DAEMONS:
        if locator.reference is not None and (_IMAGE_ID.fullmatch(locator.reference) or "@" in locator.reference):
            raise BadReference(locator.reference, "what is loaded gets names, and its id of itself", text)
        if SHORT_ID.fullmatch(text.partition(":")[2]):
            raise BadReference(text.partition(":")[2], "it looks like an id, and is a name only with a tag", text)
        return
    ref = None if locator.transport == "docker-archive" else locator.reference
    if ref is not None and not _REF.fullmatch(ref):
        problem = "letters and digits joined by one of - . _ : @ + or --, components by /"
        raise BadReference(ref, problem, text)


def open_destination(locator: Locator, archive_layout: ArchiveLayout, call: Call) -> Destination:
    """Name what is to be written; nothing is touched before stage(). Raises what check_destination does."""
    check_destination(locator, archive_layout)
    if locator.transport in DAEMONS:
        from occy_fast.transports.daemon.destination import DaemonDestination

        return DaemonDestination(locator, call)
    if locator.transport == "oci":
        from occy_fast.transports.layout.destination import OciLayoutDestination

        return OciLayoutDestination(locator, call.limits)
    if locator.transport == "oci-archive":
        from occy_fast.transports.archive.oci_destination import OciArchiveDestination

        return OciArchiveDestination(locator)
    from occy_fast.transports.archive.docker_destination import DockerArchiveDestination

    return DockerArchiveDestination(locator, archive_layout)


def _is_layout(locator: Locator) -> bool:
    """Tell whether a mere path is a layout's; else it is an archive's, and its members tell which.

    Raises MissingFile, InputError, UnsupportedFormat.
    """
    path = locator.path
    if path == STREAM:
        return False
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            return False
    except OSError as error:
        raise unreadable(error, locator.text, path, _whole_path(path)) from error
    try:
        os.lstat(os.path.join(path, "oci-layout"))
    except FileNotFoundError:
        raise UnsupportedFormat(locator.text, "a directory without oci-layout", _remedy()) from None
    except OSError as error:
        raise unreadable(error, locator.text, path) from error
    return True
