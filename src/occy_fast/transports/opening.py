"""The table of transports: what their locators look like, and what opens them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Protocol

from occy_fast.context.access import USUAL_ACCESS, Access
from occy_fast.errors import Unsupported, UsageError, unreadable
from occy_fast.transports.locator import (
    STREAM,
    Locator,
    check_loaded_name,
    check_ref,
    parse_name,
    parse_ref,
    parse_tag,
)

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.planning.goal import ArchiveLayout
    from occy_fast.transports.base import Destination, Source

_WORD = re.compile(r"[a-z][a-z0-9-]*")
_INDEX = re.compile(r"@(0|[1-9][0-9]{0,8})")


class OpensSource(Protocol):
    """What opens a source."""

    def __call__(self, locator: Locator, call: Call, *, lenient: bool, for_loaders: bool) -> Source:
        """Open it; the keywords are those of open_source."""


@dataclass(frozen=True, slots=True)
class Transport:
    """A kind of place where images are.

    Attributes:
        form: what its locators look like.
        parse_reference: makes of the text that chooses an image, and of the whole locator for messages, what images are
            called there; None for no name. Raises BadReference.
        check_name: refuses what nothing can be called that is written there.
        source, destination: open one.
        has_path: behind the word is a file or directory, and behind that what chooses an image; otherwise it is all for
            choosing, and the place is reached as an Access says.
        has_pipe: the path may be "-".
        is_layout: what is there is an OCI layout, as a directory or in a tar; a docker-archive is no source for it.
        archive_layouts: how it can be built.
    """

    form: str
    parse_reference: Callable[[str, str], str | None]
    source: OpensSource
    destination: Callable[[Locator, ArchiveLayout, Call], Destination]
    check_name: Callable[[Locator], None] | None = None
    has_path: bool = True
    has_pipe: bool = True
    is_layout: bool = False
    archive_layouts: tuple[ArchiveLayout, ...] = ("universal",)


def _read_archive(locator: Locator, call: Call, *, lenient: bool, for_loaders: bool) -> Source:
    from occy_fast.transports.archive.file import ArchiveFile
    from occy_fast.transports.archive.streamed import StreamedArchive, is_streamed

    if is_streamed(locator):
        return StreamedArchive(locator, call, lenient=lenient, for_loaders=for_loaders)
    return ArchiveFile(locator, call, lenient=lenient)


def _write_docker_archive(locator: Locator, archive_layout: ArchiveLayout, _: Call) -> Destination:
    from occy_fast.transports.archive.docker_destination import DockerArchiveDestination

    return DockerArchiveDestination(locator, archive_layout)


def _write_oci_archive(locator: Locator, _: ArchiveLayout, __: Call) -> Destination:
    from occy_fast.transports.archive.oci_destination import OciArchiveDestination

    return OciArchiveDestination(locator)


def _read_layout(locator: Locator, call: Call, **_: bool) -> Source:
    from occy_fast.transports.layout.source import OciLayoutSource

    return OciLayoutSource(locator, call.limits, call.follow_links)


def _write_layout(locator: Locator, _: ArchiveLayout, call: Call) -> Destination:
    from occy_fast.transports.layout.destination import OciLayoutDestination

    return OciLayoutDestination(locator, call.limits)


def _read_daemon(locator: Locator, call: Call, **_: bool) -> Source:
    from occy_fast.transports.daemon.source import DaemonSource

    return DaemonSource(locator, call)


def _write_daemon(locator: Locator, _: ArchiveLayout, call: Call) -> Destination:
    from occy_fast.transports.daemon.destination import DaemonDestination

    return DaemonDestination(locator, call)


TRANSPORTS = {
    "docker-archive": Transport(
        "docker-archive:PATH[:NAME:TAG|:@INDEX]",
        parse_tag,
        _read_archive,
        _write_docker_archive,
        archive_layouts=("universal", "docker-20.10"),
    ),
    "oci": Transport(
        "oci:DIR[:REF|:@INDEX]", parse_ref, _read_layout, _write_layout, check_ref, has_pipe=False, is_layout=True
    ),
    "oci-archive": Transport(
        "oci-archive:PATH[:REF|:@INDEX]", parse_ref, _read_archive, _write_oci_archive, check_ref, is_layout=True
    ),
    "docker-daemon": Transport(
        "docker-daemon:NAME[:TAG]", parse_name, _read_daemon, _write_daemon, check_loaded_name, has_path=False
    ),
    "podman": Transport(
        "podman:NAME[:TAG]", parse_name, _read_daemon, _write_daemon, check_loaded_name, has_path=False
    ),
}
"""By the word that locators begin with, in the order in which people are told of them."""

_RESERVED = frozenset({"docker", "nix", "ostree", "rootfs", "bundle"})      # no file of such a name is meant by them


def parse_locator(locator: str | os.PathLike[str], directory: str = "") -> Locator:
    """Parse a locator: TRANSPORT:PATH[:SELECTOR], or a path.  (skopeo's grammar)

    A word before the first colon is a transport; "./a:b" is a path; so is "a:b" where no transport has that name and
    such a file exists. The path ends at the first colon behind it; "-" is standard input or output. An os.PathLike is
    a path whatever is in it.

    Args:
        directory: where a relative path starts, which is absolute then; empty leaves it to the working directory.
    Raises:
        UsageError, BadReference, Unsupported.
    """
    text = _path_text(os.fspath(locator)) if isinstance(locator, os.PathLike) else locator
    if not isinstance(text, str):
        raise UsageError(f"{locator!r} is no locator", "a locator is text, such as 'docker-archive:' and a path")
    parsed = _parse(text, directory)
    return replace(parsed, path=os.path.join(directory, parsed.path)) if parsed.is_relative else parsed


def _parse(text: str, directory: str) -> Locator:
    if not text or "\0" in text:
        raise UsageError("a locator is empty or has a NUL in it", _remedy())
    word, colon, rest = text.partition(":")
    if not colon or not _WORD.fullmatch(word):
        return Locator(text, "", text)
    if word in TRANSPORTS:
        return _parse_rest(word, rest, text)
    if word in _RESERVED:
        raise Unsupported(text, f"the transport '{word}' is not available", _remedy())
    if os.path.lexists(os.path.join(directory, text)):
        return Locator(text, "", text)
    problem = f"'{word}' in '{text}' is no transport, and there is no file of that name"
    raise UsageError(problem, _whole_path(text) or _remedy())


def _parse_rest(word: str, rest: str, text: str) -> Locator:
    """Parse what stands behind the *word* of a transport; *text* is the whole locator."""
    transport = TRANSPORTS[word]
    if not transport.has_path:
        return Locator(text, word, "", transport.parse_reference(rest, text))
    path, colon, selector = rest.partition(":")
    if not path:
        raise UsageError(f"'{text}' has no path", _remedy())
    if path == STREAM and not transport.has_pipe:
        raise UsageError(f"'{text}': a layout is a directory, and goes through no pipe", f"{word}:./- is a directory")
    if not colon:
        return Locator(text, word, path)
    if not selector:
        raise UsageError(f"'{text}' ends in a colon", f"the form is {transport.form}")
    if selector.startswith("@"):
        found = _INDEX.fullmatch(selector)
        if not found:
            raise UsageError(f"'{selector}' in '{text}' is no index", f"the form is {transport.form}")
        return Locator(text, word, path, index=int(found[1]))
    return Locator(text, word, path, transport.parse_reference(selector, text))


def _path_text(path: str | bytes) -> str | bytes:
    """Return a path as a locator that cannot be taken for anything else; bytes stay what they are, which is none."""
    if isinstance(path, str) and (path == STREAM or (_WORD.fullmatch(path.partition(":")[0]) and ":" in path)):
        return f"./{path}"
    return path


def _whole_path(path: str) -> str | None:
    """Say how an image in an archive is named, where a mere path looks as if that was meant."""
    before, colon, selector = path.partition(":")
    if not colon or not os.path.exists(before):
        return None
    transport = "oci" if os.path.isdir(before) else "docker-archive"
    other = "" if transport == "oci" else f" (or oci-archive:{before}:{selector})"
    return f"a mere path is taken whole; {transport}:{before}:{selector}{other} names an image in {before}"


def _remedy() -> str:
    *first, last = (transport.form for transport in TRANSPORTS.values())
    return f"available are {', '.join(first)} and {last}"


def open_source(locator: Locator, call: Call, *, lenient: bool = False, for_loaders: bool = False) -> Source:
    """Open what a locator names for reading; the caller closes it.

    Args:
        lenient: make do with names in a docker-archive that some loaders refuse; see DockerArchiveReader.
        for_loaders: of a stream, keep also what only a loader finds, for its view.
    Raises:
        NotFound, InputError, UnsupportedFormat, UsageError.
    """
    word = locator.transport or ("oci" if _is_layout(locator) else "docker-archive")
    if call.follow_links and word != "oci":
        problem = f"links are followed in a directory, and '{locator.text}' is none"
        raise UsageError(problem, "leave follow_links (--follow-links) out, or name a layout")
    return TRANSPORTS[word].source(locator, call, lenient=lenient, for_loaders=for_loaders)


def names_layout(locator: Locator) -> bool:
    """Tell whether whoever wrote a locator says that an OCI layout is there."""
    return bool(locator.transport) and TRANSPORTS[locator.transport].is_layout


def check_access(access: Access, *locators: Locator) -> None:
    """Raise UsageError where *access* asks for what none of *locators* has, or one socket for two kinds of daemon."""
    kinds = {locator.transport for locator in locators if not locator.has_path}
    if access != USUAL_ACCESS and not kinds:
        asked = ", ".join(
            f"{field.name.replace('_', ' ')} {value}"
            for field in fields(access)
            if (value := getattr(access, field.name)) != getattr(USUAL_ACCESS, field.name)
        )
        named = " or ".join(f"{word}:NAME" for word, transport in TRANSPORTS.items() if not transport.has_path)
        raise UsageError(f"{asked}: that is for a daemon, and none is named", f"leave it out, or name {named}")
    if access.socket is not None and len(kinds) > 1:
        remedy = "name the sockets by DOCKER_HOST and CONTAINER_HOST"
        raise UsageError(f"the socket '{access.socket}' cannot be that of docker and that of podman", remedy)


def check_destination(locator: Locator, archive_layout: ArchiveLayout = "universal") -> None:
    """Raise UsageError or BadReference where nothing can be written under such a locator.

    Args:
        archive_layout: how a docker-archive is to be built; nothing else has a choice.
    """
    text, transport = locator.text, TRANSPORTS.get(locator.transport)
    if archive_layout != "universal" and (transport is None or archive_layout not in transport.archive_layouts):
        form = TRANSPORTS["docker-archive"].form
        problem = f"'{text}' is no docker-archive, and nothing else has the layout {archive_layout}"
        raise UsageError(problem, f"the form is {form}")
    if transport is None:
        raise UsageError(f"the destination '{text}' names no transport", _remedy())
    if locator.index is not None:
        raise UsageError(f"a destination has no index: '{text}'", f"the form is {transport.form}")
    if transport.check_name is not None:
        transport.check_name(locator)


def open_destination(locator: Locator, archive_layout: ArchiveLayout, call: Call) -> Destination:
    """Name what is to be written; nothing is touched before stage(). Raises what check_destination does."""
    check_destination(locator, archive_layout)
    return TRANSPORTS[locator.transport].destination(locator, archive_layout, call)


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
    from occy_fast.transports.layout.foreign import directory_refused

    try:
        found = any(_is_there(os.path.join(path, name)) for name in ("oci-layout", "index.json"))
    except OSError as error:
        raise unreadable(error, locator.text, path) from error
    if not found:
        raise directory_refused(path, locator.text, "a directory that is no layout")
    return True


def _is_there(path: str) -> bool:
    """Tell whether something has that name. Raises OSError where that cannot be seen."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True
