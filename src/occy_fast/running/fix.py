"""The command that makes of an image what a target reads."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from occy_fast.errors import OccyError, UsageError
from occy_fast.image.attestation import is_attestation
from occy_fast.image.graph import leaves
from occy_fast.image.image import Image, ImageIndex
from occy_fast.running.source_traits import host_architecture
from occy_fast.spec.platform import parse_platform
from occy_fast.transports.locator import STREAM, is_pipe, parse_locator
from occy_fast.transports.opening import check_destination
from occy_fast.words import shell_command

if TYPE_CHECKING:
    from occy_fast.image.image import Contents
    from occy_fast.image.loader_view import LoaderView
    from occy_fast.targets.target import Target
    from occy_fast.transports.locator import Locator


_SUFFIX = re.compile(r"(?:\.tar)?(?:\.(?:gz|zst|xz|bz2))?$|\.t[gx]z$")


def fix_command(where: Locator, target: Target, view: LoaderView | None, contents: Contents | None) -> str | None:
    """Return the command that makes of *where* what *target* reads, beside it; None where no locator can say it."""
    selector = f":{where.reference}" if where.reference else ""
    source, options = where.text, []
    if view is not None and view.layout == "layout":
        destination = _named(f"oci:{_beside(where.path)}-{target.name}", selector)
    else:
        path = where.path if view is not None or contents is None else contents.kind
        if is_pipe(where) or path.startswith(("/dev/", "/proc/")):
            path = "image"
        stem = _SUFFIX.sub("", _beside(path), count=1)
        layout = view is not None and view.layout == "oci-archive" and not target.refuses("load.oci_archive")
        kind = "oci-archive" if layout else "docker-archive"
        destination = _named(f"{kind}:{stem}-{target.name}.tar", selector if layout else "")
    if view is not None and view.images and len(view.images) > 1 and target.refuses("load.multi_image"):
        source = f"docker-archive:{where.path}:@0" if not selector else where.text
        if ":" in where.path:
            return None
    platforms = list(filter(_can_be_named, map(str, _platforms(contents)))) if contents is not None else []
    single = destination.startswith("docker-archive:") or target.refuses("pull.oci_index")
    if len(platforms) > 1 and single:
        own = f"linux/{host_architecture()}"
        options = ["--platform", own if own in platforms else platforms[0]]
    if source.startswith("-") and where.path != STREAM:
        source = f"./{source}"
    return shell_command(["occy-fast", "convert", source, destination, "--target", target.name, *options])


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


def _platforms(contents: Contents) -> list[object]:
    """Return the platforms of the first index there is, attestations left out."""
    for named in contents.images:
        if isinstance(named.root, ImageIndex):
            real = [leaf for leaf in leaves(named.root) if isinstance(leaf, Image) and not leaf.artifact]
            return [leaf.platform for leaf in real if leaf.platform is not None and not is_attestation(leaf)]
    return []


def _can_be_named(platform: str) -> bool:
    with suppress(UsageError):
        parse_platform(platform)
        return True
    return False
