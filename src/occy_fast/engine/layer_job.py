"""One layer read to its end and verified, whoever asks for it: the one place that makes a pass over a layer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from occy_fast.engine.sinks import output_of
from occy_fast.errors import DigestMismatch, OccyError, SizeMismatch, TarError, Unsupported, read_errors, unreadable
from occy_fast.image.blob import SAVE_FIRST
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import NATIVE
from occy_fast.streams.decode import STEP, decode_foreign, decode_whole
from occy_fast.streams.layer_pass import DrainSink, FdSource, FeedSource, LayerPass
from occy_fast.streams.tar import new_scan

if TYPE_CHECKING:
    from hashlib import _Hash

    from occy_fast.engine.sinks import Sink, StreamSink
    from occy_fast.image.blob import OpenRegion
    from occy_fast.image.image import Layer
    from occy_fast.spec.encoding import EncoderIdentity, Encoding
    from occy_fast.spec.limits import Limits
    from occy_fast.streams.decode import Buffer
    from occy_fast.streams.layer_pass import PassResult, WorkerPool

Scan = Literal["no", "lenient", "strict"]


@dataclass(frozen=True, slots=True)
class LayerJob:
    """One layer to be read, and what is to become of its bytes.

    Attributes:
        layer: what is claimed of it, and where its blob is.
        where: what messages call it.
        source: where to read the bytes from, if not from the layer's blob: the buffers of a stream, or an open file.
            Nothing is claimed of such bytes yet, so the job verifies nothing; call check_claims with the proof once a
            manifest says what they should be.
        read_tar: decode it, digest the tar inside, and hold that to the limit of a layer.
        scan: read the tar's headers: not at all, as Go does, or refusing what readers are known to disagree about.
        scan_beside: what is wrong in a header does not end the pass, but stands in the proof; nothing is written then.
        list_entries: list the tar's entries, up to the limit; goes with *scan*.
        encode: write the tar in this encoding; None writes the bytes as they come.
        sink: where to write, committed when all is proved, aborted when it is not; None writes nothing.
        output: path of the destination, for messages.
        bounded_ratio: hold the tar to the limit of the decompression ratio too; for what no digest vouches for.
    """

    layer: Layer
    where: str
    source: Iterable[Buffer] | FdSource | None = None
    read_tar: bool = False
    scan: Scan = "no"
    scan_beside: bool = False
    list_entries: bool = False
    encode: Encoding | None = None
    sink: Sink | StreamSink | None = None
    output: str = ""
    bounded_ratio: bool = False


@dataclass(frozen=True, slots=True)
class LayerProof:
    """What reading a layer to its end has shown; sizes are bytes.

    Attributes:
        source_digest: of the stored bytes, by the algorithm that the layer's own digest has.
        diff_id: of the tar inside; None where nobody looked into it.
        digest: of what was written; with nothing to write, of no meaning.
        size_in: stored bytes that were read.
        identity: who encoded; None where nothing was.
        tar_error: what is wrong with the tar, where its headers were read beside the pass.
        entries: the list of the tar's entries, as kernels/entry_list.py has it; None where nobody asked, or there were
            more than the limit.
    """

    source_digest: Digest
    diff_id: Digest | None
    digest: Digest
    size_in: int
    size_tar: int
    size_out: int
    identity: EncoderIdentity | None = None
    tar_error: TarError | None = None
    entries: bytes | None = None


Proofs = Mapping[str, LayerProof | OccyError]
"""What was found of the blobs of a stream, by their places; an error where one could not be read to its end."""

NO_PROOFS: Final[Proofs] = MappingProxyType({})
"""Of a source of which nothing was streamed."""


def check_claims(layer: Layer, proof: LayerProof, where: str) -> None:
    """Check that what was read is what is claimed of *layer*: its size, its digest, and the diff_id of its tar.

    Raises SizeMismatch, DigestMismatch, and Unsupported for a digest that was not taken as the bytes came by.
    """
    if proof.size_in != layer.size:
        raise SizeMismatch(where, layer.size, proof.size_in)
    claims = (where, layer.digest, proof.source_digest), (f"{where}: diff_id", layer.diff_id, proof.diff_id)
    for place, wanted, found in claims:
        if wanted is None:
            continue
        if found is None or wanted.algorithm != found.algorithm:
            raise Unsupported(place, f"one look was not enough for {wanted}", SAVE_FIRST)
        if wanted != found:
            raise DigestMismatch(place, wanted, found)


class StartedJob:
    """A job under way: the pass, and all that is to be closed or taken back when it ends."""

    def __init__(self, job: LayerJob, pool: WorkerPool, limits: Limits) -> None:
        """Open what is to be read, and start. What fails aborts the sink.

        Raises:
            MissingBlob, InputError, SizeMismatch, PlanStale, BadArchive: the blob is not there as it was.
            Unsupported, ResourceError: there is no such encoder, or no memory for it.
        """
        self.job = job
        self._files = ExitStack()
        self._stored: _Stored | None = None
        self._scan = _ScanBeside(job, limits) if job.scan_beside and job.scan != "no" else None
        codec = job.layer.encoding.codec if job.read_tar else "none"
        try:
            source = self._open(codec, limits)
            self.run = pool.start(
                LayerPass(
                    source=source,
                    decode=codec if codec in NATIVE else "none",
                    encode=job.encode,
                    copy_source=job.encode is None and self._scan is None,
                    sink=output_of(job.sink, job.output) if self._scan is None else DrainSink(self._scan.write),
                    scan_tar=None if job.scan == "no" or self._scan is not None else job.scan,
                    list_entries=job.list_entries and self._scan is None,
                    max_tar=limits.layer if job.read_tar or job.source is not None else 0,
                    bounded_ratio=job.bounded_ratio,
                    limits=limits,
                    where=job.where,
                )
            )
        except BaseException:
            self.drop()
            raise

    def finish(self, result: PassResult) -> LayerProof:
        """Prove what the pass has found, and commit what it has written.

        Raises DigestMismatch, SizeMismatch, OutputError, TransportError.
        """
        job, stored = self.job, self._stored
        proof = LayerProof(
            result.source_digest if stored is None else Digest(stored.hasher.name, stored.hasher.hexdigest()),
            result.diff_id if job.read_tar else None,
            result.digest,
            result.size_in if stored is None else stored.size,
            result.size_tar,
            result.size_out,
            result.identity,
            None if self._scan is None else self._scan.finish(),
            result.entries if self._scan is None else self._scan.entries(),
        )
        if job.source is None:
            check_claims(job.layer if job.read_tar else replace(job.layer, diff_id=None), proof, job.where)
        if job.sink is not None and job.encode is None:
            job.sink.commit(proof.source_digest, proof.size_in)
        elif job.sink is not None:
            job.sink.commit(proof.digest, proof.size_out)
        self._files.close()
        return proof

    def drop(self) -> None:
        """Close what is read, and take back what was written."""
        self._files.close()
        if self.job.sink is not None:
            self.job.sink.abort()

    def _open(self, codec: str, limits: Limits) -> FdSource | FeedSource:
        """Return what the pass reads: a file where the kernels know its encoding and digest, else buffers."""
        job = self.job
        native = codec in NATIVE
        digest = job.layer.digest
        source = job.source
        if source is None:
            region = self._files.enter_context(job.layer.blob.open(job.where))
            if region.size != job.layer.size:
                raise SizeMismatch(job.where, job.layer.size, region.size)
            source = FdSource(region.fd, region.offset, region.size)
            if not native or (digest is not None and digest.algorithm != "sha256"):
                source = _read(region, job.where)
        if isinstance(source, FdSource):
            assert native, "only buffers are decoded in Python"
            return source
        source = _readable(source, job.where)
        if native and (digest is None or digest.algorithm == "sha256"):
            return FeedSource(source)
        self._stored = stored = _Stored(source, hashlib.sha256() if digest is None else digest.hasher())
        if native:
            return FeedSource(stored)
        if job.bounded_ratio:
            return FeedSource(decode_whole(codec, stored, job.where, limits))
        return FeedSource(decode_foreign(codec, map(bytes, stored), job.where, limits))


def _readable(buffers: Iterable[Buffer], where: str) -> Iterator[Buffer]:
    """Yield what feeds a pass; that it cannot be read is told as an InputError, or whatever else it is."""
    try:
        yield from buffers
    except OccyError:
        raise
    except OSError as error:
        raise unreadable(error, where) from error


class _Stored:
    """The stored bytes of what a pass cannot digest itself, digested and counted as they go to it."""

    def __init__(self, buffers: Iterable[Buffer], hasher: _Hash) -> None:
        self._buffers = buffers
        self.hasher, self.size = hasher, 0

    def __iter__(self) -> Iterator[Buffer]:
        for piece in self._buffers:
            self.hasher.update(piece)
            self.size += len(piece)
            yield piece


class _ScanBeside:
    """Reads a tar's headers beside the pass, which an error in them would end before it knows the digests."""

    def __init__(self, job: LayerJob, limits: Limits) -> None:
        self._scan = new_scan(job.scan == "strict", limits, keep=False, list_entries=job.list_entries)
        self._where = job.where
        self._error: TarError | None = None

    def write(self, data: bytes) -> None:
        """Look at the next bytes."""
        if self._error is None:
            try:
                self._scan.feed(data)
            except TarError as error:
                self._error = error.at(self._where)

    def entries(self) -> bytes | None:
        """Return the list of the tar's entries, unless it is broken."""
        return self._scan.entries() if self._error is None else None

    def finish(self) -> TarError | None:
        """Return what is wrong with the tar, now that all of it was seen."""
        if self._error is None:
            try:
                self._scan.finish()
            except TarError as error:
                self._error = error.at(self._where)
        return self._error


def _read(region: OpenRegion, where: str) -> Iterator[bytes]:
    """Yield a region's bytes in steps of a mebibyte. Raises SizeMismatch, InputError."""
    done = 0
    while done < region.size:
        with read_errors(where, region.path):
            data = os.pread(region.fd, min(STEP, region.size - done), region.offset + done)
        if not data:
            raise SizeMismatch(where, region.size, done)
        done += len(data)
        yield data
