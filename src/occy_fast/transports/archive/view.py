"""How a loader meets an archive: its members and manifest.json as they are, faults included."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from occy_fast.errors import (
    BadReference,
    CorruptStream,
    OccyError,
    TarError,
    TarTruncated,
    Unsupported,
    UnsupportedFormat,
)
from occy_fast.image.blob import SAVE_FIRST, StreamedBytes
from occy_fast.image.go_decoding import GoType, cut_below, find_refusal
from occy_fast.image.loader_view import ListedImage, ListedLayer, LoaderView
from occy_fast.spec.reference import parse_reference
from occy_fast.streams.tar import NO_END
from occy_fast.transports.archive.legacy_reader import sign_of_a_cut
from occy_fast.transports.archive.members import shortened

if TYPE_CHECKING:
    from occy_fast.spec.limits import DocumentLimit, Limits
    from occy_fast.transports.archive.members import LoaderNames
    from occy_fast.transports.locator import Locator

_ANY_OBJECT = GoType("struct", "image.Image")
_CONFIG_DEPTH = 16
"""How deep the fields of a config nest at most."""

_LEGACY_NAME = re.compile(r"([0-9a-f]{64})/(?:json|layer\.tar|VERSION)")


def loader_view(names: LoaderNames, wanted: Locator, compression: str, limits: Limits) -> LoaderView:
    """Return the view of an archive that was read to its end; of manifest.json, the images that *wanted* selects.

    Nothing is refused for what it holds: an archive that no loader takes has a view, too.

    Args:
        compression: of the archive as a whole.
    Raises:
        LimitError: a document is larger than allowed.
        Unsupported: a document was not kept as it came by, of which nobody can say then what a loader makes of it.
        InputError, PlanStale: a document or a layer's first bytes cannot be read.
    """
    view = LoaderView("empty", compression, escaping=names.escaping, repositories="repositories" in names)
    if "manifest.json" in names:
        images = _Documents(names, wanted.text, limits).images()
        dual = "index.json" in names and "oci-layout" in names
        return replace(view, layout="docker-archive", dual=dual, images=_selected(images, wanted))
    if "oci-layout" in names or "index.json" in names:
        return replace(view, layout="oci-archive", versioned="oci-layout" in names)
    if sign := sign_of_a_cut(names):
        return replace(view, layout="broken", problem=f"{sign}: cut short, save it again")
    tops = names.directories | {name.partition("/")[0] for name in names if "/" in name}
    strays = tuple(sorted(name for name in tops if f"{name}/json" not in names))
    legacy = {found[1] for name in names if (found := _LEGACY_NAME.fullmatch(name))}
    if not legacy:
        return replace(view, stray_directories=strays[:1])
    return replace(view, layout="legacy", stray_directories=strays)


def broken_view(error: OccyError, compression: str) -> LoaderView:
    """Return the view of an archive whose entries cannot be read to the end, for *error*.

    Args:
        compression: empty where not one byte came.
    """
    if not compression:                                  # loaders find no images in that
        return LoaderView("empty")
    if isinstance(error, UnsupportedFormat) and isinstance(error.__cause__, TarError):
        return LoaderView("broken", compression, problem=error.found, reason=_reason(error.__cause__))
    return LoaderView("broken", compression, problem=_problem(error), reason=_reason(error))


def _problem(error: OccyError) -> str:
    """Say what is wrong, and what to do about it where the archive is cut short."""
    cut = isinstance(error, TarTruncated)
    return f"{error.describe()}: cut short, copy or save it again" if cut else error.describe()


def _reason(error: OccyError) -> str:
    """Return what Go's archive/tar says of an archive that cannot be read to its end; empty where it sees nothing."""
    if isinstance(error, TarTruncated) and error.problem == NO_END:
        return ""
    if isinstance(error, TarTruncated | CorruptStream):
        return "unexpected EOF"
    return "archive/tar: invalid tar header"


def _selected(images: tuple[ListedImage, ...] | None, wanted: Locator) -> tuple[ListedImage, ...] | None:
    if images is None:
        return None
    if wanted.index is not None:
        return images[wanted.index : wanted.index + 1]
    if wanted.reference is not None:
        return tuple(image for image in images if any(_is_called(tag, wanted.reference) for tag in image.tags))
    return images


