"""Measure what each stage of a conversion costs on one core, with the library's own kernels on the same bytes.

`python -m benchmarks.stages IMAGE SCRATCH_FILE '{"hash_source": true, …}'` prints seconds by stage as JSON.  It runs in
a process of its own: what it allocates must not count as the memory of what is measured next.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from benchmarks.reading import Layer, read_image
from benchmarks.works import Stages, parse_stages
from occy_fast.kernels import gzip_blocks, inflate, sha256, unzstd, zstd_blocks

# What the pass hands over at once when it decodes; one piece when it does not.
CHUNK = 256 << 10


class StageClock:
    """Seconds of this thread's CPU time, by stage: other load on the machine counts little."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.thread_time_ns()
        yield
        self.seconds[name] += (time.thread_time_ns() - start) / 1e9


class _Encoder:
    """One layer's encoder: takes the tar piece by piece, gives encoded bytes."""

    def __init__(self, encoding: tuple[Literal["gzip", "zstd"], int], clock: StageClock) -> None:
        self.codec, level = encoding
        self.clock = clock
        self.label = f"{self.codec} {level}"
        if self.codec == "gzip":
            self.gzip = gzip_blocks.GzipSegments(level)
            self.piece_size, self.history_size = gzip_blocks.PIECE, 0
        else:
            self.zstd = zstd_blocks.ZstdPieces(level)
            self.piece_size, self.history_size = zstd_blocks.PIECE, zstd_blocks.HISTORY
        self.history = 0
        self.first = True

    def encode(self, window: memoryview, history: int, last: bool) -> bytes:
        """Encode what stands behind *history* bytes of *window*."""
        if self.codec == "gzip":
            with self.clock.stage(self.label):
                encoded, _ = self.gzip.segment(window[history:])
            return encoded
        with self.clock.stage("frame checksum"):
            self.zstd.add(window[history:])
        with self.clock.stage(self.label):
            encoded = self.zstd.piece(window, history, self.first, last)
        self.first = False
        return encoded


class _Sink:
    """A file that is written as the pass writes: whole blocks past the page cache where that works.

    Its stage is elapsed time, not processor time: one thread that writes and syncs waits for the disk.
    """

    SIZE = 4 << 20
    BLOCK = 4096

    def __init__(self, path: Path, clock: StageClock) -> None:
        self.clock = clock
        self.fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
        try:
            self.direct = os.open(path, os.O_WRONLY | os.O_DIRECT)
        except OSError:
            self.direct = self.fd
        self.room = mmap.mmap(-1, self.SIZE)
        self.filled = self.position = 0

    def write(self, raw: bytes | memoryview) -> None:
        start = time.perf_counter()
        view = memoryview(raw)
        while len(view):
            step = min(len(view), self.SIZE - self.filled)
            self.room[self.filled : self.filled + step] = view[:step]
            self.filled, view = self.filled + step, view[step:]
            if self.filled == self.SIZE:
                self._flush(self.direct, self.SIZE)
        self.clock.seconds["write and sync"] += time.perf_counter() - start

    def close(self) -> None:
        start = time.perf_counter()
        self._flush(self.fd, self.filled)
        os.fsync(self.fd)
        self.clock.seconds["write and sync"] += time.perf_counter() - start
        os.close(self.fd)
        if self.direct != self.fd:
            os.close(self.direct)

    def _flush(self, fd: int, size: int) -> None:
        with memoryview(self.room) as view:
            done = os.pwrite(fd, view[:size], self.position)
        assert done == size
        self.position += size
        self.filled = 0


def measure(layer: Layer, stages: Stages, sink: _Sink, clock: StageClock) -> None:
    """Run the stages over one layer in one thread."""
    source_sha, tar_sha, output_sha = sha256.Sha256(), sha256.Sha256(), sha256.Sha256()
    encoder = _Encoder(stages.encode, clock) if stages.encode else None
    piece_size = encoder.piece_size if encoder else 1 << 20
    history_room = encoder.history_size if encoder else 0
    room = memoryview(bytearray(history_room + piece_size))
    tar_room = room[history_room:]
    filled = history = 0

    def flush(last: bool) -> None:
        """Hand one piece of tar on."""
        nonlocal filled, history
        piece = tar_room[:filled]
        with clock.stage("sha256 of the tar"):
            tar_sha.update(piece)
        if encoder is not None:
            encoded = encoder.encode(room[history_room - history : history_room + filled], history, last)
            with clock.stage("sha256 of the output"):
                output_sha.update(encoded)
            sink.write(encoded)
            history = min(history_room, filled)
            room[history_room - history : history_room] = piece[filled - history :]
        elif stages.write == "tar":
            sink.write(piece)
        filled = 0

    decoder = None
    if stages.decode and layer.codec != "none":
        decoder = inflate.Inflate() if layer.codec == "gzip" else unzstd.Unzstd()
    as_tar = stages.decode or layer.codec == "none"
    chunk = memoryview(bytearray(CHUNK if decoder else piece_size))
    file = os.open(layer.path, os.O_RDONLY)
    try:
        read = 0
        while read < layer.size:
            target = chunk if decoder or not as_tar else tar_room
            with clock.stage("read"):
                got = os.preadv(file, [target[: layer.size - read]], layer.offset + read)
            assert got > 0, f"{layer.path} is shorter than it was"
            read += got
            if stages.hash_source:
                with clock.stage("sha256 of the source"):
                    source_sha.update(target[:got])
            if stages.write == "source":
                sink.write(target[:got])
            if decoder is not None:
                at = 0
                while True:
                    with clock.stage("inflate" if layer.codec == "gzip" else "unzstd"):
                        used, made = decoder.feed(chunk[at:got], tar_room[filled:])
                    at, filled = at + used, filled + made
                    if filled < piece_size:
                        break
                    flush(False)
            elif as_tar and (encoder is not None or stages.write == "tar"):
                filled = got
                flush(read == layer.size)
        if decoder is not None:
            decoder.finish()
            flush(True)
    finally:
        os.close(file)


def measure_image(image: Path, scratch: Path, stages: Stages) -> dict[str, float]:
    """Return seconds by stage for all layers of *image*."""
    clock = StageClock()
    try:
        for layer in read_image(image).layers:
            sink = _Sink(scratch, clock)
            measure(layer, stages, sink, clock)
            sink.close()
    finally:
        scratch.unlink(missing_ok=True)
    return dict(clock.seconds)


if __name__ == "__main__":
    print(json.dumps(measure_image(Path(sys.argv[1]), Path(sys.argv[2]), parse_stages(sys.argv[3]))))
