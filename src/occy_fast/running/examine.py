"""One look at what a locator names: how it holds images, the images and, on demand, every layer."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from occy_fast.errors import (
    BadReference,
    Cancelled,
    InputError,
    LimitError,
    MissingBlob,
    NotFound,
    OccyError,
    ResourceError,
    TransportError,
    Unsupported,
    UnsupportedFormat,
    UsageError,
)
from occy_fast.running.source_traits import selected
from occy_fast.running.verify import let_pass, prove
from occy_fast.transports.archive.stream import ArchiveStream
from occy_fast.transports.archive.view import Onlooker, survey
from occy_fast.transports.locator import DAEMONS, parse_locator
from occy_fast.transports.opening import open_source

if TYPE_CHECKING:
    from occy_fast.context.access import Access
    from occy_fast.context.progress import ProgressCallback
    from occy_fast.image.image import Contents
    from occy_fast.image.loader_view import Shape
    from occy_fast.running.stream_run import Passed
    from occy_fast.running.verify import VerifyReport
    from occy_fast.spec.limits import Limits
    from occy_fast.transports.base import Source
    from occy_fast.transports.locator import Locator

_INNOCENT = (NotFound, InputError, UsageError, LimitError, TransportError, ResourceError, Cancelled)


class Seen(NamedTuple):
    """What a look has shown.

    Attributes:
        shape: how the images are held; None for a daemon, which keeps no archive.
        contents: the images; None where nothing holds any, or they cannot be read.
        unread: why they cannot; None where the shape says it, or they can.
        report: what reading every layer has shown; None where nobody asked.
    """

    shape: Shape | None
    contents: Contents | None = None
    unread: OccyError | None = None
    report: VerifyReport | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """A look to be taken, with verify's arguments.

    Attributes:
        deep: read every layer.
    """

    locator: str
    limits: Limits
    access: Access
    deep: bool
    workers: int | None
    progress: ProgressCallback | None
    cancel: threading.Event | None

    def take(self) -> Seen:
        """Look; what comes by once is seen as it comes, and only then.

        Raises UsageError, NotFound, InputError, Unsupported, LimitError, Cancelled, TransportError.
        """
        where = parse_locator(self.locator)
        with open_source(self.locator, self.limits, self.access, lenient=True, workers=self.workers) as source:
            return self._by_once(source, where) if isinstance(source, ArchiveStream) else self._in_place(source, where)

    def _in_place(self, source: Source, where: Locator) -> Seen:
        shape = selected(survey(self.locator, self.limits), where)
        if shape is not None and shape.layout in ("broken", "empty"):
            return Seen(shape)
        try:
            contents = source.read()
        except OccyError as error:
            return _unread(shape, error, where)
        return self._prove(shape, contents, {})

    def _by_once(self, source: ArchiveStream, where: Locator) -> Seen:
        onlooker = None if where.transport in DAEMONS else Onlooker(source, self.limits)
        passed: Mapping[str, Passed] = {}
        try:
            if self.deep:
                passed = let_pass(source, self.workers, False, self.progress, self.cancel, self.limits)
            else:
                for _ in source.arrivals(self.cancel):
                    pass
        except OccyError as error:
            broken = _of_the_image(error)
            if onlooker is None and isinstance(error, Unsupported):
                raise                                    # it is the daemon that cannot be spoken to
            return Seen(None, unread=broken) if onlooker is None else Seen(onlooker.shape(broken))
        shape = None if onlooker is None else selected(onlooker.shape(), where)
        if shape is not None and shape.layout == "empty":
            return Seen(shape)
        try:
            contents = source.contents({name: found.address for name, found in passed.items()})
        except OccyError as error:
            return _unread(shape, error, where)
        return self._prove(shape, contents, passed)

    def _prove(self, shape: Shape | None, contents: Contents, passed: Mapping[str, Passed]) -> Seen:
        if not self.deep:
            return Seen(shape, contents)
        report = prove(contents, passed, self.workers, False, self.progress, self.cancel, self.limits)
        for finding in report.errors:
            if isinstance(finding.error, InputError):    # of the disk, and not of the image
                raise finding.error
        return Seen(shape, contents, report=report)


def _unread(shape: Shape | None, error: OccyError, where: Locator) -> Seen:
    """Return that the images cannot be read; raise what they are not guilty of, as that there is something else."""
    if isinstance(error, UnsupportedFormat) and where.transport in ("oci", "oci-archive"):
        raise error
    return Seen(shape, unread=_of_the_image(error))


def _of_the_image(error: OccyError) -> OccyError:
    """Return what an image is guilty of; raise what it is not: a wrong locator, a limit, a failing disk or daemon."""
    if isinstance(error, MissingBlob | BadReference):    # a NotFound and a UsageError that stand in the image
        return error
    if isinstance(error, _INNOCENT):
        raise error
    return error
