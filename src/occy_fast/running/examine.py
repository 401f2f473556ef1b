"""One look at what a locator names: how it holds images, the images and, on demand, every layer."""

from __future__ import annotations

from collections.abc import Mapping
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
from occy_fast.transports.locator import DAEMONS
from occy_fast.transports.opening import open_source

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.image.image import Contents
    from occy_fast.image.loader_view import Shape
    from occy_fast.running.stream_run import Passed
    from occy_fast.running.verify import VerifyReport
    from occy_fast.transports.base import Source
    from occy_fast.transports.locator import Locator

_INNOCENT = (NotFound, InputError, UsageError, LimitError, TransportError, ResourceError, Cancelled)


class Examination(NamedTuple):
    """What was found at a locator.

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


def examine(where: Locator, call: Call, *, deep: bool) -> Examination:
    """Look at what a locator names; a stream is seen as it comes, and only then.

    Args:
        deep: read every layer.
    Raises:
        UsageError, NotFound, InputError, Unsupported, LimitError, Cancelled, TransportError.
    """
    with open_source(where, call, lenient=True) as source:
        if isinstance(source, ArchiveStream):
            return _stream(source, where, call, deep=deep)
        return _in_place(source, where, call, deep=deep)


def _in_place(source: Source, where: Locator, call: Call, *, deep: bool) -> Examination:
    shape = selected(survey(where, call.limits), where)
    if shape is not None and shape.layout in ("broken", "empty"):
        return Examination(shape)
    try:
        contents = source.read()
    except OccyError as error:
        return _unread(shape, error, where)
    return _verified(shape, contents, {}, call) if deep else Examination(shape, contents)


def _stream(source: ArchiveStream, where: Locator, call: Call, *, deep: bool) -> Examination:
    onlooker = None if where.transport in DAEMONS else Onlooker(source, call.limits)
    passed: Mapping[str, Passed] = {}
    try:
        if deep:
            passed = let_pass(source, False, call)
        else:
            for _ in source.arrivals():
                pass
    except OccyError as error:
        broken = _of_the_image(error)
        if onlooker is None and isinstance(error, Unsupported):
            raise                                        # it is the daemon that cannot be spoken to
        return Examination(None, unread=broken) if onlooker is None else Examination(onlooker.shape(broken))
    shape = None if onlooker is None else selected(onlooker.shape(), where)
    if shape is not None and shape.layout == "empty":
        return Examination(shape)
    try:
        contents = source.contents({name: found.address for name, found in passed.items()})
    except OccyError as error:
        return _unread(shape, error, where)
    return _verified(shape, contents, passed, call) if deep else Examination(shape, contents)


def _verified(shape: Shape | None, contents: Contents, passed: Mapping[str, Passed], call: Call) -> Examination:
    report = prove(contents, passed, False, call)
    for finding in report.errors:
        if isinstance(finding.error, InputError):        # of the disk, and not of the image
            raise finding.error
    return Examination(shape, contents, report=report)


def _unread(shape: Shape | None, error: OccyError, where: Locator) -> Examination:
    """Return that the images cannot be read; raise what they are not guilty of, as that there is something else."""
    if isinstance(error, UnsupportedFormat) and where.transport in ("oci", "oci-archive"):
        raise error
    return Examination(shape, unread=_of_the_image(error))


def _of_the_image(error: OccyError) -> OccyError:
    """Return what an image is guilty of; raise what it is not: a wrong locator, a limit, a failing disk or daemon."""
    if isinstance(error, MissingBlob | BadReference):    # a NotFound and a UsageError that stand in the image
        return error
    if isinstance(error, _INNOCENT):
        raise error
    return error
