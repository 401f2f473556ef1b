from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
from pathlib import Path

import pytest
import zstandard

from occy_fast import errors
from occy_fast.errors import (
    BadArchive,
    BadManifest,
    DigestMismatch,
    DuplicateEntry,
    LayerCountMismatch,
    ManifestTooLarge,
    MissingBlob,
    NotFound,
    UnsafePath,
    UnsupportedFormat,
)
from occy_fast.image.graph import check_readable
from occy_fast.image.image import Contents, Image
from support.docker_archives import bytes_of, only_image, read
from support.image_builders import (
    OCI_INDEX,
    archive_members,
    docker_archive,
    dumps,
    full_name,
    make_image,
    make_tar,
    sha256,
)

DECODE = {"none": bytes, "gzip": gzip.decompress, "xz": lzma.decompress, "bzip2": bz2.decompress}


def unzstd(raw: bytes) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True).read()


def assert_true(contents: Contents, path: Path) -> None:
    """Compare all that was read with what tarfile finds in the archive."""
    with tarfile.open(path) as tar:
        items = json.load(tar.extractfile("manifest.json"))
        configs = [tar.extractfile(item["Config"]).read() for item in items]
    assert len(contents.images) == len(items)
    for named, item, config in zip(contents.images, items, configs, strict=True):
        image = named.default or named.root
        assert isinstance(image, Image)
        assert image.config is not None
        assert image.config.raw == config
        assert str(image.config_blob.digest) == "sha256:" + sha256(config)
        assert list(named.names) == [full_name(name) for name in item["RepoTags"] or ()]
        diff_ids = json.loads(config)["rootfs"]["diff_ids"]
        assert [str(layer.diff_id) for layer in image.layers] == diff_ids
        assert len(diff_ids) == len(item["Layers"])
        for layer in image.layers:
            raw = bytes_of(layer)
            tar_bytes = {**DECODE, "zstd": unzstd}[layer.encoding.codec](raw)
            assert "sha256:" + sha256(tar_bytes) == str(layer.diff_id)
            assert layer.size == len(raw)
            assert layer.digest is None or str(layer.digest) == "sha256:" + sha256(raw)
            assert layer.digest is not None or layer.encoding.codec != "none"


ORACLES = [
    "fixtures/docker-20.10.24-save.tar",
    "fixtures/docker-26.1.5-save.tar",
    "fixtures/podman-4.3.1-docker-archive.tar",
    "fixtures/podman-4.3.1-docker-archive-multi.tar",
    "oracles/tool-archives/crane-tarball.tar",
    "oracles/tool-archives/crane-legacy.tar",
    "oracles/tool-archives/podman431-docker-dup.tar",
    "oracles/tool-archives/podman431-docker-multi.tar",
    "oracles/docker-save/docker20.10.24-dup.tar",
    "oracles/docker-save/docker20.10.24-gz.tar",
    "oracles/docker-save/docker20.10.24-multitag.tar",
    "oracles/docker-save/docker20.10.24-simple.tar",
    "oracles/docker-save/docker20.10.24-untagged.tar",
    "oracles/docker-save/docker25.0.5-graph-dup.tar",
    "oracles/docker-save/docker25.0.5-graph-multiimage.tar",
    "oracles/docker-save/docker25.0.5-graph-simple.tar",
    "oracles/docker-save/docker29.7.2-containerd-index.tar",
    "oracles/docker-save/docker29.7.2-containerd-simple.tar",
    "oracles/docker-save/docker29.7.2-containerd-zstd.tar",
]


@pytest.mark.parametrize("name", ORACLES)
def test_archives_of_real_tools(shared: Path, name: str) -> None:
    contents = read(shared / name)
    assert_true(contents, shared / name)
    assert contents.kind == "docker-archive"


@pytest.mark.parametrize("name", [name for name in ORACLES if "docker2" in name or "docker-26" in name])
def test_stored_manifests_survive(shared: Path, name: str) -> None:
    has_manifests = "docker20" not in name
    for named in read(shared / name).images:
        image = named.default or named.root
        assert isinstance(image, Image)
        assert (image.manifest is not None) == has_manifests
        if image.manifest is not None:
            with tarfile.open(shared / name) as tar:
                stored = tar.extractfile(f"blobs/sha256/{image.manifest.digest.hex}").read()
            assert image.manifest.raw == stored
            assert all(layer.digest is not None for layer in image.layers)


