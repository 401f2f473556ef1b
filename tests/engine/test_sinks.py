"""Where a pass writes: to a file, or in order to whatever takes pieces."""

from __future__ import annotations

from occy_fast.engine.sinks import StreamSink, output_of
from occy_fast.spec.digest import Digest
from occy_fast.streams.layer_pass import DrainSink, FdSink


class InOrder:
    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def commit(self, digest: Digest, size: int) -> None: ...

    def abort(self) -> None: ...


class AtAnOffset:
    fd, offset = 7, 512

    def commit(self, digest: Digest, size: int) -> None: ...

    def abort(self) -> None: ...


def test_a_sink_decides_how_it_is_written() -> None:
    assert output_of(None, "out") is None
    assert output_of(AtAnOffset(), "out") == FdSink(7, 512, "out")
    sink = InOrder()
    end = output_of(sink, "out")
    assert isinstance(end, DrainSink)
    assert end == DrainSink(sink.write)
    assert (isinstance(sink, StreamSink), isinstance(AtAnOffset(), StreamSink)) == (True, False)
