"""The traits of what a source shows, as one target comes by them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from occy_fast.image.attestation import is_real
from occy_fast.image.blob import find_head
from occy_fast.image.graph import images, layers
from occy_fast.image.image import Image
from occy_fast.image.loader_view import ListedImage, ListedLayer, LoaderView
from occy_fast.image.place import Place
from occy_fast.streams.sniff import begins_skippable
from occy_fast.targets.traits import (
    Trait,
    contents_traits,
    entry_traits,
    layer_type_traits,
    loader_view_traits,
)

if TYPE_CHECKING:
    from occy_fast.errors import OccyError
    from occy_fast.image.image import Contents, Layer, Node
    from occy_fast.spec.digest import Digest
    from occy_fast.targets.config_traits import Form
    from occy_fast.targets.target import Target

# What Go calls the machines whose kernels have other names for themselves.
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def traits_of(
    view: LoaderView | None, contents: Contents | None, target: Target, skippable: frozenset[Digest]
) -> Iterator[Trait]:
    """Yield what *target* comes by: it reads manifest.json, or the manifests of the layout beside it, or both."""
    if view is not None:
        yield from loader_view_traits(view, host_architecture())
    if contents is not None:
        loads_entries = target.kind != "registry" and not target.refuses("load.oci_archive")
        if contents.kind == "oci-archive" and loads_entries:
            yield from entry_traits(contents)
    reads_layout = view is None or not view.dual or target.support("load.oci_archive").answer == "yes"
    if contents is not None and reads_layout:
        yield from contents_traits(contents, skippable)
    elif contents is not None:                       # manifest.json does not say what its layers are
        for within, image in images(contents):
            if is_real(image):
                yield from layer_type_traits(image, within)


def loader_view_of(contents: Contents) -> LoaderView:
    """Return the view of an archive that is gone, or in a daemon: what a reader that accepted it can tell."""
    if contents.kind == "oci-archive":
        return LoaderView("oci-archive")
    roots = ((named.number(at), named.default or named.root, named.names) for at, named in enumerate(contents.images))
    listed = (_listed(*root) for root in roots)
    return LoaderView("docker-archive", images=tuple(image for image in listed if image is not None))


def _listed(position: int, node: Node, tags: tuple[str, ...]) -> ListedImage | None:
    """Return an image as manifest.json would list it, under paths that say nothing."""
    config = node.config if isinstance(node, Image) else None
    if not isinstance(node, Image) or config is None:
        return None
    return ListedImage(
        position,
        tags,
        config.digest.hex,
        tuple(
            ListedLayer(f"{number}", True, codec=layer.encoding.codec, skippable=_begins_skippable(layer))
            for number, layer in enumerate(node.layers)
        ),
        diff_ids=tuple(map(str, config.diff_ids)),
        nonempty_history=sum(not entry.empty_layer for entry in config.history) if config.history else None,
        os=config.os,
        architecture=config.architecture,
        raw=config.raw,
    )


def configs_of(
    view: LoaderView | None, contents: Contents | None, unread: OccyError | None, target: Target
) -> tuple[Form, list[tuple[Place, str, bytes]]]:
    """Return the configs that *target* decodes, each once: those that this library refuses among them."""
    found: dict[bytes, tuple[Place, str]] = {}
    listed = view.images or () if view is not None else ()
    for image in listed:
        if image.raw is not None and image.readable:     # what is no JSON has a trait of its own
            place = Place("image", image.position if len(listed) > 1 else None).inside("config")
            found.setdefault(image.raw, (place, image.config))
    archive = view is not None and view.layout == "docker-archive"
    dual = view is not None and view.dual and target.support("load.oci_archive").answer == "yes"
    if view is None or view.layout not in ("docker-archive", "legacy") or dual:
        for within, node in images(contents) if contents is not None else ():
            if node.config is not None and is_real(node):
                found.setdefault(node.config.raw, (within.inside("config"), ""))
        if unread is not None and unread.document is not None:
            found.setdefault(unread.document, (unread.place or Place("config"), ""))
    return "archive" if archive and not dual else "layout", [(*named, raw) for raw, named in found.items()]


def host_architecture() -> str:
    """Return what image configs call this machine's architecture."""
    machine = os.uname().machine
    return _GO_NAMES.get(machine, machine)


def skippable_layers(contents: Contents) -> frozenset[Digest]:
    """Return the zstd layers that begin with a frame that decoders skip."""
    found: set[Digest] = set()
    for _, layer in layers(contents):
        if layer.digest is not None and _begins_skippable(layer):
            found.add(layer.digest)
    return frozenset(found)


def _begins_skippable(layer: Layer) -> bool:
    address = layer.blob.address
    if address is None or layer.encoding.codec != "zstd":
        return False
    return begins_skippable(find_head(address, 4))
