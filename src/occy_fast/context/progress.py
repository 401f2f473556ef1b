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
        kind: "skip", "adopt", "copy", "recode", or "verify".
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
