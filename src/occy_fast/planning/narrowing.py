"""Goal, capabilities and facts, narrowed to what the destination holds and the target reads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from occy_fast.errors import Unsupported, UnsupportedMediaType
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.media_type import media_type
from occy_fast.targets.rules import CODEC_FEATURES, INDEX_ATTESTATION

if TYPE_CHECKING:
    from occy_fast.image.image import Layer
    from occy_fast.planning.capabilities import Capabilities, ReadBy
    from occy_fast.planning.facts import Facts
    from occy_fast.planning.goal import Goal
    from occy_fast.targets.target import Target

_MANIFEST = {"oci": "pull.oci_manifest", "docker": "pull.v2s2"}
_INDEX = {"oci": "pull.oci_index", "docker": "pull.manifest_list"}


def fit_target(capabilities: Capabilities, goal: Goal, destination: str) -> Capabilities:
    """Return what of *capabilities* the goal's target reads.

    Raises Unsupported, where that is nothing, or not what the goal demands.
    """
    target = goal.target
    if target is None:
        return capabilities
    if capabilities.read_by == "load an OCI archive" and target.refuses("load.oci_archive"):
        raise Unsupported(destination, f"{target.name} reads no OCI archives", "docker-archive:PATH is one it reads")
    families = frozenset(family for family in capabilities.families if not target.refuses(_MANIFEST[family]))
    loaded = capabilities.read_by == "load"
    if loaded:
        families = capabilities.families
    if not families or goal.format not in ("keep", *families):
        which = goal.format if families else " or ".join(sorted(capabilities.families))
        raise Unsupported(destination, f"{target.name} reads no manifests of the format {which}")
    encodings = frozenset(
        codec
        for codec in capabilities.encodings
        if any(reads(target, codec, family, capabilities.read_by) for family in families)
    )
    if isinstance(goal.encoding, Encoding) and goal.encoding.codec not in encodings & capabilities.encodings:
        held = ", ".join(sorted(encodings))
        raise Unsupported(destination, f"{target.name} reads no {goal.encoding.codec} layers", f"it reads {held}")
    return replace(
        capabilities,
        encodings=encodings,
        families=families,
        multi_platform=capabilities.multi_platform and not all(target.refuses(_INDEX[name]) for name in families),
        many_images=capabilities.many_images and (not loaded or not target.refuses("load.multi_image")),
    )


def fit_goal(goal: Goal, capabilities: Capabilities, facts: Facts) -> Goal:
    """Return *goal* without the attestations that its target refuses in an index."""
    if facts.refuses(INDEX_ATTESTATION) and capabilities.multi_platform:
        return replace(goal, attestations="drop")
    return goal


def fit_facts(facts: Facts, capabilities: Capabilities) -> Facts:
    """Return *facts* without the blobs that could be shared, where the destination adopts none that way."""
    return replace(
        facts,
        links=facts.links if "link" in capabilities.adopts else frozenset(),
        reflinks=facts.reflinks if "reflink" in capabilities.adopts else frozenset(),
    )


def reads(target: Target | None, codec: str, family: str, read_by: ReadBy) -> bool:
    """Tell whether *target* is not known to refuse layers in *codec*, under a manifest of *family*."""
    return target is None or not any(map(target.refuses, _features(codec, family, read_by)))


def surely_reads(target: Target, codec: str, family: str, read_by: ReadBy) -> bool:
    """Tell whether *target* is known to read layers in *codec*, under a manifest of *family*."""
    return all(target.support(feature).answer == "yes" for feature in _features(codec, family, read_by))


def _features(codec: str, family: str, read_by: ReadBy) -> tuple[str, ...]:
    features = CODEC_FEATURES[codec]
    if read_by == "load":
        return (features.archive, features.dual) if features.dual else (features.archive,)
    return (features.pulled_as(family) or _MANIFEST[family],)


def fallback(goal: Goal, capabilities: Capabilities, family: str, destination: str) -> Encoding:
    """Return what a layer becomes that cannot stay: uncompressed in an archive, gzip where a target pulls it."""
    if goal.target is None:
        return Encoding("none")
    order = ("none", "gzip") if capabilities.read_by == "load" else ("gzip", "none")
    for codec in order:
        if codec in capabilities.encodings and reads(goal.target, codec, family, capabilities.read_by):
            return Encoding(codec)
    raise Unsupported(destination, f"no encoding of layers is known that {goal.target.name} reads there")


def fit_destination(
    layer: Layer, goal: Goal, family: str, capabilities: Capabilities, destination: str
) -> Goal:
    """Return *goal* as the destination and the manifest's family let it be for *layer*.

    Raises Unsupported, where that would change what was demanded.
    """
    codec, name = layer.encoding.codec, layer.digest or layer.diff_id
    if isinstance(goal.encoding, Encoding):
        if goal.target is not None and not reads(goal.target, goal.encoding.codec, family, capabilities.read_by):
            problem = f"{goal.target.name} reads no {goal.encoding.codec} layers in {family} manifests"
            raise Unsupported(destination, problem, "leave the encoding to the target")
        return goal
    if goal.format == "docker" and codec == "zstd" and codec in capabilities.encodings:
        raise Unsupported(
            destination,
            f"{f'layer {name}' if name else 'a layer'} is zstd, which hardly anything reads under Docker's media types",
            "name an encoding: gzip, or zstd if that is what you want",
        )
    readable = reads(goal.target, codec, family, capabilities.read_by)
    if codec in capabilities.encodings and _has_word_for(family, codec) and readable:
        return goal
    if goal.encoding == "keep":
        whose = f" of layer {name}" if name else ""
        who = "it cannot hold" if readable or goal.target is None else f"{goal.target.name} does not read"
        raise Unsupported(destination, f"{who} the {codec}{whose}", "do not demand to keep it")
    return replace(goal, encoding=fallback(goal, capabilities, family, destination))


def _has_word_for(family: str, codec: str) -> bool:
    try:
        media_type(family, "layer", codec)
    except UnsupportedMediaType:
        return False
    return True
