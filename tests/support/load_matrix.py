"""The archives of every odd shape, and what loaders were seen to do with each."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path


def unpack_variants(shared: Path, directory: Path) -> dict[str, Path]:
    """Unpack the archives into *directory*; return them by name."""
    with tarfile.open(shared / "oracles" / "load-matrix" / "variants.tar.xz") as tar:
        tar.extractall(directory, filter="data")
    return {path.stem: path for path in sorted((directory / "out").glob("*.tar"))}


def recorded_loads(shared: Path, name: str) -> dict[str, tuple[bool, str]]:
    """Return by archive whether it was loaded, and what the loader said."""
    document = json.loads((shared / "oracles" / "load-matrix" / name).read_bytes())
    return {archive: (found["rc"] == 0, "\n".join(found["out"])) for archive, found in document.items()}
