"""Facts from a source and a destination."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from occy_fast.files.space import filesystem_type, free_space
from occy_fast.files.spool import temporary_directory
from occy_fast.image.blob import FileRegion, find_head
from occy_fast.image.graph import images, nodes
from occy_fast.image.image import Image, Layer, Opaque
from occy_fast.kernels import zstd_blocks
from occy_fast.planning.facts import EncoderFact, Facts
from occy_fast.running.source_traits import loader_view_of, skippable_layers, traits_of
from occy_fast.spec.encoding import CODECS, Encoding
from occy_fast.streams.encoders import encoder_identity
from occy_fast.targets.judge import refused
from occy_fast.transports.base import ManifestStore, UnpackingDestination
from occy_fast.transports.locator import STREAM, Locator

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.image.image import Contents
    from occy_fast.image.loader_view import LoaderView
    from occy_fast.planning.goal import Goal
    from occy_fast.spec.digest import Digest
    from occy_fast.targets.traits import Trait
    from occy_fast.transports.base import Destination

USUAL_ENCODER = 24 << 20
"""Bytes one worker's encoder may take before a plan mentions it."""

USUAL_WINDOW = 8 << 20
"""Bytes of zstd window that every decoder must offer.  (RFC 8878, section 3.1.1.1.2)"""

# File systems that can share blocks between files; elsewhere the attempt would cost a second read of the blob.
_SHARING_BLOCKS = frozenset({"btrfs", "xfs", "bcachefs"})


def probe(
    contents: Contents,
    view: LoaderView | None,
    destination: Destination,
    goal: Goal,
    call: Call,
    expected_diff_ids: tuple[Digest, ...] = (),
) -> Facts:
    """Ask what metadata cannot tell; headers of layers are read, and nothing is written.

    Args:
        view: how a loader meets the source, where the goal has a target; None where it has no such view.
        expected_diff_ids: of layers that are not among the contents yet.
    Raises UsageError, DaemonError.
    """
    call.report.phase("probe")
    layers = {layer.digest: layer for layer in _blobs(contents) if layer.digest is not None}
    present = destination.present({*layers, *expected_diff_ids})
    directory = nearest_directory(destination.locator)
    whole: frozenset[Digest] = frozenset()
    if directory is not None:
        whole = frozenset(digest for digest, layer in layers.items() if _is_linkable(layer, directory))
    chains: frozenset[Digest] = frozenset()
    if isinstance(destination, UnpackingDestination):
        stacks = (image.config.diff_ids for _, image in images(contents) if image.config is not None)
        chains = destination.chains((*stacks, expected_diff_ids))
    manifests: frozenset[Digest] = frozenset()
    if isinstance(destination, ManifestStore):
        manifests = destination.whole_manifests(
            node.manifest.digest for _, node in nodes(contents) if isinstance(node, Image) and node.manifest is not None
        )
    skippable = skippable_layers(contents) if goal.target is not None else frozenset()
    return Facts(
        present=frozenset(
            digest
            for digest, size in present.items()
            if digest not in layers or size == layers[digest].size
        ),
        links=frozenset(digest for digest in whole if _is_own(layers[digest])) if goal.link else frozenset(),
        reflinks=whole if directory and filesystem_type(directory) in _SHARING_BLOCKS else frozenset(),
        manifests=manifests,
        chains=chains,
        encoders=tuple(map(_encoder, _encodings(goal, skippable))),
        windows=tuple(sorted((digest, window) for digest, layer in layers.items() if (window := _extra_window(layer)))),
        refused=_refused(view, contents, goal, skippable),
        skippable=skippable,
        notes=destination.notes(),
        workers=call.workers,
        free=None if directory is None else free_space(directory),
    )


def probe_passed(contents: Contents, facts: Facts, goal: Goal) -> Facts:
    """Return *facts* with what the documents of an archive tell that has come by, of which probe knew nothing yet."""
    if goal.target is None:
        return facts
    skippable = skippable_layers(contents)
    traits = traits_of(loader_view_of(contents), contents, goal.target, skippable)
    return replace(
        facts,
        encoders=tuple(map(_encoder, _encodings(goal, skippable))),
        refused=(*facts.refused, *refused(traits, goal.target)),
        skippable=skippable,
    )


def nearest_directory(place: Locator) -> str | None:
    """Return the existing directory that what *place* names is in, or will be; None for what is in no directory."""
    if not place.has_path:
        return None
    path = os.path.realpath(place.path if place.path != STREAM else temporary_directory())
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _blobs(contents: Contents) -> Iterator[Layer]:
    """Yield all that is moved: layers, and what is neither an image nor an index."""
    for _, node in nodes(contents):
        if isinstance(node, Image):
            yield from node.layers
        elif isinstance(node, Opaque) and node.blob is not None:
            yield Layer.of_blob(node.blob)


def _is_own(layer: Layer) -> bool:
    """Tell whether the blob is the source's own file, and none that a symbolic link leads to."""
    return isinstance(layer.blob.address, FileRegion) and not layer.blob.address.borrowed


def _is_linkable(layer: Layer, directory: str) -> bool:
    """Tell whether the blob is a whole file on the directory's file system."""
    address = layer.blob.address
    if not isinstance(address, FileRegion) or address.offset != 0:
        return False
    with suppress(OSError):
        status = os.stat(address.path)
        return status.st_size == layer.size and status.st_dev == os.stat(directory).st_dev
    return False


def _refused(
    view: LoaderView | None, contents: Contents, goal: Goal, skippable: frozenset[Digest]
) -> tuple[Trait, ...]:
    """Return what of the source the goal's target does not read; of a stream, what shows before it is read."""
    if goal.target is None:
        return ()
    return refused(traits_of(view, contents, goal.target, skippable), goal.target)


def _encodings(goal: Goal, skippable: frozenset[Digest]) -> list[Encoding]:
    """Return the encodings that layers may get: the one asked for, or those that serve the target."""
    if isinstance(goal.encoding, Encoding):
        return [goal.encoding] if goal.encoding.codec != "none" else []
    if goal.target is None or goal.encoding == "keep":
        return []
    return [Encoding("gzip"), *([Encoding("zstd")] if skippable else [])]


def _encoder(wanted: Encoding) -> EncoderFact:
    encoding = Encoding(wanted.codec, wanted.effective_level)
    identity = encoder_identity(encoding)
    size = zstd_blocks.encoder_size(encoding.level) if encoding.codec == "zstd" and encoding.level is not None else 0
    return EncoderFact(encoding, identity, max(0, size - USUAL_ENCODER))


def _extra_window(layer: Layer) -> int:
    """Read from a zstd layer's first header how far beyond the usual its window is.  (RFC 8878, section 3.1.1.1)"""
    if layer.encoding.codec != "zstd" or layer.blob.address is None:
        return 0
    head = find_head(layer.blob.address, 6)
    if len(head) < 6 or head[:4] not in CODECS["zstd"].magics or head[4] & 0x20:  # a single segment is its own window
        return 0
    exponent, mantissa = head[5] >> 3, head[5] & 7
    window = (1 << (10 + exponent)) * (8 + mantissa) // 8
    return max(0, window - USUAL_WINDOW)
