"""What a source would show, made without a source: digests are short names repeated."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from occy_fast.image.blob import Blob, FileRegion
from occy_fast.image.image import Contents, Image, ImageIndex, Layer, NamedImage, Opaque
from occy_fast.planning.capabilities import Capabilities
from occy_fast.spec.config import ImageConfig
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.json import format_json
from occy_fast.spec.limits import LIMITS
from occy_fast.spec.manifest import Index, Manifest
from occy_fast.spec.media_type import media_type
from occy_fast.spec.platform import Platform
from occy_fast.transports.opening import parse_locator

LAYOUT = Capabilities(
    kind="oci",
    read_by="pull",
    encodings=frozenset({"none", "gzip", "zstd"}),
    families=frozenset({"oci", "docker"}),
    multi_platform=True,
    many_images=True,
    artifacts=True,
    referrers=True,
    keeps_manifest=True,
    writes="any order",
    adopts=frozenset({"link", "reflink"}),
)
ARCHIVE = Capabilities(
    kind="docker-archive",
    read_by="load",
    encodings=frozenset({"none", "gzip"}),
    families=frozenset({"oci", "docker"}),
    multi_platform=False,
    many_images=True,
    artifacts=False,
    referrers=False,
    keeps_manifest=True,
    writes="one of unknown size",
    layer_types=False,
    names="reference",
)

DAEMON = replace(
    ARCHIVE,
    kind="docker-daemon",
    keeps_manifest=False,
    writes="one after another",
    identity="config",
    reads_back=False,
)


def digest(name: str) -> Digest:
    return Digest("sha256", hashlib.sha256(name.encode()).hexdigest())


def address(size: int) -> FileRegion:
    return FileRegion("/nowhere", 0, size, None)


def layer(name: str, size: int = 1_000_000) -> dict[str, Any]:
    """Describe a layer as "name.codec"; equal names are equal tars."""
    tar, _, codec = name.partition(".")
    codec = codec or "none"
    diff_id = digest(tar)
    return {
        "digest": diff_id if codec == "none" else digest(name),
        "diff_id": diff_id,
        "codec": codec,
        "size": size,
    }


def image(
    *layers: str | dict[str, Any],
    family: str = "oci",
    architecture: str = "amd64",
    manifest: bool = True,
    annotations: Sequence[tuple[str, str]] = (),
    config_type: str | None = None,
    label: str | None = None,
) -> Image:
    """Make an image; without *manifest*, as an old archive shows it. *label* is what every layer claims to be."""
    described = [layer(each) if isinstance(each, str) else each for each in layers]
    config = format_json(
        {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [str(each["diff_id"]) for each in described]},
        }
    )
    types = [label or _layer_type(family, each["codec"]) for each in described]
    config_digest = Digest.sha256(config)
    parsed = None
    if manifest:
        raw = format_json(
            {
                "schemaVersion": 2,
                "mediaType": media_type(family, "manifest"),
                "config": {
                    "mediaType": config_type or media_type(family, "config"),
                    "digest": str(config_digest),
                    "size": len(config),
                },
                "layers": [
                    {"mediaType": kind, "digest": str(each["digest"]), "size": each["size"]}
                    for kind, each in zip(types, described, strict=True)
                ],
            }
        )
        parsed = Manifest.parse(raw, "manifest", LIMITS)
    platform = Platform("linux", architecture)
    descriptor = None
    if parsed is not None:
        descriptor = Descriptor(
            parsed.media_type, parsed.digest, len(parsed.raw), annotations=tuple(sorted(annotations)), platform=platform
        )
    return Image(
        manifest=parsed,
        config=None if config_type else ImageConfig.parse(config, "config", LIMITS),
        config_blob=Blob(config_digest, len(config), config_type or media_type(family, "config"), address(len(config))),
        layers=tuple(
            Layer(
                Blob(each["digest"], each["size"], kind, address(each["size"])),
                kind,
                Encoding(each["codec"]),
                None if config_type else each["diff_id"],
            )
            for kind, each in zip(types, described, strict=True)
        ),
        platform=platform,
        descriptor=descriptor,
        artifact=config_type is not None,
    )


def _layer_type(family: str, codec: str) -> str:
    return media_type(family, "layer", codec if codec in ("none", "gzip", "zstd") else "none")


def unnamed(name: str) -> dict[str, Any]:
    """Describe a layer whose digest the source does not say."""
    return {**layer(name), "digest": None}


def attestation(of: Image) -> Image:
    """Make what BuildKit puts beside an image in its index."""
    about = (("vnd.docker.reference.digest", str(of.digest)), ("vnd.docker.reference.type", "attestation-manifest"))
    made = image(
        f"statement on {of.platform}", architecture="unknown", annotations=about, label="application/vnd.in-toto+json"
    )
    return replace(made, artifact=True)


def absent(name: str) -> Opaque:
    """Make a child that its index names, and the source does not have."""
    return Opaque(Descriptor(media_type("oci", "manifest"), digest(name), 500), None)


def index(*children: Image | Opaque, family: str = "oci") -> ImageIndex:
    raw = format_json(
        {
            "schemaVersion": 2,
            "mediaType": media_type(family, "index"),
            "manifests": [child.descriptor.document() for child in children if child.descriptor],
        }
    )
    parsed = Index.parse(raw, "index", LIMITS)
    return ImageIndex(parsed, Descriptor(parsed.media_type, parsed.digest, len(raw)), children)


def contents(*roots: Image | ImageIndex, names: Sequence[str] = (), locator: str = "oci:in") -> Contents:
    """Show roots, each with one name of *names*, where there is one."""
    full = [(f"docker.io/library/{name}",) for name in names] + [()] * len(roots)
    return Contents(
        locator,
        locator.partition(":")[0],
        tuple(NamedImage(root, own, None) for root, own in zip(roots, full, strict=False)),
        parse_locator(locator).path,
    )
