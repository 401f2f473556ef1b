"""What a locator shows, as one versioned JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from occy_fast.context.access import USUAL_ACCESS, Access
from occy_fast.context.call import Call
from occy_fast.errors import resource_errors
from occy_fast.image.image import Image, ImageIndex, Opaque
from occy_fast.transports.locator import parse_locator
from occy_fast.transports.opening import check_access, open_source

if TYPE_CHECKING:
    from occy_fast.image.image import Contents, Layer, NamedImage, Node
    from occy_fast.spec.limits import Limits

SCHEMA = 1


@resource_errors()
def inspect(locator: str, *, limits: Limits | None = None, access: Access = USUAL_ACCESS) -> dict[str, Any]:
    """Describe every image a locator selects, from headers and documents alone.

    Args:
        limits: what the documents may ask for; None takes the defaults, and what OCCY_FAST_MAX_... variables set.
        access: how a daemon is reached; what it has comes by as a whole, as its documents come last.
    Returns:
        {schema, locator, kind, images: [{ref, names, index, digest, media_type, platform, present, artifact, config,
        layers: [{digest, diff_id, size, encoding, media_type}]}]}: one entry per manifest, those of an index in its
        order; sizes are bytes, and what metadata does not tell is None.
    Raises:
        UsageError, NotFound, IntegrityError, LimitError, Unsupported, PathError, TransportError.
    """
    where = parse_locator(locator)
    check_access(access, where)
    call = Call.of(limits=limits, access=access)

    def attempt() -> Contents:
        with open_source(where, call) as source:
            return source.read()

    contents = call.retrying(attempt)
    images = [entry for named in contents.images for entry in _entries(named.root, named, None)]
    return {"schema": SCHEMA, "locator": contents.locator, "kind": contents.kind, "images": images}


def _entries(node: Node, named: NamedImage, index: str | None) -> list[dict[str, Any]]:
    if isinstance(node, ImageIndex):
        inside = _text(node.index.digest)
        return [entry for child in node.children for entry in _entries(child, named, inside)]
    descriptor = node.descriptor
    image = node if isinstance(node, Image) else None
    manifest = image.manifest if image else None
    platform = image.platform if image else descriptor.platform if descriptor else None
    return [
        {
            "ref": named.ref or next(iter(named.names), None),
            "names": list(named.names),
            "index": index,
            "digest": _text(manifest.digest if manifest else descriptor.digest if descriptor else None),
            "media_type": manifest.media_type if manifest else descriptor.media_type if descriptor else None,
            "platform": _text(platform),
            "present": not isinstance(node, Opaque) or (node.blob is not None and node.blob.address is not None),
            "artifact": image.artifact if image else None,
            "config": _text(image.config_blob.digest) if image else None,
            "layers": [_layer(layer) for layer in image.layers] if image else None,
        }
    ]


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "digest": _text(layer.digest),
        "diff_id": _text(layer.diff_id),
        "size": layer.size,
        "encoding": str(layer.encoding),
        "media_type": layer.media_type,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
