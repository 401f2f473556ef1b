"""What a destination accepts, as one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """State what a destination can hold and how it can be written.

    Attributes:
        encodings: codecs a layer may have there ("none", "gzip", "zstd", "xz", "bzip2").
        families: manifest families it holds: "oci", "docker".
        multi_platform: one name may stand for several platforms, so that whole indexes fit.
        many_images: several images fit side by side.
        artifacts: manifests without an image config fit.
        referrers: manifests with a subject fit.
        keeps_manifest: manifest bytes survive; otherwise they are made anew by whoever reads.
        layer_types: whoever reads a layer there is told its media type; otherwise it is taken for a tar.
        refs: a name there is a word of its own, such as an OCI layout's ref name; otherwise it is an image reference.
        concurrent_unknown: several blobs whose size is not known may be written at the same time.
        adopts: a blob may become the destination's by link or shared blocks; otherwise it can only be copied.
        streams: blobs of known size go there one after another, as they are read; one of unknown size waits in a
            file of ours until it is whole.
        notes: what the reader of a plan would not expect of the destination.
    """

    encodings: frozenset[str]
    families: frozenset[str]
    multi_platform: bool
    many_images: bool
    artifacts: bool
    referrers: bool
    keeps_manifest: bool
    concurrent_unknown: bool
    layer_types: bool = True
    refs: bool = True
    adopts: bool = True
    streams: bool = False
    notes: tuple[str, ...] = ()
