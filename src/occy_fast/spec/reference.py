"""Image references: registry/repository:tag@digest."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from occy_fast.errors import BadDigest, BadReference
from occy_fast.spec.digest import Digest

DEFAULT_REGISTRY: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
LONGEST_REPOSITORY: Final = 255

# The grammar of distribution/reference, name by name.
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME = rf"(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
_TAG = r"\w[\w.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

NAME: Final = re.compile(_NAME, re.ASCII)
TAG: Final = re.compile(_TAG, re.ASCII)
REFERENCE: Final = re.compile(rf"(?P<name>{_NAME})(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?", re.ASCII)
IDENTIFIER: Final = re.compile("[a-f0-9]{64}", re.ASCII)

# Longer than any reference can be; matching is linear, but messages and memory need not be.
_LONGEST = 4096


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """The name of an image.  (distribution/reference)

    Attributes:
        registry: never empty: what names none means ``docker.io``.
        repository: the path in the registry, ``library/`` included.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    def full(self) -> str:
        """Return the reference with nothing left out: ``docker.io/library/x:1``."""
        return f"{self.registry}/{self.repository}{self._suffix()}"

    def familiar(self) -> str:
        """Return the reference as Docker shows it: ``x:1``."""
        return f"{self.familiar_name()}{self._suffix()}"

    def familiar_name(self) -> str:
        """Return registry and repository as Docker shows them, and so that they are read as what they are."""
        if self.registry != DEFAULT_REGISTRY:
            return f"{self.registry}/{self.repository}"
        for name in (self.repository.removeprefix("library/"), self.repository):
            if _split(name) == (self.registry, self.repository) and not IDENTIFIER.fullmatch(name):
                return name
        return f"{self.registry}/{self.repository}"

    def with_default_tag(self) -> Reference:
        """Return the reference with the tag ``latest`` if it has neither tag nor digest."""
        return self if self.tag is not None or self.digest is not None else replace(self, tag=DEFAULT_TAG)

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        return f"{tag}@{self.digest}" if self.digest is not None else tag

    def __str__(self) -> str:
        return self.full()


def parse_reference(text: str, where: str = "") -> Reference:
    """Read a reference in its full or its familiar form; no tag is added.

    Raises:
        BadReference: the text is none; *where* it stands is for the message.
    """
    if len(text) > _LONGEST:
        raise BadReference(text[:_LONGEST], f"longer than {_LONGEST} characters", where)
    if IDENTIFIER.fullmatch(text):
        raise BadReference(text, "64 hexadecimal digits are an image ID", where)
    registry, rest = _split(text)
    match = REFERENCE.fullmatch(f"{registry}/{rest}")
    if match is None or match["domain"] != registry:
        raise BadReference(text, _reason(text, rest), where)
    if len(match["path"]) > LONGEST_REPOSITORY:
        raise BadReference(text, f"repository longer than {LONGEST_REPOSITORY} characters", where)
    try:
        digest = Digest.parse(match["digest"]) if match["digest"] is not None else None
    except BadDigest as error:
        raise BadReference(text, error.describe(), where) from None
    return Reference(registry, match["path"], match["tag"], digest)


def _split(name: str) -> tuple[str, str]:
    """Return the registry and the rest, as Docker tells them apart: a registry has a dot, a colon or a capital."""
    head, slash, rest = name.partition("/")
    if not slash:
        return DEFAULT_REGISTRY, f"library/{name}"
    if head == "index.docker.io":
        head = DEFAULT_REGISTRY
    elif head != "localhost" and "." not in head and ":" not in head and head == head.lower():
        head, rest = DEFAULT_REGISTRY, name
    if head == DEFAULT_REGISTRY and "/" not in rest:
        rest = f"library/{rest}"
    return head, rest


def _reason(text: str, rest: str) -> str:
    if not text:
        return "it is empty"
    if "://" in text:
        return "it is a URL"
    repository = rest.partition("@")[0].partition(":")[0]
    return "a repository is lower-case" if repository != repository.lower() else "not of the form name[:tag][@digest]"
