"""Which layer a member of an archive is that a daemon saves, told by the member's name before its bytes come."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from occy_fast.image.v1 import v1_ids
from occy_fast.spec.digest import Digest

_V1_DIRECTORY: Final = re.compile(r"([0-9a-f]{64})/layer\.tar")
_NAMED_BY_DIFF_ID: Final = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.tar)?")


def saved_names(diff_ids: tuple[Digest, ...]) -> Callable[[str], Digest | None]:
    """Return what finds the diff_id of the layer that a member's name stands for; None for what is no layer's name.

    Docker 1.10 to 24 names a layer's directory by its v1 id, later ones and Podman its file by the diff_id.
    """
    known = dict(zip(v1_ids(diff_ids), diff_ids, strict=False))
    by_hex = {diff_id.hex: diff_id for diff_id in diff_ids if diff_id.algorithm == "sha256"}

    def find(name: str) -> Digest | None:
        if directory := _V1_DIRECTORY.fullmatch(name):
            return known.get(directory[1], diff_ids[-1] if diff_ids else None)  # the one that remains is the top
        named = _NAMED_BY_DIFF_ID.fullmatch(name)
        return by_hex.get(named[1]) if named else None

    return find
