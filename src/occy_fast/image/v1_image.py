"""V1Image: what Docker before 1.10 called an image, one layer with its parent, as Docker 20.10 reads and writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from occy_fast.errors import BadManifest
from occy_fast.image.go_json import format_go_json
from occy_fast.spec.go_time import A_TIME, GO_ZERO_TIME, rewrite_time

_INT64: Final = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True)
class V1Image:
    """One v1 image.  (Docker Image Specification v1.0.0, "Image JSON Description")

    Attributes:
        parent: the id of the image below; empty for the lowest.
        created: as Go writes times.
        created_by: the words of the command its container ran.
        members: all fields Docker 20.10 knows, each with its value written as Go's JSON, in the order Docker writes
            them; those it leaves out are not among them.
    """

    parent: str
    created: str
    created_by: str
    author: str
    comment: str
    docker_version: str
    members: tuple[tuple[str, str], ...]


def read_v1_image(document: Mapping[str, Any], where: str) -> V1Image:
    """Read the JSON object of a v1 image as Go decodes it: field names in any case, null as if it were not there.

    Raises BadManifest for a value that Go could not decode.
    """
    values = _read_fields(document, _V1_IMAGE, where, "$")
    command = _member(_member(document, "container_config") or {}, "Cmd")
    return V1Image(
        parent=values["parent"],
        created=values["created"],
        created_by=" ".join(_read_words(command, where, "$.container_config.Cmd") or ()),
        author=values["author"],
        comment=values["comment"],
        docker_version=values["docker_version"],
        members=tuple((name, format_go_json(value)) for name, value in _written(values, _V1_IMAGE).items()),
    )


# A reader takes a value, the document's name and the value's path, and returns what Go keeps: None for nil.
_Reader = Callable[[Any, str, str], Any]


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of one of Docker's structs.

    Attributes:
        omitted: it is left out where it is empty, as Go understands that.
        pointer: only nil counts as empty.
    """

    name: str
    read: _Reader
    omitted: bool = False
    pointer: bool = False

    def is_written(self, value: Any) -> bool:
        return not self.omitted or (value is not None if self.pointer else bool(value))


def _read_fields(document: Any, fields: tuple[_Field, ...], where: str, path: str) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise _wrong(where, path, "an object")
    known = {_fold(key): value for key, value in document.items()}
    return {field.name: field.read(known.get(_fold(field.name)), where, f"{path}.{field.name}") for field in fields}


def _written(values: dict[str, Any], fields: tuple[_Field, ...]) -> dict[str, Any]:
    return {field.name: values[field.name] for field in fields if field.is_written(values[field.name])}


def _fold(key: str) -> str:
    """Return what two spellings of a field's name have in common; lower() alone does not know the long s as Go does."""
    return key.lower().replace("\u017f", "s")


def _member(document: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in document.items() if _fold(key) == _fold(name)), None)


def _wrong(where: str, path: str, expected: str) -> BadManifest:
    return BadManifest(where, f"{path} is not {expected}")


def _read_text(value: Any, where: str, path: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(where, path, "text")
    return value


def _read_flag(value: Any, where: str, path: str) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _wrong(where, path, "true or false")
    return value


def _read_number(value: Any, where: str, path: str, nothing: int | None = 0) -> int | None:
    if value is None:
        return nothing
    if not isinstance(value, int) or isinstance(value, bool) or value not in _INT64:
        raise _wrong(where, path, "an integer of 64 bits")
    return value


def _read_texts(value: Any, where: str, path: str) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise _wrong(where, path, "a list of texts")
    return [_read_text(text, where, f"{path}[{at}]") for at, text in enumerate(value)]


def _read_words(value: Any, where: str, path: str) -> list[str] | None:
    """Read a command, which may be a single text."""
    return [value] if isinstance(value, str) else _read_texts(value, where, path)


def _read_map(value: Any, where: str, path: str, read: _Reader) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _wrong(where, path, "an object")
    return {key: read(value[key], where, f"{path}.{key}") for key in sorted(value)}


def _read_nothing(value: Any, where: str, path: str) -> dict[str, Any]:
    """Read a struct without fields: whatever an object holds is not kept."""
    if value is not None and not isinstance(value, Mapping):
        raise _wrong(where, path, "an object")
    return {}


def _read_struct(
    value: Any, where: str, path: str, fields: tuple[_Field, ...], *, pointer: bool
) -> dict[str, Any] | None:
    if value is None and pointer:
        return None
    return _written(_read_fields({} if value is None else value, fields, where, path), fields)


def _read_time(value: Any, where: str, path: str) -> str:
    """Read a time, and write it as Go does."""
    if value is None:
        return GO_ZERO_TIME
    if not isinstance(value, str):
        raise _wrong(where, path, A_TIME)
    try:
        return rewrite_time(value)
    except ValueError as error:
        raise _wrong(where, path, str(error)) from None


_HEALTH: Final = (
    _Field("Test", _read_texts, omitted=True),
    _Field("Interval", _read_number, omitted=True),
    _Field("Timeout", _read_number, omitted=True),
    _Field("StartPeriod", _read_number, omitted=True),
    _Field("Retries", _read_number, omitted=True),
)
_CONTAINER: Final = (
    _Field("Hostname", _read_text),
    _Field("Domainname", _read_text),
    _Field("User", _read_text),
    _Field("AttachStdin", _read_flag),
    _Field("AttachStdout", _read_flag),
    _Field("AttachStderr", _read_flag),
    _Field("ExposedPorts", partial(_read_map, read=_read_nothing), omitted=True),
    _Field("Tty", _read_flag),
    _Field("OpenStdin", _read_flag),
    _Field("StdinOnce", _read_flag),
    _Field("Env", _read_texts),
    _Field("Cmd", _read_words),
    _Field("Healthcheck", partial(_read_struct, fields=_HEALTH, pointer=True), omitted=True, pointer=True),
    _Field("ArgsEscaped", _read_flag, omitted=True),
    _Field("Image", _read_text),
    _Field("Volumes", partial(_read_map, read=_read_nothing)),
    _Field("WorkingDir", _read_text),
    _Field("Entrypoint", _read_words),
    _Field("NetworkDisabled", _read_flag, omitted=True),
    _Field("MacAddress", _read_text, omitted=True),
    _Field("OnBuild", _read_texts),
    _Field("Labels", partial(_read_map, read=_read_text)),
    _Field("StopSignal", _read_text, omitted=True),
    _Field("StopTimeout", partial(_read_number, nothing=None), omitted=True, pointer=True),
    _Field("Shell", _read_words, omitted=True),
)
_V1_IMAGE: Final = (
    _Field("id", _read_text, omitted=True),
    _Field("parent", _read_text, omitted=True),
    _Field("comment", _read_text, omitted=True),
    _Field("created", _read_time),
    _Field("container", _read_text, omitted=True),
    _Field("container_config", partial(_read_struct, fields=_CONTAINER, pointer=False)),
    _Field("docker_version", _read_text, omitted=True),
    _Field("author", _read_text, omitted=True),
    _Field("config", partial(_read_struct, fields=_CONTAINER, pointer=True), omitted=True, pointer=True),
    _Field("architecture", _read_text, omitted=True),
    _Field("variant", _read_text, omitted=True),
    _Field("os", _read_text, omitted=True),
    _Field("Size", _read_number, omitted=True),
)
