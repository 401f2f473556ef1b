"""ImageConfig and History."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from occy_fast.errors import BadManifest, IntegrityError
from occy_fast.spec.descriptor import check_spelling, plain_words
from occy_fast.spec.digest import Digest
from occy_fast.spec.go_time import rewrite_time
from occy_fast.spec.json import parse_again, parse_json
from occy_fast.spec.limits import Limits
from occy_fast.spec.platform import Platform


@dataclass(frozen=True, slots=True)
class History:
    """How one layer came to be; *empty_layer* if it added none.  (image-spec, "OCI Image Configuration", history)"""

    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool = False


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image runs as, and the digests of its uncompressed layers.  (image-spec, "OCI Image Configuration")

    Attributes:
        raw: the bytes received; their digest is the image ID.
        os, architecture: empty where the document has none.
        created: as it is written, None where it is not.
        rootfs_type: ``layers``; loaders know no other.
        env: as it is written.
    """

    raw: bytes = field(repr=False)
    os: str
    architecture: str
    variant: str | None
    created: str | None
    diff_ids: tuple[Digest, ...]
    history: tuple[History, ...]
    os_version: str | None = None
    os_features: tuple[str, ...] = ()
    rootfs_type: str = "layers"
    env: tuple[str, ...] = ()

    @staticmethod
    def parse(raw: bytes, where: str, limits: Limits) -> ImageConfig:
        """Read an image config.

        Raises:
            BadManifest, BadDigest, BadJSON, DuplicateKey, ConfigTooLarge: it breaks the specification.
        """
        with refusing(raw):
            return ImageConfig._parse(raw, where, limits)

    @staticmethod
    def _parse(raw: bytes, where: str, limits: Limits) -> ImageConfig:
        document = parse_json(raw, where, limits, "config")
        if not isinstance(document, dict):
            raise BadManifest(where, "no JSON object, where the image config should be")
        check_config_spelling(document, where)
        try:
            shape = msgspec.convert(document, _ConfigShape)
        except msgspec.ValidationError as error:
            raise BadManifest(where, plain_words(error)) from None
        if shape.rootfs is None:
            raise BadManifest(where, "no rootfs")
        _check_time(shape.created, "$.created", where)
        for number, entry in enumerate(shape.history or ()):
            _check_time(entry.created, f"$.history[{number}].created", where)
        diff_ids = tuple(
            Digest.parse(text, f"{where} $.rootfs.diff_ids[{number}]")
            for number, text in enumerate(shape.rootfs.diff_ids or ())
        )
        return ImageConfig(
            bytes(raw),
            shape.os or "",
            shape.architecture or "",
            shape.variant or None,
            shape.created or None,
            diff_ids,
            tuple(entry.value() for entry in shape.history or ()),
            shape.os_version or None,
            tuple(shape.os_features or ()),
            shape.rootfs.type or "",
            tuple((shape.config.Env or ()) if shape.config is not None else ()),
        )

    @property
    def digest(self) -> Digest:
        """The SHA-256 digest of the raw bytes: the image ID."""
        return Digest.sha256(self.raw)

    @property
    def platform(self) -> Platform:
        """What the image runs on."""
        return Platform(self.os, self.architecture, self.variant, self.os_version, self.os_features)

    def document(self) -> dict[str, Any]:
        """Return the JSON object afresh, unknown fields and key order included, to be edited."""
        return cast("dict[str, Any]", parse_again(self.raw))


@contextmanager
def refusing(raw: bytes) -> Iterator[None]:
    """Have an error that is raised inside, because a config is not as it should be, carry the config."""
    try:
        yield
    except IntegrityError as error:
        error.document = bytes(raw)
        raise


def check_config_spelling(document: dict[str, Any], where: str) -> None:
    """Refuse a config's field that is spelled as a known one but for its case: Go reads it, and exact readers do not.

    What an image runs as is left alone: nothing there says what its layers are. Raises BadManifest.
    """
    check_spelling(document, _ConfigShape, where, BadManifest)
    check_spelling(document.get("rootfs"), _RootFSShape, f"{where} $.rootfs", BadManifest)
    history = document.get("history")
    for number, entry in enumerate(history if isinstance(history, list) else ()):
        check_spelling(entry, _HistoryShape, f"{where} $.history[{number}]", BadManifest)


def _check_time(text: str | None, path: str, where: str) -> None:
    """Raise BadManifest for a time that no consumer written in Go decodes, and with it nothing of the config."""
    if text is not None:
        try:
            rewrite_time(text)
        except ValueError as error:
            raise BadManifest(where, f"{path} is '{text}', and should be {error}") from None


def chain_ids(diff_ids: Iterable[Digest]) -> tuple[Digest, ...]:
    """Return for each layer what names it with all that is below it.  (image-spec, "Layer ChainID")"""
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(Digest.sha256(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)


class _HistoryShape(msgspec.Struct):
    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None

    def value(self) -> History:
        return History(self.created, self.created_by, self.author, self.comment, bool(self.empty_layer))


class _RootFSShape(msgspec.Struct):
    type: str | None = None
    diff_ids: list[str] | None = None  # left out, or null, for an image without layers


class _RunShape(msgspec.Struct):
    """What every consumer decodes with these types, so that another type breaks it."""

    User: str | None = None
    Env: list[str] | None = None
    Volumes: dict[str, dict[str, Any] | None] | None = None
    ExposedPorts: dict[str, dict[str, Any] | None] | None = None
    Labels: dict[str, str | None] | None = None
    WorkingDir: str | None = None


class _ConfigShape(msgspec.Struct, rename={"os_version": "os.version", "os_features": "os.features"}):
    architecture: str | None = None
    os: str | None = None
    variant: str | None = None
    os_version: str | None = None
    os_features: list[str] | None = None
    created: str | None = None
    config: _RunShape | None = None
    rootfs: _RootFSShape | None = None
    history: list[_HistoryShape] | None = None
