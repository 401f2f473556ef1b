"""Report what the bound kernels are made of."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import cast

from occy_fast import kernels
from occy_fast.version import __version__


@dataclass(frozen=True, slots=True)
class CodecBuild:
    """One compression library; *origin* is pinned (linked statically), system (the distribution's) or python."""

    name: str
    version: str
    origin: str


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What is running: the same values mean the same bytes."""

    version: str
    kernels: str
    codecs: tuple[CodecBuild, ...]
    sha256: str
    cpu: tuple[str, ...]
    architecture: str
    compiler: str
    abi: str
    python: str
    checked: bool
    sanitized: str

    def to_json(self) -> dict[str, object]:
        """Return the same as plain JSON values."""
        document: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        document["codecs"] = {codec.name: {"version": codec.version, "origin": codec.origin} for codec in self.codecs}
        document["cpu"] = list(self.cpu)
        return document


def build_info() -> BuildInfo:
    """Return every codec with its version and origin, the variant of sha256, and what the kernels were built with."""
    facts = kernels.build_facts.facts()
    codecs = cast("dict[str, tuple[str, str]]", facts["codecs"])
    return BuildInfo(
        version=__version__,
        kernels=kernels.SIDE,
        codecs=tuple(CodecBuild(name, version, origin) for name, (version, origin) in sorted(codecs.items())),
        sha256=kernels.sha256.Sha256().variant,
        cpu=cast("tuple[str, ...]", facts["cpu"]),
        architecture=platform.machine(),
        compiler=str(facts["compiler"]),
        abi=str(facts["abi"]),
        python=platform.python_version(),
        checked=bool(facts["checked"]),
        sanitized=str(facts["sanitized"]),
    )
