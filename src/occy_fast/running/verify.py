"""Everything reachable from a locator, proved again; every finding is told."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from occy_fast.context.access import USUAL_ACCESS, Access
from occy_fast.context.call import Call
from occy_fast.engine.in_flight import InFlight
from occy_fast.engine.layer_job import NO_PROOFS, LayerJob, Proofs, check_claims
from occy_fast.errors import (
    BadReference,
    Cancelled,
    DigestMismatch,
    IntegrityError,
    LimitError,
    OccyError,
    SizeMismatch,
    TarError,
    TransportError,
    Unsupported,
    UsageError,
    is_shortage,
    resource_errors,
)
from occy_fast.image.blob import SAVE_FIRST, Blob, StreamedBytes
from occy_fast.image.finding import Finding
from occy_fast.image.graph import nodes, roots
from occy_fast.image.image import Image, Layer, Opaque
from occy_fast.image.place import Place, place_of
from occy_fast.image.validate import validate
from occy_fast.kernels.entry_list import ENTRY_SIZE
from occy_fast.planning.steps import is_provable, is_tar
from occy_fast.running.report_document import verify_document
from occy_fast.running.stream_run import StreamRun
from occy_fast.running.unpacking import Unpacking, unpack_finding, unpack_layers
from occy_fast.transports.base import is_stream
from occy_fast.transports.locator import Locator
from occy_fast.transports.opening import check_access, open_source, parse_locator
from occy_fast.words import format_count, format_size, printable

if TYPE_CHECKING:
    from occy_fast.context.progress import ProgressCallback
    from occy_fast.engine.layer_job import LayerProof, Scan
    from occy_fast.image.image import Contents, Leaf
    from occy_fast.spec.limits import Limits
    from occy_fast.transports.base import StreamSource

# What is worst first: wrong bytes, missing ones, then what could not be looked at.
_WORST_FIRST = (4, 3, 11, 6, 5, 7, 1)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What verify found.

    Attributes:
        findings: in the order of the images, whole images before their layers.
        images: manifests that were looked at, artifacts included.
        layers: distinct layers and artifact blobs that were read to their end.
        size: bytes of those.
        seconds: from the first read to the last; it does not count when reports are compared.
    """

    locator: str
    findings: tuple[Finding, ...]
    images: int
    layers: int
    size: int
    seconds: float = field(default=0.0, compare=False)

    @property
    def ok(self) -> bool:
        """Tell whether nothing makes an image bad: no finding is an error, and the exit code is 0.

        Warnings are none: such as for a platform of an index that the source does not have.
        """
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return the findings that make the image bad."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def exit_code(self) -> int:
        """Return the exit code of the worst finding; 0 where nothing is wrong."""
        codes = {finding.error.exit_code if finding.error else 4 for finding in self.errors}
        return next((code for code in _WORST_FIRST if code in codes), max(codes, default=0))

    def to_json(self) -> dict[str, Any]:
        """Return what `occy-fast verify --json` prints, as plain JSON values; sizes are bytes."""
        return verify_document(self)

    def verdict(self) -> str:
        """Say in a few words how much is wrong: "everything holds", "2 errors, 1 warning"."""
        errors, others = len(self.errors), len(self.findings) - len(self.errors)
        verdict = format_count(errors, "error") if errors else "everything holds"
        return f"{verdict}, {format_count(others, 'warning')}" if others else verdict

    def __repr__(self) -> str:
        seen = f"{format_count(self.images, 'image')}, {format_count(self.layers, 'layer')}, {format_size(self.size)}"
        return f"VerifyReport({printable(self.locator)}: {seen}: {self.verdict()})"


