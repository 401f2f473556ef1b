"""What a caller may watch while layers are under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from occy_fast.image.image import Layer

State = Literal["waiting", "running", "done"]


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
    """How far all layers are, each distinct one once."""

    layers: tuple[LayerProgress, ...]

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

    @property
    def is_watched(self) -> bool:
        """Tell whether anybody wants to know, and the states of layers are worth collecting."""
        return self._callback is not None

    def layers(self, layers: tuple[LayerProgress, ...]) -> None:
        """Tell how far each layer is."""
        if self._callback is not None:
            self._callback(Progress(layers))