def test_the_corpus_of_archives(shared: Path) -> None:
    """What skopeo reads is read, with the same config and, uncompressed, the same layers."""
    cases = json.loads((shared / "corpus/images/expected.json").read_text())["archives"]
    read_well = 0
    for case in cases:
        observed = case.get("skopeo_docker_archive")
        if not observed or observed["rc"] != 0:
            continue
        path = shared / "corpus" / case["path"]
        image = only_image(read(path, ":@0"))
        assert str(image.config_blob.digest) == observed["config"], path
        layers = [str(layer.digest) for layer in image.layers]
        known = [line.split() for line in observed["layers"]]
        if all(layer.encoding.codec == "none" for layer in image.layers):
            assert layers == [digest for digest, _ in known], path
            assert [layer.size for layer in image.layers] == [int(size) for _, size in known], path
        read_well += 1
    assert read_well > 20


@pytest.mark.parametrize("era", ["B", "C", "D"])
@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_built_archives(tmp_path: Path, era: str, codec: str) -> None:
    images = [make_image("a", "b", codec=codec, names=("t5/app:1", "app:2")), make_image("c", names=())]
    path = docker_archive(tmp_path / "a.tar", images, era)
    contents = read(path)
    assert_true(contents, path)
    first = contents.images[0].root
    assert isinstance(first, Image)
    assert (first.manifest is None) == (era == "B")
    assert [layer.encoding.codec for layer in first.layers] == [codec, codec]


@pytest.mark.parametrize("codec", ["xz", "bzip2"])
def test_encodings_that_are_only_read(tmp_path: Path, codec: str) -> None:
    image = make_image("a")
    members = dict(archive_members([image]))
    layer = next(name for name in members if name.endswith("layer.tar"))
    members[layer] = {"xz": lzma.compress, "bzip2": bz2.compress}[codec](members[layer])
    path = tmp_path / "a.tar"
    path.write_bytes(make_tar(members.items()))
    assert_true(read(path), path)
    assert only_image(read(path)).layers[0].encoding.codec == codec


def test_manifest_json_is_right_where_the_stored_manifest_has_another_order(tmp_path: Path) -> None:
    """Docker 25.0.0 stores manifests whose layers are in random order."""
    image = make_image("a", "b", "c", names=("app:1",))
    members = dict(archive_members([image], "C"))
    wrong = json.loads(image.manifest)
    wrong["layers"].reverse()
    raw = dumps(wrong)
    members[f"blobs/sha256/{sha256(raw)}"] = raw
    entry = {"mediaType": image.manifest_type, "digest": "sha256:" + sha256(raw), "size": len(raw)}
    members["index.json"] = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
    path = tmp_path / "a.tar"
    path.write_bytes(make_tar(members.items()))
    found = only_image(read(path))
    assert found.manifest is None
    assert [str(layer.digest) for layer in found.layers] == image.diff_ids


def test_each_image_gets_its_own_stored_manifest(tmp_path: Path) -> None:
    """The order of index.json says nothing, and images with equal layers and configs differ by name."""
    oci = make_image("a", names=("oci:1",))
    docker = make_image("a", names=("docker:1",), docker=True)
    path = docker_archive(tmp_path / "a.tar", [docker, oci], "D")
    members = dict(archive_members([docker, oci], "D"))
    index = json.loads(members["index.json"])
    index["manifests"].reverse()
    members["index.json"] = dumps(index)
    path.write_bytes(make_tar(members.items()))
    manifests = [named.root.manifest.raw for named in read(path).images]
    assert manifests == [docker.manifest, oci.manifest]


def test_a_stored_manifest_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    image = make_image("a", "b")
    raw = image.manifest
    damaged = make_tar(archive_members([image], "D")).replace(raw, raw[:-1] + b" ")
    (tmp_path / "a.tar").write_bytes(damaged)
    with pytest.raises(DigestMismatch):
        check_readable(read(tmp_path / "a.tar"))


