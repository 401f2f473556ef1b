"""An error → JSON: its name, its message and every field that is set, with what can be done about it."""

from __future__ import annotations

from occy_fast.errors import OccyError
from occy_fast.running.remedies import advice
from occy_fast.words import printable

_KEYS = {"name": "given"}  # `name` is the error's own
_ADVISED = {"settings"}  # the remedy names them


def error_document(error: BaseException, code: int | None = None) -> dict[str, object]:
    """Return *error* as a JSON object; *code* is the exit code where the error itself has none."""
    document: dict[str, object] = {"name": type(error).__name__, "message": printable(str(error)) or "interrupted"}
    if isinstance(error, OccyError):
        document |= {_KEYS.get(name, name): _plain(value) for name, value in known_fields(error).items()}
    document["exit_code"] = error.exit_code if isinstance(error, OccyError) else code
    return document


def known_fields(error: OccyError) -> dict[str, object]:
    """Return the fields of *error* that are set, its remedy at the end."""
    named = [(name, value) for name, value in zip(error.fields, error.args, strict=True) if name not in _ADVISED]
    known = {name: value for name, value in named if value is not None and value != "" and value != ()}
    remedy = known.pop("remedy", None) or advice(error)
    return known | ({"remedy": remedy} if remedy else {})


def _plain(value: object) -> object:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return printable(value if isinstance(value, bytes) else str(value))
