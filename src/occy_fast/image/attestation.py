"""What stands beside an image and speaks of it: attestations, signatures and other referrers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeGuard

from occy_fast.image.image import Image, ImageIndex, Node, Opaque, Unreadable
from occy_fast.spec.descriptor import Descriptor

SUBJECTS: Final = ("vnd.docker.reference.digest", "io.containerd.manifest.subject")
"""Annotations that name the manifest spoken of: BuildKit's, and the one that `docker save --platform` writes."""

_TYPE: Final = "vnd.docker.reference.type"


def is_attestation(node: Node) -> bool:
    """Tell whether an index calls *node* what BuildKit puts beside an image: a statement on how that was made."""
    descriptor = node.descriptor
    if descriptor is None:
        return False
    platform = descriptor.platform
    nowhere = platform is not None and (platform.os, platform.architecture) == ("unknown", "unknown")
    return nowhere or any(descriptor.annotation(key) is not None for key in (_TYPE, SUBJECTS[1]))


def is_real(node: Node) -> TypeGuard[Image]:
    """Tell whether *node* is what a user calls an image: there, and not an attestation or artifact."""
    return isinstance(node, Image) and not node.artifact and not is_attestation(node)


def named_subject(descriptor: Descriptor) -> str | None:
    """Return the digest of the manifest that the annotations of *descriptor* say is spoken of."""
    return next((digest for key in SUBJECTS if (digest := descriptor.annotation(key))), None)


def subject_of(node: Node) -> str | None:
    """Return the digest of the manifest that *node* speaks of, as its descriptor or its own `subject` has it."""
    named = named_subject(node.descriptor) if node.descriptor is not None else None
    if named is not None or isinstance(node, Opaque | Unreadable):
        return named
    document = node.index if isinstance(node, ImageIndex) else node.manifest
    return str(document.subject.digest) if document is not None and document.subject is not None else None


def digest_of(node: Node) -> str:
    """Return the digest of a node, as text; empty where nothing names it."""
    return "" if node.digest is None else str(node.digest)


def with_referrers(digests: Iterable[str], nodes: Iterable[Node]) -> frozenset[str]:
    """Return *digests* and those of all *nodes* that speak of one of them, or of what speaks of one."""
    found, left = set(digests), list(nodes)
    while more := {digest_of(node) for node in left if subject_of(node) in found} - found:
        found |= more
    return frozenset(found)
