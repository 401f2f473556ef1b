"""What is remarkable about an image, whoever is to read it: the rules, without a consumer's answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.errors import BadReference
from occy_fast.image.attestation import is_attestation
from occy_fast.image.graph import child_place, leaves, roots
from occy_fast.image.image import Image, ImageIndex
from occy_fast.image.place import Place
from occy_fast.spec.media_type import DOCKER_CONFIG, OCI_CONFIG, describe
from occy_fast.spec.reference import parse_reference

if TYPE_CHECKING:
    from occy_fast.image.image import Contents, Leaf, Node
    from occy_fast.image.loader_view import ListedImage, ListedLayer, LoaderView
    from occy_fast.spec.digest import Digest

Words = tuple[tuple[str, str], ...]
"""What an error text has in braces, and what stands for it."""

LISTING = Place("manifest.json")
"""The list of images in an archive."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing a consumer may stumble over.

    Attributes:
        rule: its id.
        feature: what a target is asked about.
        fatal: it is wrong in itself: no consumer reads it, whatever is known of one.
        plain: so common that it is not worth mentioning where nobody knows.
        advisory: it depends on what nobody has told: a warning at most.
        mendable: another form of the same image has no such mark.
        words: for a consumer's error text.
    """

    rule: str
    feature: str
    place: Place
    problem: str
    fatal: bool = False
    plain: bool = False
    advisory: bool = False
    mendable: bool = True
    words: Words = ()


# -------------------------------------------------------------------------------------------------- what a loader meets


def loader_view_marks(view: LoaderView, architecture: str) -> Iterator[Mark]:
    """Yield what a loader meets in an archive before and while it looks at the images in it.

    Args:
        architecture: of the machine it is to be loaded on.
    """
    if view.compression != "none":
        problem = f"the archive as a whole is {view.compression}"
        yield Mark(f"whole-{view.compression}", f"load.whole_{view.compression}", Place("archive"), problem)
    if view.layout == "broken":
        feature = "load.no_tar" if view.reason else "load.unreadable"       # of which no loader has words
        words = (("reason", view.reason),)
        yield Mark("broken-archive", feature, Place("archive"), view.problem, True, mendable=False, words=words)
    elif view.layout == "empty":
        problem = "no manifest.json, and nothing else an image is known by"
        yield Mark("no-image", "load.no_manifest", Place("archive"), problem, fatal=True, mendable=False)
    elif view.layout == "oci-archive":
        yield Mark("oci-only-archive", "load.oci_archive", LISTING, "an OCI layout without manifest.json")
    elif view.layout == "legacy":
        yield from _legacy(view)
    elif view.layout == "docker-archive":
        yield from _listed(view, architecture)
    for name in view.escaping:
        problem = f"'{name}' leads out of the archive"
        words = (("path", name.rpartition("../")[2]),)
        place = Place("member", name=name)
        yield Mark("entry-parent", "load.parent_entry", place, problem, mendable=False, words=words)


def _legacy(view: LoaderView) -> Iterator[Mark]:
    problem = "an archive from before Docker 1.10, without manifest.json"
    yield Mark("legacy-v1", "load.legacy_v1", LISTING, problem)
    if not view.repositories:
        problem = "no file of that name, in an archive from before Docker 1.10"
        yield Mark("legacy-repositories", "load.legacy_no_repositories", Place("repositories"), problem)
    for name in view.stray_directories:
        problem = "a directory that is taken for a layer's, and has no json"
        place = Place("member", name=f"{name}/")
        yield Mark("legacy-strays", "load.legacy_extra_directory", place, problem, words=(("path", name),))


def _listed(view: LoaderView, architecture: str) -> Iterator[Mark]:
    if view.images is None:
        problem = "no list of images"
        yield Mark("manifest-unreadable", "load.bad_manifest", LISTING, problem, fatal=True, mendable=False)
        return
    if len(view.images) > 1:
        problem = f"lists {len(view.images)} images"
        yield Mark("several-images", "load.multi_image", LISTING, problem, plain=True)
    for position, image in enumerate(view.images):
        within = Place("image", position if len(view.images) > 1 else None)
        yield from _tags(image, within.inside("RepoTags"))
        yield from _paths(image, within.inside("manifest.json"))
        yield from _config(image, within.inside("config"), architecture)
        yield from _layers(image, within, "oci_dual" if view.dual else "docker_archive")


def _tags(image: ListedImage, place: Place) -> Iterator[Mark]:
    if not image.tags:
        yield Mark("tag-none", "load.no_tags", place, "the image has no name", plain=True)
    for tag in image.tags:
        if wrong := _wrong_tag(tag):
            feature, problem = wrong
            yield Mark("tag-invalid", feature, place, f"'{tag}' {problem}", words=(("tag", tag),))


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


def _paths(image: ListedImage, place: Place) -> Iterator[Mark]:
    forms: dict[str, list[str]] = {}
    for path in (image.config, *(layer.path for layer in image.layers)):
        parts = path.split("/")
        form = "parent" if ".." in parts else "absolute" if path.startswith("/") else "dotslash" if "." in parts else ""
        forms.setdefault(form, []).append(path)
    for form, problem in (("parent", "leads upwards"), ("absolute", "is absolute"), ("dotslash", "has a '.' in it")):
        if form in forms:
            path = forms[form][0]
            rule, feature, problem = f"paths-{form}", f"load.{form}_in_manifest", f"the path '{path}' {problem}"
            yield Mark(rule, feature, place, problem, mendable=form != "parent", words=(("path", path),))
    seen: dict[str, str] = {}
    for number, (layer, diff_id) in enumerate(zip(image.layers, image.diff_ids or (), strict=False)):
        other = seen.setdefault(layer.path, diff_id)
        if other != diff_id:
            words: Words = (("path", layer.path), ("number", str(number)), ("expected", diff_id))
            problem = f"'{layer.path}' is listed for two different diff_ids"
            yield Mark("same-path", "load.same_path_two_diff_ids", place, problem, True, mendable=False, words=words)


def _config(image: ListedImage, place: Place, architecture: str) -> Iterator[Mark]:
    words: Words = (("path", image.config),)
    if not image.present:
        problem = f"'{image.config}' is not in the archive"
        yield Mark("config-missing", "load.missing_config", place, problem, True, mendable=False, words=words)
        return
    if not image.readable:
        yield Mark("config-unreadable", "load.bad_config", place, "no JSON object", True, mendable=False, words=words)
        return
    if image.diff_ids is None:
        yield Mark("no-rootfs", "load.no_rootfs", place, "no rootfs", True, mendable=False, words=words)
        return
    listed, told = len(image.layers), len(image.diff_ids)
    if listed != told:
        words = (("layers", str(listed)), ("diff_ids", str(told)))
        problem = f"{listed} layers in manifest.json, {told} diff_ids in the config"
        yield Mark("layer-count", "load.layer_count", place, problem, True, mendable=False, words=words)
    elif image.nonempty_history is not None and image.nonempty_history > told:
        problem = f"the history tells of {image.nonempty_history} layers, and there are {told}"
        yield Mark("history-count", "load.history_count", place, problem, mendable=False)
    if image.os == "windows":
        yield Mark("windows", "load.windows", place, "the image is for Windows", plain=True, mendable=False)
    elif not image.architecture:
        yield Mark("architecture-missing", "load.no_architecture", place, "no architecture", plain=True, mendable=False)
    elif image.architecture != architecture:
        problem = f"the image is for {image.architecture}, and this machine is {architecture}"
        rule, feature = "foreign-architecture", "load.foreign_arch"
        yield Mark(rule, feature, place, problem, plain=True, advisory=True, mendable=False)


def _layers(image: ListedImage, within: Place, archive: str) -> Iterator[Mark]:
    for number, layer in enumerate(image.layers, 1):
        place = within.inside("layer", number)
        diff_ids = image.diff_ids or ()
        words = (("path", layer.path), ("expected", diff_ids[number - 1] if number <= len(diff_ids) else "sha256:…"))
        if not layer.present and layer.link == "escaping":
            problem = f"'{layer.path}' is a link that leads out of the archive"
            yield Mark("link-escaping", "load.symlink_escape", place, problem, True, mendable=False, words=words)
            continue
        if not layer.present:
            problem = f"'{layer.path}' is not in the archive"
            yield Mark("layer-missing", "load.missing_layer", place, problem, True, mendable=False, words=words)
            continue
        if layer.link == "hard":
            yield Mark("dup-hardlink", "load.dup_hardlink", place, f"'{layer.path}' is a hard link", words=words)
        elif layer.link == "absolute":
            problem = f"'{layer.path}' is an absolute link"
            yield Mark("link-absolute", "load.symlink_absolute", place, problem, words=words)
        elif layer.link:
            problem = f"'{layer.path}' is a symbolic link"
            yield Mark("dup-symlink", "load.dup_symlink", place, problem, plain=True, words=words)
        yield _listed_encoding(layer, place, archive)
        if layer.skippable:
            problem = "zstd that begins with a skippable frame"
            yield Mark("leading-skippable-frame", "load.leading_skippable_frame", place, problem, words=words)


def _listed_encoding(layer: ListedLayer, place: Place, archive: str) -> Mark:
    codec = layer.codec
    if codec == "none":
        return Mark("plain-layer", "load.docker_archive", place, "not compressed", plain=True)
    if codec in ("xz", "bzip2"):
        return Mark(f"{codec}-layer", f"load.docker_archive_{codec}", place, f"{codec}")
    feature = {"docker_archive": f"load.docker_archive_{codec}", "oci_dual": "load.oci_dual"}[archive]
    if archive == "oci_dual" and codec == "zstd":
        feature = "load.oci_dual_zstd"
    return Mark(f"{codec}-layer", feature, place, codec, plain=codec == "gzip")


# -------------------------------------------------------------------------------------------------- an image's manifest


def contents_marks(contents: Contents, skippable: frozenset[Digest] = frozenset()) -> Iterator[Mark]:
    """Yield what a consumer meets in the manifests, as a registry serves them or a layout holds them.

    Args:
        skippable: layers that begin with a zstd frame that decoders skip.
    """
    for within, root in roots(contents):
        yield from node_marks(root, within, skippable)


def node_marks(node: Node, within: Place, skippable: frozenset[Digest] = frozenset()) -> Iterator[Mark]:
    """Yield the marks of one image, or of an index and all images in it; *within* is its place."""
    if isinstance(node, ImageIndex):
        yield from _index(node, within)
        for leaf in leaves(node):
            if isinstance(leaf, Image) and not leaf.artifact and not is_attestation(leaf):
                yield from _manifest(leaf, child_place(within, leaf), skippable)
    elif isinstance(node, Image) and not node.artifact:
        yield from _manifest(node, within, skippable)


def _index(node: ImageIndex, within: Place) -> Iterator[Mark]:
    place = within.inside("index")
    docker = node.index.family == "docker"
    if docker:
        yield Mark("manifest-list", "pull.manifest_list", place, "a Docker manifest list", plain=True)
    else:
        yield Mark("oci-index", "pull.oci_index", place, "an OCI index", plain=True)
        if "mediaType" not in node.index.document():
            yield Mark("index-no-media-type", "pull.index_no_mediatype", place, "no mediaType", plain=True)
    for child in node.children:
        if isinstance(child, ImageIndex):
            yield from _index(child, within)
        elif is_attestation(child):
            problem = "an attestation among the images, its platform unknown/unknown"
            yield Mark("index-attestation", "pull.index_attestation", place, problem, plain=True)
        elif child.descriptor is not None and child.descriptor.platform is None and not _is_artifact(child):
            problem = f"{child.descriptor.digest} has no platform"
            yield Mark("index-no-platform", "pull.index_no_platform", place, problem, plain=True)


def _is_artifact(node: Leaf) -> bool:
    return isinstance(node, Image) and node.artifact


def _manifest(image: Image, within: Place, skippable: frozenset[Digest]) -> Iterator[Mark]:
    manifest = image.manifest
    if manifest is None:
        return
    place, docker = within.inside("manifest"), manifest.family == "docker"
    if docker:
        yield Mark("v2s2-manifest", "pull.v2s2", place, "a Docker manifest, schema 2", plain=True)
    else:
        yield Mark("oci-manifest", "pull.oci_manifest", place, "an OCI manifest", plain=True)
        if "mediaType" not in manifest.document():
            yield Mark("manifest-no-media-type", "pull.manifest_no_mediatype", place, "no mediaType", plain=True)
    if manifest.subject is not None or manifest.artifact_type is not None:
        problem = "a subject or artifact type"
        yield Mark("subject", "pull.annotations_subject", place, problem, plain=True, mendable=False)
    yield from _history(image, within.inside("config"))
    kind = manifest.config.media_type
    if docker and kind == OCI_CONFIG:
        problem = "an OCI config in a Docker manifest"
        yield Mark("oci-config-in-v2s2", "pull.mix_oci_config_in_v2s2", place, problem)
    elif not docker and kind == DOCKER_CONFIG:
        problem = "a Docker config in an OCI manifest"
        yield Mark("docker-config-in-oci", "pull.mix_docker_config_in_oci", place, problem)
    yield from layer_type_marks(image, within)
    for number, layer in enumerate(image.layers, 1):
        where, codec = within.inside("layer", number), layer.encoding.codec
        meaning = describe(layer.media_type)
        if meaning is None or layer.encrypted:
            continue
        words = (("type", layer.media_type),)
        if docker and meaning.family == "oci":
            problem = f"{layer.media_type} in a Docker manifest"
            yield Mark("oci-layer-in-v2s2", "pull.mix_oci_layer_in_v2s2", where, problem, words=words)
        elif not docker and meaning.family == "docker":
            problem = f"{layer.media_type} in an OCI manifest"
            yield Mark("docker-layer-in-oci", "pull.mix_docker_layer_in_oci", where, problem, words=words)
        yield from _stored_encoding(codec, meaning.family, meaning.codec, where, docker, words)
        if layer.digest in skippable:
            problem = "zstd that begins with a skippable frame"
            words = (("expected", str(layer.digest)),)
            yield Mark("leading-skippable-frame", "load.leading_skippable_frame", where, problem, words=words)


def layer_type_marks(image: Image, within: Place) -> Iterator[Mark]:
    """Yield the layers that are more than a tar in a codec, which is to be had from the manifest alone."""
    for number, layer in enumerate(image.layers, 1):
        place, words = within.inside("layer", number), (("type", layer.media_type),)
        if layer.encrypted:
            problem = f"encrypted, for who has the key: {layer.described_type}"
            yield Mark("encrypted-layer", "pull.layer_encrypted", place, problem, mendable=False, words=words)
        elif describe(layer.media_type) is None:
            problem = f"more than a tar in a codec: {layer.described_type}"
            yield Mark("layer-type", "pull.layer_type", place, problem, mendable=False, words=words)


def _history(image: Image, place: Place) -> Iterator[Mark]:
    config = image.config
    if config is not None:
        made, told = sum(not entry.empty_layer for entry in config.history), len(config.diff_ids)
        if made > told:
            problem = f"the history tells of {made} layers, and there are {told}"
            yield Mark("history-count", "load.history_count", place, problem, mendable=False)


def _stored_encoding(
    codec: str, family: str, said: str, place: Place, docker: bool, words: Words
) -> Iterator[Mark]:
    if codec == "zstd":
        if said != "zstd":
            problem = f"zstd, and the media type says {said}"
            yield Mark("zstd-layer", "pull.layer_zstd_mislabelled_gzip", place, problem, words=words)
        elif docker and family == "docker":
            problem = "zstd in a Docker manifest"
            yield Mark("v2s2-zstd", "pull.layer_zstd_docker", place, problem, words=words)
        else:
            yield Mark("zstd-layer", "pull.layer_zstd_oci", place, "zstd", words=words)
    elif codec in ("xz", "bzip2"):
        yield Mark(f"{codec}-layer", "pull.layer_xz", place, codec, words=words)
    elif codec == "none":
        yield Mark("plain-layer", f"pull.layer_uncompressed_{family}", place, "not compressed", plain=True, words=words)
