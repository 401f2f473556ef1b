"""Every limit: at it all is well, one past it is refused by its name; by keyword and by the environment."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest
import zstandard

from occy_fast import api
from occy_fast.context.call import environment_limits, limits_of_call
from occy_fast.errors import (
    BadArchive,
    BadJSON,
    ConfigTooLarge,
    CorruptStream,
    DecompressionBomb,
    LimitError,
    ManifestTooLarge,
    OccyError,
    TarLimitError,
    Unsupported,
    UsageError,
    WindowTooLarge,
)
from occy_fast.running.recompress import recompress
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.streams import layer_pass
from support import tar_strategies as build
from support.image_builders import (
    OCI_INDEX,
    OCI_MANIFEST,
    docker_archive,
    dumps,
    make_image,
    make_layer,
    oci_layout,
    sha256,
)
from support.stream_strategies import header, member

TAR = make_layer("layer", 50_000)
Call = Callable[[Limits | None], object]


@dataclass(frozen=True)
class Case:
    """One limit.

    Attributes:
        make: returns what is to be called with limits, given an empty directory.
        at: the least limit with which the call succeeds; None where another library decides.
        past: what is raised below it, and what the error calls the limit; None for errors that are no LimitError.
    """

    make: Callable[[Path], Call]
    at: int | None
    kind: type[OccyError]
    past: str | None


def recompressing(stream: bytes) -> Callable[[Path], Call]:
    return lambda place: lambda limits: recompress(stream, None, "none", limits=limits)


def inspecting(locator: Path) -> Call:
    return lambda limits: api.inspect(str(locator), limits=limits)


def archive(place: Path, before: bytes = b"") -> Path:
    """Write an archive of one image, with entries *before* its own."""
    path = docker_archive(place / "a.tar", [make_image("a", "b")])
    path.write_bytes(before + path.read_bytes())
    return path


def archive_of(place: Path, documents: dict[str, bytes], links: dict[str, str]) -> Path:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in documents.items():
            file = tarfile.TarInfo(name)
            file.size = len(data)
            tar.addfile(file, io.BytesIO(data))
        for name, target in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    (place / "a.tar").write_bytes(out.getvalue())
    return place / "a.tar"


def by_once(place: Path) -> Path:
    """Write an archive that can be read only once, as it is compressed as a whole."""
    path = archive(place)
    path.write_bytes(gzip.compress(path.read_bytes()))
    return path


def legacy(place: Path) -> Path:
    """Write a pre-1.10 archive of one image."""
    id_ = "a" * 64
    document = {"id": id_, "created": "2014-01-01T00:00:00Z", "os": "linux", "architecture": "amd64"}
    documents = {f"{id_}/json": dumps(document), f"{id_}/VERSION": b"1.0", f"{id_}/layer.tar": TAR}
    return archive_of(place, documents | {"repositories": dumps({"app": {"1": id_}})}, {})


def linked(place: Path) -> Path:
    """Write an archive whose layer is a link to a link to a link to a file."""
    image = make_image("a")
    item = {"Config": "config.json", "RepoTags": None, "Layers": ["1"]}
    documents = {"config.json": image.config, "4": image.blobs[0], "manifest.json": dumps([item])}
    return archive_of(place, documents, {"1": "2", "2": "3", "3": "4"})


def nested(place: Path, levels: int) -> Path:
    """Write a layout whose index names an index that names an index, *levels* times, and then an image."""
    layout = oci_layout(place / "o", [make_image("a")])
    entry = make_image("a").descriptor()
    for _ in range(levels):
        raw = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
        (layout / "blobs/sha256" / sha256(raw)).write_bytes(raw)
        entry = {"mediaType": OCI_INDEX, "digest": "sha256:" + sha256(raw), "size": len(raw)}
    (layout / "index.json").write_bytes(dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}))
    return layout


def window_of(log: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=log)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return stream.compress(TAR) + stream.flush()


IMAGE = make_image("a", "b")
MANY = [make_image(name, names=(f"{name}:1",)) for name in ("a", "b", "c")]
SPARSE = build.old_sparse(b"s", 99, [(i, 1) for i in range(5)], b"12345")

CASES = {
    "layer": Case(recompressing(gzip.compress(TAR)), len(TAR), DecompressionBomb, "decompressed size"),
    "ratio": Case(recompressing(gzip.compress(bytes(200_000))), None, DecompressionBomb, "decompression ratio"),
    "gzip_header": Case(recompressing(member(TAR, header(8, name=b"n" * 89))), 100, CorruptStream, None),
    "zstd_window": Case(recompressing(window_of(21)), 1 << 21, WindowTooLarge, "zstd window"),
    "xz_memory": Case(recompressing(lzma.compress(TAR, preset=1)), None, LimitError, "memory of an xz decoder"),
    "tar_extension": Case(
        lambda place: inspecting(archive(place, build.long_name(b"n" * 99) + build.header())),
        100,
        TarLimitError,
        "bytes in an extension header",
    ),
    "tar_sparse_map": Case(
        lambda place: inspecting(archive(place, SPARSE)), 512, TarLimitError, "bytes in a sparse map"
    ),
    "tar_extension_count": Case(
        lambda place: inspecting(archive(place, build.long_name(b"n") + build.long_name(b"n", b"K") + build.header())),
        2,
        TarLimitError,
        "extension headers on one entry",
    ),
    "member_count": Case(lambda place: inspecting(archive(place)), 6, LimitError, "members of an archive"),
    "member_names": Case(
        lambda place: inspecting(archive(place)),
        2 * (2 * 64 + len("/VERSION/layer.tar")) + 64 + len(".json") + len("manifest.json"),
        LimitError,
        "bytes of names in an archive",
    ),
    "stream_documents": Case(lambda place: inspecting(by_once(place)), None, Unsupported, None),
    "stream_blob_count": Case(lambda place: inspecting(by_once(place)), 2, LimitError, "blobs that come by once"),
    "legacy_documents": Case(lambda place: inspecting(legacy(place)), None, LimitError, "bytes of configs"),
    "link_count": Case(lambda place: inspecting(linked(place)), 3, BadArchive, None),
    "manifest": Case(
        lambda place: inspecting(oci_layout(place / "o", [IMAGE])),
        len(IMAGE.manifest),
        ManifestTooLarge,
        "document size",
    ),
    "docker_manifest": Case(
        lambda place: inspecting(docker_archive(place / "a.tar", [IMAGE])),
        len(dumps([{"Config": "c" * 69, "RepoTags": ["app:1"], "Layers": ["l" * 74] * 2}])) + 1,
        ManifestTooLarge,
        "document size",
    ),
    "config": Case(
        lambda place: inspecting(docker_archive(place / "a.tar", [IMAGE])),
        len(IMAGE.config),
        ConfigTooLarge,
        "document size",
    ),
    "layer_count": Case(
        lambda place: inspecting(oci_layout(place / "o", [make_image(*"abc")])), 3, LimitError, "number of layers"
    ),
    "index_depth": Case(lambda place: inspecting(nested(place, 3)), 3, LimitError, "depth of nested indexes"),
    "manifest_count": Case(
        lambda place: inspecting(oci_layout(place / "o", MANY)), 3, LimitError, "number of manifests"
    ),
    "json_depth": Case(lambda place: inspecting(archive(place)), 3, BadJSON, None),
}


def below(name: str, limit: int) -> int:
    return limit // 2 if name == "zstd_window" else limit - 1


def is_enough(call: Call, limits: Limits) -> bool:
    try:
        call(limits)
    except OccyError:
        return False
    return True


def least(call: Call, name: str) -> int:
    """Return the least limit with which *call* succeeds."""
    low, high = 1, 1 << 40
    while low < high:
        middle = (low + high) // 2
        if is_enough(call, replace(LIMITS, **{name: middle})):
            high = middle
        else:
            low = middle + 1
    return low


def test_every_limit_has_a_case() -> None:
    # beyond entry_count there is no verdict, and no error
    assert set(CASES) | {"entry_count"} == {field.name for field in fields(Limits)}


@pytest.mark.parametrize("name", CASES)
def test_at_the_limit_and_one_past_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_pass, "RATIO_FLOOR", 0)
    case = CASES[name]
    call = case.make(tmp_path)
    at = case.at if case.at is not None else least(call, name)
    variable = f"OCCY_FAST_MAX_{name.upper()}"
    for by_keyword in (True, False):
        for limit, succeeds in ((at, True), (below(name, at), False)):
            if by_keyword:
                limits: Limits | None = replace(LIMITS, **{name: limit})
            else:
                limits = None
                monkeypatch.setenv(variable, str(limit))
            if succeeds:
                call(limits)
                continue
            with pytest.raises(case.kind) as caught:
                call(limits)
            assert type(caught.value) is case.kind
            if case.past is not None:
                assert isinstance(caught.value, LimitError)
                assert (caught.value.limit, caught.value.allowed) == (case.past, limit)
                assert caught.value.value > limit
                assert caught.value.settings == (name,)
    monkeypatch.setenv(variable, "1e3")
    with pytest.raises(UsageError, match=f"the limit {variable} is '1e3' .it takes a number from"):
        call(None)
    call(replace(LIMITS, **{name: at}))  # limits that are given are all there are


def test_all_functions_take_limits(tmp_path: Path) -> None:
    """Reading, planning, executing and proving: each holds to what it is given, in layers as in documents."""
    layer = build.long_name(b"n" * 99) + build.entry(b"a", b"content") + build.END
    layout = oci_layout(tmp_path / "in", [make_image(tars=[layer], codec="gzip")])
    source, target = f"oci:{layout}", f"oci:{tmp_path}/out"
    few, small = Limits(layer_count=1, manifest=50), Limits(layer=len(layer) - 1)
    with pytest.raises(ManifestTooLarge), api.open_image(source, limits=few):
        pass
    for refused in (
        lambda: api.plan(source, target, limits=few),
        lambda: api.convert(source, target, limits=few),
        lambda: api.inspect(source, limits=few),
    ):
        with pytest.raises(ManifestTooLarge):
            refused()
    for too_large in (
        lambda: api.convert(source, target, encoding="none", limits=small),
        lambda: api.execute(api.plan(source, target, encoding="none"), limits=small),
    ):
        with pytest.raises(DecompressionBomb):
            too_large()
    for limits, kind in (
        (few, ManifestTooLarge),
        (small, DecompressionBomb),
        (Limits(tar_extension=99), TarLimitError),
    ):
        (finding,) = api.verify(source, limits=limits).errors
        assert type(finding.error) is kind
    assert api.verify(source, limits=Limits(tar_extension=100, layer=len(layer))).errors == ()


def test_a_raised_limit_holds_everywhere(tmp_path: Path) -> None:
    """What was read with more than the defaults is planned, written and proved with as much."""
    layout = nested(tmp_path, 9)
    more = Limits(index_depth=9)
    assert api.convert(f"oci:{layout}", f"oci:{tmp_path}/out", limits=more).digests
    assert api.verify(f"oci:{tmp_path}/out", limits=more).errors == ()
    assert [type(finding.error) for finding in api.verify(f"oci:{tmp_path}/out").errors] == [LimitError]
    index = json.loads((layout / "index.json").read_text())
    signature = {**index["manifests"][0], "digest": "sha256:" + "5" * 64}      # of something that is not here
    referrer = dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/vnd.example.signature",
            "config": make_image().descriptor(mediaType="application/vnd.example.config"),
            "layers": [],
            "subject": signature,
        }
    )
    for data in (referrer, make_image().manifest):
        (layout / "blobs" / "sha256" / sha256(data)).write_bytes(data)
    entry = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{sha256(referrer)}", "size": len(referrer)}
    (layout / "index.json").write_bytes(dumps({**index, "manifests": [*index["manifests"], entry]}))
    assert api.convert(f"oci:{layout}", f"oci:{tmp_path}/beside", limits=Limits(index_depth=9)).digests
    layers = oci_layout(tmp_path / "many", [make_image(tars=[TAR] * 4097)])
    more = Limits(layer_count=4097)
    assert api.convert(f"oci:{layers}", f"docker-archive:{tmp_path}/many.tar", limits=more).digests
    assert api.verify(f"{tmp_path}/many.tar", limits=more).errors == ()
    assert api.plan(f"oci:{layers}", f"oci:{tmp_path}/planned", limits=more).steps
    assert not api.check(f"oci:{layers}", ["containerd-1.6"], limits=more).errors
    with api.open_image(f"oci:{layers}", limits=more) as contents:
        assert len(contents.images) == 1
    with pytest.raises(LimitError, match="number of layers: 4097 exceeds the limit of 4096"):
        api.inspect(f"{tmp_path}/many.tar")


def test_a_document_that_was_read_deep_is_written_deep(tmp_path: Path) -> None:
    """Whoever rebuilds a manifest, or the images inside a config, reads again what was accepted before."""
    deep: list[object] = []
    for _ in range(70):
        deep = [deep]
    image = make_image("a", config_changes={"x-deep": deep})
    layout = oci_layout(tmp_path / "in", [image])
    manifest = dumps({**json.loads(image.manifest), "x-deep": deep})
    (layout / "blobs" / "sha256" / sha256(manifest)).write_bytes(manifest)
    entry = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{sha256(manifest)}", "size": len(manifest)}
    (layout / "index.json").write_bytes(dumps({"schemaVersion": 2, "manifests": [entry]}))
    more, source = Limits(json_depth=80), f"oci:{layout}"
    with pytest.raises(BadJSON, match="more than 64 levels deep"):
        api.convert(source, f"oci:{tmp_path}/out")
    assert api.convert(source, f"oci:{tmp_path}/out", encoding="zstd", limits=more).digests
    old = f"docker-archive:{tmp_path}/old.tar:app:1"
    assert api.convert(source, old, archive_layout="docker-20.10", limits=more).digests


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits_of_call(None) is LIMITS
    monkeypatch.setenv("OCCY_FAST_MAX_LAYER_COUNT", "7")
    monkeypatch.setenv("OCCY_FAST_MAX_LAYER", "8")
    assert environment_limits() == Limits(layer_count=7, layer=8)
    assert limits_of_call(None, 9) == Limits(layer_count=7, layer=9)
    assert limits_of_call(Limits(config=5)) == Limits(config=5)
    for text in ("", " 7", "-1", "0", "٣", "9" * 23):
        monkeypatch.setenv("OCCY_FAST_MAX_LAYER_COUNT", text)
        with pytest.raises(UsageError, match="OCCY_FAST_MAX_LAYER_COUNT"):
            environment_limits()
    monkeypatch.setenv("OCCY_FAST_MAX_LAYER_COUNT", "7")
    monkeypatch.setenv("OCCY_FAST_MAX_LAYR", "8")
    with pytest.raises(UsageError, match=r"no limit is called OCCY_FAST_MAX_LAYR .known are: OCCY_FAST_MAX_LAYER,"):
        environment_limits()
    with pytest.raises(UsageError, match="no limits: 7"):
        limits_of_call(7)  # type: ignore[arg-type]
