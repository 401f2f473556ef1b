"""Errors of the world outside, files, daemons and this process's resources, and what Python's own errors mean there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EIO, EMFILE, ENFILE, ENOENT, ENOMEM, ENOTDIR
from typing import Final, Literal, Self

from occy_fast.errors.base import OccyError, shown, with_fields
from occy_fast.errors.request import MissingFile

LESS_MEMORY: Final = "fewer workers, a lower level, or more memory (ulimit -v, the container's limit)"
MORE_THREADS: Final = (
    "fewer workers, a higher limit (ulimit -u, the container's pids limit), or more memory for their stacks"
)
MORE_FILES: Final = "allow more open files (ulimit -n)"
_NO_FILES: Final = frozenset({EMFILE, ENFILE})
_UNMAPPED: Final = "failed to map segment"           # a library that a module needs, as the dynamic loader says it

Side = Literal["source", "destination"]


@with_fields
class TransportError(OccyError):
    """A registry or daemon failed.

    Attributes:
        side: where it stands in what was asked for.
        status: of its answer.
        retryable: whether asking again can help.
    """

    exit_code = 7
    side: Side
    where: str
    status: int | None
    problem: str
    retryable: bool = False

    def describe(self) -> str:
        status = "" if self.status is None else f" (status {self.status})"
        return f"{shown(self.side)}: {super().describe()}{status}"


class DaemonError(TransportError):
    """A container daemon refused."""


@with_fields
class OutputError(OccyError, OSError):
    """The destination could not be written."""

    exit_code = 1
    _place = "path"
    path: str
    errno: int
    operation: str

    def _keep(self, *values: object) -> None:
        super()._keep(*values)
        self.filename, self.strerror = self.path, os.strerror(self.errno)

    def describe(self) -> str:
        place = f"{shown(self.path)}: " if self.path else ""
        return f"{place}cannot {shown(self.operation)}: {os.strerror(self.errno)}"

    def at(self, where: str) -> Self:
        """Return the same error with *where* as its path, if it has none yet."""
        return self if self.path else super().at(where)


@with_fields
class InputError(OccyError, OSError):
    """It is there, and cannot be read: the disk fails, access is denied, no descriptor is left."""

    exit_code = 11
    where: str
    errno: int
    path: str = ""
    remedy: str | None = None

    def _keep(self, *values: object) -> None:
        super()._keep(*values)
        self.filename, self.strerror = self.path or self.where, os.strerror(self.errno)

    def describe(self) -> str:
        place = f"{shown(self.path)}: " if self.path and self.path not in self.where else ""
        return f"{place}cannot be read: {os.strerror(self.errno)}"


@with_fields
class ResourceError(OccyError):
    """Memory, threads or open files of this process ran out; *resource* is which of them."""

    exit_code = 1
    where: str
    resource: str
    problem: str = ""
    remedy: str | None = None

    def describe(self) -> str:
        text = f"not enough {shown(self.resource)}"
        return f"{text}: {shown(self.problem)}" if self.problem else text


def unreadable(error: OSError, where: str, path: str = "", remedy: str | None = None) -> OccyError:
    """Return what *error* means, which opening or reading *path* has met; an error of ours is itself."""
    if isinstance(error, OccyError):
        return error
    if error.errno in (ENOENT, ENOTDIR):
        return MissingFile(where, path or "file", error.errno, remedy)
    if error.errno == ENOMEM:
        return ResourceError(where, "memory", "the system has none left to read with", LESS_MEMORY)
    return InputError(where, error.errno or EIO, path, remedy)


def unwritable(error: OSError, path: str, operation: str) -> OccyError:
    """Return what *error* means, which *operation* has met at the destination; an error of ours is itself."""
    if isinstance(error, OccyError):
        return error
    found = exhausted(error)
    return OutputError(path, error.errno or EIO, operation) if found is None else found.at(path)


def is_shortage(error: OccyError) -> bool:
    """Tell whether *error* is of this process, which lacks memory, threads or open files, and not of what it reads."""
    return isinstance(error, ResourceError) or (isinstance(error, InputError) and error.errno in _NO_FILES)


def exhausted(error: BaseException) -> ResourceError | None:
    """Return what *error* means where memory, threads or open files ran out and nothing nearer has said so."""
    if isinstance(error, OccyError):
        return None
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == ENOMEM or (isinstance(error, ImportError) and _UNMAPPED in text):
        return ResourceError("", "memory", "", LESS_MEMORY)
    if isinstance(error, RuntimeError) and "can't start new thread" in text:
        return ResourceError("", "threads", "none can be started", MORE_THREADS)
    if number in _NO_FILES:
        return ResourceError("", "open files", os.strerror(number), MORE_FILES)
    return None


@contextmanager
def resource_errors() -> Iterator[None]:
    """Turn what Python raises when memory, threads or open files run out into a ResourceError."""
    try:
        yield
    except (MemoryError, OSError, ImportError, RuntimeError) as error:
        if (found := exhausted(error)) is None:
            raise
        raise found from error


@contextmanager
def read_errors(where: str, path: str = "") -> Iterator[None]:
    """Turn an OSError of a source into MissingFile or InputError."""
    try:
        yield
    except OccyError:                                # it is named already
        raise
    except OSError as error:
        raise unreadable(error, where, path) from error
