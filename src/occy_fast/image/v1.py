"""A chain of v1 images, one per layer, made into one config, and a config into such a chain, with Docker's ids."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from occy_fast.errors import BadManifest
from occy_fast.image.go_json import format_go_json, join_go_object, split_go_object
from occy_fast.image.v1_image import V1Image, read_v1_image
from occy_fast.spec.config import chain_ids
from occy_fast.spec.digest import Digest
from occy_fast.spec.json import parse_again, parse_json
from occy_fast.spec.limits import Limits

_NOT_IN_A_CONFIG: Final = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")
_KEPT_AS_WRITTEN_FROM: Final = (1, 8, 3)
"""The Docker from which on a v1 image's JSON goes into the config as it is, fields unknown here included."""

_ATOI: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_EPOCH: Final = {"created": "1970-01-01T00:00:00Z"}


@dataclass(frozen=True, slots=True)
class V1Document:
    """A v1 image's JSON, read.

    Attributes:
        text: as it is written.
    """

    text: str
    image: V1Image

    @staticmethod
    def parse(raw: bytes, where: str, limits: Limits) -> V1Document:
        """Read a v1 image's JSON. Raises BadManifest, BadJSON, DuplicateKey, ConfigTooLarge."""
        document = parse_json(raw, where, limits, "config")
        if not isinstance(document, dict):
            raise BadManifest(where, "no JSON object, where a v1 image should be")
        return V1Document(raw.decode("utf-8"), read_v1_image(document, where))

    def history(self) -> str:
        """Return the history entry of this image's layer, as Docker writes it."""
        image = self.image
        entry = {"created": image.created, "author": image.author}
        entry |= {"created_by": image.created_by, "comment": image.comment}
        return format_go_json({key: text for key, text in entry.items() if text or key == "created"})


def config_of_chain(top: V1Document, history: Sequence[str], diff_ids: Sequence[Digest]) -> bytes:
    """Return the config that dockerd 20.10 makes of a chain of v1 images, byte by byte.  (moby, image/v1/imagev1.go)

    Args:
        top: the image at the end of the chain.
        history: V1Document.history of every image, the lowest first; *diff_ids* are those of their layers.
    """
    if _is_older(top.image.docker_version, _KEPT_AS_WRITTEN_FROM):
        members = dict(top.image.members)
    else:
        members = split_go_object(top.text)
    for name in _NOT_IN_A_CONFIG:
        members.pop(name, None)
    members["rootfs"] = format_go_json({"type": "layers", "diff_ids": [str(digest) for digest in diff_ids]})
    members["history"] = f"[{','.join(history)}]"
    return join_go_object(members).encode("utf-8")


def _is_older(version: str, than: tuple[int, ...]) -> bool:
    """Compare versions as dockerd does: number by number, and what is no number counts as 0."""
    numbers = [int(part[:20]) if _ATOI.fullmatch(part) else 0 for part in version.split(".")]
    length = max(len(numbers), len(than))
    return tuple(numbers) + (0,) * (length - len(numbers)) < than + (0,) * (length - len(than))


@dataclass(frozen=True, slots=True)
class V1Layer:
    """One layer as `docker save` of Docker 1.10 to 24 writes it, for readers older than that.

    Attributes:
        id: what its directory is called.
        json: the v1 image beside it.
    """

    id: str
    json: bytes


def v1_ids(diff_ids: Sequence[Digest]) -> tuple[str, ...]:
    """Return the ids of all v1 images but the top one, the lowest first, as Docker 1.10 to 24 save them.

    They depend on nothing but the layers; the top one's depends on the whole config.
    """
    ids: list[str] = []
    members = _below()
    for chain_id in chain_ids(diff_ids[:-1]):
        ids.append(_id_of(members, chain_id, ids[-1] if ids else ""))
    return tuple(ids)


def chain_of_config(raw: bytes, diff_ids: Sequence[Digest], where: str = "") -> tuple[V1Layer, ...]:
    """Return the chain of v1 images that `docker save` of 20.10 makes of a config, the lowest layer first.

    The ids are a pure function of the config.  (moby, image/tarexport/save.go, image/v1/imagev1.go)

    Args:
        raw: a config that was read before, within whatever limits.
    Raises:
        BadManifest: the config has a value that Docker could not decode.
    """
    document: Mapping[str, Any] = parse_again(raw)
    own = _without(read_v1_image(document, where), "id", "parent")
    layers: list[V1Layer] = []
    ids = v1_ids(diff_ids)
    if diff_ids:
        ids += (_id_of(own, chain_ids(diff_ids)[-1], ids[-1] if ids else ""),)
    below, parent = _below(), ""
    for number, found in enumerate(ids, 1):
        members = own if number == len(ids) else below
        written = {"id": format_go_json(found)}
        if parent:
            written["parent"] = format_go_json(parent)
        written |= members
        if "os" in own:
            written["os"] = own["os"]  # of the images below it is the last field
        text = ",".join(f"{format_go_json(key)}:{value}" for key, value in written.items())
        layers.append(V1Layer(found, f"{{{text}}}".encode()))
        parent = found
    return tuple(layers)


def is_saved_chain(chain: Sequence[tuple[str, V1Image]], diff_ids: Sequence[Digest]) -> bool:
    """Tell whether an id of *chain* is the one that Docker 1.10 to 24 gives a layer when it saves an image.

    Such an id follows from the v1 image and from the diff_ids up to its layer. Before 1.10, ids were random, or
    followed from the digests of compressed layers.

    Args:
        chain: ids and v1 images, the lowest first, and *diff_ids* their layers'.
    """
    parent = ""
    for (id_, image), chain_id in zip(chain, chain_ids(diff_ids), strict=True):
        members = _without(image, "id", "parent")
        # `os` is written below the top one too, and is no part of those ids
        if id_ in {_id_of(members, chain_id, parent), _id_of(_without(image, "id", "parent", "os"), chain_id, parent)}:
            return True
        parent = id_
    return False


def _below() -> dict[str, str]:
    """Return what Docker takes every layer but the top one for: an image with nothing in it, of the year 1970."""
    return _without(read_v1_image(_EPOCH, ""))


def _id_of(members: dict[str, str], chain_id: Digest, parent: str) -> str:
    named = {**members, "layer_id": format_go_json(str(chain_id))}
    if parent:
        named["parent"] = format_go_json(f"sha256:{parent}")
    return hashlib.sha256(join_go_object(named).encode("utf-8")).hexdigest()


def _without(image: V1Image, *names: str) -> dict[str, str]:
    return {name: text for name, text in image.members if name not in names}
