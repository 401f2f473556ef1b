"""`check`: what loaders were seen to refuse is found, what they loaded is not, and convert --target mends it."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shlex
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

import occy_fast
from occy_fast.cli import main
from occy_fast.cli.check_cmd import checked_lines
from occy_fast.errors import (
    AmbiguousReference,
    BadReference,
    ConfigTooLarge,
    LimitError,
    ManifestTooLarge,
    MissingPlatform,
    NotFound,
    OccyError,
    TransportError,
    UnknownTarget,
    UnsafePath,
    Unsupported,
)
from occy_fast.spec.limits import Limits
from support.image_builders import (
    archive_members,
    docker_archive,
    dumps,
    encode,
    make_image,
    make_tar,
    oci_archive,
    oci_layout,
    sha256,
)
from support.load_matrix import recorded_loads, unpack_variants
from support.opening import open_source
from support.piping import piped

RECORDED = {"docker-20.10.24": "load_20.10.24.json", "podman-4.3.1": "load_podman431.json"}


@pytest.fixture(scope="module")
def variants(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return unpack_variants(shared, tmp_path_factory.mktemp("variants"))


def rules(source: Path | str, *targets: str, deep: bool = False) -> list[tuple[str, str]]:
    """Return (rule, place) of every finding."""
    return [(finding.rule, str(finding.place)) for finding in occy_fast.check(str(source), targets, deep=deep).findings]


def config_digests(archive: Path) -> list[str]:
    """Return the image ids of a docker-archive, with nothing of the library."""
    with tarfile.open(archive) as tar:

        def content(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        items = json.loads(content("manifest.json"))
        return [hashlib.sha256(content(item["Config"])).hexdigest() for item in items]


@pytest.mark.parametrize("target", RECORDED)
def test_every_refusal_that_was_seen_is_found_and_nothing_else(
    shared: Path, variants: dict[str, Path], target: str
) -> None:
    wrong = []
    for name, (loaded, said) in recorded_loads(shared, RECORDED[target]).items():
        if name in variants:
            checked = occy_fast.check(str(variants[name]), [target], deep=True)
            if bool(checked.findings) == loaded or (checked.exit_code == 10) == loaded or checked.unknown:
                wrong.append((name, loaded, said, checked))
    assert not wrong


@pytest.mark.parametrize("target", RECORDED)
def test_what_check_says_is_what_the_loader_said(shared: Path, variants: dict[str, Path], target: str) -> None:
    """Up to what differs from one run to the next: directories, and zstd in layers shorter than a tar header."""
    for name, (loaded, said) in recorded_loads(shared, RECORDED[target]).items():
        if loaded or name not in variants or "zstd" in name:
            continue
        findings = occy_fast.check(str(variants[name]), [target], deep=True).findings
        assert any(finding.says and _pattern(finding.says).search(said) for finding in findings), (name, findings, said)


def _pattern(says: str) -> re.Pattern[str]:
    text = re.escape(says).replace("<root>", r"\S+").replace("import\\-N", r"import-\d+").replace("…", ".+")
    return re.compile(text)


@pytest.mark.parametrize("target", [*RECORDED, "docker-29", "docker-25-graphdriver", "containerd-1.6", "k3s"])
def test_what_can_be_mended_passes_afterwards_under_the_same_id(
    variants: dict[str, Path], tmp_path: Path, target: str
) -> None:
    mended = 0
    for name, archive in variants.items():
        before = occy_fast.check(str(archive), [target], deep=True)
        if not before.findings or not all(finding.fix for finding in before.findings):
            continue
        made = tmp_path / f"{name}.tar"
        words = shlex.split(before.findings[0].fix or "")
        tags = words[words.index("--tag") + 1 :] if "--tag" in words else []
        occy_fast.convert(str(archive), f"docker-archive:{made}", target=target, tags=tags)
        after = occy_fast.check(str(made), [target], deep=True)
        assert (after.findings, after.unknown, after.unread) == ((), (), None), name
        mended += 1
        if before.unread is None:
            with open_source(str(_unpacked(archive, tmp_path)), lenient=True) as source:
                ids = [str(named.root.config_blob.digest) for named in source.read().images]
            assert [f"sha256:{digest}" for digest in config_digests(made)] == ids, name
    assert mended


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        (Limits(member_count=1), LimitError),
        (Limits(docker_manifest=50), ManifestTooLarge),
        (Limits(config=50), ConfigTooLarge),
        (Limits(layer_count=1), LimitError),
    ],
)
def test_a_limit_is_not_the_images_fault(
    tmp_path: Path, limits: Limits, kind: type[OccyError], deep: bool
) -> None:
    """Nobody knows what a loader would say of an archive that was not read to its end."""
    archive = docker_archive(tmp_path / "a.tar", [make_image("a", "b")])
    with piped(tmp_path / "pipe", archive.read_bytes()) as pipe:
        for source in (archive, pipe):
            with pytest.raises(kind):
                occy_fast.check(str(source), ["docker-20.10"], limits=limits, deep=deep)


@pytest.mark.parametrize("size", [100, 3000])
def test_a_layer_beyond_the_limit_is_not_the_images_fault(variants: dict[str, Path], tmp_path: Path, size: int) -> None:
    """Be it decoded for a deep look, or because an archive from before Docker 1.10 tells no diff_ids."""
    for name in ("da-layers-gzip", "legacy", "legacy-whole-gzip", "oci-dual-zstd"):
        with piped(tmp_path / "pipe", variants[name].read_bytes()) as pipe:
            for source in (variants[name], pipe):
                with pytest.raises(LimitError, match="decompressed size"):
                    occy_fast.check(str(source), ["docker-20.10"], max_layer=size, deep=True)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
@pytest.mark.parametrize("kind", ["docker-archive", "oci"])
def test_a_damaged_layer_is_told_by_its_number(tmp_path: Path, codec: str, kind: str) -> None:
    """With nothing to mend it: a part of the image would do nobody good, and the rest would end as the damage does."""
    built = make_image("a", "b", codec=["zstd", codec], size=5000)
    blob = bytearray(built.blobs[1])
    blob[len(blob) // 2] ^= 0x55
    if kind == "oci":
        source = oci_layout(tmp_path / "layout", [built], ["v1"])
        (source / "blobs/sha256" / sha256(built.blobs[1])).write_bytes(blob)
    else:
        source = docker_archive(tmp_path / "a.tar", [built])
        raw = source.read_bytes()
        source.write_bytes(raw.replace(built.blobs[1], bytes(blob)))
        assert source.read_bytes() != raw
    found = [occy_fast.check(str(source), ["docker-20.10"], deep=True)]
    if source.is_file():
        with piped(tmp_path / "pipe", source.read_bytes()) as pipe:
            found.append(occy_fast.check(str(pipe), ["docker-20.10"], deep=True))
    for checked in found:
        rules_of_damage = ("corrupt-layer", "diffid-mismatch", "digest-mismatch")
        [damaged] = {str(finding.place) for finding in checked.findings if finding.rule in rules_of_damage}
        assert damaged == "layer 2"
        assert {finding.fix for finding in checked.findings} == {None}
        assert "layer 2" in "\n".join(checked_lines(checked))


def _unpacked(archive: Path, directory: Path) -> Path:
    """Return the archive, without the gzip around it: one from before 1.10 tells ids only to who can look in."""
    raw = archive.read_bytes()
    if not raw.startswith(b"\x1f\x8b"):
        return archive
    (directory / "unpacked").write_bytes(gzip.decompress(raw))
    return directory / "unpacked"


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("target", [*RECORDED, "docker-29"])
def test_a_pipe_is_looked_at_as_a_file_is(variants: dict[str, Path], tmp_path: Path, target: str, deep: bool) -> None:
    """Of what comes by once the same is found, in the one pass there is."""

    def found(source: Path) -> tuple[object, ...]:
        checked = occy_fast.check(str(source), [target], deep=deep)
        findings = [replace(finding, fix=finding.fix and "yes") for finding in checked.findings]
        unread, code = checked.unread, checked.exit_code
        if isinstance(unread, Unsupported) and "known only from a look inside" in unread.problem:
            # whose layers go by unread tells none of its diff_ids
            unread, code = None, 10 if checked.errors else 0
        told = [repr(value).replace(str(source), "PLACE") for value in (findings, checked.unknown, unread)]
        return *told, code, checked.deep

    for name, archive in variants.items():
        wanted = found(archive)
        with piped(tmp_path / "pipe", archive.read_bytes()) as pipe:
            assert found(pipe) == wanted, name


# A file shows which member is named twice; in a pipe, the first counts that is not what it is said to be.
TOLD_DIFFERENTLY = {"empty-file": "TarTruncated", "name-apt-ostree": "DigestMismatch"}


@pytest.mark.parametrize("target", [*RECORDED, "docker-29"])
def test_a_pipe_is_judged_as_a_file_is(variants: dict[str, Path], tmp_path: Path, target: str) -> None:
    """What comes by once is refused, or mended, as the same archive in a file."""

    def verdict(source: Path) -> tuple[str, object]:
        made = tmp_path / "made.tar"
        made.unlink(missing_ok=True)
        try:
            occy_fast.convert(str(source), f"docker-archive:{made}", target=target)
        except OccyError as error:
            assert not made.exists()
            return type(error).__name__, getattr(error, "problem", "")
        assert rules(made, target, deep=True) == []
        return "made", config_digests(made)

    for name, archive in variants.items():
        wanted = verdict(archive)
        with piped(tmp_path / "pipe", archive.read_bytes()) as pipe:
            found = verdict(pipe)
        assert found[0] == TOLD_DIFFERENTLY.get(name, wanted[0]), name
        if wanted[0] == "Unsupported" and found[0] == wanted[0]:
            assert _rule_named(found[1]) == _rule_named(wanted[1]), name
        elif wanted[0] == "made":
            assert found == wanted, name


def _rule_named(problem: object) -> str:
    """Return what stands in brackets: the rule by which an image is refused."""
    matched = re.search(r"does not read it \(([\w-]+)\)", str(problem))
    return matched[1] if matched else ""


def test_the_command_that_is_named_mends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = make_image(codec="zstd")
    for source in (
        docker_archive(tmp_path / "an archive.tar", [built]),
        oci_layout(tmp_path / "layout", [built], ["v1"]),
        oci_archive(tmp_path / "oci.tar", tmp_path / "layout"),
    ):
        checked = occy_fast.check(str(source), ["docker-20.10.24"])
        [command] = {finding.fix for finding in checked.findings}
        assert command is not None
        words = shlex.split(command)
        assert words[:2] == ["occy-fast", "convert"]
        assert main(words[1:]) == 0
        assert rules(words[3], "docker-20.10.24", deep=True) == []
    capsys.readouterr()


# -------------------------------------------------------------------------------------------------- single rules


def test_only_the_layers_in_question_are_named(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image("one", "two", "three", codec=["gzip", "zstd", "none"])])
    checked = occy_fast.check(str(archive), ["docker-20.10.24", "podman-4.3"])
    [finding] = checked.findings
    assert (finding.rule, str(finding.place), finding.severity, finding.target) == (
        "zstd-layer",
        "layer 2",
        "error",
        "docker-20.10.24",
    )
    assert finding.says == "Error processing tar file(exit status 1): archive/tar: invalid tar header"
    assert finding.sources == ("tested",)
    assert checked.exit_code == 10
    assert occy_fast.check(str(archive), ["podman-4.3"]).exit_code == 0


def test_beside_a_layout_manifest_json_is_what_docker_reads(tmp_path: Path) -> None:
    dual = docker_archive(tmp_path / "dual.tar", [make_image(codec="zstd", docker=True)], "C")
    assert rules(dual, "docker-20.10") == [("zstd-layer", "layer 1"), ("zstd-layer", "layer 2")]
    assert rules(dual, "podman-4.3") == [("v2s2-zstd", "layer 1"), ("v2s2-zstd", "layer 2")]


def test_names_that_a_loader_refuses_are_put_right(tmp_path: Path) -> None:
    built = make_image("one", "two")
    path = tmp_path / "in.tar"
    tags = ["App/Upper:1", "app:fine", "app:", "app", "./app:2"]
    layers = [f"/{digest[7:]}.tar" for digest in built.diff_ids]
    items = [{"Config": "/c.json", "RepoTags": tags, "Layers": layers}]
    members = [(f"{digest[7:]}.tar", tar) for digest, tar in zip(built.diff_ids, built.tars, strict=True)]
    path.write_bytes(make_tar([*members, ("c.json", built.config), ("manifest.json", dumps(items))]))
    assert rules(path, "podman-4.3") == [*[("tag-invalid", "RepoTags")] * 4, ("paths-absolute", "manifest.json")]
    with pytest.raises((BadReference, UnsafePath)):
        occy_fast.convert(str(path), f"docker-archive:{tmp_path / 'out.tar'}")
    plan = occy_fast.plan(str(path), f"docker-archive:{tmp_path / 'out.tar'}", target="podman-4.3")
    assert "tag-invalid: RepoTags, for podman-4.3" in plan.explain()
    occy_fast.execute(plan)
    assert rules(tmp_path / "out.tar", "podman-4.3", deep=True) == []
    with occy_fast.open_image(str(tmp_path / "out.tar")) as contents:
        assert contents.images[0].names == (
            "docker.io/app/upper:1",
            "docker.io/library/app:fine",
            "docker.io/library/app:latest",
        )


def test_what_nobody_knows_is_no_finding(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image(codec="zstd")])
    checked = occy_fast.check(str(archive), ["singularity-ce"])
    assert checked.findings == ()
    assert checked.exit_code == 0
    assert {(finding.rule, finding.severity, finding.fix) for finding in checked.unknown} == {
        ("zstd-layer", "unknown", None)
    }


def test_of_an_image_in_a_layout_its_manifest_is_judged(tmp_path: Path) -> None:
    zstd, docker = make_image(codec="zstd"), make_image(codec="zstd", docker=True)
    assert rules(oci_layout(tmp_path / "oci", [zstd]), "docker-20.10", "podman-4.3", "docker-29") == [
        ("zstd-layer", "layer 1"),
        ("zstd-layer", "layer 2"),
    ]
    assert rules(oci_layout(tmp_path / "docker", [docker]), "podman-4.3") == [
        ("v2s2-zstd", "layer 1"),
        ("v2s2-zstd", "layer 2"),
    ]


def _mixed_layout(path: Path, *, docker: bool, **replaced: str) -> Path:
    """Write a layout whose manifest has media types of both families."""
    built = make_image("one", codec="gzip", docker=docker)
    manifest = json.loads(built.manifest)
    for place, media_type in replaced.items():
        descriptor = manifest["config"] if place == "config" else manifest["layers"][0]
        descriptor["mediaType"] = media_type
    raw = dumps(manifest)
    oci_layout(path, [built])
    (path / "blobs" / "sha256" / sha256(raw)).write_bytes(raw)
    entry = {"mediaType": built.manifest_type, "digest": "sha256:" + sha256(raw), "size": len(raw)}
    (path / "index.json").write_bytes(dumps({"schemaVersion": 2, "manifests": [entry]}))
    return path


OCI_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"


@pytest.mark.parametrize(
    ("docker", "replaced", "rule", "place"),
    [
        (True, {"layer": OCI_GZIP}, "oci-layer-in-v2s2", "layer 1"),
        (False, {"config": DOCKER_CONFIG}, "docker-config-in-oci", "manifest"),
    ],
)
def test_mixed_media_types_are_found_and_made_consistent(
    tmp_path: Path, docker: bool, replaced: dict[str, str], rule: str, place: str
) -> None:
    layout = _mixed_layout(tmp_path / "mixed", docker=docker, **replaced)
    assert rules(layout, "docker-20.10") == []
    assert rules(layout, "podman-4.3") == [(rule, place)]
    result = occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path / 'out'}", target="podman-4.3")
    assert [layer.kind for layer in result.layers] == ["copy"]
    assert rules(tmp_path / "out", "podman-4.3", "docker-20.10", deep=True) == []


def test_zstd_under_docker_s_types_is_said_in_oci_s_where_that_suffices(tmp_path: Path) -> None:
    built = make_image(codec="zstd", docker=True)
    layout = oci_layout(tmp_path / "docker", [built])
    occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path / 'out'}", target="podman-4.3")
    assert rules(tmp_path / "out", "podman-4.3", deep=True) == []
    with occy_fast.open_image(f"oci:{tmp_path / 'out'}") as contents:
        [named] = contents.images
        assert [str(layer.encoding) for layer in named.root.layers] == ["zstd", "zstd"]
        assert named.root.config_blob.digest.hex == sha256(built.config)


def test_a_leading_skippable_frame_is_found_and_made_away_with(tmp_path: Path) -> None:
    built = make_image("one", codec="zstd")
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + built.blobs[0]
    layout = oci_layout(tmp_path / "layout", [built])
    manifest = json.loads(built.manifest)
    manifest["layers"][0] |= {"digest": "sha256:" + sha256(skippable), "size": len(skippable)}
    raw = dumps(manifest)
    for data in (skippable, raw):
        (layout / "blobs" / "sha256" / sha256(data)).write_bytes(data)
    entry = {"mediaType": built.manifest_type, "digest": "sha256:" + sha256(raw), "size": len(raw)}
    (layout / "index.json").write_bytes(dumps({"schemaVersion": 2, "manifests": [entry]}))
    assert rules(layout, "docker-29") == []
    assert rules(layout, "podman-4.3") == [("leading-skippable-frame", "layer 1")]
    plan = occy_fast.plan(f"oci:{layout}", f"oci:{tmp_path / 'out'}", target="podman-4.3")
    assert "encoder: zstd:3 by libzstd" in plan.explain()
    assert "it begins with a frame that decoders skip" in plan.explain()
    assert not any("cannot hold zstd" in note for note in plan.notes)      # it can, and that is no reason
    occy_fast.execute(plan)
    assert rules(tmp_path / "out", "podman-4.3", deep=True) == []
    with occy_fast.open_image(f"oci:{tmp_path / 'out'}") as contents:
        assert [str(layer.encoding) for layer in contents.images[0].root.layers] == ["zstd"]


def test_an_index_without_platforms_is_told_them(tmp_path: Path) -> None:
    images = [make_image("one"), make_image("one", architecture="arm64")]
    layout = oci_layout(tmp_path / "layout", images, ["v1"], nested=True)
    [entry] = json.loads((layout / "index.json").read_bytes())["manifests"]
    index = json.loads((layout / "blobs" / "sha256" / entry["digest"][7:]).read_bytes())
    for child in index["manifests"]:
        del child["platform"]
    raw = dumps(index)
    (layout / "blobs" / "sha256" / sha256(raw)).write_bytes(raw)
    entry |= {"digest": "sha256:" + sha256(raw), "size": len(raw)}
    (layout / "index.json").write_bytes(dumps({"schemaVersion": 2, "manifests": [entry]}))
    assert set(rules(layout, "docker-20.10")) == {("index-no-platform", "index")}
    occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path / 'out'}", target="docker-20.10")
    assert rules(tmp_path / "out", "docker-20.10") == []
    with occy_fast.open_image(f"oci:{tmp_path / 'out'}") as contents:
        children = contents.images[0].root.children
        assert [str(child.descriptor.platform) for child in children] == ["linux/amd64", "linux/arm64"]
        assert [child.config_blob.digest.hex for child in children] == [sha256(image.config) for image in images]


def test_who_pulls_no_index_gets_one_image(tmp_path: Path) -> None:
    layout = oci_layout(
        tmp_path / "layout", [make_image("one"), make_image("one", architecture="arm64")], ["v1"], nested=True
    )
    checked = occy_fast.check(str(layout), ["aws-lambda"])
    assert [finding.rule for finding in checked.findings] == ["oci-index"]
    command = shlex.split(checked.findings[0].fix or "")
    assert "--platform" in command
    with pytest.raises(AmbiguousReference):
        occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path / 'out'}", target="aws-lambda")
    with pytest.raises(MissingPlatform):
        occy_fast.convert(
            f"oci:{layout}", f"oci:{tmp_path / 'out'}", target="aws-lambda", platforms=["linux/s390x"]
        )
    occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path / 'out'}", target="aws-lambda", platforms=["linux/arm64"])
    assert rules(tmp_path / "out", "aws-lambda") == []


def test_a_platform_is_named_where_an_archive_holds_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker 1.10 pulls no OCI index; what it loads instead is one image, as the command says."""
    monkeypatch.chdir(tmp_path)
    images = [make_image("one"), make_image("one", architecture="arm64")]
    oci_layout(tmp_path / "layout", images, ["v1"], nested=True)
    checked = occy_fast.check("layout", ["docker-1.10"])
    assert "oci-index" in {finding.rule for finding in checked.errors}
    [command] = {finding.fix for finding in checked.findings}
    assert command is not None
    words = shlex.split(command)
    assert "--platform" in words
    assert main(words[1:]) == 0
    assert rules(words[3], "docker-1.10", deep=True) == []
    with occy_fast.open_image(words[3]) as contents:
        assert [named.names for named in contents.images] == [("docker.io/library/layout:v1",)]


