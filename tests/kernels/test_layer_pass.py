"""layer_pass: every road through the pass, on both twins."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import random
import select
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from occy_fast.errors import (
    Cancelled,
    CorruptStream,
    DecompressionBomb,
    OccyError,
    OutputError,
    SizeMismatch,
    TarChecksumError,
    TarError,
)
from occy_fast.kernels.pass_options import PassOptions

SIDES = ("native", "pure")
TWINS = {side: import_module(f"occy_fast.kernels.{side}.layer_pass") for side in SIDES}

ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda content: content,
    "gzip": lambda content: gzip.compress(content, 1, mtime=0),
    "zstd": lambda content: zstandard.ZstdCompressor(level=1, write_checksum=True).compress(content),
}
DECODE: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda content: content,
    "gzip": gzip.decompress,
    "zstd": lambda content: zstandard.ZstdDecompressor().decompressobj().decompress(content),
}


@pytest.fixture(params=SIDES)
def layer_pass(request: pytest.FixtureRequest) -> ModuleType:
    return TWINS[request.param]


def sample(size: int, seed: int = 1) -> bytes:
    source = random.Random(seed)
    words = [source.randbytes(source.randrange(3, 60)) for _ in range(300)]
    made = bytearray()
    while len(made) < size:
        made += b"".join(source.choices(words, k=100))
    return bytes(made[:size])


def drive(pool: Any, started: Any, feed: bytes | None, steps: Callable[[], int], drained: bool) -> bytes:
    """Feed and drain until the end, as a caller would; fail instead of waiting for ever."""
    output, position, over = [], 0, feed is None
    poll = select.poll()
    poll.register(pool.fileno(), select.POLLIN)
    while not started.ended:
        moved = False
        if not over:
            assert feed is not None
            if position < len(feed):
                taken = started.feed(feed[position : position + steps()])
                position, moved = position + taken, taken > 0
            else:
                over = moved = started.end_feed()
        while drained and (block := started.drain()):
            output.append(block)
            moved = True
        if not moved:
            assert poll.poll(20_000), f"nothing happens after {started.counters()}"
            with suppress(BlockingIOError):
                os.eventfd_read(pool.fileno())
    return b"".join(output)


def run(
    side: str, source: bytes, workers: int = 2, steps: Callable[[], int] = lambda: 1 << 20, **options: Any
) -> tuple[Any, bytes]:
    pool = TWINS[side].Pool(workers)
    try:
        started = pool.start(PassOptions(**options))
        output = drive(pool, started, source, steps, options.get("output", "nothing") != "nothing")
        return started.result(), output
    finally:
        pool.close()


def outcome(side: str, source: bytes, **options: Any) -> Any:
    try:
        return run(side, source, **options)
    except OccyError as error:
        return type(error)


SIZES = st.sampled_from([0, 1, 511, 1 << 20, (1 << 20) + 1, 2 << 20, (2 << 20) + 7, (4 << 20) - 1]) | st.integers(
    0, 5 << 20
)


@settings(max_examples=20)
@given(
    size=SIZES,
    seed=st.integers(0, 99),
    source=st.sampled_from(["none", "gzip", "zstd"]),
    wanted=st.sampled_from(["none", "gzip:1", "gzip:2", "zstd:1", "zstd:3"]),
    step=st.integers(1 << 14, 3 << 20),
)
def test_digests_and_bytes_hold(size: int, seed: int, source: str, wanted: str, step: int) -> None:
    content = sample(size, seed)
    encoded = ENCODE[source](content)
    codec, _, level = wanted.partition(":")
    options = {"output": "tar"} if codec == "none" else {"output": "encoded", "encode": codec, "level": int(level)}
    found = {side: run(side, encoded, steps=lambda: step, decode=source, **options) for side in SIDES}
    for (tar, came, went, size_in, size_tar, size_out), output in found.values():
        assert tar == hashlib.sha256(content).digest()
        assert came == hashlib.sha256(encoded).digest()
        assert went == hashlib.sha256(output).digest()
        assert (size_in, size_tar, size_out) == (len(encoded), len(content), len(output))
        assert DECODE[codec](output) == content
    if codec == "none":
        assert found["native"] == found["pure"]


@pytest.mark.parametrize("size", [0, 1, (1 << 20), (4 << 20), (4 << 20) + 1, 9_999_999])
@pytest.mark.parametrize("wanted", [("gzip", 1), ("gzip", 2), ("zstd", 3)])
def test_same_tar_same_bytes(size: int, wanted: tuple[str, int], tmp_path: Path) -> None:
    """Whatever the source, the workers and the feed: one recoding has one result."""
    content, source = sample(size), random.Random(size)
    codec, level = wanted
    whole = tmp_path / "layer"
    whole.write_bytes(b"before" + content + b"after")
    made: dict[str, bytes] = {}
    with open(whole, "rb") as file:
        for workers in (1, 2, 3, 8, 16):
            for decode in ("none", "gzip", "zstd"):
                result, made[f"{decode}, {workers} workers"] = run(
                    "native", ENCODE[decode](content), workers, lambda: source.randrange(1, 4 << 20),
                    decode=decode, output="encoded", encode=codec, level=level,
                )  # fmt: skip
                assert result[0] == hashlib.sha256(content).digest()
            pool = TWINS["native"].Pool(workers)
            started = pool.start(PassOptions(
                output="encoded", encode=codec, level=level, source_fd=file.fileno(), source_offset=6, source_size=size
            ))
            made[f"file, {workers} workers"] = drive(pool, started, None, lambda: 0, True)
            assert started.result()[0] == hashlib.sha256(content).digest()
            pool.close()
    first = made["none, 1 workers"]
    for road, output in made.items():
        assert DECODE[codec](output) == content, road
        if output != first:
            place = next(at for at in range(len(first)) if output[at : at + 1] != first[at : at + 1])
            pytest.fail(f"{road}: differs at byte {place} of {len(first)}")


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
@pytest.mark.parametrize("side", SIDES)
def test_a_kept_layer_is_decoded_on_the_way(side: str, codec: str) -> None:
    content = sample(3_000_000)
    encoded = ENCODE[codec](content)
    (tar, came, went, *sizes), output = run(side, encoded, decode=codec, output="source")
    assert output == encoded
    assert (tar, came, went) == (
        hashlib.sha256(content).digest(),
        hashlib.sha256(encoded).digest(),
        hashlib.sha256(encoded).digest(),
    )
    assert sizes == [len(encoded), len(content), len(encoded)]


def test_files_are_written_in_place(layer_pass: ModuleType, tmp_path: Path) -> None:
    content = sample(5_000_000)
    (tmp_path / "in").write_bytes(content)
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "w+b") as sink:
        sink.write(b"#" * 100)
        sink.flush()
        pool = layer_pass.Pool(2)
        started = pool.start(PassOptions(
            output="encoded", encode="zstd", level=3, source_fd=source.fileno(), sink_fd=sink.fileno(), sink_offset=100
        ))
        drive(pool, started, None, lambda: 0, False)
        tar, _, went, _, _, size = started.result()
        pool.close()
    written = (tmp_path / "out").read_bytes()
    assert written[:100] == b"#" * 100
    assert hashlib.sha256(written[100:]).digest() == went and len(written) == 100 + size
    assert hashlib.sha256(DECODE["zstd"](written[100:])).digest() == tar


def test_several_layers_share_a_pool(layer_pass: ModuleType, tmp_path: Path) -> None:
    contents = [sample(size, size) for size in (0, 10, 3 << 20, 100_000, 9 << 20, 1, 4 << 20, 1 << 20)]
    files = []
    for number, content in enumerate(contents):
        path = tmp_path / str(number)
        path.write_bytes(ENCODE["gzip"](content))
        files.append(open(path, "rb"))  # noqa: SIM115
    pool = layer_pass.Pool(2)
    runs = [pool.start(PassOptions(decode="gzip", source_fd=file.fileno())) for file in files]
    for started, content in reversed(list(zip(runs, contents, strict=True))):
        drive(pool, started, None, lambda: 0, False)
        assert started.result()[0] == hashlib.sha256(content).digest()
    pool.close()
    for file in files:
        file.close()


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
@pytest.mark.parametrize("output", ["nothing", "source", "tar"])
@settings(max_examples=25)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_every_cut_is_an_error(codec: str, output: str, cut: float) -> None:
    encoded = ENCODE[codec](sample(400_000))
    for side in SIDES:
        assert outcome(side, encoded[: int(len(encoded) * cut)], decode=codec, output=output) is CorruptStream


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
@settings(max_examples=40)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_damage_goes_unseen(codec: str, place: float, bit: int) -> None:
    content = sample(300_000)
    encoded = bytearray(ENCODE[codec](content))
    encoded[int(len(encoded) * place)] ^= 1 << bit
    for side in SIDES:
        found = outcome(side, bytes(encoded), decode=codec, output="tar")
        # a flipped bit in a header's time stamp changes nothing that is decoded; the source's digest tells
        assert isinstance(found, type) or (
            found[1] == content and found[0][1] != hashlib.sha256(ENCODE[codec](content)).digest()
        )


def test_limits_hold_at_the_byte(layer_pass: ModuleType) -> None:
    side = "native" if layer_pass is TWINS["native"] else "pure"
    content = bytes(3_000_000)
    for codec in ("none", "gzip", "zstd"):
        encoded = ENCODE[codec](content)
        assert run(side, encoded, decode=codec, max_tar=len(content))[0][4] == len(content)
        with pytest.raises(DecompressionBomb) as caught:
            run(side, encoded, decode=codec, max_tar=len(content) - 1)
        assert caught.value.allowed == len(content) - 1
    encoded = ENCODE["zstd"](content)
    assert run(side, encoded, decode="zstd", max_ratio=1000, ratio_floor=len(content))[0][4] == len(content)
    with pytest.raises(DecompressionBomb, match="ratio"):
        run(side, encoded, decode="zstd", max_ratio=1000, ratio_floor=100_000)


def test_tar_headers_are_read_on_the_way(layer_pass: ModuleType) -> None:
    side = "native" if layer_pass is TWINS["native"] else "pure"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(300):
            entry = tarfile.TarInfo("d/" * (number % 90) + f"file{number}")
            entry.size = number * 37
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    content = buffer.getvalue()
    for mode in (1, 2):
        assert run(side, content, scan_tar=mode)[0][4] == len(content)
    damaged = bytearray(content)
    damaged[len(content) // 512 // 2 * 512 + 3] ^= 0x55
    with pytest.raises(TarError):
        run(side, content[: len(content) // 2 + 100], scan_tar=1)
    first = bytearray(content)
    first[5] ^= 1
    with pytest.raises(TarChecksumError):
        run(side, bytes(first), scan_tar=1)


def test_a_file_shorter_than_promised(layer_pass: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(bytes(5000))
    with open(tmp_path / "short", "rb") as file:
        pool = layer_pass.Pool(1)
        started = pool.start(PassOptions(source_fd=file.fileno(), source_size=5001))
        drive(pool, started, None, lambda: 0, False)
        with pytest.raises(SizeMismatch) as caught:
            started.result()
        assert (caught.value.expected, caught.value.found) == (5001, 5000)
        pool.close()


def test_a_sink_that_refuses(layer_pass: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(sample(3_000_000))
    (tmp_path / "out").write_bytes(b"")
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "rb") as read_only:
        pool = layer_pass.Pool(2)
        started = pool.start(PassOptions(output="tar", source_fd=source.fileno(), sink_fd=read_only.fileno()))
        drive(pool, started, None, lambda: 0, False)
        with pytest.raises(OutputError) as caught:
            started.result()
        assert caught.value.errno == errno.EBADF
        pool.close()


def test_cancel_and_close_end_a_pass(layer_pass: ModuleType) -> None:
    pool = layer_pass.Pool(2)
    one, two = (pool.start(PassOptions(output="tar")) for _ in range(2))
    one.feed(bytes(100))
    one.cancel()
    assert one.ended and not two.ended
    pool.close()
    assert two.ended
    late = pool.start(PassOptions(output="tar"))
    assert late.ended
    for started in (one, two, late):
        assert started.feed(b"more") == 0
        with pytest.raises(Cancelled):
            started.result()


def test_a_pass_that_has_not_ended_has_no_result(layer_pass: ModuleType) -> None:
    pool = layer_pass.Pool(1)
    started = pool.start(PassOptions())
    with pytest.raises(RuntimeError, match="has not ended"):
        started.result()
    pool.close()


@pytest.mark.parametrize("workers", [0, -1, 257])
def test_workers_are_bounded(layer_pass: ModuleType, workers: int) -> None:
    with pytest.raises(ValueError, match="workers: expected 1 to 256"):
        layer_pass.Pool(workers)


def test_gzip_is_one_member_with_a_joined_crc() -> None:
    content = sample((1 << 20) * 3 + 17)
    _, output = run("native", content, output="encoded", encode="gzip", level=1)
    decoder = zlib.decompressobj(31)
    assert decoder.decompress(output) == content
    assert decoder.eof and not decoder.unused_data


@pytest.mark.parametrize("options", [None, {}, replace])
def test_options_are_those_that_were_checked(layer_pass: ModuleType, options: object) -> None:
    pool = layer_pass.Pool(1)
    with pytest.raises(TypeError, match=f"options: expected PassOptions, found {type(options).__name__}"):
        pool.start(options)
    pool.close()


# -------------------------------------------------------------------------------------------------------- the corpus


def corpus_streams(shared: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every tar and every compressed stream in the corpus, those in bundles too."""
    for path in sorted((shared / "corpus").rglob("*")):
        if not path.is_file() or path.stat().st_size > 4 << 20:
            continue
        raw = path.read_bytes()
        if path.name.endswith("-corpus.tar"):
            with tarfile.open(path) as bundle:
                seeds = [entry for entry in bundle if entry.isfile()]
                yield from ((entry.name, bundle.extractfile(entry).read()) for entry in seeds)  # type: ignore[union-attr]
        elif path.suffix in (".tar", ".gz", ".tgz", ".zst") or raw[:2] == b"\x1f\x8b" or raw[257:262] == b"ustar":
            yield str(path), raw


