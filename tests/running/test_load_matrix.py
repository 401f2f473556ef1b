"""Archives of every shape that loaders were tried with: each is read, or refused for the reason that is its point."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from occy_fast import api, errors
from occy_fast.image.image import Image
from support.load_matrix import unpack_variants

REFUSED = {
    "cfg-layercount": "LayerCountMismatch",
    "cfg-norootfs": "BadManifest",
    "cfg-swapped": "DigestMismatch",
    "cfg-wrongdiff": "DigestMismatch",
    "dup-manifest-entry": "DuplicateEntry",               # Docker takes the last one, podman and skopeo the first
    "empty-file": "UnsupportedFormat",
    "empty-tar": "UnsupportedFormat",
    "legacy-extradir": "BadArchive",
    "manifest-empty-list": "BadManifest",
    "manifest-garbage": "BadJSON",
    "manifest-null": "BadManifest",
    "missing-config": "MissingBlob",
    "missing-layer": "MissingBlob",
    "name-apt-ostree": "DigestMismatch",                  # one name for two layers
    "name-dotdot-in-manifest": "UnsafePath",
    "nix2container-json": "UnsupportedFormat",
    "rootfs-tar": "UnsupportedFormat",
    "symlink-escape": "BadArchive",
    "tags-bad": "BadReference",
    "tags-dotslash": "BadReference",
    "tags-upper": "BadReference",
}


@pytest.fixture(scope="module")
def variants(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return unpack_variants(shared, tmp_path_factory.mktemp("variants"))


def test_every_variant_is_read_or_refused(variants: dict[str, Path]) -> None:
    assert len(variants) > 70
    found = {}
    for name, path in variants.items():
        findings = api.verify(str(path), strict=False).errors
        found[name] = {type(finding.error).__name__ for finding in findings}
    assert {name: names for name, names in found.items() if names} == {name: {REFUSED[name]} for name in REFUSED}


def test_what_is_read_converts_and_what_is_refused_leaves_nothing(variants: dict[str, Path], tmp_path: Path) -> None:
    for name, path in variants.items():
        target = tmp_path / name
        if name in REFUSED:
            with pytest.raises(getattr(errors, REFUSED[name])):
                api.convert(str(path), f"oci:{target}", encoding="gzip")
            assert not target.exists()
            continue
        api.convert(str(path), f"oci:{target}", encoding="gzip")
        if not name.startswith("legacy-whole"):  # the ids of what comes by once are known when all has come
            assert configs(f"oci:{target}") == configs(str(path)), name


RECORDED = json.loads((Path(__file__).resolve().parent.parent / "recorded_loads.json").read_bytes())["loads"]


@pytest.mark.parametrize("target", RECORDED)
def test_check_agrees_with_what_later_consumers_did(variants: dict[str, Path], target: str) -> None:
    """What was refused is told, what was loaded is not called an error, and nothing is left unknown."""
    assert RECORDED[target].keys() == variants.keys()
    wrong = []
    for name, (loaded, said) in RECORDED[target].items():
        checked = api.check(str(variants[name]), [target], deep=True)
        told = checked.exit_code != 0 or any(finding.severity == "warning" for finding in checked.findings)
        if (checked.exit_code == 10 and loaded) or not (told or loaded) or checked.unknown:
            wrong.append((name, loaded, said, checked.findings, checked.unknown))
    assert not wrong


def configs(locator: str) -> set[bytes]:
    with api.open_image(locator) as contents:
        images = [named.root for named in contents.images]
    return {image.config.raw for image in images if isinstance(image, Image) and image.config is not None}
