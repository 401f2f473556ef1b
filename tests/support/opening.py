"""What a public function does with a locator's text, for tests of transports."""

from __future__ import annotations

import threading

from occy_fast.context.access import USUAL_ACCESS, Access
from occy_fast.context.call import Call
from occy_fast.planning.goal import ArchiveLayout
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.transports import opening
from occy_fast.transports.archive.streamed import StreamedArchive
from occy_fast.transports.base import Destination, Source
from occy_fast.transports.opening import parse_locator


def call_of(
    limits: Limits = LIMITS, access: Access = USUAL_ACCESS, cancel: threading.Event | None = None
) -> Call:
    """Return a call with *limits*, whatever the environment sets."""
    return Call.of(limits=limits, access=access, cancel=cancel)


def open_source(text: str, limits: Limits = LIMITS, *, lenient: bool = False, for_loaders: bool = False) -> Source:
    """Open what the locator *text* names for reading."""
    return opening.open_source(parse_locator(text), call_of(limits), lenient=lenient, for_loaders=for_loaders)


def open_stream(
    text: str, limits: Limits = LIMITS, cancel: threading.Event | None = None, *, for_loaders: bool = False
) -> StreamedArchive:
    """Return the archive that *text* names as a stream."""
    return StreamedArchive(parse_locator(text), call_of(limits, cancel=cancel), for_loaders=for_loaders)


def open_destination(text: str, archive_layout: ArchiveLayout = "universal") -> Destination:
    """Return the destination that *text* names."""
    return opening.open_destination(parse_locator(text), archive_layout, call_of())
