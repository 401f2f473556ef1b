"""Configs, manifests and indexes as they are published, made from a plan and its outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from occy_fast.image.attestation import SUBJECTS, digest_of
from occy_fast.image.publication import (
    Publication,
    PublishedBlob,
    PublishedImage,
    PublishedIndex,
    PublishedLayer,
    PublishedRoot,
)
from occy_fast.planning.plan import Plan
from occy_fast.planning.steps import BlobPlan, ImagePlan, IndexPlan, LayerStep, RootPlan
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from occy_fast.spec.json import format_json
from occy_fast.spec.limits import UNBOUNDED, check_written
from occy_fast.spec.manifest import Manifest
from occy_fast.spec.media_type import describe, media_type

if TYPE_CHECKING:
    from occy_fast.image.publication import Published
    from occy_fast.running.result import LayerOutcome
    from occy_fast.transforms.base import Document

# They describe the compressed blob they stand beside, byte by byte; beside another they mislead whoever trusts them.
_ABOUT_THE_BLOB = frozenset(
    {
        "io.github.containers.zstd-chunked.manifest-checksum",
        "io.github.containers.zstd-chunked.manifest-position",
        "io.github.containers.zstd-chunked.tarsplit-checksum",
        "io.github.containers.zstd-chunked.tarsplit-position",
        "containerd.io/snapshot/stargz/toc.digest",
    }
)

OutcomeOf = Callable[[LayerStep], "LayerOutcome"]
ConfigOf = Callable[[ImagePlan], bytes]


def rebuild(plan: Plan, outcome_of: OutcomeOf, config_of: ConfigOf) -> Publication:
    """Make everything that is published, children before parents; a document nobody edited keeps its bytes.

    Raises ManifestTooLarge for one that is made anew and larger than every reader accepts.
    """
    roots = [_root(named.root, outcome_of, config_of, plan.destination) for named in plan.roots]
    renamed = dict(pair for named, root in zip(plan.roots, roots, strict=True) for pair in _renamings(named.root, root))
    return Publication(
        tuple(
            PublishedRoot(_pointed(root, renamed), named.names, named.ref)
            for named, root in zip(plan.roots, roots, strict=True)
        )
    )


def _renamings(plan: RootPlan, published: Published) -> Iterator[tuple[str, str]]:
    """Walk the digests of manifests and indexes as they were, each with what it has become."""
    if isinstance(plan, IndexPlan) and isinstance(published, PublishedIndex):
        children = (child for child in plan.children if isinstance(child, RootPlan))
        for child, done in zip(children, published.children, strict=True):
            yield from _renamings(child, done)
    if not isinstance(plan, BlobPlan) and (old := digest_of(plan.image if isinstance(plan, ImagePlan) else plan.index)):
        yield old, str(published.descriptor.digest)


def _pointed(root: Published, renamed: Mapping[str, str]) -> Published:
    """Let a root's annotations name the manifest it speaks of as that is called now."""
    pairs = root.descriptor.annotations
    pointed = tuple((key, renamed.get(text, text) if key in SUBJECTS else text) for key, text in pairs)
    return root if pointed == pairs else replace(root, descriptor=replace(root.descriptor, annotations=pointed))


def _root(root: RootPlan, outcome_of: OutcomeOf, config_of: ConfigOf, where: str) -> Published:
    if isinstance(root, ImagePlan):
        return _image(root, outcome_of, config_of(root), where)
    if isinstance(root, BlobPlan):
        return PublishedBlob(root.opaque.descriptor)
    return _index(root, outcome_of, config_of, where)


def _image(plan: ImagePlan, outcome_of: OutcomeOf, config: bytes, where: str) -> PublishedImage:
    image = plan.image
    results = tuple(outcome_of(step) for step in plan.steps)
    if image.manifest is None:
        document = _new_manifest(plan, results, config)
    elif plan.manifest_kept:
        raw, kind, manifest = image.manifest.raw, image.manifest.media_type, image.manifest
        return _published(plan, raw, kind, manifest, results, config)
    else:
        document = image.manifest.document()
        for descriptor, step, result in zip(document["layers"] or (), plan.steps, results, strict=True):
            if step.changes_blob:
                _redescribe(descriptor, step, result)
        for edit in plan.edits:
            edit.edit_manifest(document)
    raw = format_json(document)
    kind = document.get("mediaType") or media_type(plan.family, "manifest")
    where = f"{where}: the manifest that was made"
    check_written("manifest", len(raw), where)
    return _published(plan, raw, kind, Manifest.parse(raw, where, UNBOUNDED, kind), results, config)


