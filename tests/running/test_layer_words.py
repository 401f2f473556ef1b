"""Layers whose media type says more than a codec: kept where that is told on, refused where it would be lost."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast.errors import Unsupported, UnsupportedMediaType
from support.image_builders import (
    DOCKER_LAYER,
    OCI_LAYER,
    archive_members,
    dumps,
    make_image,
    make_tar,
    oci_archive,
    oci_layout,
    sha256,
    write_manifest,
)
from support.piping import piped

CIPHERTEXT = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(40))
KEYS = {"org.opencontainers.image.enc.keys.jwe": "eyJ", "org.opencontainers.image.enc.pubopts": "eyK"}

# A media type that says more than a codec, or annotations that say it beside one that does not; and what is told.
WORDS: dict[str, tuple[str, dict[str, str], str]] = {
    "encrypted gzip": (OCI_LAYER["gzip"] + "+encrypted", KEYS, "tar+gzip+encrypted"),
    "encrypted tar": (OCI_LAYER["none"] + "+encrypted", {}, "tar+encrypted"),
    "encrypted zstd": (OCI_LAYER["zstd"] + "+encrypted", KEYS, "tar+zstd+encrypted"),
    "encrypted foreign": ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip+encrypted", {}, "+encrypted"),
    "another word": (OCI_LAYER["gzip"] + "+foo", {}, "tar+gzip+foo"),
    "another codec": (OCI_LAYER["none"] + "+brotli", {}, "tar+brotli"),
    "by annotation": (OCI_LAYER["gzip"], KEYS, "with org.opencontainers.image.enc.keys.jwe"),
    "by another annotation": (OCI_LAYER["none"], {"org.opencontainers.image.enc.x": ""}, "enc.x"),
}


def locked(
    path: Path, media_type: str, annotations: dict[str, str], *, docker: bool = False, blob: bytes = CIPHERTEXT
) -> Path:
    """Write a layout whose second layer has *media_type*."""
    image = make_image("open", "closed", codec="gzip", docker=docker)
    layout = oci_layout(path, [image], ["app:1"])
    (layout / "blobs" / "sha256" / sha256(blob)).write_bytes(blob)
    manifest = json.loads(image.manifest)
    manifest["layers"][1] = {"mediaType": media_type, "digest": f"sha256:{sha256(blob)}", "size": len(blob)} | (
        {"annotations": annotations} if annotations else {}
    )
    return write_manifest(layout, dumps(manifest))


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("options", [{}, {"format": "oci"}, {"encoding": "keep"}], ids=["kept", "oci", "keep"])
def test_layouts_and_oci_archives_keep_them(tmp_path: Path, words: str, options: dict[str, Any]) -> None:
    media_type, annotations, _ = WORDS[words]
    source = locked(tmp_path / "in", media_type, annotations)
    before = json.loads((source / "index.json").read_bytes())["manifests"][0]["digest"]
    for kind in ("oci", "oci-archive"):
        assert str(occy_fast.convert(f"oci:{source}", f"{kind}:{tmp_path}/{kind}", **options).digest) == before
    occy_fast.convert(f"oci-archive:{tmp_path}/oci-archive", f"oci:{tmp_path}/again", **options)
    for blob in (tmp_path / "oci" / "blobs" / "sha256").iterdir():
        assert (tmp_path / "again" / "blobs" / "sha256" / blob.name).read_bytes() == blob.read_bytes()
    assert (tmp_path / "oci" / "blobs" / "sha256" / sha256(CIPHERTEXT)).exists()
    report = occy_fast.verify(f"oci:{tmp_path}/again")
    assert report.exit_code == 0
    assert [type(finding.error) for finding in report.findings] == [UnsupportedMediaType]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize(
    ("destination", "options"),
    [
        ("docker-archive:{}/out:app:1", {}),
        ("docker-archive:{}/out:app:1", {"archive_layout": "docker-20.10"}),
        ("docker-archive:{}/out:app:1", {"target": "podman-5.7"}),
        ("docker-archive:{}/out:app:1", {"encoding": "none"}),
        ("docker-archive:{}/out:app:1", {"encoding": "keep"}),
        ("oci:{}/out", {"format": "docker"}),
        ("oci-archive:{}/out", {"format": "docker"}),
        ("oci:{}/out", {"encoding": "gzip"}),
        ("oci:{}/out", {"encoding": "zstd:3"}),
        ("oci:{}/out", {"encoding": "none"}),
        ("oci:{}/out", {"verify": "layers"}),
        ("oci:{}/out", {"strict": True}),
    ],
    ids=str,
)
def test_they_are_refused_where_they_would_be_lost(
    tmp_path: Path, words: str, destination: str, options: dict[str, Any]
) -> None:
    media_type, annotations, told = WORDS[words]
    source = locked(tmp_path / "in", media_type, annotations)
    with pytest.raises(Unsupported) as caught:
        occy_fast.convert(f"oci:{source}", destination.format(tmp_path), **options)
    assert told in str(caught.value)
    if "target" not in options:
        assert f"layer sha256:{sha256(CIPHERTEXT)}" in str(caught.value)
    if not options or "archive_layout" in options or "format" in options:
        assert "oci:DIR and oci-archive:PATH keep it" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", ["+encrypted", ".encrypted", "+foo"])
def test_docker_s_own_words_are_kept_as_well(tmp_path: Path, suffix: str) -> None:
    source = locked(tmp_path / "in", DOCKER_LAYER["gzip"] + suffix, {}, docker=True)
    before = json.loads((source / "index.json").read_bytes())["manifests"][0]["digest"]
    assert str(occy_fast.convert(f"oci:{source}", f"oci:{tmp_path}/out").digest) == before
    for options in ({"format": "oci"}, {"format": "docker"}, {"encoding": "zstd"}):
        with pytest.raises(UnsupportedMediaType):
            occy_fast.convert(f"oci:{source}", f"oci:{tmp_path}/second", **options)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedMediaType):
        occy_fast.convert(f"oci:{source}", f"docker-archive:{tmp_path}/third")


def test_an_archive_that_has_them_is_refused_as_it_comes_by(tmp_path: Path) -> None:
    """Its manifest comes last, and what went by is not published."""
    packed = oci_archive(tmp_path / "in.tar", locked(tmp_path / "in", *WORDS["encrypted gzip"][:2]))
    with piped(tmp_path / "pipe", packed.read_bytes()) as pipe, pytest.raises(UnsupportedMediaType, match="encrypted"):
        occy_fast.convert(f"oci-archive:{pipe}", f"docker-archive:{tmp_path}/out:app:1")
    packed.write_bytes(gzip.compress(packed.read_bytes()))
    with pytest.raises(UnsupportedMediaType, match="encrypted"):
        occy_fast.convert(str(packed), f"docker-archive:{tmp_path}/out:app:1")
    assert not (tmp_path / "out").exists()
    occy_fast.convert(str(packed), f"oci:{tmp_path}/kept")
    assert (tmp_path / "kept" / "blobs" / "sha256" / sha256(CIPHERTEXT)).read_bytes() == CIPHERTEXT


def dual(path: Path) -> Path:
    """Write an archive whose manifest.json cannot say what the manifest beside it says of a layer."""
    image = make_image("one", codec="gzip", names=("app:1",))
    members = dict(archive_members([image], "D"))
    manifest = json.loads(image.manifest)
    manifest["layers"][0]["mediaType"] += "+encrypted"
    raw, index = dumps(manifest), json.loads(members["index.json"])
    index["manifests"][0] |= {"digest": f"sha256:{sha256(raw)}", "size": len(raw)}
    members |= {f"blobs/sha256/{sha256(raw)}": raw, "index.json": dumps(index)}
    path.write_bytes(make_tar(sorted(members.items())))
    return path


def test_a_manifest_beside_manifest_json_is_believed(tmp_path: Path) -> None:
    archive = dual(tmp_path / "in.tar")
    with pytest.raises(UnsupportedMediaType, match="encrypted"):
        occy_fast.convert(f"docker-archive:{archive}", f"docker-archive:{tmp_path}/out")
    occy_fast.convert(f"docker-archive:{archive}", f"oci:{tmp_path}/out")
    assert "encrypted-layer" in [finding.rule for finding in occy_fast.check(str(archive), ["docker-20.10"]).findings]


DOCKER_SAYS = "Error processing tar file(exit status 1): unexpected EOF"


@pytest.mark.parametrize(
    ("target", "severity", "says"),
    [
        ("docker-20.10.24", "error", f"failed to register layer: {DOCKER_SAYS}"),
        ("docker-19.03", "error", ""),
        ("docker-24.0.7", "error", ""),
        ("docker-27-graphdriver", "error", ""),
        ("docker-29-graphdriver", "error", ""),
        ("docker-29", "warning", ""),
        ("containerd-1.6", "warning", f"failed to get stream processor for {OCI_LAYER['gzip']}+encrypted"),
        ("podman-4.3.1", "warning", "processing tar file(unexpected EOF): exit status 1"),
        ("cri-o", "warning", ""),
        ("kaniko", "unknown", ""),
    ],
)
def test_check_names_them(tmp_path: Path, target: str, severity: str, says: str) -> None:
    source = locked(tmp_path / "in", *WORDS["encrypted gzip"][:2])
    checked = occy_fast.check(f"oci:{source}", [target])
    found = [finding for finding in (*checked.findings, *checked.unknown) if finding.rule == "encrypted-layer"]
    assert [(finding.severity, str(finding.place), finding.says) for finding in found] == [(severity, "layer 2", says)]
    assert OCI_LAYER["gzip"] + "+encrypted" in found[0].problem
    assert found[0].fix is None
    assert checked.exit_code == (10 if severity == "error" else 0)
    if severity == "error":
        with pytest.raises(Unsupported, match="encrypted-layer"):
            occy_fast.convert(f"oci:{source}", f"oci:{tmp_path}/out", target=target)


@pytest.mark.parametrize(("words", "rule"), [("by annotation", "encrypted-layer"), ("another word", "layer-type")])
def test_check_tells_others_too(tmp_path: Path, words: str, rule: str) -> None:
    checked = occy_fast.check(f"oci:{locked(tmp_path / 'in', *WORDS[words][:2])}", ["docker-20.10", "crane"])
    rules = {(finding.target, finding.rule) for finding in (*checked.findings, *checked.unknown)}
    assert {("docker-20.10", rule), ("crane", rule)} <= rules