# -------------------------------------------------------------------------------------------------- refusals


def test_what_only_another_image_would_mend_is_refused_by_name(tmp_path: Path) -> None:
    history = [{"created_by": "x"}] * 5
    archive = docker_archive(tmp_path / "a.tar", [make_image(config_changes={"history": history})])
    assert rules(archive, "docker-20.10") == [("history-count", "config")]
    assert occy_fast.check(str(archive), ["docker-20.10"]).findings[0].fix is None
    with pytest.raises(Unsupported, match=r"history-count.*too many non-empty layers"):
        occy_fast.convert(str(archive), f"docker-archive:{tmp_path / 'b.tar'}", target="docker-20.10")
    occy_fast.convert(str(archive), f"docker-archive:{tmp_path / 'b.tar'}", target="podman-4.3")


@pytest.mark.parametrize("selector", ["@1", "app:linux"])
def test_what_is_not_selected_is_in_nobody_s_way(tmp_path: Path, selector: str) -> None:
    images = [
        make_image("one", names=["app:windows"], config_changes={"os": "windows"}),
        make_image("two", names=["app:linux"]),
    ]
    archive = docker_archive(tmp_path / "a.tar", images)
    assert rules(archive, "docker-20.10") == [("windows", "@0 config")]
    with pytest.raises(Unsupported, match="windows"):
        occy_fast.convert(str(archive), f"docker-archive:{tmp_path / 'b.tar'}", target="docker-20.10")
    occy_fast.convert(
        f"docker-archive:{archive}:{selector}", f"docker-archive:{tmp_path / 'b.tar'}", target="docker-20.10"
    )
    assert rules(tmp_path / "b.tar", "docker-20.10") == []


