"""What a locator shows, from headers and documents alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from occy_fast import schema
from occy_fast.context.access import USUAL_ACCESS, Access
from occy_fast.context.call import Call
from occy_fast.errors import resource_errors
from occy_fast.image.graph import check_readable
from occy_fast.image.image import Image, ImageIndex, Opaque
from occy_fast.transports.opening import check_access, open_source, parse_locator
from occy_fast.words import format_count, printable, text_or_none

if TYPE_CHECKING:
    from occy_fast.context.progress import ProgressCallback
    from occy_fast.image.image import Contents, Layer, NamedImage, Node
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.limits import Limits
    from occy_fast.spec.platform import Platform


@dataclass(frozen=True, slots=True)
class InspectedManifest:
    """One manifest: an image's, an artifact's, or of something that is not looked into.

    Attributes:
        ref: what a layout calls it, else the first of its names.
        names: image references.
        index: digest of the index that lists it; None where none does.
        digest: of the manifest; None where the source has none.
        present: the source has it; an index may name more than is there.
        artifact: it is no image; None where it was not looked into.
        config: digest of the config.
        layers: bottom layer first; None where it was not looked into.
    """

    ref: str | None
    names: tuple[str, ...]
    index: Digest | None
    digest: Digest | None
    media_type: str | None
    platform: Platform | None
    present: bool
    artifact: bool | None
    config: Digest | None
    layers: tuple[Layer, ...] | None

    def to_json(self) -> dict[str, Any]:
        """Return the manifest's part of what InspectReport.to_json does."""
        return {
            "ref": self.ref,
            "names": list(self.names),
            "index": text_or_none(self.index),
            "digest": text_or_none(self.digest),
            "media_type": self.media_type,
            "platform": text_or_none(self.platform),
            "present": self.present,
            "artifact": self.artifact,
            "config": text_or_none(self.config),
            "layers": None if self.layers is None else [_layer_document(layer) for layer in self.layers],
        }


@dataclass(frozen=True, slots=True)
class InspectReport:
    """What inspect found.

    Attributes:
        kind: the transport: "docker-archive", "oci", "oci-archive", "docker-daemon" or "podman".
        images: one for each manifest, those of an index in its order.
        warnings: what is wrong with the place itself, or with images beside those that were chosen.
    """

    locator: str
    kind: str
    images: tuple[InspectedManifest, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what `occy-fast inspect --json` prints, as plain JSON values; sizes are bytes, what is not known None.

        {schema, locator, kind, images: [{ref, names, index, digest, media_type, platform, present, artifact, config,
        layers: [{digest, diff_id, size, encoding, media_type}]}], warnings}
        """
        images = [image.to_json() for image in self.images]
        return {
            "schema": schema.INSPECT,
            "locator": self.locator,
            "kind": self.kind,
            "images": images,
            "warnings": list(self.warnings),
        }

    def __repr__(self) -> str:
        return f"InspectReport({printable(self.locator)}, {self.kind}, {format_count(len(self.images), 'image')})"


@resource_errors()
def inspect(
    locator: str | os.PathLike[str],
    *,
    limits: Limits | None = None,
    max_layer: int | None = None,
    workers: int | None = None,
    access: Access = USUAL_ACCESS,
    follow_links: Iterable[str | os.PathLike[str]] = (),
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> InspectReport:
    """Describe every image a locator selects, from headers and documents alone.

    Args:
        locator: text such as "docker-daemon:app:1", or a path. A daemon's image is streamed as a whole, as its
            documents come last.
        limits, max_layer, workers, access, follow_links, progress, cancel: as the package describes them; an
            archive from before Docker 1.10 names no diff_ids, and its layers are decoded for them.
    Returns:
        An InspectReport; what metadata does not tell is None in it.
    Raises:
        UsageError, NotFound, InputError, ResourceError, IntegrityError, LimitError, Unsupported, PathError,
        TransportError, Cancelled.
    """
    where = parse_locator(locator)
    check_access(access, where)
    call = Call.of(
        limits=limits,
        max_layer=max_layer,
        workers=workers,
        access=access,
        cancel=cancel,
        progress=progress,
        follow_links=follow_links,
    )

    def attempt() -> Contents:
        with open_source(where, call) as source:
            contents = source.read()
        check_readable(contents)
        return contents

    contents = call.retrying(attempt)
    images = (image for named in contents.images for image in _manifests(named.root, named, None))
    warnings = (*map(str, contents.warnings), *(finding.problem for finding in contents.passed_over))
    return InspectReport(contents.locator, contents.kind, tuple(images), warnings)


def _manifests(node: Node, named: NamedImage, index: Digest | None) -> Iterator[InspectedManifest]:
    if isinstance(node, ImageIndex):
        for child in node.children:
            yield from _manifests(child, named, node.index.digest)
        return
    descriptor = node.descriptor
    image = node if isinstance(node, Image) else None
    manifest = image.manifest if image else None
    yield InspectedManifest(
        ref=named.ref or next(iter(named.names), None),
        names=named.names,
        index=index,
        digest=manifest.digest if manifest else descriptor.digest if descriptor else None,
        media_type=manifest.media_type if manifest else descriptor.media_type if descriptor else None,
        platform=image.platform if image else descriptor.platform if descriptor else None,
        present=not isinstance(node, Opaque) or (node.blob is not None and node.blob.address is not None),
        artifact=image.artifact if image else None,
        config=image.config_blob.digest if image else None,
        layers=image.layers if image else None,
    )


def _layer_document(layer: Layer) -> dict[str, Any]:
    return {
        "digest": text_or_none(layer.digest),
        "diff_id": text_or_none(layer.diff_id),
        "size": layer.size,
        "encoding": str(layer.encoding),
        "media_type": layer.media_type,
    }
