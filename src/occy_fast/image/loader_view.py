"""LoaderView: how a place holds its images, as a loader meets it before it looks at any image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Layout = Literal["layout", "docker-archive", "oci-archive", "legacy", "empty", "broken"]
Link = Literal["", "hard", "symbolic", "absolute", "escaping"]


@dataclass(frozen=True, slots=True)
class ListedLayer:
    """One layer as manifest.json lists it.

    Attributes:
        path: as it is written there.
        present: a loader that keeps names inside the archive finds a file under it.
        spelled: a reader that compares names as they are written finds it, too.
        link: what kind of link the path is, if any.
        codec: what its first bytes are.
        skippable: they are a zstd frame that decoders skip.
    """

    path: str
    present: bool
    link: Link = ""
    codec: str = "none"
    skippable: bool = False
    spelled: bool = True


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One item of manifest.json, with what its config says; nothing in it has been checked.

    Attributes:
        position: where manifest.json lists it, from 0.
        tags: RepoTags as they are written.
        config: the path as it is written.
        readable: the config is there, and a JSON object.
        raw: the config's bytes; None where they are not there, or not in one piece.
        diff_ids: None where the config has no rootfs.
        nonempty_history: history entries that made a layer; None where there is no history.
    """

    position: int
    tags: tuple[str, ...]
    config: str
    layers: tuple[ListedLayer, ...]
    present: bool = True
    readable: bool = True
    diff_ids: tuple[str, ...] | None = ()
    nonempty_history: int | None = None
    os: str = ""
    architecture: str = ""
    raw: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LoaderView:
    """How images are held.

    Attributes:
        layout: "layout" is a directory; "legacy" an archive from before Docker 1.10; "empty" one without images;
            "broken" no tar, or one that is cut short.
        compression: of the archive as a whole.
        dual: an OCI layout stands beside manifest.json.
        images: what manifest.json lists; None where it is no list of images.
        escaping: names of entries that lead out of the directory they are unpacked in.
        repositories: the file of that name is there.
        stray_directories: beside the layers', of which a loader of legacy archives takes each for one; of an archive
            without images, the first.
        versioned: an OCI archive has its oci-layout.
        problem: why it is broken.
        reason: the same in the words of Go's archive/tar, which loaders pass on; empty where it sees nothing wrong.
    """

    layout: Layout
    compression: str = "none"
    dual: bool = False
    images: tuple[ListedImage, ...] | None = ()
    escaping: tuple[str, ...] = ()
    repositories: bool = False
    stray_directories: tuple[str, ...] = ()
    versioned: bool = True
    problem: str = ""
    reason: str = ""


def leads_out(path: str) -> bool:
    """Tell whether a relative path climbs above where it begins."""
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return False
