"""One look at what a locator names: how it holds images, the images and, on demand, every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from occy_fast.engine.layer_job import NO_PROOFS, Proofs
from occy_fast.errors import (
    BadReference,
    Cancelled,
    InputError,
    LimitError,
    LinkRefused,
    MissingBlob,
    NotFound,
    OccyError,
    ResourceError,
    TransportError,
    Unsupported,
    UnsupportedFormat,
    UsageError,
)
from occy_fast.image.blob import StreamedBytes
from occy_fast.image.graph import layers, unreadable
from occy_fast.log import log
from occy_fast.running.verify import read_stream, verify_contents
from occy_fast.transports.base import is_stream
from occy_fast.transports.opening import names_layout, open_source

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.image.image import Contents
    from occy_fast.image.loader_view import LoaderView
    from occy_fast.running.unpacking import Unpacking
    from occy_fast.running.verify import VerifyReport
    from occy_fast.transports.base import Source, StreamSource
    from occy_fast.transports.locator import Locator

_INNOCENT = (NotFound, InputError, UsageError, LimitError, LinkRefused, TransportError, ResourceError, Cancelled)


class Examination(NamedTuple):
    """What was found at a locator.

    Attributes:
        view: how a loader meets the images; None for a daemon, which keeps no archive.
        contents: the images; None where nothing holds any, or they cannot be read.
        unread: why they cannot; None where the view says it, or they can.
        report: what reading every layer has shown; None where nobody asked.
        unpacking: what unpackers would refuse in the layers that were read.
    """

    view: LoaderView | None
    contents: Contents | None = None
    unread: OccyError | None = None
    report: VerifyReport | None = None
    unpacking: tuple[Unpacking, ...] = ()


def examine(where: Locator, call: Call, *, deep: bool) -> Examination:
    """Look at what a locator names; a stream is seen as it comes, and only then.

    Args:
        deep: read every layer.
    Raises:
        UsageError, NotFound, InputError, Unsupported, LimitError, Cancelled, TransportError.
    """
    with open_source(where, call, lenient=True, for_loaders=True) as source:
        if is_stream(source):
            return _stream(source, where, call, deep=deep)
        return _in_place(source, where, call, deep=deep)


def _in_place(source: Source, where: Locator, call: Call, *, deep: bool) -> Examination:
    view = source.loader_view()
    if view is not None and view.layout in ("broken", "empty"):
        return Examination(view)
    try:
        contents = source.read()
    except OccyError as error:
        return _unread(view, error, where)
    return _seen(view, contents, {} if deep else None, call)


def _stream(source: StreamSource, where: Locator, call: Call, *, deep: bool) -> Examination:
    proofs: Proofs = NO_PROOFS
    try:
        if deep:
            proofs = read_stream(source, call, strict=False)
        else:
            for _ in source.blobs():
                pass
    except OccyError as error:
        broken = _of_the_image(error)
        view = source.loader_view(broken)
        if view is None and isinstance(error, Unsupported):
            raise                                        # it is the daemon that cannot be spoken to
        return Examination(None, unread=broken) if view is None else Examination(view)
    view = source.loader_view()
    if view is not None and view.layout == "empty":
        return Examination(view)
    try:
        contents = source.contents(proofs)
    except OccyError as error:
        return _unread(view, error, where)
    return _seen(view, contents, proofs if deep else None, call)


def _seen(view: LoaderView | None, contents: Contents, proofs: Proofs | None, call: Call) -> Examination:
    """Return what was read, with the first reason why one of several images cannot be.

    With *proofs*, also what reading every layer shows.
    """
    for warning in contents.warnings:
        log.warning("%s", warning)
    unread = next(map(_of_the_image, unreadable(contents)), None)
    if proofs is None:
        _check_readable(contents)
        return Examination(view, contents, unread)
    report, unpacking = verify_contents(contents, proofs, call, strict=False)
    for finding in report.errors:
        if isinstance(finding.error, InputError):        # of the disk, and not of the image
            raise finding.error
    return Examination(view, contents, unread, report, unpacking)


def _check_readable(contents: Contents) -> None:
    """Raise InputError for a layer that is there and may not be read, or cannot: no image is guilty of that."""
    for _, layer in layers(contents):
        address = layer.blob.address
        if address is not None and not isinstance(address, StreamedBytes):
            with layer.blob.open(f"{contents.locator}: layer {layer.digest or layer.diff_id}") as region:
                region.read(0, 1)


def _unread(view: LoaderView | None, error: OccyError, where: Locator) -> Examination:
    """Return that the images cannot be read; raise what they are not guilty of, as that there is something else."""
    if isinstance(error, UnsupportedFormat) and names_layout(where):
        raise error
    return Examination(view, unread=_of_the_image(error))


def _of_the_image(error: OccyError) -> OccyError:
    """Return what an image is guilty of; raise what it is not: a wrong locator, a limit, a failing disk or daemon."""
    if isinstance(error, MissingBlob | BadReference):    # a NotFound and a UsageError that stand in the image
        return error
    if isinstance(error, _INNOCENT):
        raise error
    return error
