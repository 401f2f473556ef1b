"""What a pass writes: a file of the Stage's, or a stream that takes the bytes in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from occy_fast.streams.layer_pass import DrainSink, FdSink
from occy_fast.transports.base import StreamSink

if TYPE_CHECKING:
    from occy_fast.transports.base import Sink


def drain_into(sink: Sink | StreamSink | None, destination: str) -> FdSink | DrainSink | None:
    """Return the end of a pass that writes to *sink*; *destination* is for messages."""
    if sink is None:
        return None
    if isinstance(sink, StreamSink):
        return DrainSink(sink.write)
    return FdSink(sink.fd, sink.offset, destination)