@resource_errors()
def verify(
    locator: str | os.PathLike[str],
    *,
    strict: bool = True,
    lenient: bool = False,
    limits: Limits | None = None,
    max_layer: int | None = None,
    workers: int | None = None,
    access: Access = USUAL_ACCESS,
    follow_links: Iterable[str | os.PathLike[str]] = (),
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> VerifyReport:
    """Prove everything reachable: JSON, digests and sizes of all blobs, diff_ids, layer counts, platforms, tar headers.

    Entries that an unpacker would refuse, in their order over the layers below, are told as well: as an error where all
    that are known refuse it, else as a warning.

    A finding does not end it; what the source cannot even list is the only finding then.

    Args:
        locator: text such as "oci:dir:app", or a path.
        strict: refuse tar entries that readers are known to disagree about, not only those that Go refuses.
        lenient: make do with names in a docker-archive that some loaders refuse, such as ones in capitals.
        limits, max_layer, workers, access, follow_links, progress, cancel: as the package describes them.
    Returns:
        A VerifyReport; its `ok` says whether all holds, its findings what does not.
    Raises:
        UsageError, NotFound, InputError, ResourceError, TransportError, Cancelled, and nothing that an image could be
        guilty of.
    """
    where = parse_locator(locator)
    check_access(access, where)
    call = Call.of(
        limits=limits,
        max_layer=max_layer,
        workers=workers,
        access=access,
        cancel=cancel,
        progress=progress,
        follow_links=follow_links,
    )
    began = time.monotonic()
    report = call.retrying(lambda: _verify_once(where, call, strict=strict, lenient=lenient))
    return replace(report, seconds=time.monotonic() - began)


def _verify_once(where: Locator, call: Call, *, strict: bool, lenient: bool) -> VerifyReport:
    with open_source(where, call, lenient=lenient) as source:
        proofs: Proofs = NO_PROOFS
        try:
            if is_stream(source):
                proofs = read_stream(source, call, strict=strict)
                contents = source.contents(proofs)
            else:
                contents = source.read()
        except OccyError as error:
            asked = isinstance(error, UsageError) and not isinstance(error, BadReference)    # which stands in the image
            if asked or isinstance(error, Cancelled | TransportError) or is_shortage(error):
                raise
            return VerifyReport(where.text, (_finding(error, where.text, place_of(error, where.text)),), 0, 0, 0)
        return verify_contents(contents, proofs, call, strict=strict)[0]


def verify_contents(
    contents: Contents, proofs: Proofs, call: Call, *, strict: bool
) -> tuple[VerifyReport, tuple[Unpacking, ...]]:
    """Prove what was read already, as verify does, and return what unpackers would refuse beside the report.

    *proofs* is what read_stream has found. Raises Cancelled.
    """
    check = _Verification(contents, strict, call.limits, proofs)
    check.look_at_documents()
    layers = check.distinct_layers()
    call.report.phase("layers")
    with InFlight(call, [(layer, "verify") for layer in layers]) as in_flight:
        for position, layer in enumerate(layers):
            check.start(in_flight, position, layer, scan=True)
        in_flight.wait_all()
    unpacking = check.unpack()
    findings = tuple(check.findings)
    return VerifyReport(contents.locator, findings, check.images, check.proved, check.size), unpacking


def read_stream(source: StreamSource, call: Call, *, strict: bool) -> Proofs:
    """Read a stream to its end, and return by name what was found of everything that was not kept."""
    with InFlight(call) as in_flight:
        run = StreamRun(source, in_flight, "strict" if strict else "lenient")
        run.read()
    return run.proofs


class _Verification:
    """One call of verify."""

    def __init__(
        self, contents: Contents, strict: bool, limits: Limits, proofs: Proofs
    ) -> None:
        """Check *contents*; *proofs* has what was found of layers that were streamed."""
        self._contents, self._limits, self._proofs = contents, limits, proofs
        self._scan: Scan = "strict" if strict else "lenient"
        self.findings: list[Finding] = []
        self._places: dict[Hashable, Place] = {}         # of what a claim is made of, the first place
        self._entries: dict[Hashable, bytes | None] = {}
        self._room = limits.entry_count * ENTRY_SIZE     # for all that wait
        self.images = self.proved = self.size = 0

    def look_at_documents(self) -> None:
        """Check what manifests and configs say of one another; their bytes were proved when they were read."""
        locator = self._contents.locator
        self.findings += self._contents.passed_over
        for error in self._contents.warnings:
            finding = _finding(error, locator, place_of(error, locator))
            self.findings.append(replace(finding, severity="warning"))
        for (place, root), named in zip(roots(self._contents), self._contents.images, strict=True):
            for error in named.wrong_names:
                self.findings.append(_finding(error, locator, replace(place_of(error, locator), image=place.image)))
            self.findings += validate(root, locator, self._limits, place)
        self.images = sum(isinstance(node, Image) for _, node in self._nodes())

    def distinct_layers(self) -> list[Layer]:
        """Return the layers, each different claim about one place once; other blobs nobody has read are among them."""
        layers: dict[Hashable, Layer] = {}
        for within, node in self._nodes():
            for place, layer in _layers_of(node, within):
                self._places.setdefault(_claim(layer), place)
                layers[_claim(layer)] = layer
        return list(layers.values())

    def start(
        self,
        in_flight: InFlight,
        position: int,
        layer: Layer,
        *,
        scan: bool,
        decode: bool = True,
        held: tuple[OccyError, ...] = (),
    ) -> None:
        """Read one layer to its end; what is bad inside is read again, to learn whether it is the right blob at all.

        Args:
            scan: look at the headers of the tar.
            decode: look into the blob.
            held: what is wrong inside, and is told unless the blob is a wrong one, of which it would only follow.
        """
        address = layer.blob.address
        if address is None or address.size != layer.size:  # told already, and nothing to be read
            in_flight.finish(position)
            return
        where = f"{self._contents.locator}: layer {layer.digest or layer.diff_id}"
        tar = is_tar(layer) and decode
        if tar and layer.diff_id is not None and not is_provable(layer):
            problem = f"the diff_id is a {layer.diff_id.algorithm}, and tars are proved by sha256 alone"
            self._tell(layer, Unsupported(where, problem))
            tar = False
        claimed = layer if tar else replace(layer, diff_id=None)
        if isinstance(address, StreamedBytes):
            self._check_streamed(layer, claimed, self._proofs[address.place], where)
            in_flight.finish(position, layer.size)
            return

        def done(proof: LayerProof) -> None:
            self._tell(layer, *held)
            if tar and scan:
                self._keep_entries(layer, proof.entries)
            if decode:
                self.proved += 1
                self.size += layer.size

        def failed(error: OccyError, _: int) -> None:
            if is_shortage(error):
                raise error
            if isinstance(error, TarError) and scan:
                self.start(in_flight, position, layer, scan=False, held=(error,))
            elif tar and layer.encoding.codec != "none" and layer.digest is not None and _is_inside(error):
                self.start(in_flight, position, layer, scan=False, decode=False, held=(*held, error))
            else:
                self._tell(layer, *(() if _is_wrong(error, layer) else held), error)

        scanned = self._scan if tar and scan else "no"
        job = LayerJob(claimed, where, read_tar=tar, scan=scanned, list_entries=scanned != "no")
        in_flight.start(position, job, done, failed)

    def _tell(self, layer: Layer, *errors: OccyError) -> None:
        place = self._places[_claim(layer)]
        self.findings += [_finding(error, self._contents.locator, place) for error in errors]

    def _check_streamed(self, layer: Layer, claimed: Layer, found: LayerProof | OccyError, where: str) -> None:
        """Compare a layer with what was found as it was streamed; of a bad tar, the digests are told as well."""
        looked = claimed.diff_id is not None
        if isinstance(found, OccyError):
            unknown = Unsupported(where, f"one look was not enough for {layer.digest}", SAVE_FIRST)
            self._tell(layer, found if looked else unknown)
            return
        held = (found.tar_error,) if looked and found.tar_error is not None else ()
        try:
            check_claims(claimed, found, where)
        except OccyError as error:
            self._tell(layer, *(() if _is_wrong(error, layer) else held), error)
            return
        self._tell(layer, *held)
        if looked and not held:
            self._keep_entries(layer, found.entries)
        self.proved += 1
        self.size += layer.size

    def _keep_entries(self, layer: Layer, entries: bytes | None) -> None:
        """Keep the list of a layer's entries until those below it are known, while there is room."""
        self._room -= len(entries or b"")
        self._entries[_claim(layer)] = entries if self._room >= 0 else None

    def unpack(self) -> tuple[Unpacking, ...]:
        """Find out what could not be unpacked, now that the entries of all layers are known."""
        found: list[Unpacking] = []
        done: set[tuple[Hashable, ...]] = set()
        for within, node in self._nodes():
            stack = tuple(map(_claim, node.layers)) if isinstance(node, Image) and not node.artifact else ()
            if stack and stack not in done:
                done.add(stack)
                layers = takewhile(self._entries.__contains__, stack)    # above what could not be read, who knows
                found += unpack_layers(map(self._entries.__getitem__, layers), within, self._limits)
        self._entries.clear()
        self.findings += map(unpack_finding, found)
        return tuple(found)

    def _nodes(self) -> Iterator[tuple[Place, Leaf]]:
        seen: set[Hashable] = set()
        for place, node in nodes(self._contents):
            name: Hashable = id(node)
            if node.descriptor is not None:      # one image may have several, and one digest may be claimed of several
                layers = node.layers if isinstance(node, Image) else ()
                name = (node.descriptor.digest, *map(_claim, layers))
            if name not in seen:
                seen.add(name)
                yield place, node


def _layers_of(node: Leaf, within: Place) -> Iterator[tuple[Place, Layer]]:
    """Yield what is to be read of an image or blob; what is no layer is one without a tar."""
    if isinstance(node, Image):
        for number, layer in enumerate(node.layers, 1):
            yield within.inside("layer", number), layer
    blob: Blob | None = None
    if isinstance(node, Opaque):
        blob = node.blob
    elif isinstance(node, Image) and node.config is None:
        blob = node.config_blob
    if blob is not None:
        is_config = isinstance(node, Image)
        place = within.inside("config") if is_config else replace(within, part="blob", name=str(node.digest))
        yield place, Layer.of_blob(blob)


def _is_inside(error: OccyError) -> bool:
    """Tell whether an error is of what a blob decodes to, and may follow from its being a wrong blob."""
    return isinstance(error, IntegrityError | LimitError) and not isinstance(error, DigestMismatch | SizeMismatch)


def _is_wrong(error: OccyError, layer: Layer) -> bool:
    """Tell whether an error says that this is not the blob at all; without a digest, its diff_id tells."""
    if isinstance(error, DigestMismatch):
        return error.expected == (layer.diff_id if layer.digest is None else layer.digest)
    return isinstance(error, SizeMismatch)


def _claim(layer: Layer) -> Hashable:
    """Return what is said of a layer's bytes, and where they are: of two members with the same words, both are read."""
    return (layer.digest, layer.diff_id, layer.encoding, layer.size, layer.blob.address)


def _finding(error: OccyError, locator: str, place: Place) -> Finding:
    return Finding("error", place, error.describe(), error.where or locator, error=error)