def test_a_config_with_a_flipped_bit_is_refused_where_its_name_is_its_digest(tmp_path: Path) -> None:
    image = make_image("a", "b")
    damaged = make_tar(archive_members([image], "C")).replace(b'"created_by":"built"', b'"created_by":"guilt"')
    (tmp_path / "a.tar").write_bytes(damaged)
    with pytest.raises(DigestMismatch):
        read(tmp_path / "a.tar")


def test_a_config_may_have_any_other_name(tmp_path: Path) -> None:
    image = make_image("a", "b")
    members = [(name.replace(sha256(image.config), "0" * 64), data) for name, data in archive_members([image])]
    members = [(name, data.replace(sha256(image.config).encode(), b"0" * 64)) for name, data in members]
    (tmp_path / "a.tar").write_bytes(make_tar(members))
    assert str(only_image(read(tmp_path / "a.tar")).config_blob.digest) == "sha256:" + sha256(image.config)


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("", [("docker.io/library/a:1", "docker.io/library/a:2"), ("docker.io/t5/b:1",), ()]),
        (":@0", [("docker.io/library/a:1", "docker.io/library/a:2")]),
        (":@2", [()]),
        (":a:2", [("docker.io/library/a:2",)]),
        (":docker.io/t5/b:1", [("docker.io/t5/b:1",)]),
        (":t5/b:1", [("docker.io/t5/b:1",)]),
    ],
)
def test_selectors(tmp_path: Path, selector: str, names: list[tuple[str, ...]]) -> None:
    images = [make_image("a", names=("a:1", "a:2")), make_image("b", names=("t5/b:1",)), make_image("c", names=())]
    path = docker_archive(tmp_path / "a.tar", images)
    assert [named.names for named in read(path, selector).images] == names


@pytest.mark.parametrize("selector", [":@3", ":a:3", ":c:1"])
def test_what_is_not_there_is_not_found(tmp_path: Path, selector: str) -> None:
    path = docker_archive(tmp_path / "a.tar", [make_image("a", names=("a:1",))] * 1)
    with pytest.raises(NotFound, match=r"a:1|of 1"):
        read(path, selector)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member.tobuf(tarfile.USTAR_FORMAT)


def with_link(path: Path, target: str, kind: bytes = tarfile.SYMTYPE) -> Path:
    """Write an archive whose second layer is a link, in front of everything."""
    image = make_image("a", "a")
    members = [*archive_members([image])]
    layer = f"{sha256(image.tars[0])}/layer.tar"
    item = {"Config": f"{sha256(image.config)}.json", "RepoTags": None, "Layers": [layer, "link/layer.tar"]}
    members = [(name, dumps([item]) if name == "manifest.json" else data) for name, data in members]
    path.write_bytes(link("link/layer.tar", target.replace("FIRST", sha256(image.tars[0])), kind) + make_tar(members))
    return path


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("../FIRST/layer.tar", tarfile.SYMTYPE),
        (".././FIRST//layer.tar", tarfile.SYMTYPE),
        ("/FIRST/layer.tar", tarfile.SYMTYPE),
        ("FIRST/layer.tar", tarfile.LNKTYPE),
        ("./FIRST/layer.tar", tarfile.LNKTYPE),
    ],
)
def test_links_are_followed_one_hop(tmp_path: Path, target: str, kind: bytes) -> None:
    image = only_image(read(with_link(tmp_path / "a.tar", target, kind)))
    assert bytes_of(image.layers[0]) == bytes_of(image.layers[1])


@pytest.mark.parametrize(
    "target",
    ["layer.tar", "../../FIRST/layer.tar", "/etc/passwd", "../../../etc/passwd", "../none", "../FIRST", ".", ""],
)
def test_links_that_lead_elsewhere_are_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(BadArchive):
        read(with_link(tmp_path / "a.tar", target))


def write_archive(path: Path, manifest: object) -> Path:
    """Write an archive with another manifest.json: bytes, or what a function makes of the right item."""
    members = dict(archive_members([make_image("a")]))
    item = json.loads(members["manifest.json"])[0]
    members["manifest.json"] = manifest(item) if callable(manifest) else manifest
    path.write_bytes(make_tar(members.items()))
    return path


