"""What every error of occy_fast has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, dataclass_transform

from occy_fast.words import printable, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from occy_fast.image.place import Place

Error = TypeVar("Error", bound="OccyError")

_LONGEST_FIELD = 300


def listed(items: Iterable[object]) -> str:
    """Return *items* fit for a message."""
    return ", ".join(printable(str(item), _LONGEST_FIELD) for item in items) or "none"


def shown(field: object) -> str:
    """Return *field* fit for a message: escaped, and cut where it would drown the rest."""
    if isinstance(field, tuple):
        return listed(field)
    return printable(field if isinstance(field, bytes) else str(field), _LONGEST_FIELD)


@dataclass_transform()
def with_fields(kind: type[Error]) -> type[Error]:
    """Make what the body of *kind* annotates its fields, and the parameters of its constructor, in that order.

    As `dataclasses` does, but without inheriting the parent's fields, and without compiling a function for each class.
    """
    kind.fields = tuple(kind.__annotations__)
    kind._defaults = {name: kind.__dict__[name] for name in kind.fields if name in kind.__dict__}
    for name in kind._defaults:
        delattr(kind, name)                          # it would hide the parent's, as OSError's `errno`
    kind.__init__ = OccyError._take                  # type: ignore[method-assign]
    return kind


class OccyError(Exception):
    """Anything this library raises on purpose.

    `args` are the values of the fields that `fields` names, so that every error pickles and can be built again; URLs in
    them carry no secrets. `message` says what was expected and found, a field's name standing for its value.

    Attributes:
        where: what messages begin with: the locator or path, and what of it; as free a text as the rest.
        place: the part of the source it is about, as a value, where whoever raised it knows that.
        document: the image config that is refused, for whoever asks what others make of it; it is not pickled.
    """

    exit_code: ClassVar[int] = 1
    fields: ClassVar[tuple[str, ...]] = ("where", "problem", "remedy")
    message: ClassVar[str] = "{problem}"
    where: str = ""
    remedy: str | None = None
    place: Place | None = None
    document: bytes | None = None
    _place: ClassVar[str] = "where"
    _defaults: ClassVar[Mapping[str, object]] = {}

    def __init__(self, where: str, problem: str, remedy: str | None = None) -> None:
        self._keep(where, problem, remedy)

    def _take(self, *values: object, **named: object) -> None:
        """Take the fields, as the constructor of a class with_fields. Raises TypeError."""
        given = {**self._defaults, **dict(zip(self.fields, values, strict=False)), **named}
        positional = set(self.fields[: len(values)])
        if given.keys() != {*self.fields} or len(values) > len(self.fields) or positional & named.keys():
            raise TypeError(f"{type(self).__name__} takes {', '.join(self.fields)}")
        self._keep(*(given[name] for name in self.fields))

    def _keep(self, *values: object) -> None:
        values = tuple(without_secrets(value) for value in values)
        self.args = values
        for name, value in zip(self.fields, values, strict=True):
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {} if self.place is None else {"place": self.place}
        return type(self), self.args, state              # OSError's own would cut them

    def about(self, place: Place) -> Self:
        """Return this error, and have it say what it is about."""
        self.place = place
        return self

    def at(self, where: str) -> Self:
        """Return the same error, seen from the place that knows *where* it happened."""
        if self._place not in self.fields:
            return self
        values = [where if name == self._place else value for name, value in zip(self.fields, self.args, strict=True)]
        error = type(self)(*values)
        error.place, error.document = self.place, self.document
        error.__cause__, error.__context__, error.__traceback__ = self.__cause__, self.__context__, self.__traceback__
        return error

    def describe(self) -> str:
        """Return what was expected and found, without the place and the remedy."""
        return self.message.format_map({name: shown(value) for name, value in zip(self.fields, self.args, strict=True)})

    def __str__(self) -> str:
        where, text = printable(self.where or ""), self.describe()
        text = f"{where}: {text}" if where else text
        return f"{text} ({printable(self.remedy)})" if self.remedy else text


@with_fields
class Cancelled(OccyError):
    """The caller asked to stop."""

    exit_code = 130
    message = "cancelled"
    where: str = ""
