"""Target: one consumer of images, and what it is known to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Answer = Literal["yes", "no", "partial", "unknown"]


@dataclass(frozen=True, slots=True)
class Support:
    """Whether a consumer reads what has a feature.

    Attributes:
        error: the consumer's own words where it does not; a name in braces stands for what the image has in that place.
        sources: where that is known from; empty where it is not known.
    """

    answer: Answer
    error: str = ""
    sources: tuple[str, ...] = ()


UNKNOWN = Support("unknown")


@dataclass(frozen=True, slots=True)
class Target:
    """A consumer of images.

    Attributes:
        name: as the caller wrote it: "docker-20.10", or an exact version, "docker-20.10.24".
        row: the name of the range of versions it belongs to.
        title: what people call it.
        kind: "runtime", "platform", "registry" or "tool".
        versions: those it speaks for: "20.10 to before 23.0"; empty where it is about no product's versions.
        supports: (feature, Support) for all that is known of it, sorted; features are "load." for what it reads from an
            archive, "pull." for what it takes from a registry.
    """

    name: str
    row: str
    title: str
    kind: str
    versions: str
    supports: tuple[tuple[str, Support], ...] = field(repr=False)

    def support(self, feature: str) -> Support:
        """Return what is known about *feature*."""
        return next((support for name, support in self.supports if name == feature), UNKNOWN)

    def refuses(self, feature: str) -> bool:
        """Tell whether the consumer is known not to read what has *feature*."""
        return self.support(feature).answer == "no"

    def to_json(self) -> dict[str, Any]:
        """Return all that is known of it as plain JSON values, as `occy-fast targets --json` lists it."""
        return {
            "name": self.name,
            "row": self.row,
            "title": self.title,
            "kind": self.kind,
            "versions": self.versions or None,
            "features": {
                feature: {"answer": known.answer, "error": known.error or None, "sources": list(known.sources)}
                for feature, known in self.supports
            },
        }
