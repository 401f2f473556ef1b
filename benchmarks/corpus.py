"""Make what is measured: seeded and offline, so that two machines measure the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from functools import cache
from pathlib import Path

BLOCK = 512


@cache
def layer_tar(size: int, seed: int = 1) -> bytes:
    """Return about *size* bytes of tar that compress like a layer: text, tables, code, some of it packed."""
    chance = random.Random(seed)
    words = [chance.randbytes(chance.randint(2, 9)).hex() for _ in range(3000)]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        number = 0
        while out.tell() < size:
            content = _file_content(chance, words, min(int(chance.paretovariate(1.1) * 2000), 2 << 20))
            entry = tarfile.TarInfo(f"usr/lib/part{number % 40}/file-{number:06}")
            entry.size, entry.mode, entry.mtime = len(content), 0o644, 1_700_000_000
            tar.addfile(entry, io.BytesIO(content))
            number += 1
    return out.getvalue()


def empty_entries(count: int) -> bytes:
    """Return the headers of *count* empty files, without an end of archive."""
    headers = bytearray()
    for number in range(count):
        headers += tarfile.TarInfo(f"usr/share/doc/package-{number % 1000}/file-{number}").tobuf(tarfile.USTAR_FORMAT)
    return bytes(headers)


def write_zeros_archive(path: Path, size: int) -> None:
    """Write a docker-archive whose one layer is one file of *size* zeros; on disk it is sparse."""
    content = tarfile.TarInfo("zeros")
    content.size = size
    header = content.tobuf(tarfile.GNU_FORMAT)
    layer_size = len(header) + -(-size // BLOCK) * BLOCK + 2 * BLOCK

    state = hashlib.sha256(header)
    left, chunk = layer_size - len(header), bytes(1 << 20)
    while left:
        state.update(chunk[: min(left, len(chunk))])
        left -= min(left, len(chunk))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{state.hexdigest()}"]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "zeros"}],
    }
    raw_config = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(raw_config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": ["zeros:1"], "Layers": ["layer.tar"]}]

    scratch = path.with_suffix(".new")
    with open(scratch, "wb") as file:
        for name, raw in ((config_name, raw_config), ("manifest.json", json.dumps(manifest).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            file.write(member.tobuf(tarfile.GNU_FORMAT) + raw + bytes(-len(raw) % BLOCK))
        member = tarfile.TarInfo("layer.tar")
        member.size = layer_size
        file.write(member.tobuf(tarfile.GNU_FORMAT) + header)
        file.truncate(file.tell() + layer_size - len(header) + 2 * BLOCK)
    scratch.rename(path)


def _file_content(chance: random.Random, words: list[str], size: int) -> bytes:
    kind = chance.random()
    if kind < 0.5:  # text
        return " ".join(chance.choices(words, k=max(size // 12, 1))).encode()[:size]
    if kind < 0.7:  # a table of numbers that grow slowly
        start, step = chance.getrandbits(30), chance.randint(1, 64)
        return b"".join((start + step * number).to_bytes(8, "little") for number in range(size // 8))
    if kind < 0.9:  # code: short patterns with changing operands
        patterns = [chance.randbytes(chance.randint(2, 7)) for _ in range(200)]
        return b"".join(chance.choice(patterns) + chance.randbytes(1) for _ in range(size // 5))[:size]
    return chance.randbytes(size)  # packed already
