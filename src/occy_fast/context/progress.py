"""What a caller may watch while layers are under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from occy_fast.image.image import Layer

State = Literal["waiting", "running", "done"]

Phase = Literal["connect", "read", "probe", "layers", "documents", "publish"]
"""What a call is at: reaching a daemon or registry, reading documents, asking what is there already, moving layers,
writing documents, and giving the result its name."""

Party = Literal["source", "destination"]


@dataclass(frozen=True, slots=True)
class LayerProgress:
    """How far one layer is; sizes are bytes.

    Attributes:
        kind: "skip", "adopt", "copy", "recode", or "verify"; "read" while planning, for a diff_id nobody names.
        source: read so far, of layer.size.
        written: output so far.
    """

    layer: Layer
    kind: str
    state: State
    source: int
    written: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far all layers are, each distinct one once; a report of a new phase repeats what was last said of them.

    Attributes:
        waits_for: who gives or takes at a pace of their own: a pipe, a daemon.
    """

    layers: tuple[LayerProgress, ...]
    phase: Phase = "layers"
    waits_for: tuple[Party, ...] = ()

    @property
    def source(self) -> int:
        """Return the bytes read so far."""
        return sum(layer.source for layer in self.layers)

    @property
    def total(self) -> int:
        """Return the bytes there are to read."""
        return sum(layer.layer.size for layer in self.layers)


ProgressCallback = Callable[[Progress], object]


class Reporter:
    """Tells a caller how far a call is; used by the thread of the call alone."""

    def __init__(self, callback: ProgressCallback | None) -> None:
        """Call *callback* with each Progress; None where nobody watches."""
        self._callback = callback
        self._last = Progress((), "read")

    @property
    def is_watched(self) -> bool:
        """Tell whether anybody wants to know, and the states of layers are worth collecting."""
        return self._callback is not None

    def phase(self, phase: Phase, *waits_for: Party) -> None:
        """Tell what comes next, and who is waited for in it."""
        if (phase, waits_for) != (self._last.phase, self._last.waits_for) or not self._last.layers:
            self._tell(Progress(self._last.layers, phase, waits_for))

    def layers(self, layers: tuple[LayerProgress, ...]) -> None:
        """Tell how far each layer is, in the phase that was told last."""
        self._tell(Progress(layers, self._last.phase, self._last.waits_for))

    def _tell(self, progress: Progress) -> None:
        self._last = progress
        if self._callback is not None:
            self._callback(progress)
