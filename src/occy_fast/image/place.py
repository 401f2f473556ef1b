"""Place: where in a source something is, as a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from occy_fast.errors import OccyError
from occy_fast.words import format_layers

Part = Literal[
    "source",
    "archive",
    "member",
    "manifest.json",
    "RepoTags",
    "repositories",
    "oci-layout",
    "index",
    "manifest",
    "config",
    "layer",
    "blob",
    "image",
]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A part of what a locator names; as text, what people read: "layer 3", "@1 linux/arm64 config".

    It equals its text, as digests and platforms do, unless the image chose the `name` in it: a member called "layer 3"
    equals no text.

    Attributes:
        part: what it is; "source" where nothing narrower is known.
        image: which of several images it belongs to, by the number that chooses it, as in "@1": where the source lists
            it, from 0, whichever of them were asked for; None where there is one, or it belongs to none.
        platform: which image of an index it belongs to: the platform, or the digest of one that has none.
        number: of a layer, the lowest being 1.
        name: what it is called where it has a name of its own: a member of an archive, a digest.
        path: where inside a document, as the document's messages go on: "[2]", " $.config".
    """

    part: Part
    image: int | None = None
    platform: str = ""
    number: int | None = None
    name: str = ""
    path: str = ""

    def __str__(self) -> str:
        called = self.name or (self.part if self.number is None else f"{self.part} {self.number}")
        image = "" if self.image is None else f"@{self.image}"
        return " ".join(filter(None, (image, self.platform, called))) + self.path

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Place):
            return self._words() == other._words()
        return not self.name and str(self) == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def inside(self, part: Part, number: int | None = None) -> Place:
        """Return the place of a part of the image that this is the place of."""
        return Place(part, self.image, self.platform, number)

    def _words(self) -> tuple[object, ...]:
        return (self.part, self.image, self.platform, self.number, self.name, self.path)

    def to_json(self) -> dict[str, str | int]:
        """Return what is known, by its names."""
        known = {"part": self.part, "image": self.image, "platform": self.platform or None, "number": self.number}
        known |= {"name": self.name or None, "path": self.path.strip() or None}
        return {key: value for key, value in known.items() if value is not None}


WHOLE_IMAGE = Place("image")
"""The place of an image that is the only one."""


def place_of(error: OccyError, locator: str) -> Place:
    """Return what *error* is about: the whole source where whoever raised it does not say."""
    return error.place or Place("source", name=error.where or locator)


@contextmanager
def located(place: Place, where: str) -> Iterator[None]:
    """Have an error raised inside carry *place*, where it is about what messages call *where*, or a part of that.

    One that carries a place already keeps it: what is nearer knows better.
    """
    try:
        yield
    except OccyError as error:
        if error.place is None and error.where.startswith(where):
            error.place = replace(place, path=error.where.removeprefix(where))
        raise


def format_places(places: Iterable[Place]) -> str:
    """Print places: "layers 1-4", or one after the other."""
    layers: list[int] = []
    others: list[str] = []
    for place in places:
        if place.number is not None and place == WHOLE_IMAGE.inside("layer", place.number):
            layers.append(place.number)
        else:
            others.append(str(place))
    return ", ".join([*([format_layers(layers)] if layers else []), *dict.fromkeys(others)])
