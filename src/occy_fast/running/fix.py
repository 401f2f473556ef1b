"""The command that makes of an image what a target reads."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.errors import OccyError
from occy_fast.planning.choices import platform_to_ask_for
from occy_fast.planning.goal import Goal
from occy_fast.planning.narrowing import fit_target
from occy_fast.running.delivery import loads_files_alone, pulls_directories
from occy_fast.running.source_traits import host_architecture
from occy_fast.spec.platform import Platform
from occy_fast.transports.locator import STREAM, is_pipe
from occy_fast.transports.opening import check_destination, open_destination, parse_locator
from occy_fast.words import shell_command

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.image.image import Contents
    from occy_fast.image.loader_view import LoaderView
    from occy_fast.targets.target import Target
    from occy_fast.transports.locator import Locator


_SUFFIX = re.compile(r"(?:\.tar)?(?:\.(?:gz|zst|xz|bz2))?$|\.t[gx]z$")

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LONGEST_NAME = 100                                      # a reference may have 255 characters, with its registry


@dataclass(frozen=True, slots=True)
class Mend:
    """How an image is made that a target reads.

    Attributes:
        command: the whole command line.
        destination: what it makes: the path of an archive, or the locator of a directory.
        directory: it makes a directory.
    """

    command: str
    destination: str
    directory: bool = False


def find_mend(
    where: Locator, target: Target, view: LoaderView | None, contents: Contents | None, call: Call
) -> Mend | None:
    """Return what makes of *where* what *target* reads, beside it; None where no locator can say it."""
    selector = f":{where.reference}" if where.reference else ""
    source, options = where.text, list[str]()
    directory = view is not None and view.layout == "layout"
    stem = _stem(where, contents, directory=directory, known=view is not None)
    if directory and not loads_files_alone(target):
        kind, made = "oci", f"{stem}-{target.name}"
    else:
        layout = view is not None and view.layout == "oci-archive" and not target.refuses("load.oci_archive")
        several = contents is not None and len(contents.images) > 1
        if layout and several and target.refuses("load.oci_several_entries"):
            layout = False                               # as a docker-archive it may list them all
            if target.refuses("load.multi_image"):
                if ":" in where.path:
                    return None
                source = f"oci-archive:{where.path}:@0"
        kind, made = "oci-archive" if layout else "docker-archive", f"{stem}-{target.name}.tar"
    destination = _named(f"{kind}:{made}", selector if kind != "docker-archive" else "")
    if view is not None and view.images and len(view.images) > 1 and target.refuses("load.multi_image"):
        source = f"docker-archive:{where.path}:@0" if not selector else where.text
        if ":" in where.path:
            return None
    if contents is not None:
        try:
            held = open_destination(parse_locator(destination), "universal", call).capabilities()
            capabilities = fit_target(held, Goal(target=target), destination)
        except OccyError:                                # no plan would lead there
            return None
        platform = platform_to_ask_for(contents, capabilities, Platform("linux", host_architecture()))
        options = [] if platform is None else ["--platform", str(platform)]
        chosen = contents.images[:1] if source != where.text else contents.images
        if len(chosen) == 1 and (chosen[0].wrong_names or not chosen[0].names):
            proposed = _proposed_name(stem, chosen[0].ref)
            if capabilities.names == "reference":
                options += ["--tag", proposed]
            elif kind == "oci-archive" or pulls_directories(target):
                destination = f"{kind}:{made}:{proposed}"
        elif target.refuses("load.keeps_unnamed") and not all(named.names for named in chosen):
            return None                                  # one name for several would be wrong
    if source.startswith("-") and where.path != STREAM:
        source = f"./{source}"
    options += [word for allowed in call.follow_links for word in ("--follow-links", allowed)]
    command = shell_command(["occy-fast", "convert", source, destination, "--target", target.name, *options])
    return Mend(command, destination if kind == "oci" else made, kind == "oci")


def _stem(where: Locator, contents: Contents | None, *, directory: bool, known: bool) -> str:
    """Return what the path of what is made begins with."""
    path = where.path if known or contents is None else contents.kind
    if is_pipe(where) or path.startswith(("/dev/", "/proc/")):
        path = "image"
    return _beside(path) if directory else _SUFFIX.sub("", _beside(path), count=1)


def _proposed_name(path: str, ref: str | None) -> str:
    """Propose a name for an image that has none, by the file or directory it is in and its ref name there."""
    words = "-".join(re.findall(r"[a-z0-9]+", os.path.basename(path).lower()))
    tag = ref if ref is not None and _TAG.fullmatch(ref) else "latest"
    return f"{words[:_LONGEST_NAME].rstrip('-') or 'image'}:{tag}"


def _named(destination: str, selector: str) -> str:
    """Return *destination* with a selector, unless it is a name that others gave and that may not be written."""
    with suppress(OccyError):
        check_destination(parse_locator(destination + selector))
        return destination + selector
    return destination


def _beside(path: str) -> str:
    """Return *path* as the begin of a destination's, in which a colon would end it: beside it, or where one is."""
    path = path.rstrip("/")
    path = os.path.realpath(path) if os.path.basename(path) in ("", ".", "..") else path
    directory, slash, name = path.rpartition("/")
    return name.replace(":", "-") if ":" in directory else f"{directory}{slash}{name.replace(':', '-')}"
