"""What is no image is told in words, wherever its media types say what it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import NotFound, Unsupported
from occy_fast.image.image import Opaque
from occy_fast.image.kinds import kind_of, no_image
from support.contents import attestation, contents, image, index
from support.image_builders import OCI_INDEX, OCI_LAYER, OCI_MANIFEST, dumps, make_layer, sha256
from support.opening import open_source

CACHE = "application/vnd.buildkit.cacheconfig.v0"
HELM = "application/vnd.cncf.helm.config.v1+json"
WASM = "application/vnd.wasm.config.v0+json"
COSIGN = "application/vnd.dev.cosign.simplesigning.v1+json"


class Layout:
    """A layout of blobs and documents of any kind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, raw: bytes, media_type: str) -> dict[str, object]:
        (self.path / "blobs/sha256" / sha256(raw)).write_bytes(raw)
        return {"mediaType": media_type, "digest": "sha256:" + sha256(raw), "size": len(raw)}

    def artifact(self, config: str, layer: str = OCI_LAYER["none"]) -> dict[str, object]:
        layers = [self.blob(make_layer(), layer)]
        fields = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": self.blob(b"{}", config), "layers": layers}
        return self.blob(dumps(fields), OCI_MANIFEST)

    def index_of(self, *children: dict[str, object]) -> dict[str, object]:
        return self.blob(dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}), OCI_INDEX)

    def listing(self, *entries: dict[str, object]) -> str:
        (self.path / "index.json").write_bytes(dumps({"schemaVersion": 2, "manifests": entries}))
        return f"oci:{self.path}"


def made(path: Path, kind: str) -> str:
    layout = Layout(path)
    match kind:
        case "a build cache":
            blobs = layout.blob(make_layer(), OCI_LAYER["none"]), layout.blob(b"{}", CACHE)
            return layout.listing(layout.index_of(*blobs))
        case "an index of blobs":
            return layout.listing(layout.index_of(layout.blob(b"one", "text/plain"), layout.blob(b"two", "text/plain")))
        case "a blob of type text/plain":
            return layout.listing(layout.blob(b"one", "text/plain"))
        case "a Helm chart":
            return layout.listing(layout.artifact(HELM))
        case "a WebAssembly module":
            return layout.listing(layout.artifact(WASM, "application/wasm"))
        case "a signature":
            return layout.listing(layout.artifact("application/vnd.oci.empty.v1+json", COSIGN))
    return layout.listing(layout.artifact("application/x.own+json"))


KINDS = (
    "a build cache",
    "an index of blobs",
    "a blob of type text/plain",
    "a Helm chart",
    "a WebAssembly module",
    "a signature",
    "an artifact of type application/x.own+json",
)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_image_is_told_and_refused(tmp_path: Path, kind: str) -> None:
    source = made(tmp_path / "in", kind)
    with open_source(source) as opened:
        assert no_image(opened.read()) == kind
    checked = occy_fast.check(source, ["docker-20.10", "docker-29", "podman-4.3", "k3s", "ghcr"])
    found = [finding for finding in checked.findings if finding.rule == "not-an-image"]
    assert [finding.target for finding in found] == ["docker-20.10", "docker-29", "podman-4.3", "k3s"]
    assert {finding.problem for finding in found} == {f"no image here: {kind}"}
    assert not any(finding.fix for finding in checked.findings)
    assert [finding.target for finding in checked.unknown if finding.rule == "not-an-image"] == ["ghcr"]
    with pytest.raises(Unsupported, match="no image here, but"):
        occy_fast.convert(source, f"docker-archive:{tmp_path}/out.tar")


@pytest.mark.parametrize("selector", ["", ":@0"])
@pytest.mark.parametrize("to", ["oci:{}/out", "oci-archive:{}/out.tar"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_travels_whole_where_it_can_be_held(tmp_path: Path, kind: str, to: str, selector: str) -> None:
    source, destination = made(tmp_path / "in", kind), to.format(tmp_path)
    result = occy_fast.convert(source + selector, destination)
    assert (result.config_digest is None) == ("blob" in kind or "cache" in kind)
    with open_source(source) as before, open_source(destination) as after:
        there, here = (opened.read().images for opened in (before, after))
    assert [named.root.digest for named in here] == [named.root.digest for named in there]
    assert occy_fast.verify(destination).ok


def test_where_nothing_is_listed(tmp_path: Path) -> None:
    source = Layout(tmp_path / "in").listing()
    checked = occy_fast.check(source, ["docker-29", "ghcr"])
    assert [(finding.target, finding.rule) for finding in checked.errors] == [
        ("docker-29", "no-image"),
        ("ghcr", "no-image"),
    ]
    with pytest.raises(NotFound):
        occy_fast.convert(source, f"oci:{tmp_path}/out")


def test_one_image_is_enough() -> None:
    assert no_image(contents(index(image("a"), attestation(image("a"))))) is None


def test_of_what_is_not_there_no_kind_is_made_up() -> None:
    descriptor = image("a").descriptor
    assert descriptor is not None
    absent, statement = Opaque(descriptor, None), attestation(image("a"))
    assert kind_of(absent) == "a blob that is not there"
    whole = index(image("a"))
    assert kind_of(replace(whole, children=(absent,))) == "an index of which nothing is there: it names 1 manifest"
    assert kind_of(statement) == kind_of(replace(whole, children=(statement,))) == "an attestation"
    assert kind_of(replace(whole, children=())) == "an index that lists nothing"