@pytest.mark.parametrize(
    ("manifest", "error"),
    [
        (b"null", "BadManifest"),
        (b"{}", "BadManifest"),
        (b"[]", "BadManifest"),
        (b"[null]", "BadManifest"),
        (b"{", "BadJSON"),
        (b'[{"Config":"x","Config":"y"}]', "DuplicateKey"),
        (b" " * (1 << 20) + b"[]", "ManifestTooLarge"),
        (lambda item: dumps([{**item, "Config": None}]), "BadManifest"),
        (lambda item: dumps([{**item, "Config": ""}]), "BadManifest"),
        (lambda item: dumps([{**item, "Config": 5}]), "BadManifest"),
        (lambda item: dumps([{**item, "Config": "none.json"}]), "MissingBlob"),
        (lambda item: dumps([{**item, "Config": "../" + item["Config"]}]), "UnsafePath"),
        (lambda item: dumps([{**item, "Layers": "x"}]), "BadManifest"),
        (lambda item: dumps([{**item, "Layers": []}]), "LayerCountMismatch"),
        (lambda item: dumps([{**item, "Layers": None}]), "LayerCountMismatch"),
        (lambda item: dumps([{**item, "Layers": item["Layers"] * 2}]), "LayerCountMismatch"),
        (lambda item: dumps([{**item, "Layers": ["none"]}]), "MissingBlob"),
        (lambda item: dumps([{**item, "Layers": ["a/../../" + item["Layers"][0]]}]), "UnsafePath"),
        (lambda item: dumps([{**item, "Layers": ["."]}]), "UnsafePath"),
        (lambda item: dumps([{**item, "RepoTags": "x:1"}]), "BadManifest"),
        (lambda item: dumps([{**item, "RepoTags": [None]}]), "BadManifest"),
        (lambda item: dumps([{**item, "RepoTags": ["-rf"]}]), "BadReference"),
        (lambda item: dumps([{**item, "RepoTags": ["../../x"]}]), "BadReference"),
        (lambda item: dumps([{**item, "RepoTags": ["T5/Upper:1"]}]), "BadReference"),
        (lambda item: dumps([{**item, "RepoTags": ["a\nb:1"]}]), "BadReference"),
    ],
)
def test_broken_manifests_are_refused(tmp_path: Path, manifest: object, error: str) -> None:
    with pytest.raises(getattr(errors, error)):
        check_readable(read(write_archive(tmp_path / "a.tar", manifest)))


@pytest.mark.parametrize(
    "manifest",
    [
        lambda item: dumps([{**item, "Config": "./" + item["Config"], "Layers": ["./" + item["Layers"][0]]}]),
        lambda item: dumps([{**item, "Parent": "sha256:" + "1" * 64, "LayerSources": {}, "Unknown": 1}]),
        lambda item: dumps([{"Config": item["Config"], "Layers": item["Layers"]}]),
        lambda item: dumps([{**item, "Config": "/" + item["Config"], "Layers": ["//" + item["Layers"][0]]}]),
    ],
)
def test_odd_manifests_are_read(tmp_path: Path, manifest: object) -> None:
    assert len(only_image(read(write_archive(tmp_path / "a.tar", manifest))).layers) == 1


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("prefix", ["", "./", ".//./"])
def test_names_of_entries(tmp_path: Path, tar_format: int, prefix: str) -> None:
    image = make_image("a", names=())
    long = "d" * 90 + "/" + "e" * 90
    members = [
        (prefix + "manifest.json", dumps([{"Config": "c.json", "RepoTags": None, "Layers": [f"{long}/layer.tar"]}])),
        (prefix + "c.json", image.config),
        (prefix + long + "/layer.tar", image.tars[0]),
        ("../c.json", b"not this one"),
        ("/manifest.json", b"nor this one"),
    ]
    if tar_format == tarfile.USTAR_FORMAT:
        members[0] = (members[0][0], members[0][1].replace(b"e" * 90, b"e" * 50))
        members[2] = (members[2][0].replace("e" * 90, "e" * 50), members[2][1])
    (tmp_path / "a.tar").write_bytes(make_tar(members, tar_format))
    assert bytes_of(only_image(read(tmp_path / "a.tar")).layers[0]) == image.tars[0]