@pytest.mark.parametrize(
    ("destination", "more", "match"),
    [
        ("oci-archive:out.tar", {}, "no OCI archives"),
        ("oci:out", {"encoding": "zstd"}, "no zstd layers"),
        ("oci:out", {"encoding": "keep"}, "does not read the zstd"),
    ],
)
def test_a_demand_that_the_target_does_not_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, destination: str, more: dict[str, str], match: str
) -> None:
    monkeypatch.chdir(tmp_path)
    oci_layout(tmp_path / "layout", [make_image(codec="zstd")])
    with pytest.raises(Unsupported, match=match):
        occy_fast.convert("oci:layout", destination, target="docker-20.10", **more)
    assert [path.name for path in tmp_path.iterdir()] == ["layout"]


def test_nothing_is_changed_that_the_target_reads(tmp_path: Path) -> None:
    built = make_image("one", "two", "three", codec=["gzip", "zstd", "none"])
    layout = oci_layout(tmp_path / "layout", [built])
    same = occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path / 'same'}", target="docker-29")
    assert [str(digest) for digest in same.digests] == [built.descriptor()["digest"]]
    some = occy_fast.convert(f"oci:{layout}", f"oci:{tmp_path / 'some'}", target="docker-20.10")
    assert [layer.kind for layer in some.layers] == ["copy", "recode", "copy"]


