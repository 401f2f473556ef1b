"""Archives from before Docker 1.10: every directory is an image of one layer, and `repositories` names some of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.errors import (
    BadArchive,
    BadManifest,
    BadReference,
    LimitError,
    MissingBlob,
)
from occy_fast.image.place import Place, located
from occy_fast.image.v1 import V1Document, config_of_chain, is_saved_chain
from occy_fast.spec.json import parse_json
from occy_fast.spec.limits import Limits
from occy_fast.spec.reference import parse_reference

if TYPE_CHECKING:
    from occy_fast.image.blob import Address
    from occy_fast.spec.digest import Digest
    from occy_fast.transports.archive.diff_ids import DiffIdsOf
    from occy_fast.transports.archive.members import CleanNames

REPOSITORIES = "repositories"

SAVE_AGAIN = "it is cut short: save it again"
"""What to do about an archive that lost its manifest.json."""

_ID = re.compile(r"([0-9a-f]{64})/(?:json|layer\.tar)")
_NEWER = re.compile(r"[0-9a-f]{64}\.(?:json|tar(?:\.[a-z0-9]+)?)|sha256:[0-9a-f]{64}.*|blobs/sha(?:256|512)/[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class LegacyImage:
    """A chain of v1 images as the one image it is today.

    Attributes:
        config: the bytes dockerd 20.10 would make, and so the same image ID.
        layers: where they are and their diff_ids, the lowest first.
    """

    config: bytes
    layers: tuple[tuple[Address, Digest], ...]


def is_legacy(members: CleanNames) -> bool:
    """Tell whether an archive without manifest.json looks like one from before Docker 1.10."""
    if REPOSITORIES in members:
        return True
    tops = (name.removesuffix("/layer.tar") for name in members if name.endswith("/layer.tar"))
    return any("/" not in top and f"{top}/json" in members for top in tops)


def sign_of_a_cut(names: Iterable[str]) -> str:
    """Say what shows that an archive of these members lost its manifest.json; empty where nothing does.

    Docker 1.10 to 24 save a directory for every layer as those before them did, and manifest.json behind them: what is
    cut in between would pass for an archive from before Docker 1.10, and its images for others. Only a newer one has a
    config, a layer or a blob under its digest; and what Docker saves has layer.tar and json in each directory.
    """
    known = set(names)
    for name in sorted(known):
        if _NEWER.fullmatch(name):
            return f"no manifest.json, but '{name}', which Docker 1.10 and later write before it"
        if found := _ID.fullmatch(name):
            missing = next((part for part in ("json", "layer.tar") if f"{found[1]}/{part}" not in known), None)
            if missing is not None:
                return f"no manifest.json, and '{name}' without the {missing} beside it"
    return ""


class LegacyArchive:
    """The v1 images of an archive, and those among them that are images of their own.

    Attributes:
        images: ids and names: what has a name, in the order of `repositories`, then what no other is made from.
    """

    def __init__(self, members: CleanNames, locator: str, limits: Limits) -> None:
        """Read all documents. Raises BadArchive, BadManifest, BadJSON, DuplicateKey, BadReference, LimitError."""
        self._members, self._locator, self._limits = members, locator, limits
        self._documents = self._read_documents()
        self._check_parents()
        with located(Place("repositories"), f"{self._locator}: {REPOSITORIES}"):
            named = self._read_repositories()
        parents = {document.image.parent for document in self._documents.values()}
        tops = {id_: () for id_ in self._documents if id_ not in parents and id_ not in named}
        self.images: tuple[tuple[str, tuple[str, ...]], ...] = (*named.items(), *tops.items())
        if not self.images:
            raise BadArchive(locator, "there is no image in it")

    def read(self, ids: Sequence[str], diff_ids_of: DiffIdsOf) -> list[LegacyImage]:
        """Make configs of the chains that end at *ids*.

        Args:
            diff_ids_of: asked once, for all layers of these chains.
        Raises:
            MissingBlob, BadArchive: a layer is not there, or no regular file.
            LimitError: all configs together are too large.
            And whatever *diff_ids_of* raises.
        """
        layers: dict[str, Address] = {}
        for id_ in ids:
            while id_ and _layer_of(id_) not in layers:
                layers[_layer_of(id_)] = self._find_layer(id_)
                id_ = self._documents[id_].image.parent
        diff_ids = diff_ids_of(layers)
        images: list[LegacyImage] = []
        total = 0
        for id_ in ids:
            chain = self._chain(id_)
            found = [diff_ids[_layer_of(below)] for below in chain]
            if is_saved_chain([(below, self._documents[below].image) for below in chain], found):
                problem = "no manifest.json, and layers under ids that Docker 1.10 and later give them"
                raise BadArchive(self._locator, problem, SAVE_AGAIN)
            history = [self._documents[below].history() for below in chain]
            config = config_of_chain(self._documents[id_], history, found)
            total += len(config)
            self._check_total("bytes of configs", total)        # a long chain under many names is told many times
            addresses = [layers[_layer_of(below)] for below in chain]
            images.append(LegacyImage(config, tuple(zip(addresses, found, strict=True))))
        return images

    def _read_documents(self) -> dict[str, V1Document]:
        """Read the v1 image in every directory; as dockerd does, none of them may be without."""
        documents: dict[str, V1Document] = {}
        tops = (name.partition("/")[0] for name in self._members if "/" in name)
        total = 0
        for id_ in dict.fromkeys((*tops, *sorted(self._members.directories))):
            where = f"{self._locator}: {id_}/json"
            with located(Place("member", name=f"{id_}/json"), where):
                region = self._members.find(f"{id_}/json")
                if region is None:
                    raise BadArchive(where, "not there, and every directory of such an archive is an image")
                self._limits.check_document("config", region.size, where)
                total += region.size
                self._check_total("bytes of v1 images", total)
                documents[id_] = V1Document.parse(region.read(), where, self._limits)
        return documents

    def _check_total(self, called: str, total: int) -> None:
        most = self._limits.legacy_documents
        if total > most:
            raise LimitError(self._locator, called, most, total, ("legacy_documents",))

    def _check_parents(self) -> None:
        """Raise BadArchive where a chain does not end, and LimitError where it is too long."""
        heights = {"": 0}
        for top in self._documents:
            path: dict[str, None] = {}
            id_ = top
            while id_ not in heights:
                below = self._documents[id_].image.parent
                problem = ""
                if id_ in path:
                    problem = "the image is its own ancestor"
                elif below and below not in self._documents:
                    problem = f"the image's parent {below} is not in the archive"
                if problem:
                    error = BadArchive(f"{self._locator}: {id_}/json", problem)
                    raise error.about(Place("member", name=f"{id_}/json"))
                path[id_] = None
                id_ = below
            for height, above in enumerate(reversed(path), heights[id_] + 1):
                heights[above] = height
            if heights[top] > self._limits.layer_count:
                most = self._limits.layer_count
                raise LimitError(self._locator, "number of layers", most, heights[top], ("layer_count",))

    def _read_repositories(self) -> dict[str, tuple[str, ...]]:
        """Return the names of images by their ids; without the document no image has one."""
        where = f"{self._locator}: {REPOSITORIES}"
        region = self._members.find(REPOSITORIES, follow=False)
        if region is None:
            return {}
        self._limits.check_document("docker_manifest", region.size, where)
        repositories = parse_json(region.read(), where, self._limits, "docker_manifest", free_keys=True)
        if not isinstance(repositories or {}, dict):
            raise BadManifest(where, "an object is expected")
        names: dict[str, list[str]] = {}
        for repository, tags in (repositories or {}).items():
            if not isinstance(tags or {}, dict):
                raise BadManifest(where, f"the tags of '{repository}' are no object")
            for tag, id_ in (tags or {}).items():
                if not isinstance(id_, str):
                    raise BadManifest(where, f"what '{repository}:{tag}' stands for is no text")
                if id_ not in self._documents:
                    raise BadArchive(where, f"'{repository}:{tag}' is image {id_}, which is not in the archive")
                names.setdefault(id_, []).append(_full_name(repository, tag, where))
        return {id_: tuple(dict.fromkeys(found)) for id_, found in names.items()}

    def _chain(self, top: str) -> list[str]:
        """Return the ids of an image and of all below it, the lowest first."""
        chain: list[str] = []
        while top:
            chain.append(top)
            top = self._documents[top].image.parent
        return chain[::-1]

    def _find_layer(self, id_: str) -> Address:
        region = self._members.find(_layer_of(id_))
        if region is None:
            error = MissingBlob(f"{self._locator}: {id_}", _layer_of(id_))
            raise error.about(Place("image", name=id_))
        return region


def _layer_of(id_: str) -> str:
    return f"{id_}/layer.tar"


def _full_name(repository: str, tag: str, where: str) -> str:
    try:
        reference = parse_reference(f"{repository}:{tag}")
        if reference.digest is not None or reference.tag != tag:
            raise BadReference(f"{repository}:{tag}", "a repository and a tag are expected")
    except BadReference as error:
        raise error.at(where) from None
    return reference.full()