@pytest.mark.parametrize("name", ["manifest.json", "config", "layer"])
def test_entries_that_come_twice_are_refused(tmp_path: Path, name: str) -> None:
    image = make_image("a")
    members = archive_members([image])
    names = {"config": f"{sha256(image.config)}.json", "layer": f"{sha256(image.tars[0])}/layer.tar"}
    again = names.get(name, name)
    (tmp_path / "a.tar").write_bytes(make_tar([*members, ("./" + again, dict(members)[again])]))
    with pytest.raises(DuplicateEntry, match=again):
        read(tmp_path / "a.tar")


def test_other_entries_may_come_twice(tmp_path: Path) -> None:
    members = archive_members([make_image("a")])
    (tmp_path / "a.tar").write_bytes(make_tar([*members, ("x", b"1"), ("x", b"2")]))
    only_image(read(tmp_path / "a.tar"))


@pytest.mark.parametrize("name", ["manifest.json", "layer.tar"])
@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    image = make_image("a")
    rest = [(member, data) for member, data in archive_members([image]) if not member.endswith(name)]
    member = tarfile.TarInfo(next(member for member, _ in archive_members([image]) if member.endswith(name)))
    member.type = kind
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.USTAR_FORMAT) + make_tar(rest))
    with pytest.raises(MissingBlob if (name, kind) == ("layer.tar", tarfile.DIRTYPE) else BadArchive):
        read(tmp_path / "a.tar")


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ([("oci-layout", b"{}"), ("index.json", b"{}")], "OCI archive"),
        ([("etc/passwd", b"root")], "without manifest.json"),
        ([], "nothing in it"),
    ],
)
def test_other_tars_are_named(tmp_path: Path, members: list[tuple[str, bytes]], found: str) -> None:
    (tmp_path / "a.tar").write_bytes(make_tar(members))
    with pytest.raises(UnsupportedFormat, match=found):
        read(tmp_path / "a.tar")


def test_sparse_members_are_refused(tmp_path: Path, shared: Path) -> None:
    with pytest.raises((BadArchive, ManifestTooLarge)):
        read(shared / "corpus/hostile/i032-manifest-sparse.tar")
    image = make_image("a", names=())
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "layer.tar"}
    pax["GNU.sparse.realsize"] = str(1 << 42)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("GNUSparseFile.0/layer.tar")
        body = b"1\n0\n512\n".ljust(512, b"\0") + b"x" * 512
        member.size, member.pax_headers = len(body), pax
        tar.addfile(member, io.BytesIO(body))
        for name, data in (
            ("c.json", image.config),
            ("manifest.json", dumps([{"Config": "c.json", "Layers": ["layer.tar"]}])),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    (tmp_path / "a.tar").write_bytes(out.getvalue())
    with pytest.raises(BadArchive, match="sparse"):
        read(tmp_path / "a.tar")


HOSTILE_AT_VERIFY = {"DigestMismatch", "DecompressionBomb"}      # what only shows when layers are read


def test_hostile_archives(shared: Path) -> None:
    cases = json.loads((shared / "corpus/hostile/expected.json").read_text())["cases"]
    refused = 0
    for case in cases:
        if case["cls"] != "docker-save":
            continue
        path = shared / "corpus/hostile" / case["file"]
        error = error_of(path)
        if error is None:
            assert case["expect"] != "refuse" or set(case["errors"]) & HOSTILE_AT_VERIFY, case["id"]
        else:
            assert error in case["errors"], case["id"]
            refused += 1
    assert refused > 12


def error_of(path: Path) -> str | None:
    """Return the name of the error that reading raises."""
    try:
        check_readable(read(path))
    except errors.OccyError as error:
        return type(error).__name__
    return None


def test_errors_say_where(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.tar", lambda item: dumps([{**item, "Layers": ["none"]}]))
    with pytest.raises(MissingBlob) as caught:
        read(path)
    assert str(path) in caught.value.where
    assert "manifest.json[0]" in caught.value.where
    assert issubclass(BadManifest, errors.IntegrityError)
    assert issubclass(LayerCountMismatch, errors.IntegrityError)
    assert issubclass(UnsafePath, errors.PathError)