def test_the_plan_names_the_rule_behind_each_change(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "layout", [make_image("one", "two", "three", codec=["zstd", "gzip", "zstd"])])
    plan = occy_fast.plan(f"oci:{layout}", f"oci:{tmp_path / 'out'}", target="docker-20.10")
    text = plan.explain()
    assert "zstd-layer: layers 1, 3, for docker-20.10, which says: failed to register layer" in text
    assert "docker-20.10 does not read zstd: layers 1, 3 become gzip" in text


def test_a_plan_for_what_comes_by_once_names_it_too(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.zst"
    archive.write_bytes(encode(docker_archive(tmp_path / "a.tar", [make_image(codec="gzip")]).read_bytes(), "zstd"))
    assert rules(archive, "docker-20.10") == [("whole-zstd", "archive")]
    plan = occy_fast.plan(str(archive), f"docker-archive:{tmp_path / 'b.tar'}", target="docker-20.10")
    assert "whole-zstd: archive, for docker-20.10" in plan.explain()
    occy_fast.execute(plan)
    assert rules(tmp_path / "b.tar", "docker-20.10", deep=True) == []


# -------------------------------------------------------------------------------------------------- what is broken


def test_only_a_deep_look_sees_another_tar(tmp_path: Path) -> None:
    built, other = make_image("one", "two", codec="gzip"), make_image("one", "other", codec="gzip")
    rootfs = {"type": "layers", "diff_ids": other.diff_ids}
    lying = make_image(tars=built.tars, codec="gzip", config_changes={"rootfs": rootfs})
    archive = docker_archive(tmp_path / "a.tar", [lying])
    assert rules(archive, "docker-20.10") == []
    [finding] = occy_fast.check(str(archive), ["docker-20.10"], deep=True).findings
    assert (finding.rule, str(finding.place), finding.fix) == ("diffid-mismatch", "layer 2", None)
    assert finding.says == f'invalid diffID for layer 1: expected "{other.diff_ids[1]}", got "{built.diff_ids[1]}"'


def test_a_tar_that_go_reads_is_read_by_everyone_here(tmp_path: Path) -> None:
    """What strict reading refuses, a size on a directory, is no consumer's refusal."""
    raw = bytearray(make_tar([("folder", b""), ("file", b"y")]))
    raw[156:157] = b"5"
    raw[124:136] = b"00000001000\0"
    raw[148:156] = b"        "
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    archive = docker_archive(tmp_path / "a.tar", [make_image(tars=[bytes(raw)])])
    assert occy_fast.verify(str(archive)).errors
    assert rules(archive, "docker-20.10", deep=True) == []


def test_a_missing_blob_is_a_finding_for_everyone(tmp_path: Path) -> None:
    built = make_image("one", "two", codec="gzip")
    layout = oci_layout(tmp_path / "layout", [built])
    (layout / "blobs" / "sha256" / sha256(built.blobs[1])).unlink()
    assert [rule for rule, _ in rules(layout, "singularity-ce", "docker-29")] == ["broken-image"] * 2
    (layout / "blobs" / "sha256" / sha256(built.config)).unlink()
    checked = occy_fast.check(str(layout), ["docker-29"])
    assert [finding.rule for finding in checked.findings] == ["unreadable"]
    assert checked.exit_code == 10


@pytest.mark.parametrize(
    ("data", "rule"),
    [(b'{"version":1,"layers":[]}', "broken-archive"), (b"", "no-image"), (make_tar([("etc/x", b"x")]), "no-image")],
)
def test_what_is_no_image_is_a_finding(tmp_path: Path, data: bytes, rule: str) -> None:
    (tmp_path / "x.tar").write_bytes(data)
    assert rules(tmp_path / "x.tar", "docker-20.10", "singularity-ce") == [(rule, "archive")] * 2


def test_names_that_cannot_be_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    archive = docker_archive(tmp_path / "a.tar", [make_image()])
    with pytest.raises(UnknownTarget):
        occy_fast.check(str(archive), ["docker-20.10", "dokcer-20.10"])
    with pytest.raises(NotFound):
        occy_fast.check(str(tmp_path / "nothing.tar"), ["docker-20.10"])
    with pytest.raises(NotFound):
        occy_fast.check(f"docker-archive:{archive}:app:gone", ["docker-20.10"])
    with pytest.raises(TransportError):
        occy_fast.check("docker-daemon:app:1", ["docker-20.10"])


def test_only_what_is_selected_is_judged(tmp_path: Path) -> None:
    windows = make_image("bad", names=("bad:1",), config_changes={"os": "windows"})
    docker_archive(tmp_path / "two.tar", [make_image("good", names=("good:1",)), windows])
    for selector, fails in ((":good:1", False), (":@0", False), (":bad:1", True), (":@1", True)):
        checked = occy_fast.check(f"docker-archive:{tmp_path}/two.tar{selector}", ["docker-20.10.24"])
        assert any(finding.rule == "windows" for finding in checked.findings) == fails, selector


@pytest.mark.parametrize(
    ("document", "changed"),
    [
        ("config", {"created": "yesterday"}),
        ("config", {"config": {"Env": {"A": "b"}}}),
        ("config", {"architecture": 5}),
        ("config", {"rootfs": {"type": "layers", "diff_ids": ["md5:abc"]}}),
        ("manifest", {"RepoTags": "app:1"}),
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_what_no_loader_decodes_fails_everywhere(
    tmp_path: Path, document: str, changed: dict[str, object], deep: bool
) -> None:
    """Docker 20.10.24 and podman 4.3.1 refuse each of them, and no shape shows it."""
    image = make_image()
    config = json.loads(image.config) | (changed if document == "config" else {})
    members = dict(archive_members([image]))
    name = next(name for name, raw in members.items() if raw == image.config)
    members[name] = dumps(config)
    if document == "manifest":
        [item] = json.loads(members["manifest.json"])
        members["manifest.json"] = dumps([item | changed])
    path = tmp_path / "a.tar"
    path.write_bytes(make_tar(members.items()))
    for target in RECORDED:
        checked = occy_fast.check(str(path), [target], deep=deep)
        assert checked.exit_code == 10
        assert not any(finding.fix for finding in checked.errors)


def test_a_missing_parent_of_a_v1_image_fails(tmp_path: Path) -> None:
    id_, parent = "a" * 64, "b" * 64
    documents = {f"{id_}/json": dumps({"id": id_, "parent": parent}), f"{id_}/layer.tar": b"", f"{id_}/VERSION": b"1.0"}
    (tmp_path / "a.tar").write_bytes(make_tar([*documents.items(), ("repositories", dumps({"app": {"1": id_}}))]))
    assert ("unreadable", "json") in [
        (rule, place.rpartition("/")[2]) for rule, place in rules(tmp_path / "a.tar", "docker-20.10.24")
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (bytes(range(256)) * 40, "archive/tar: invalid tar header"),
        (b"<html>" + b"x" * 2000, "archive/tar: invalid tar header"),
        (b'{"a":1}', "unexpected EOF"),
        (make_tar([("a", bytes(5000))])[:3000], "unexpected EOF"),
    ],
)
def test_what_is_no_archive_fails_in_the_loader_s_words(tmp_path: Path, raw: bytes, said: str) -> None:
    """As seen of dockerd 20.10.24 for each."""
    (tmp_path / "a.tar").write_bytes(raw)
    [finding] = occy_fast.check(str(tmp_path / "a.tar"), ["docker-20.10.24"]).findings
    assert finding.says == f"Error processing tar file(exit status 1): {said}"


# ------------------------------------------------------------------------------------------- names, entries, systems


def by_target(source: Path | str, rule: str, *targets: str) -> dict[str, str]:
    """Return how bad a rule is for each target that it is found for."""
    checked = occy_fast.check(str(source), targets)
    return {found.target: found.severity for found in (*checked.findings, *checked.unknown) if found.rule == rule}


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
@pytest.mark.parametrize("target", ["containerd-1.6", "k3s", "containerd-1.7.20"])
def test_an_image_without_a_name_gets_one_where_it_would_be_lost(
    tmp_path: Path, form: str, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    image, archive = make_image("a", names=()), tmp_path / "web app.tar"
    if form == "oci-archive":
        oci_archive(archive, oci_layout(tmp_path / "in", [image]))
    else:
        docker_archive(archive, [image])
    finding = next(found for found in occy_fast.check(str(archive), [target]).errors if found.rule == "tag-none")
    words = shlex.split(finding.fix or "")
    assert "web-app:latest" in " ".join(words)
    assert main(words[1:]) == 0
    capsys.readouterr()
    after = occy_fast.check(words[3], [target])
    assert after.ok
    assert not after.findings


def test_an_image_without_a_name_is_kept_by_its_id_elsewhere(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image("a", names=())])
    assert by_target(archive, "tag-none", "docker-20.10", "docker-29", "podman-4.3", "k3s") == {"k3s": "error"}


def test_for_several_without_a_name_no_command_is_made_up(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image("a", names=()), make_image("b", names=())])
    assert [found.fix for found in occy_fast.check(str(archive), ["k3s"]).errors] == [None, None]


@pytest.mark.parametrize("ref", ["one", "latest", "1.0", "v2-rc.1"])
def test_a_bare_name_becomes_another_one(tmp_path: Path, ref: str) -> None:
    archive = oci_archive(tmp_path / "a.tar", oci_layout(tmp_path / "in", [make_image("a")], [ref]))
    checked = occy_fast.check(str(archive), ["docker-25-containerd", "podman-4.3", "containerd-1.6", "docker-20.10"])
    said = {found.target: found.says for found in checked.findings if found.rule == "bare-name"}
    assert said == {
        "docker-25-containerd": f"Loaded image: {ref}:latest",
        "podman-4.3": f"Loaded image: localhost/{ref}:latest",
        "containerd-1.6": f"unpacking import-…:{ref}",
    }


def test_a_full_name_is_nobody_s_trouble(tmp_path: Path) -> None:
    archive = oci_archive(tmp_path / "a.tar", oci_layout(tmp_path / "in", [make_image("a")], ["example.com/app:1"]))
    assert not occy_fast.check(str(archive), ["docker-29", "podman-4.3", "containerd-1.6"]).findings


@pytest.mark.parametrize("target", ["podman-4.3", "skopeo-1.9", "podman-4.3.1"])
def test_several_entries_need_a_choice(tmp_path: Path, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    images = [make_image("a"), make_image("b")]
    layout = oci_layout(tmp_path / "in", images, ["example.com/a:1", "example.com/b:1"])
    archive = oci_archive(tmp_path / "a.tar", layout)
    checked = occy_fast.check(str(archive), [target, "docker-29"])
    (finding,) = (found for found in checked.findings if found.rule == "several-entries")
    assert (finding.target, finding.says) == (target, "more than one image in oci, choose an image")
    words = shlex.split(finding.fix or "")
    assert main(words[1:]) == 0
    capsys.readouterr()
    assert not by_target(words[3], "several-entries", target)
    assert occy_fast.check(words[3], [target]).ok


FOREIGN = ("error", "error", "warning", "error", "warning", "unknown")


@pytest.mark.parametrize(
    ("os", "rule", "expected"),
    [
        ("freebsd", "foreign-os", FOREIGN),
        ("plan9", "foreign-os", FOREIGN),
        ("Linux", "os-spelling", ("error", None, None, None, None, "unknown")),
        ("", "os-missing", (None,) * 6),
    ],
)
def test_of_another_system_each_has_its_own_opinion(
    tmp_path: Path, os: str, rule: str, expected: tuple[str | None, ...]
) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image("a", config_changes={"os": os})])
    targets = (
        "docker-20.10",
        "docker-25-graphdriver",
        "docker-25-containerd",
        "containerd-1.6",
        "podman-4.3",
        "docker-29",
    )
    found = by_target(archive, rule, *targets)
    assert tuple(map(found.get, targets)) == expected


def test_a_name_that_two_images_have_is_told(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image("a"), make_image("b")])
    assert by_target(archive, "tag-repeated", "docker-20.10", "containerd-1.6") == {
        "docker-20.10": "warning",
        "containerd-1.6": "warning",
    }


@pytest.mark.parametrize("listing", [b"[]", b"null", b"[ ]\n"])
def test_an_archive_that_lists_nothing_is_not_said_to_be_in_order(tmp_path: Path, listing: bytes) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(make_tar([("manifest.json", listing)]))
    targets = ("docker-20.10", "docker-29", "podman-4.3", "k3s")
    checked = occy_fast.check(str(archive), targets)
    assert not checked.ok
    assert "nothing in the way" not in "".join(checked_lines(checked))


@pytest.mark.parametrize("packed", [False, True])
def test_a_layout_that_lists_nothing_is_told(tmp_path: Path, packed: bool) -> None:
    source = oci_layout(tmp_path / "in", [])
    source = oci_archive(tmp_path / "a.tar", source) if packed else source
    checked = occy_fast.check(str(source), ["docker-29", "podman-4.3"])
    assert {(found.target, found.rule) for found in checked.errors} >= {
        ("docker-29", "no-image"),
        ("podman-4.3", "no-image"),
    }