def _published(
    plan: ImagePlan, raw: bytes, kind: str, manifest: Manifest, results: tuple[LayerOutcome, ...], config: bytes
) -> PublishedImage:
    layers = tuple(
        PublishedLayer(descriptor, result.diff_id) for descriptor, result in zip(manifest.layers, results, strict=True)
    )
    return PublishedImage(
        descriptor=_descriptor(plan.image.descriptor, raw, kind),
        manifest=raw,
        config=manifest.config,
        config_bytes=config,
        layers=layers,
        platform=plan.image.platform,
        artifact=plan.image.artifact,
    )


def _index(plan: IndexPlan, outcome_of: OutcomeOf, config_of: ConfigOf, where: str) -> PublishedIndex:
    children = [
        _root(child, outcome_of, config_of, where) if isinstance(child, RootPlan) else None
        for child in plan.children
    ]
    published = tuple(child for child in children if child is not None)
    renamed = dict(
        pair
        for child, done in zip(plan.children, children, strict=True)
        if isinstance(child, RootPlan) and done is not None
        for pair in _renamings(child, done)
    )
    index = plan.index.index
    if plan.manifest_kept:
        return PublishedIndex(_descriptor(plan.index.descriptor, index.raw, index.media_type), index.raw, published)
    document = index.document()
    document["manifests"] = [
        _renamed(document["manifests"][position], None if child is None else child.descriptor, renamed)
        for position, child in zip(plan.positions, children, strict=True)
    ]
    for edit in plan.edits:
        edit.edit_index(document)
    raw = format_json(document)
    kind = document.get("mediaType") or media_type(plan.family, "index")
    check_written("manifest", len(raw), f"{where}: the index that was made")
    return PublishedIndex(_descriptor(plan.index.descriptor, raw, kind), raw, published)


def _renamed(entry: Document, descriptor: Descriptor | None, renamed: Mapping[str, str]) -> Document:
    """Return an index's entry with what became of its child, and of what that speaks of; None is no child."""
    if descriptor is not None and entry["digest"] != str(descriptor.digest):
        entry.update({"mediaType": descriptor.media_type, "digest": str(descriptor.digest), "size": descriptor.size})
        entry.pop("data", None)
    annotations = entry.get("annotations") or {}
    for key in SUBJECTS:
        if annotations.get(key) in renamed:
            annotations[key] = renamed[annotations[key]]
    return entry


def _descriptor(original: Descriptor | None, raw: bytes, kind: str) -> Descriptor:
    digest = Digest.sha256(raw)
    if original is None:
        return Descriptor(kind, digest, len(raw))
    if original.digest.of(raw) == original.digest:
        return original
    return replace(original, media_type=kind, digest=digest, size=len(raw), data=None)


def _new_manifest(plan: ImagePlan, results: tuple[LayerOutcome, ...], config: bytes) -> Document:
    layers = []
    for step, result in zip(plan.steps, results, strict=True):
        meaning = describe(step.layer.media_type)
        kind = meaning.kind if meaning else "layer"
        layers.append(
            Descriptor(
                media_type(plan.family, kind, step.encoding.codec),
                result.digest,
                result.size_out,
                annotations=step.layer.annotations,
                urls=step.layer.urls,
            ).document()
        )
    return {
        "schemaVersion": 2,
        "mediaType": media_type(plan.family, "manifest"),
        "config": Descriptor(media_type(plan.family, "config"), Digest.sha256(config), len(config)).document(),
        "layers": layers,
    }


def _redescribe(descriptor: Document, step: LayerStep, result: LayerOutcome) -> None:
    """Make a layer's descriptor say what the layer has become."""
    meaning = describe(descriptor["mediaType"])
    assert meaning is not None, "only layers of known media types are recoded"
    descriptor["mediaType"] = media_type(meaning.family, meaning.kind, step.encoding.codec)
    descriptor["digest"] = str(result.digest)
    descriptor["size"] = result.size_out
    descriptor.pop("data", None)
    annotations = descriptor.get("annotations")
    if annotations:
        kept = {key: value for key, value in annotations.items() if key not in _ABOUT_THE_BLOB}
        if kept:
            descriptor["annotations"] = kept
        else:
            del descriptor["annotations"]
