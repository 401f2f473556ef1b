"""Objects that are context managers by their `close`: the base of ours, and what is asked of anybody's."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class Closing:
    """Leaving the context closes the object, whatever happened; a class that derives says what `close` does."""

    __slots__ = ()

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Closable(Protocol):
    """What callers need of such an object."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
