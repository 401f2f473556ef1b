"""What is remarkable about an image, whoever is to read it: the rules, without a consumer's answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.errors import BadReference
from occy_fast.image.attestation import is_attestation
from occy_fast.image.go_decoding import find_refusal
from occy_fast.image.graph import child_place, real_images, roots
from occy_fast.image.image import Image, ImageIndex
from occy_fast.image.kinds import no_image
from occy_fast.image.loader_view import leads_out
from occy_fast.image.place import Place
from occy_fast.spec.media_type import DOCKER_CONFIG, OCI_CONFIG, describe
from occy_fast.spec.reference import parse_reference
from occy_fast.targets import rules
from occy_fast.targets.config_structs import DOCKER_IMAGE_20
from occy_fast.targets.rules import TraitRule

if TYPE_CHECKING:
    from occy_fast.image.image import Contents, Leaf, Node
    from occy_fast.image.loader_view import ListedImage, ListedLayer, LoaderView
    from occy_fast.spec.digest import Digest

Words = tuple[tuple[str, str], ...]
"""What an error text has in braces, and what stands for it."""

ARCHIVE = Place("archive")
LISTING = Place("manifest.json")
"""The list of images in an archive."""

_SKIPPABLE = "zstd that begins with a skippable frame"
_PATH_PROBLEMS = {
    rules.PATHS_PARENT: "leads upwards",
    rules.PATHS_ABSOLUTE: "is absolute",
    rules.PATHS_DOTSLASH: "has a '.' in it",
}


@dataclass(frozen=True, slots=True)
class Trait:
    """One thing about an image that a consumer may stumble over.

    Attributes:
        words: for a consumer's error text.
        feature: what a target is asked about; the rule's, unless something narrower is given.
    """

    rule: TraitRule
    place: Place
    problem: str
    words: Words = ()
    feature: str = ""

    def __post_init__(self) -> None:
        if not self.feature:
            object.__setattr__(self, "feature", self.rule.feature)


# -------------------------------------------------------------------------------------------------- what a loader meets


def loader_view_traits(view: LoaderView, architecture: str) -> Iterator[Trait]:
    """Yield what a loader meets in an archive before and while it looks at the images in it.

    Args:
        architecture: of the machine it is to be loaded on.
    """
    if view.compression != "none":
        problem = f"the archive as a whole is {view.compression}"
        yield Trait(rules.WHOLE[view.compression], ARCHIVE, problem)
    if view.layout == "broken":
        feature = "load.no_tar" if view.reason else ""      # no loader has words of its own for the rest
        yield Trait(rules.BROKEN_ARCHIVE, ARCHIVE, view.problem, (("reason", view.reason),), feature)
    elif view.layout == "empty":
        problem = "no manifest.json, and nothing else an image is known by"
        first = view.stray_directories[:1]               # which loaders of old take for an image
        feature = "load.no_manifest_but_directories" if first else ""
        yield Trait(rules.NO_IMAGE, ARCHIVE, problem, tuple(("path", name) for name in first), feature)
    elif view.layout == "oci-archive":
        yield Trait(rules.OCI_ONLY_ARCHIVE, LISTING, "an OCI layout without manifest.json")
        if not view.versioned:
            yield Trait(rules.NO_OCI_LAYOUT, Place("oci-layout"), "it is missing")
    elif view.layout == "legacy":
        yield from _legacy(view)
    elif view.layout == "docker-archive":
        yield from _listed(view, architecture)
    for name in view.escaping:
        problem = f"'{name}' leads out of the archive"
        words = (("path", name.rpartition("../")[2]),)
        yield Trait(rules.ENTRY_PARENT, Place("member", name=name), problem, words)


def _legacy(view: LoaderView) -> Iterator[Trait]:
    problem = "an archive from before Docker 1.10, without manifest.json"
    yield Trait(rules.LEGACY_V1, LISTING, problem)
    if not view.repositories:
        problem = "no file of that name, in an archive from before Docker 1.10"
        yield Trait(rules.LEGACY_REPOSITORIES, Place("repositories"), problem)
    for name in view.stray_directories:
        problem = "a directory that is taken for a layer's, and has no json"
        yield Trait(rules.LEGACY_STRAYS, Place("member", name=f"{name}/"), problem, (("path", name),))


def _listed(view: LoaderView, architecture: str) -> Iterator[Trait]:
    if view.images is None:
        yield Trait(rules.MANIFEST_UNREADABLE, LISTING, "no list of images")
        return
    if len(view.images) > 1:
        yield Trait(rules.SEVERAL_IMAGES, LISTING, f"lists {len(view.images)} images")
        yield from _repeated(view.images)
    for image in view.images:
        within = Place("image", image.position if len(view.images) > 1 else None)
        yield from _tags(image, within.inside("RepoTags"))
        yield from _paths(image, within.inside("manifest.json"))
        yield from _config(image, within.inside("config"), architecture)
        yield from _layers(image, within, view.dual)


def _repeated(images: tuple[ListedImage, ...]) -> Iterator[Trait]:
    """Yield the names that several images of different configs have: the last one keeps it where one is loaded."""
    first: dict[str, ListedImage] = {}
    for image in images:
        for tag in image.tags:
            other = first.setdefault(tag, image)
            if other.config != image.config:
                problem = f"'{tag}' is the name of the images @{other.position} and @{image.position}"
                yield Trait(rules.TAG_REPEATED, Place("RepoTags", image.position), problem, (("tag", tag),))


def _tags(image: ListedImage, place: Place) -> Iterator[Trait]:
    if not image.tags:
        yield Trait(rules.TAG_NONE, place, "the image has no name")
    for tag in image.tags:
        if wrong := _wrong_tag(tag):
            feature, problem = wrong
            yield Trait(rules.TAG_INVALID, place, f"'{tag}' {problem}", (("tag", tag),), feature)


def _wrong_tag(tag: str) -> tuple[str, str] | None:
    try:
        reference = parse_reference(tag)
    except BadReference:
        if "@" in tag:
            return "load.tag_digest", "has a digest"
        try:
            parse_reference(tag.lower())
        except BadReference:
            return "load.tag_malformed", "is no image reference"
        return "load.tag_uppercase", "has upper-case letters in its repository"
    if reference.digest is not None:
        return "load.tag_digest", "has a digest"
    return None if reference.tag is not None else ("load.tag_missing", "has no tag")


def _paths(image: ListedImage, place: Place) -> Iterator[Trait]:
    forms: dict[TraitRule, str] = {}
    for path, spelled in ((image.config, False), *((layer.path, layer.spelled) for layer in image.layers)):
        parts = path.split("/")
        if leads_out(path):
            forms.setdefault(rules.PATHS_PARENT, path)
        elif path.startswith("/"):
            if not spelled or path.startswith("//"):     # the archive has it as another name
                forms.setdefault(rules.PATHS_ABSOLUTE, path)
        elif not {".", ".."}.isdisjoint(parts):
            forms.setdefault(rules.PATHS_DOTSLASH, path)
    for rule, problem in _PATH_PROBLEMS.items():
        if path := forms.get(rule, ""):
            yield Trait(rule, place, f"the path '{path}' {problem}", (("path", path),))
    seen: dict[str, str] = {}
    for number, (layer, diff_id) in enumerate(zip(image.layers, image.diff_ids or (), strict=False)):
        other = seen.setdefault(layer.path, diff_id)
        if other != diff_id:
            words: Words = (("path", layer.path), ("number", str(number)), ("expected", diff_id))
            problem = f"'{layer.path}' is listed for two different diff_ids"
            yield Trait(rules.SAME_PATH, place, problem, words)


def _config(image: ListedImage, place: Place, architecture: str) -> Iterator[Trait]:
    words: Words = (("path", image.config),)
    if not image.present:
        yield Trait(rules.CONFIG_MISSING, place, f"'{image.config}' is not in the archive", words)
        return
    if not image.readable:
        refusal = find_refusal(image.raw, DOCKER_IMAGE_20) if image.raw is not None else None
        says = refusal.says if refusal is not None else ""
        yield Trait(rules.CONFIG_UNREADABLE, place, "no JSON object", (*words, ("error", says)))
        return
    if image.diff_ids is None:
        yield Trait(rules.NO_ROOTFS, place, "no rootfs", words)
        return
    listed, told = len(image.layers), len(image.diff_ids)
    if listed != told:
        words = (("layers", str(listed)), ("diff_ids", str(told)))
        problem = f"{listed} layers in manifest.json, {told} diff_ids in the config"
        yield Trait(rules.LAYER_COUNT, place, problem, words)
    elif image.nonempty_history is not None and image.nonempty_history > told:
        problem = f"the history tells of {image.nonempty_history} layers, and there are {told}"
        yield Trait(rules.HISTORY_COUNT, place, problem)
    yield from _os(image.os, place)
    if image.os == "windows":
        return
    if not image.architecture:
        yield Trait(rules.ARCHITECTURE_MISSING, place, "no architecture")
    elif image.architecture != architecture:
        problem = f"the image is for {image.architecture}, and this machine is {architecture}"
        yield Trait(rules.FOREIGN_ARCHITECTURE, place, problem)


def _os(os: str, place: Place) -> Iterator[Trait]:
    if os == "windows":
        yield Trait(rules.WINDOWS, place, "the image is for Windows")
    elif not os:
        yield Trait(rules.OS_MISSING, place, "no os")
    elif os.lower() != os:
        yield Trait(rules.OS_SPELLING, place, f"the os is '{os}', and consumers write '{os.lower()}'")
    elif os != "linux":
        yield Trait(rules.OS_OTHER, place, f"the image is for {os}", (("os", os),))


def _layers(image: ListedImage, within: Place, dual: bool) -> Iterator[Trait]:
    for number, layer in enumerate(image.layers, 1):
        place = within.inside("layer", number)
        diff_ids = image.diff_ids or ()
        words = (("path", layer.path), ("expected", diff_ids[number - 1] if number <= len(diff_ids) else "sha256:…"))
        if not layer.present and layer.link == "escaping":
            problem = f"'{layer.path}' is a link that leads out of the archive"
            yield Trait(rules.LINK_ESCAPING, place, problem, words)
            continue
        if not layer.present:
            thin = not layer.path.strip("./")           # as written by what saved it for a daemon that had the layer
            problem = "it was left out" if thin else f"'{layer.path}' is not in the archive"
            yield Trait(rules.LAYER_MISSING, place, problem, words, "load.thin_layer" if thin else "")
            continue
        if not layer.spelled and not layer.path.startswith("/") and not leads_out(layer.path):
            problem = f"the archive has '{layer.path}' under a name that begins at the top, or climbs"
            yield Trait(rules.NAME_SPELLING, place, problem, words)
        if layer.link == "hard":
            yield Trait(rules.DUP_HARDLINK, place, f"'{layer.path}' is a hard link", words)
        elif layer.link == "absolute":
            yield Trait(rules.LINK_ABSOLUTE, place, f"'{layer.path}' is an absolute link", words)
        elif layer.link:
            yield Trait(rules.DUP_SYMLINK, place, f"'{layer.path}' is a symbolic link", words)
        yield _listed_encoding(layer, place, dual)
        if layer.skippable:
            yield Trait(rules.LEADING_SKIPPABLE_FRAME, place, _SKIPPABLE, words)


def _listed_encoding(layer: ListedLayer, place: Place, dual: bool) -> Trait:
    codec = layer.codec
    feature = rules.CODEC_FEATURES[codec].dual if dual else ""
    return Trait(rules.LAYER_ENCODING[codec], place, "not compressed" if codec == "none" else codec, feature=feature)


# -------------------------------------------------------------------------------------------------- an image's manifest


def no_image_traits(contents: Contents) -> Iterator[Trait]:
    """Yield that no image is in *contents*, and what is."""
    if not contents.images:
        yield Trait(rules.NO_IMAGE, Place("index"), "no image here: it lists nothing", feature="load.no_entries")
    elif kind := no_image(contents):
        place = Place("index") if contents.kind == "oci" else ARCHIVE
        yield Trait(rules.NOT_AN_IMAGE, place, f"no image here: {kind}")


def entry_traits(contents: Contents) -> Iterator[Trait]:
    """Yield what a loader meets in the index.json of an OCI archive: how many entries there are, and their names."""
    if len(contents.images) > 1:
        yield Trait(rules.SEVERAL_ENTRIES, Place("index"), f"lists {len(contents.images)} entries")
    for within, named in zip((place for place, _ in roots(contents)), contents.images, strict=True):
        if named.names or is_attestation(named.root):
            continue
        if named.ref is None:
            yield Trait(rules.TAG_NONE, within, "the image has no name")
        else:
            problem = f"'{named.ref}' is a tag without a repository"
            yield Trait(rules.BARE_NAME, within, problem, (("ref", named.ref),))


def contents_traits(contents: Contents, skippable: frozenset[Digest] = frozenset()) -> Iterator[Trait]:
    """Yield what a consumer meets in the manifests, as a registry serves them or a layout holds them.

    Args:
        skippable: layers that begin with a zstd frame that decoders skip.
    """
    for within, root in roots(contents):
        yield from node_traits(root, within, skippable)


def node_traits(node: Node, within: Place, skippable: frozenset[Digest] = frozenset()) -> Iterator[Trait]:
    """Yield the traits of one image, or of an index and all images in it; *within* is its place."""
    if isinstance(node, ImageIndex):
        yield from _index(node, within)
        for image in real_images(node):
            yield from _manifest(image, child_place(within, image), skippable)
    elif isinstance(node, Image) and not node.artifact:
        yield from _manifest(node, within, skippable)


def _index(node: ImageIndex, within: Place) -> Iterator[Trait]:
    place = within.inside("index")
    docker = node.index.family == "docker"
    if docker:
        yield Trait(rules.MANIFEST_LIST, place, "a Docker manifest list")
    else:
        yield Trait(rules.OCI_INDEX, place, "an OCI index")
        if "mediaType" not in node.index.document():
            yield Trait(rules.INDEX_NO_MEDIA_TYPE, place, "no mediaType")
    for child in node.children:
        if isinstance(child, ImageIndex):
            yield from _index(child, within)
        elif is_attestation(child):
            problem = "an attestation among the images, its platform unknown/unknown"
            yield Trait(rules.INDEX_ATTESTATION, place, problem)
        elif child.descriptor is not None and child.descriptor.platform is None and not _is_artifact(child):
            yield Trait(rules.INDEX_NO_PLATFORM, place, f"{child.descriptor.digest} has no platform")


def _is_artifact(node: Leaf) -> bool:
    return isinstance(node, Image) and node.artifact


def _manifest(image: Image, within: Place, skippable: frozenset[Digest]) -> Iterator[Trait]:
    manifest = image.manifest
    if manifest is None:
        return
    place, docker = within.inside("manifest"), manifest.family == "docker"
    if docker:
        yield Trait(rules.V2S2_MANIFEST, place, "a Docker manifest, schema 2")
    else:
        yield Trait(rules.OCI_MANIFEST, place, "an OCI manifest")
        if "mediaType" not in manifest.document():
            yield Trait(rules.MANIFEST_NO_MEDIA_TYPE, place, "no mediaType")
    if manifest.subject is not None or manifest.artifact_type is not None:
        yield Trait(rules.SUBJECT, place, "a subject or artifact type")
    yield from _history(image, within.inside("config"))
    kind = manifest.config.media_type
    if docker and kind == OCI_CONFIG:
        yield Trait(rules.OCI_CONFIG_IN_V2S2, place, "an OCI config in a Docker manifest")
    elif not docker and kind == DOCKER_CONFIG:
        yield Trait(rules.DOCKER_CONFIG_IN_OCI, place, "a Docker config in an OCI manifest")
    yield from layer_type_traits(image, within)
    for number, layer in enumerate(image.layers, 1):
        place, codec = within.inside("layer", number), layer.encoding.codec
        meaning = describe(layer.media_type)
        if meaning is None or layer.encrypted:
            continue
        words = (("type", layer.media_type),)
        if docker and meaning.family == "oci":
            yield Trait(rules.OCI_LAYER_IN_V2S2, place, f"{layer.media_type} in a Docker manifest", words)
        elif not docker and meaning.family == "docker":
            yield Trait(rules.DOCKER_LAYER_IN_OCI, place, f"{layer.media_type} in an OCI manifest", words)
        yield from _stored_encoding(codec, meaning.family, meaning.codec, place, docker, words)
        if layer.digest in skippable:
            yield Trait(rules.LEADING_SKIPPABLE_FRAME, place, _SKIPPABLE, (("expected", str(layer.digest)),))


def layer_type_traits(image: Image, within: Place) -> Iterator[Trait]:
    """Yield the layers that are more than a tar in a codec, which is to be had from the manifest alone."""
    for number, layer in enumerate(image.layers, 1):
        place, words = within.inside("layer", number), (("type", layer.media_type),)
        if layer.encrypted:
            problem = f"encrypted, for who has the key: {layer.described_type}"
            yield Trait(rules.ENCRYPTED_LAYER, place, problem, words)
        elif describe(layer.media_type) is None:
            yield Trait(rules.LAYER_TYPE, place, f"more than a tar in a codec: {layer.described_type}", words)


def _history(image: Image, place: Place) -> Iterator[Trait]:
    config = image.config
    if config is not None:
        made, told = sum(not entry.empty_layer for entry in config.history), len(config.diff_ids)
        if made > told:
            problem = f"the history tells of {made} layers, and there are {told}"
            yield Trait(rules.HISTORY_COUNT, place, problem)


def _stored_encoding(
    codec: str, family: str, said: str, place: Place, docker: bool, words: Words
) -> Iterator[Trait]:
    rule, features = rules.LAYER_ENCODING[codec], rules.CODEC_FEATURES[codec]
    if codec == "zstd":
        if said != "zstd":
            problem = f"zstd, and the media type says {said}"
            yield Trait(rule, place, problem, words, "pull.layer_zstd_mislabelled_gzip")
        elif docker and family == "docker":
            yield Trait(rules.V2S2_ZSTD, place, "zstd in a Docker manifest", words)
        else:
            yield Trait(rule, place, "zstd", words, features.pulled_as("oci"))
    elif features.pulled:
        yield Trait(rule, place, "not compressed" if codec == "none" else codec, words, features.pulled_as(family))
