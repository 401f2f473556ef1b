"""What a destination accepts, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from occy_fast.planning.steps import AdoptHow

Writes = Literal["any order", "one of unknown size", "one after another"]
Identity = Literal["manifest", "config"]
Names = Literal["ref", "reference"]
ReadBy = Literal["load", "load an OCI archive", "pull"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """State what a destination can hold and how it can be written.

    Attributes:
        kind: what it is called, which is what its locators begin with.
        read_by: how a consumer comes by an image there: it may "load" it, which goes by manifest.json, "load an OCI
            archive", or "pull" it; both of these go by the manifests.
        encodings: codecs a layer may have there ("none", "gzip", "zstd", "xz", "bzip2").
        families: manifest families it holds: "oci", "docker".
        multi_platform: one name may stand for several platforms, so that whole indexes fit.
        many_images: several images fit side by side.
        artifacts: manifests without an image config fit.
        referrers: manifests with a subject fit.
        keeps_manifest: manifest bytes survive; otherwise whoever reads makes them again.
        writes: how blobs go there. In "any order", several at a time; with "one of unknown size" at a time, as the
            destination is a single file; or "one after another": those of known size as they are read, while one of
            unknown size waits in a temporary file until it is whole.
        identity: what an image is known by there: the digest of its "manifest", or of its "config", the image id.
        adopts: how a blob may become the destination's without being copied; empty where it can only be copied.
        names_by_digest: a blob's digest must be known before its first byte goes there; one whose digest is not known
            waits in a temporary file.
        layer_types: whoever reads a layer there is told its media type; otherwise it is taken for a tar.
        names: a name there is a "ref", a word of its own such as an OCI layout's ref name, or an image "reference".
        reads_back: what is there already can be read and verified in its place.
    """

    kind: str
    read_by: ReadBy
    encodings: frozenset[str]
    families: frozenset[str]
    multi_platform: bool
    many_images: bool
    artifacts: bool
    referrers: bool
    keeps_manifest: bool
    writes: Writes
    identity: Identity = "manifest"
    adopts: frozenset[AdoptHow] = frozenset()
    names_by_digest: bool = False
    layer_types: bool = True
    names: Names = "ref"
    reads_back: bool = True
