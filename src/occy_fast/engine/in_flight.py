"""Several layers under way at once: begun in order, ended in order, watched together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.closing import Closing
from occy_fast.context.progress import LayerProgress
from occy_fast.errors import Cancelled, OccyError, unreadable

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.image.image import Layer
    from occy_fast.streams.layer_pass import Counters, PassResult, Run

MOST = 16
"""Layers under way at once: each holds two descriptors, and the pool's buffers serve them all."""


@dataclass(slots=True)
class _Lane:
    position: int
    where: str
    run: Run
    end: Callable[[PassResult], None]
    drop: Callable[[], None]
    fail: Callable[[OccyError], None] | None


class Lanes(Closing):
    """Passes that share a pool's workers; used by the pool's thread alone.

    Earlier passes go first, so waiting for the oldest keeps every worker busy. Leaving the context drops what has not
    ended; that is for the time after the pool, when nothing reads or writes any more.
    """

    def __init__(self, call: Call, layers: list[tuple[Layer, str]]) -> None:
        """Watch *layers*, each with the name of its step, by their positions in this list."""
        self._call = call
        self._layers = layers
        self._active: deque[_Lane] = deque()
        self._done: dict[int, tuple[int, int]] = {}

    def watch(self, layer: Layer, kind: str) -> int:
        """Watch one more layer, and return its position."""
        self._layers.append((layer, kind))
        return len(self._layers) - 1

    def check(self) -> None:
        """Raise Cancelled if the caller asked for it."""
        self._call.check_cancelled()

    def begin(
        self,
        position: int,
        where: str,
        run: Run,
        end: Callable[[PassResult], None],
        drop: Callable[[], None],
        fail: Callable[[OccyError], None] | None = None,
    ) -> None:
        """Take over a pass that was started: *end* gets its PassResult, *drop* is called if there is none.

        What goes wrong is raised, or told to *fail*, and then the others go on.
        """
        self._done.pop(position, None)               # one that failed may be begun again, in another way
        self._active.append(_Lane(position, where, run, end, drop, fail))
        while len(self._active) >= MOST:
            self._end_oldest()

    def hand_over(self) -> None:
        """Wait until the pass begun last has taken all of its source."""
        if self._active:
            self._active[-1].run.hand_over(self._watch, self._call.cancel.is_set)

    def finish(self, position: int, size: int = 0, written: int = 0) -> None:
        """Count a layer as done."""
        self._done[position] = (size, written)

    def end_all(self) -> None:
        """Wait until nothing is under way."""
        while self._active:
            self._end_oldest()
        self.check()
        self._report()

    def _end_oldest(self) -> None:
        lane = self._active[0]
        self.check()
        try:
            outcome = lane.run.wait(self._watch, self._call.cancel.is_set)
            lane.end(outcome)
            self.finish(lane.position, outcome.size_in, outcome.size_out)
        except Cancelled:
            raise
        except OccyError as error:
            self._fail(lane, error)
        except OSError as error:                     # of what feeds the pass
            self._fail(lane, unreadable(error, lane.where), error)
        else:
            self._active.popleft()

    def _fail(self, lane: _Lane, error: OccyError, cause: OSError | None = None) -> None:
        """Tell *error* to the lane at the head, once it is dropped; raise it where nobody is to be told."""
        if lane.fail is None:
            raise error from cause
        self._active.popleft()
        lane.drop()
        self.finish(lane.position)
        lane.fail(error)

    def _watch(self, _: Counters) -> None:
        self._report()

    def _report(self) -> None:
        if not self._call.report.is_watched:
            return
        running = {lane.position: lane.run.counters for lane in self._active}
        states = []
        for position, (layer, kind) in enumerate(self._layers):
            if position in self._done:
                source, written = self._done[position]
                states.append(LayerProgress(layer, kind, "done", source, written))
            elif position in running:
                counters = running[position]
                states.append(LayerProgress(layer, kind, "running", counters.source, counters.output))
            else:
                states.append(LayerProgress(layer, kind, "waiting", 0, 0))
        self._call.report.layers(tuple(states))

    def close(self) -> None:
        """Drop what is still under way."""
        while self._active:
            self._active.popleft().drop()
