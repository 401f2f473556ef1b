"""Several layers in flight at once: started in order, ended in order, watched together."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.closing import Closing
from occy_fast.context.progress import LayerProgress
from occy_fast.engine.layer_job import StartedJob
from occy_fast.errors import Cancelled, OccyError
from occy_fast.streams.layer_pass import WorkerPool

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.engine.layer_job import LayerJob, LayerProof
    from occy_fast.image.image import Layer
    from occy_fast.streams.layer_pass import Counters

MOST = 16
"""Layers in flight at once: each holds two descriptors, and the pool's buffers serve them all. More gain nothing: 100
gzip layers of 0.3 MB became zstd:3 in 0.62 s with one, 0.51 s with 4, 0.42 s with 16, 0.41 s with 64.  (2 cores of a
Xeon, the least of 5 runs in turn)"""


PERIOD = 0.2
"""Seconds between two reports, at least: every one has the states of all layers, so one at each end is quadratic."""


@dataclass(slots=True)
class _Flight:
    position: int
    started: StartedJob
    done: Callable[[LayerProof], None]
    failed: Callable[[OccyError, int], None] | None


class InFlight(Closing):
    """Layers that share the workers of a call; used by the call's thread alone.

    Earlier ones go first, so waiting for the oldest keeps every worker busy. Leaving the context joins the workers, and
    then drops what has not ended: nothing reads or writes any more by then.

    Attributes:
        call: whose workers they are.
    """

    def __init__(self, call: Call, layers: Iterable[tuple[Layer, str]] = ()) -> None:
        """Watch *layers*, each with the name of what is done to it, by their positions."""
        self.call = call
        self._layers = list(layers)
        self._pool = WorkerPool(call.workers)
        self._active: deque[_Flight] = deque()
        self._done: dict[int, tuple[int, int]] = {}
        self._reported = 0.0

    def watch(self, layer: Layer, kind: str) -> int:
        """Watch one more layer, and return its position."""
        self._layers.append((layer, kind))
        return len(self._layers) - 1

    def start(
        self,
        position: int,
        job: LayerJob,
        done: Callable[[LayerProof], None],
        failed: Callable[[OccyError, int], None] | None = None,
    ) -> None:
        """Start *job*; when all of it is proved and committed, *done* is told.

        Args:
            position: of the layer; one that has failed may be started again, in another way.
            failed: is told what went wrong in place of the proof, and how many stored bytes were read by then; the
                others go on. Without it, the error is raised, by this method if the job cannot be started, else by
                whichever waits.
        Raises:
            OccyError: what this job, or an earlier one, comes to, of which nobody else is told.
            Cancelled: the caller asked for it.
        """
        self.call.check_cancelled()
        try:
            started = StartedJob(job, self._pool, self.call.limits)
        except OccyError as error:
            if failed is None:
                raise
            self.finish(position)
            failed(error, 0)
            return
        self._done.pop(position, None)
        self._active.append(_Flight(position, started, done, failed))
        while len(self._active) >= MOST:
            self._end_oldest()

    def wait_fed(self) -> None:
        """Wait until the job started last has taken all of its source."""
        if self._active:
            self._active[-1].started.run.hand_over(self._watch, self.call.cancel.is_set)

    def finish(self, position: int, size: int = 0, written: int = 0) -> None:
        """Count a layer as done, of which nothing is to be read."""
        self._done[position] = (size, written)

    def wait_all(self) -> None:
        """Wait until nothing is in flight."""
        while self._active:
            self._end_oldest()
        self.call.check_cancelled()
        self._report()

    def _end_oldest(self) -> None:
        oldest = self._active[0]
        self.call.check_cancelled()
        try:
            proof = oldest.started.finish(oldest.started.run.wait(self._watch, self.call.cancel.is_set))
            oldest.done(proof)
            self.finish(oldest.position, proof.size_in, proof.size_out)
        except Cancelled:
            raise
        except OccyError as error:
            self._active.popleft()                   # it has ended: nobody waits for it again
            oldest.started.drop()
            self.finish(oldest.position)
            if oldest.failed is None:
                raise
            oldest.failed(error, oldest.started.run.counters.source)
        else:
            self._active.popleft()

    def _watch(self, _: Counters) -> None:
        """Report, but not at the end of each of many small layers: a report has the states of all."""
        if time.monotonic() - self._reported >= PERIOD:
            self._report()

    def _report(self) -> None:
        if not self.call.report.is_watched:
            return
        self._reported = time.monotonic()
        running = {flight.position: flight.started.run.counters for flight in self._active}
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
        self.call.report.layers(tuple(states))

    def close(self) -> None:
        """Join the workers, and drop what has not ended."""
        self._pool.close()                           # first, as its threads use what the jobs hold open
        while self._active:
            self._active.popleft().started.drop()
