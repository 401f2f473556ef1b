"""Which layer a member of an archive is that a daemon saves, told by the member's name before its bytes come."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from occy_fast.spec.config import chain_ids
from occy_fast.spec.digest import Digest

# What Docker 1.10 to 24 takes all layers but the top one for: a container's configuration with nothing in it.
_NO_CONFIG: Final = (
    '{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,'
    '"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,'
    '"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}'
)
_V1_DIRECTORY: Final = re.compile(r"([0-9a-f]{64})/layer\.tar")
_NAMED_BY_DIFF_ID: Final = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.tar)?")


def v1_ids(diff_ids: tuple[Digest, ...]) -> tuple[str, ...]:
    """Return the directories of all layers but the top one, as Docker 1.10 to 24 saves them.

    They are v1 image ids, which depend on nothing but the layers; the top one's depends on the whole config.
    """
    ids: list[str] = []
    for chain in chain_ids(diff_ids[:-1]):
        parent = f',"parent":"sha256:{ids[-1]}"' if ids else ""
        document = (
            f'{{"container_config":{_NO_CONFIG},"created":"1970-01-01T00:00:00Z","layer_id":"{chain}"{parent}}}'
        )
        ids.append(Digest.sha256(document.encode()).hex)
    return tuple(ids)


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
