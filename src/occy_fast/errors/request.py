"""Errors of what was asked for: not understood, not there, not possible, or no longer as it was planned."""

from __future__ import annotations

import os
from errno import ENOENT
from typing import TYPE_CHECKING, ClassVar

from occy_fast.errors.base import OccyError, listed, shown, with_fields

if TYPE_CHECKING:
    from occy_fast.spec.digest import Digest


class UsageError(OccyError, ValueError):
    """The request itself cannot be understood."""

    exit_code = 2
    fields: ClassVar[tuple[str, ...]] = ("problem", "remedy")

    def __init__(self, problem: str, remedy: str | None = None) -> None:
        self._keep(problem, remedy)


@with_fields
class BadReference(UsageError):
    """The string is not an image reference."""

    message = "'{text}' is no image reference: {problem}"
    text: str
    problem: str
    where: str = ""


@with_fields
class AmbiguousReference(UsageError):
    """Several images answer to the request, and one was asked for."""

    where: str
    problem: str
    candidates: tuple[str, ...] = ()
    remedy: str | None = None

    def describe(self) -> str:
        return f"{super().describe()}: {listed(self.candidates)}" if self.candidates else super().describe()


@with_fields
class UnknownTarget(UsageError):
    """No consumer of that name is known."""

    message = "unknown target '{name}'; known are: {known}"
    name: str
    known: tuple[str, ...] = ()


class NotFound(OccyError, LookupError):
    """What was asked for is not there."""

    exit_code = 3
    fields: ClassVar[tuple[str, ...]] = ("where", "what", "remedy")
    message = "{what} not found"
    what: str

    def __init__(self, where: str, what: str, remedy: str | None = None) -> None:
        self._keep(where, what, remedy)


@with_fields
class MissingFile(NotFound, FileNotFoundError):
    """There is no such file, or no such directory on the way to it: *errno* is ENOENT or ENOTDIR."""

    where: str
    what: str
    errno: int = ENOENT
    remedy: str | None = None

    def _keep(self, *values: object) -> None:
        super()._keep(*values)
        self.filename, self.strerror = self.what, os.strerror(self.errno)

    def describe(self) -> str:
        return f"{shown(self.what)}: {os.strerror(self.errno)}"


@with_fields
class MissingBlob(NotFound):
    """A document names a blob that the source does not have."""

    message = "blob {digest} not found"
    where: str
    digest: Digest | str


@with_fields
class MissingPlatform(NotFound):
    """The image is not made for the platform that was asked for."""

    message = "no image for {wanted}; offered are: {offered}"
    where: str
    wanted: str
    offered: tuple[str, ...] = ()


class Unsupported(OccyError):
    """The request is understood, and cannot be met."""

    exit_code = 5
    problem: str


@with_fields
class UnsupportedFormat(Unsupported):
    """The format is known or unknown, but not handled."""

    message = "format not supported: {found}"
    where: str
    found: str
    remedy: str | None = None


@with_fields
class UnsupportedMediaType(Unsupported):
    """The media type cannot be handled in this place."""

    message = "media type not supported: {found}"
    where: str
    found: str
    remedy: str | None = None


@with_fields
class ForeignLayerRefused(Unsupported):
    """A layer is only to be had from URLs that the image names, and those are not followed."""

    message = "layer {digest} is only to be had from {urls}"
    where: str
    digest: Digest | str
    urls: tuple[str, ...] = ()
    remedy: str | None = None


@with_fields
class LinkRefused(Unsupported):
    """A symbolic link of a layout leads out of it, to where the caller has not allowed it to lead."""

    message = "{problem}: {target}"
    where: str
    problem: str
    target: str
    remedy: str | None = None


class PlanStale(OccyError):
    """The world changed under the plan."""

    exit_code = 1
    problem: str
