"""Locators: text such as "oci:/path:tag", and what each part of one names."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, replace

from occy_fast.errors import BadReference, Unsupported, UsageError
from occy_fast.spec.reference import parse_reference

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


_GRAMMAR = {
    "docker-archive": "docker-archive:PATH[:NAME:TAG|:@INDEX]",
    "oci": "oci:DIR[:REF|:@INDEX]",
    "oci-archive": "oci-archive:PATH[:REF|:@INDEX]",
}


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
    if os.path.lexists(os.path.join(directory, text)):
        return Locator(text, "", text)
    problem = f"'{word}' in '{text}' is no transport, and there is no file of that name"
    raise UsageError(problem, _whole_path(text) or _remedy())


def _path_text(path: str | bytes) -> str | bytes:
    """Return a path as a locator that cannot be taken for anything else; bytes stay what they are, which is none."""
    if isinstance(path, str) and (path == STREAM or (_WORD.fullmatch(path.partition(":")[0]) and ":" in path)):
        return f"./{path}"
    return path


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