def told(side: str, raw: bytes, codec: str, scan_tar: int) -> Any:
    """Return what the pass makes of *raw*: digests and sizes, or its error, in words where it is the tar's."""
    try:
        result, output = run(side, raw, decode=codec, scan_tar=scan_tar, output="tar", max_tar=32 << 20)
    except OccyError as error:
        return type(error), str(error) if isinstance(error, TarError) else ""
    return result, hashlib.sha256(output).digest()


def test_the_corpus_is_read_alike(shared: Path) -> None:
    read = 0
    for name, raw in corpus_streams(shared):
        codec = "gzip" if raw[:2] == b"\x1f\x8b" else "zstd" if raw[:4] == b"\x28\xb5\x2f\xfd" else "none"
        for scan_tar in (1, 2):
            native, pure = (told(side, raw, codec, scan_tar) for side in SIDES)
            assert native == pure, (name, scan_tar)
        read += 1
    assert read > 1000


def test_buffers_grow_with_the_workers_and_what_cannot_be_is_refused() -> None:
    for side, twin in TWINS.items():
        sizes = [twin.buffer_size(workers) for workers in (1, 2, 3, 17, 256)]
        if side == "native":
            assert sizes[0] > 16 << 20
            assert sizes == sorted(set(sizes))
        else:                                                     # which takes them as it goes
            assert 0 < sizes[0] < 16 << 20
            assert set(sizes) == {sizes[0]}
        for workers in (0, 257, -1):
            with pytest.raises(ValueError, match="expected 1 to 256"):
                twin.buffer_size(workers)
