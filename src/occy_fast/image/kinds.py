"""What is no image, in words: caches, charts, modules and the like, which registries and layouts hold as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from occy_fast.image.attestation import is_attestation, is_real
from occy_fast.image.graph import leaves
from occy_fast.image.image import Image, ImageIndex, Opaque
from occy_fast.words import format_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from occy_fast.image.image import Contents, Leaf, Node

_KINDS: Final = (
    ("application/vnd.buildkit.cacheconfig.", "a build cache"),
    ("application/vnd.cncf.helm.", "a Helm chart"),
    ("application/vnd.wasm.", "a WebAssembly module"),
    ("application/wasm", "a WebAssembly module"),
    ("application/vnd.module.wasm.", "a WebAssembly module"),
    ("application/vnd.dev.cosign.simplesigning.", "a signature"),
    ("application/vnd.dev.sigstore.bundle.", "a signature"),
    ("application/vnd.cncf.notary.signature", "a signature"),
    ("application/vnd.in-toto", "an attestation"),
    ("application/vnd.dsse.envelope.", "an attestation"),
    ("application/spdx", "a bill of materials"),
    ("application/vnd.cyclonedx", "a bill of materials"),
    ("text/spdx", "a bill of materials"),
    ("application/vnd.docker.plugin.", "a Docker plugin"),
    ("application/vnd.docker.ai.", "a model"),
    ("application/vnd.ollama.", "a model"),
    ("application/vnd.cncf.flux.", "a Flux artifact"),
    ("application/vnd.cncf.openpolicyagent.", "a policy"),
)
"""How the media type of a config, a layer or a whole artifact begins, and what that makes of it."""


def no_image(contents: Contents) -> str | None:
    """Say what *contents* are where no image is among them; None where one is.

    Attestations speak of an image, and are none; a platform that an index names and that is not there is none either.
    """
    found = [named.root for named in contents.images]
    if any(is_real(leaf) for root in found for leaf in leaves(root)):
        return None
    if not found:
        return "it lists nothing"
    return ", ".join(dict.fromkeys(map(kind_of, found)))


def kind_of(root: Node) -> str:
    """Say what a root that is no image is, as "a build cache"."""
    below = list(leaves(root))
    known = (_known(leaf) for leaf in below)
    if kind := next(filter(None, known), ""):
        return kind
    if not isinstance(root, ImageIndex):
        return _leaf(root)
    there = [leaf for leaf in below if not _is_absent(leaf)]
    if not below:
        return "an index that lists nothing"
    if not there:
        return f"an index of which nothing is there: it names {format_count(len(below), 'manifest')}"
    if all(map(is_attestation, there)):
        return "attestations alone"
    return "an index of blobs" if all(isinstance(leaf, Opaque) for leaf in there) else "an index of artifacts"


def _leaf(leaf: Leaf) -> str:
    if is_attestation(leaf):
        return "an attestation"
    if isinstance(leaf, Opaque):
        missing = "that is not there" if _is_absent(leaf) else f"of type {leaf.descriptor.media_type}"
        return f"a blob {missing}"
    manifest = leaf.manifest if isinstance(leaf, Image) else None
    if manifest is None:
        return "an artifact"
    return f"an artifact of type {manifest.artifact_type or manifest.config.media_type}"


def _is_absent(leaf: Leaf) -> bool:
    return isinstance(leaf, Opaque) and (leaf.blob is None or leaf.blob.address is None)


def _known(leaf: Leaf) -> str:
    """Return what one of a leaf's media types is known for; empty where none is."""
    for media_type in _types(leaf):
        for begin, kind in _KINDS:
            if media_type.startswith(begin):
                return kind
    return ""


def _types(leaf: Leaf) -> Iterator[str]:
    if isinstance(leaf, Image):
        if leaf.manifest is not None:
            yield leaf.manifest.artifact_type or ""
            yield leaf.manifest.config.media_type
        yield from (layer.media_type for layer in leaf.layers)
    elif leaf.descriptor is not None:
        yield leaf.descriptor.media_type