def _is_called(tag: str, name: str) -> bool:
    try:
        return parse_reference(tag).with_default_tag().full() == name
    except BadReference:
        return False


class _Documents:
    """manifest.json and what it lists, read as Go does."""

    def __init__(self, names: LoaderNames, where: str, limits: Limits) -> None:
        self._names, self._where, self._limits = names, where, limits

    def images(self) -> tuple[ListedImage, ...] | None:
        """Read manifest.json; None where it is no list of images, () where it lists none."""
        raw = self._read("manifest.json", "docker_manifest")
        if raw is None:
            return None
        try:
            document = _parse(raw)
        except (ValueError, RecursionError):
            return None
        if document is None:
            return ()
        if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
            return None
        return tuple(self._image(at, _in_any_case(item)) for at, item in enumerate(document))

    def _image(self, at: int, item: dict[str, Any]) -> ListedImage:
        paths = item.get("layers") or ()
        layers = tuple(self._layer(path) for path in paths if isinstance(path, str)) if isinstance(paths, list) else ()
        tags = item.get("repotags") or ()
        named = tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
        path = item.get("config")
        config = path if isinstance(path, str) else ""
        raw = self._read(config, "config")
        if raw is None:
            present = self._names.follow(config)[0] is not None
            return ListedImage(at, named, config, layers, present=present, readable=False)
        document = _parse_config(raw)
        if document is None:
            kept = raw if raw.lstrip(b" \t\r\n")[:1] == b"{" else None  # of others that come by, nobody keeps the bytes
            return ListedImage(at, named, config, layers, readable=False, raw=kept)
        document = _in_any_case(document)
        rootfs, history = document.get("rootfs"), document.get("history")
        diff_ids = (_in_any_case(rootfs).get("diff_ids") or ()) if isinstance(rootfs, dict) else None
        return ListedImage(
            at,
            named,
            config,
            layers,
            diff_ids=tuple(map(str, diff_ids)) if isinstance(diff_ids, list | tuple) else None,
            nonempty_history=_nonempty(history) if isinstance(history, list) and history else None,
            os=_text(document.get("os")),
            architecture=_text(document.get("architecture")),
            raw=raw,
        )

    def _layer(self, path: str) -> ListedLayer:
        member, link = self._names.follow(path)
        if member is None:
            return ListedLayer(path, False, link)
        first = member.look()
        spelled = bool(link) or (member.written or member.name) == shortened(path)
        return ListedLayer(path, True, link, first.codec, first.skippable, spelled)

    def _read(self, path: str, kind: DocumentLimit) -> bytes | None:
        """Return a document; None where there is none, or not in one piece. Raises LimitError, Unsupported."""
        member, _ = self._names.follow(path)
        if member is None or member.problem:
            return None
        self._limits.check_document(kind, member.size, f"{self._where}: {path}")
        address = member.address
        if not isinstance(address, StreamedBytes):
            return address.read()
        if member.look().json:
            raise Unsupported(f"{self._where}: {path}", "it came by once, and was not kept", SAVE_FIRST)
        return b""                                       # no more JSON than what was not kept


def _in_any_case(fields: dict[str, Any]) -> dict[str, Any]:
    """Return *fields* by their names in small letters: Go takes a key in any case, and the last of several."""
    return {key.casefold(): value for key, value in fields.items()}


def _parse(raw: bytes) -> Any:
    """Parse JSON as Go does: of any encoding but UTF-8 it knows nothing, nor of a mark for one. Raises ValueError."""
    return json.loads(raw.decode("utf-8", "replace"))


def _parse_config(raw: bytes) -> dict[str, Any] | None:
    """Parse a config, whatever Go takes for one; None for what is no JSON object."""
    if find_refusal(raw, _ANY_OBJECT) is not None:
        return None
    shallow = cut_below(raw, _CONFIG_DEPTH).decode("utf-8", "replace")
    document = json.loads(shallow, parse_int=float, parse_float=float)  # numbers matter to nobody here, and may be long
    return document if isinstance(document, dict) else None


def _nonempty(history: list[Any]) -> int:
    return sum(not (isinstance(entry, dict) and _in_any_case(entry).get("empty_layer")) for entry in history)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
