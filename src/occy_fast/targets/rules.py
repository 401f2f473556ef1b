"""The rules by which something about an image is worth telling, and what holds wherever one of them finds something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class TraitRule:
    """One rule.

    Attributes:
        id: what people, scripts and plans call it.
        feature: what a target is asked about, unless the trait itself says something narrower.
        fatal: what it finds is wrong in itself: no consumer reads it, whatever is known of one.
        common: so common that it is not worth mentioning where nobody knows.
        advisory: it depends on what nobody has said: a warning at most.
        convertible: another form of the same image has no such trait.
        storable: what it finds fatal, registries and tools that copy may hold: of those, only what is known is told.
    """

    id: str
    feature: str
    fatal: bool = False
    common: bool = False
    advisory: bool = False
    convertible: bool = True
    storable: bool = False

    def __str__(self) -> str:
        return self.id


def _fatal(id: str, feature: str) -> TraitRule:
    """Make the rule for what no conversion mends."""
    return TraitRule(id, feature, fatal=True, convertible=False)


@dataclass(frozen=True, slots=True)
class CodecFeatures:
    """What a target is asked about layers in one codec.

    Attributes:
        archive: by one that loads a docker-archive.
        dual: by one that loads an archive with an OCI layout beside manifest.json, where that is another question.
        pulled: by one that pulls, with {family} for that of the media type; empty where whoever reads a manifest of the
            family reads such layers.
    """

    archive: str
    dual: str = ""
    pulled: str = ""

    def pulled_as(self, family: str) -> str:
        """Return the feature of a layer that is pulled under a media type of *family*; empty where there is none."""
        return self.pulled.format(family=family)


CODEC_FEATURES: Final = {
    "none": CodecFeatures("load.docker_archive", "", "pull.layer_uncompressed_{family}"),
    "gzip": CodecFeatures("load.docker_archive_gzip", "load.oci_dual"),
    "zstd": CodecFeatures("load.docker_archive_zstd", "load.oci_dual_zstd", "pull.layer_zstd_{family}"),
    "xz": CodecFeatures("load.docker_archive_xz", "", "pull.layer_xz"),
    # of bzip2 that is pulled, the matrix of targets knows nothing of its own
    "bzip2": CodecFeatures("load.docker_archive_bzip2", "", "pull.layer_xz"),
}
"""By codec."""

# -------------------------------------------------------------------------------------------------- an archive

BROKEN_ARCHIVE: Final = _fatal("broken-archive", "load.unreadable")
NO_IMAGE: Final = _fatal("no-image", "load.no_manifest")
NOT_AN_IMAGE: Final = TraitRule("not-an-image", "pull.no_image", fatal=True, convertible=False, storable=True)
MANIFEST_UNREADABLE: Final = _fatal("manifest-unreadable", "load.bad_manifest")
OCI_ONLY_ARCHIVE: Final = TraitRule("oci-only-archive", "load.oci_archive")
NO_OCI_LAYOUT: Final = TraitRule("no-oci-layout", "load.no_oci_layout")
ENTRY_PARENT: Final = TraitRule("entry-parent", "load.parent_entry")
LEGACY_V1: Final = TraitRule("legacy-v1", "load.legacy_v1")
LEGACY_REPOSITORIES: Final = TraitRule("legacy-repositories", "load.legacy_no_repositories")
LEGACY_STRAYS: Final = TraitRule("legacy-strays", "load.legacy_extra_directory")
SEVERAL_ENTRIES: Final = TraitRule("several-entries", "load.oci_several_entries")
BARE_NAME: Final = TraitRule("bare-name", "load.oci_bare_name", convertible=False)
SEVERAL_IMAGES: Final = TraitRule("several-images", "load.multi_image", common=True)
WHOLE: Final = {
    codec: TraitRule(f"whole-{codec}", f"load.whole_{codec}") for codec in ("gzip", "zstd", "xz", "bzip2")
}
"""For an archive that is compressed as a whole, by codec."""

# -------------------------------------------------------------------------------------------------- manifest.json

TAG_NONE: Final = TraitRule("tag-none", "load.keeps_unnamed")
TAG_REPEATED: Final = TraitRule("tag-repeated", "load.tag_repeated", convertible=False)
TAG_INVALID: Final = TraitRule("tag-invalid", "load.tag_malformed")
PATHS_PARENT: Final = TraitRule("paths-parent", "load.parent_in_manifest", convertible=False)
PATHS_ABSOLUTE: Final = TraitRule("paths-absolute", "load.absolute_in_manifest")
PATHS_DOTSLASH: Final = TraitRule("paths-dotslash", "load.dotslash_in_manifest")
NAME_SPELLING: Final = TraitRule("name-spelling", "load.name_spelling")
SAME_PATH: Final = _fatal("same-path", "load.same_path_two_diff_ids")
CONFIG_MISSING: Final = _fatal("config-missing", "load.missing_config")
CONFIG_UNREADABLE: Final = _fatal("config-unreadable", "load.bad_config")
LAYER_MISSING: Final = _fatal("layer-missing", "load.missing_layer")
LINK_ESCAPING: Final = _fatal("link-escaping", "load.symlink_escape")
LINK_ABSOLUTE: Final = TraitRule("link-absolute", "load.symlink_absolute")
DUP_HARDLINK: Final = TraitRule("dup-hardlink", "load.dup_hardlink")
DUP_SYMLINK: Final = TraitRule("dup-symlink", "load.dup_symlink", common=True)

# -------------------------------------------------------------------------------------------------- a config

NO_ROOTFS: Final = _fatal("no-rootfs", "load.no_rootfs")
LAYER_COUNT: Final = _fatal("layer-count", "load.layer_count")
HISTORY_COUNT: Final = TraitRule("history-count", "load.history_count", convertible=False)
OS_MISSING: Final = TraitRule("os-missing", "load.no_os", common=True, convertible=False)
OS_OTHER: Final = TraitRule("foreign-os", "load.foreign_os", convertible=False)
OS_SPELLING: Final = TraitRule("os-spelling", "load.os_spelling", convertible=False)
WINDOWS: Final = TraitRule("windows", "load.windows", common=True, convertible=False)
ARCHITECTURE_MISSING: Final = TraitRule("architecture-missing", "load.no_architecture", common=True, convertible=False)
FOREIGN_ARCHITECTURE: Final = TraitRule(
    "foreign-architecture", "load.foreign_arch", common=True, advisory=True, convertible=False
)

CONFIG_FIELD: Final = TraitRule("config-field", "config.archive-oci", convertible=False)
CONFIG_RUN: Final = TraitRule("config-run", "config.run-docker-oci", convertible=False)
"""For an image that is loaded, and of which no container can be made."""

# -------------------------------------------------------------------------------------------------- indexes, manifests

MANIFEST_LIST: Final = TraitRule("manifest-list", "pull.manifest_list", common=True)
OCI_INDEX: Final = TraitRule("oci-index", "pull.oci_index", common=True)
INDEX_NO_MEDIA_TYPE: Final = TraitRule("index-no-media-type", "pull.index_no_mediatype", common=True)
INDEX_ATTESTATION: Final = TraitRule("index-attestation", "pull.index_attestation", common=True)
INDEX_NO_PLATFORM: Final = TraitRule("index-no-platform", "pull.index_no_platform", common=True)
V2S2_MANIFEST: Final = TraitRule("v2s2-manifest", "pull.v2s2", common=True)
OCI_MANIFEST: Final = TraitRule("oci-manifest", "pull.oci_manifest", common=True)
MANIFEST_NO_MEDIA_TYPE: Final = TraitRule("manifest-no-media-type", "pull.manifest_no_mediatype", common=True)
SUBJECT: Final = TraitRule("subject", "pull.annotations_subject", common=True, convertible=False)
OCI_CONFIG_IN_V2S2: Final = TraitRule("oci-config-in-v2s2", "pull.mix_oci_config_in_v2s2")
DOCKER_CONFIG_IN_OCI: Final = TraitRule("docker-config-in-oci", "pull.mix_docker_config_in_oci")
OCI_LAYER_IN_V2S2: Final = TraitRule("oci-layer-in-v2s2", "pull.mix_oci_layer_in_v2s2")
DOCKER_LAYER_IN_OCI: Final = TraitRule("docker-layer-in-oci", "pull.mix_docker_layer_in_oci")
MIXED_FAMILIES: Final = frozenset({OCI_CONFIG_IN_V2S2, DOCKER_CONFIG_IN_OCI, OCI_LAYER_IN_V2S2, DOCKER_LAYER_IN_OCI})
"""What a consistent set of media types does away with."""

# -------------------------------------------------------------------------------------------------- a layer

LAYER_ENCODING: Final = {
    "none": TraitRule("plain-layer", CODEC_FEATURES["none"].archive, common=True),
    "gzip": TraitRule("gzip-layer", CODEC_FEATURES["gzip"].archive, common=True),
    **{codec: TraitRule(f"{codec}-layer", CODEC_FEATURES[codec].archive) for codec in ("zstd", "xz", "bzip2")},
}
"""By codec; the features are those of an archive, and a registry has others."""

V2S2_ZSTD: Final = TraitRule("v2s2-zstd", CODEC_FEATURES["zstd"].pulled_as("docker"))
LEADING_SKIPPABLE_FRAME: Final = TraitRule("leading-skippable-frame", "load.leading_skippable_frame")
ENCRYPTED_LAYER: Final = TraitRule("encrypted-layer", "pull.layer_encrypted", convertible=False)
LAYER_TYPE: Final = TraitRule("layer-type", "pull.layer_type", convertible=False)

# -------------------------------------------------------------------------------------------------- what reading shows

UNREADABLE: Final = _fatal("unreadable", "load.unreadable")
BROKEN_IMAGE: Final = _fatal("broken-image", "load.broken")
CORRUPT_LAYER: Final = _fatal("corrupt-layer", "pull.corrupt")
DIFF_ID_MISMATCH: Final = _fatal("diffid-mismatch", "pull.diff_id_mismatch")
DIGEST_MISMATCH: Final = _fatal("digest-mismatch", "pull.diff_id_mismatch")

UNPACK_UNKNOWN: Final = TraitRule("unpack-unknown", "unpack.unknown", convertible=False)
"""Of layers with so many entries that nobody has looked whether they can be unpacked."""


def unpack_rule(word: str) -> TraitRule:
    """Return the rule for what an entry cannot be unpacked for; which unpackers are asked about, its traits say."""
    return TraitRule(f"unpack-{word}", f"unpack.{word}", convertible=False)
