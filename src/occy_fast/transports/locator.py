"""Locators such as "oci:/path:tag" as values, and the grammar of what chooses an image; opens nothing."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass

from occy_fast.errors import BadReference
from occy_fast.spec.reference import parse_reference

STREAM = "-"
"""The path that stands for standard input, or standard output."""

SHORT_ID = re.compile(r"(?:sha256:)?([0-9a-f]{12,63})")   # as docker images prints them

_IMAGE_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_REF = re.compile(r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*(?:/[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*)*")


@dataclass(frozen=True, slots=True)
class Locator:
    """Where images are, or are to go.

    Attributes:
        text: as the caller wrote it.
        transport: the word of a Transport; empty where it is to be detected.
        path: file or directory; empty where images are asked for over a connection.
        reference: NAME:TAG of a docker-archive, REF of a layout, a daemon's name or id.
        index: which image, counted from 0 in the order of manifest.json or index.json.
    """

    text: str
    transport: str
    path: str
    reference: str | None = None
    index: int | None = None

    @property
    def has_path(self) -> bool:
        """Tell whether it names a file or directory, and nothing that is reached over a connection."""
        return bool(self.path)

    @property
    def is_relative(self) -> bool:
        """Tell whether the path starts in a directory that is not named."""
        return self.path not in ("", STREAM) and not os.path.isabs(self.path)


def working_directory() -> str:
    """Return where relative paths start; empty where that is gone."""
    try:
        return os.getcwd()
    except OSError:                                  # no relative path can be opened then, and whoever tries says so
        return ""


def is_pipe(locator: Locator) -> bool:
    """Tell whether a locator names standard input, standard output or a FIFO."""
    if locator.path == STREAM:
        return True
    try:
        return stat.S_ISFIFO(os.stat(locator.path).st_mode)
    except OSError:                                  # whoever opens it says so
        return False


def parse_name(name: str, text: str) -> str | None:
    """Return the name of an image as a daemon knows it, or its id; None for no name. Raises BadReference."""
    if not name:
        return None
    if image_id := _IMAGE_ID.fullmatch(name):
        return f"sha256:{image_id[1]}"
    reference = parse_reference(name, text)
    if reference.tag is not None and reference.digest is not None:
        raise BadReference(name, "it has a tag and a digest, and each names an image", text)
    return reference.with_default_tag().full()


def parse_tag(selector: str, text: str) -> str:
    """Return the name of an image as a docker-archive knows it. Raises BadReference."""
    reference = parse_reference(selector)
    if reference.digest is not None:
        raise BadReference(selector, "an archive knows its images by NAME:TAG, not by digest", text)
    return reference.with_default_tag().full()


def parse_ref(selector: str, text: str) -> str:  # noqa: ARG001
    """Return the ref name of an image in a layout: any that is there; what is written, check_ref checks."""
    return selector


def check_ref(locator: Locator) -> None:
    """Raise BadReference where nothing is to be called that in a layout.  (image-spec, "Annotations")"""
    if locator.reference is not None and not _REF.fullmatch(locator.reference):
        problem = "letters and digits joined by one of - . _ : @ + or --, components by /"
        raise BadReference(locator.reference, problem, locator.text)


def check_loaded_name(locator: Locator) -> None:
    """Raise BadReference where a daemon can call nothing that."""
    name = locator.reference
    if name is not None and (_IMAGE_ID.fullmatch(name) or "@" in name):
        raise BadReference(name, "what is loaded gets names, and its id of itself", locator.text)
    written = locator.text.partition(":")[2]
    if SHORT_ID.fullmatch(written):
        raise BadReference(written, "it looks like an id, and is a name only with a tag", locator.text)
