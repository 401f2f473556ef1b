"""Locators: text such as "oci:/path:tag", and the transport each one means."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from occy_fast.errors import BadReference, Unsupported, UnsupportedFormat, UsageError, unreadable
from occy_fast.planning.access import USUAL_ACCESS, Access
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.spec.reference import parse_reference

if TYPE_CHECKING:
    from occy_fast.planning.goal import ArchiveLayout
    from occy_fast.transports.base import Destination, Source

TRANSPORTS = ("docker-archive", "oci", "oci-archive")

DAEMONS = ("docker-daemon", "podman")
"""Transports without a path: all that stands behind the first colon is the name of an image."""

STREAM = "-"
"""The path that stands for standard input, or standard output."""

_LATER = frozenset({"docker", "nix", "ostree", "rootfs", "bundle"})
_WORD = re.compile(r"[a-z][a-z0-9-]*")
_IMAGE_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
SHORT_ID = re.compile(r"(?:sha256:)?([0-9a-f]{12,63})")   # as docker images prints them
_INDEX = re.compile(r"@(0|[1-9][0-9]{0,8})")
_REF = re.compile(r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*(?:/[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*)*")
_GRAMMAR = {
    "docker-archive": "docker-archive:PATH[:NAME:TAG|:@INDEX]",
    "oci": "oci:DIR[:REF|:@INDEX]",
    "oci-archive": "oci-archive:PATH[:REF|:@INDEX]",
}


_GRAMMAR |= {word: f"{word}:NAME[:TAG]" for word in DAEMONS}


@dataclass(frozen=True, slots=True)
class Locator:
    """Where images are, or are to go.

    Attributes:
        text: as the caller wrote it.
        transport: one of TRANSPORTS; empty where it is to be detected.
        path: file or directory.
        reference: NAME:TAG of a docker-archive, REF of a layout.
        index: which image, counted from 0 in the order of manifest.json or index.json.
    """

    text: str
    transport: str
    path: str
    reference: str | None = None
    index: int | None = None


def parse_locator(text: str) -> Locator:
    """Parse a locator: TRANSPORT:PATH[:SELECTOR], or a path.  (skopeo's grammar)

    A word before the first colon is a transport; "./a:b" is a path; so is "a:b" where no transport has that name and
    such a file exists. The path ends at the first colon behind it; "-" is standard input or output. Raises
    UsageError, BadReference, Unsupported.
    """
    if not isinstance(text, str):
        raise UsageError(f"{text!r} is no locator", "a locator is text: str(path), or 'docker-archive:' and a path")
    if not text or "\0" in text:
        raise UsageError("a locator is empty or has a NUL in it", _remedy())
    word, colon, rest = text.partition(":")
    if not colon or not _WORD.fullmatch(word):
        return Locator(text, "", text)
    if word in DAEMONS:
        return Locator(text, word, "", _parse_name(rest, text))
    if word in TRANSPORTS:
        path, colon, selector = rest.partition(":")
        if not path:
            raise UsageError(f"'{text}' has no path", _remedy())
        if path == STREAM and word == "oci":
            raise UsageError(f"'{text}': a layout is a directory, and goes through no pipe", "oci:./- is a directory")
        if not colon:
            return Locator(text, word, path)
        if not selector:
            raise UsageError(f"'{text}' ends in a colon", f"the form is {_GRAMMAR[word]}")
        if selector.startswith("@"):
            found = _INDEX.fullmatch(selector)
            if not found:
                raise UsageError(f"'{selector}' in '{text}' is no index", f"the form is {_GRAMMAR[word]}")
            return Locator(text, word, path, index=int(found[1]))
        return Locator(text, word, path, _parse_selector(word, selector, text))
    if word in _LATER:
        raise Unsupported(text, f"the transport '{word}' is not available", _remedy())
    if os.path.lexists(text):
        return Locator(text, "", text)
    problem = f"'{word}' in '{text}' is no transport, and there is no file of that name"
    raise UsageError(problem, _whole_path(text) or _remedy())


def open_source(
    text: str,
    limits: Limits = LIMITS,
    access: Access = USUAL_ACCESS,
    *,
    lenient: bool = False,
    workers: int | None = None,
) -> Source:
    """Open what a locator names for reading, within *limits*; the caller closes it.

    Args:
        lenient: make do with names in a docker-archive that some loaders refuse; see DockerArchiveReader.
        workers: that may share what reading takes, as an archive from before Docker 1.10 tells no diff_ids; None uses
            every processor.

    Raises what parse_locator does, and NotFound.
    """
    locator = parse_locator(text)
    if locator.transport in DAEMONS:
        from occy_fast.transports.daemon.source import DaemonSource

        return DaemonSource(locator, limits, access)
    if locator.transport == "oci" or (not locator.transport and _is_layout(locator)):
        from occy_fast.transports.oci_layout import OciLayoutSource

        return OciLayoutSource(locator, limits)
    from occy_fast.transports.archive_stream import ArchiveStream, comes_by_once

    if comes_by_once(locator):
        return ArchiveStream(locator, limits, lenient=lenient)
    from occy_fast.transports.archive_file import ArchiveFile

    return ArchiveFile(locator, limits, lenient=lenient, workers=workers)


def check_access(access: Access, *locators: str) -> None:
    """Raise UsageError where *access* asks for what none of *locators* has, or one socket for two kinds of daemon."""
    kinds = {locator.transport for locator in map(parse_locator, locators)} & set(DAEMONS)
    if access != USUAL_ACCESS and not kinds:
        asked = ", ".join(
            f"{field.name.replace('_', ' ')} {value}"
            for field in fields(access)
            if (value := getattr(access, field.name)) != field.default
        )
        named = " or ".join(f"{transport}:NAME" for transport in DAEMONS)
        raise UsageError(f"{asked}: that is for a daemon, and none is named", f"leave it out, or name {named}")
    if access.socket is not None and len(kinds) > 1:
        remedy = "name the sockets by DOCKER_HOST and CONTAINER_HOST"
        raise UsageError(f"the socket '{access.socket}' cannot be that of docker and that of podman", remedy)


def open_destination(
    text: str, archive_layout: ArchiveLayout = "universal", access: Access = USUAL_ACCESS
) -> Destination:
    """Name what is to be written; nothing is touched before stage(). Raises what parse_locator does.

    Args:
        archive_layout: how a docker-archive is to be built; nothing else has a choice.
        access: how a daemon is reached.
    """
    locator = parse_locator(text)
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
        from occy_fast.transports.daemon.destination import DaemonDestination

        return DaemonDestination(locator, access)
    ref = None if locator.transport == "docker-archive" else locator.reference
    if ref is not None and not _REF.fullmatch(ref):
        problem = "letters and digits joined by one of - . _ : @ + or --, components by /"
        raise BadReference(ref, problem, text)
    if locator.transport == "oci":
        from occy_fast.transports.oci_layout import OciLayoutDestination

        return OciLayoutDestination(locator)
    if locator.transport == "oci-archive":
        from occy_fast.transports.oci_archive import OciArchiveDestination

        return OciArchiveDestination(locator)
    from occy_fast.transports.docker_archive import DockerArchiveDestination

    return DockerArchiveDestination(locator, archive_layout)


def is_pipe(locator: Locator) -> bool:
    """Tell whether a locator names standard input, standard output or a FIFO."""
    if locator.path == STREAM:
        return True
    try:
        return stat.S_ISFIFO(os.stat(locator.path).st_mode)
    except OSError:                                  # whoever opens it says so
        return False


def _parse_name(name: str, text: str) -> str | None:
    """Return the name of an image as a daemon knows it, or its id; None for no name."""
    if not name:
        return None
    if image_id := _IMAGE_ID.fullmatch(name):
        return f"sha256:{image_id[1]}"
    reference = parse_reference(name, text)
    if reference.tag is not None and reference.digest is not None:
        raise BadReference(name, "it has a tag and a digest, and each names an image", text)
    return reference.with_default_tag().full()


def _parse_selector(transport: str, selector: str, text: str) -> str:
    if transport == "docker-archive":
        reference = parse_reference(selector)
        if reference.digest is not None:
            raise BadReference(selector, "an archive knows its images by NAME:TAG, not by digest", text)
        return reference.with_default_tag().full()
    return selector                                  # a layout may have any; what is written is checked


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


def _whole_path(path: str) -> str | None:
    """Say how an image in an archive is named, where a mere path looks as if that was meant."""
    before, colon, selector = path.partition(":")
    if not colon or not os.path.exists(before):
        return None
    transport = "oci" if os.path.isdir(before) else "docker-archive"
    other = "" if transport == "oci" else f" (or oci-archive:{before}:{selector})"
    return f"a mere path is taken whole; {transport}:{before}:{selector}{other} names an image in {before}"


def _remedy() -> str:
    *first, last = (_GRAMMAR[word] for word in (*TRANSPORTS, *DAEMONS))
    return f"available are {', '.join(first)} and {last}"
