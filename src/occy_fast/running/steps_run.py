"""The steps of a plan: one read of each layer feeds verify, decode, digest, encode and stage."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from occy_fast.engine.in_flight import InFlight
from occy_fast.engine.layer_job import LayerJob
from occy_fast.errors import (
    InputError,
    IntegrityError,
    LimitError,
    MissingBlob,
    NotFound,
    OccyError,
    PlanStale,
    is_shortage,
)
from occy_fast.files.spool import temporary_directory
from occy_fast.image.blob import FileRegion, read_blob
from occy_fast.image.publication import PublishedImage
from occy_fast.log import log
from occy_fast.planning.steps import Adopt, Copy, ImagePlan, Recode, Skip, WorkKey, is_provable, is_tar, known_digest
from occy_fast.running.rebuild import rebuild
from occy_fast.running.result import ConvertResult, LayerOutcome, outcome_of
from occy_fast.spec.encoding import NATIVE
from occy_fast.transports.locator import STREAM, Locator

if TYPE_CHECKING:
    from collections.abc import Callable

    from occy_fast.context.call import Call
    from occy_fast.context.progress import Party
    from occy_fast.engine.layer_job import LayerProof
    from occy_fast.engine.sinks import Sink, StreamSink
    from occy_fast.image.image import Layer
    from occy_fast.image.publication import Publication, Published
    from occy_fast.planning.plan import Plan, StreamPlan
    from occy_fast.planning.steps import LayerStep
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.limits import Limits
    from occy_fast.transports.base import Stage


# What makes a blob at the destination one to be replaced: wrong bytes, or none that can be had.
_DAMAGE = (IntegrityError, LimitError, InputError, NotFound, PlanStale)


Outcomes = dict[WorkKey, LayerOutcome]
"""What became of each different work."""


def run_steps(plan: Plan, stage: Stage, destination: Locator, call: Call) -> Outcomes:
    """Stage what the plan's steps make at *destination*, and return what became of each different work."""
    watched: list[tuple[Layer, str]] = [(step.layer, step.kind) for step in plan.steps]
    call.report.phase("layers", *takers(plan))
    with InFlight(call, watched) as in_flight:
        return _Execution(plan, stage, destination, in_flight).run()


def takers(plan: Plan | StreamPlan) -> tuple[Party, ...]:
    """Return who takes what is written at a pace of their own."""
    return ("destination",) if plan.writes == "one after another" else ()


def publish(plan: Plan, stage: Stage, outcomes: Outcomes, call: Call, began: float) -> ConvertResult:
    """Make the plan's documents, publish all of it, and say what it came to since *began*."""
    call.report.phase("documents", *takers(plan))
    publication = rebuild(plan, lambda step: outcomes[step.work_key], lambda each: _config_bytes(each, call.limits))
    call.report.phase("publish", *takers(plan))
    stage.publish(publication)
    layers = tuple(
        replace(outcomes[step.work_key], step=step, size_in=step.layer.size)
        for image in plan.images()
        for step in image.steps
    )
    digests = tuple(_identity(root.root, plan) for root in publication.roots)
    result = ConvertResult(
        digest=digests[0],
        digests=digests,
        config_digest=_first_config(publication),
        layers=layers,
        names=tuple(name for root in publication.roots for name in root.names or ((root.ref,) if root.ref else ())),
        size_in=sum(step.layer.size for step in plan.steps if _reads(step))
        + sum(outcome.size_proved for outcome in outcomes.values()),
        size_out=sum(outcome.size_out for outcome in outcomes.values() if outcome.kind in ("copy", "recode")),
        seconds=time.monotonic() - began,
        plan=plan,
    )
    log.info("%s: published %s in %.1f s", plan.destination, result.digest, result.seconds)
    return result


def _reads(step: LayerStep) -> bool:
    return not isinstance(step, Skip) or step.decode or step.otherwise is not None


class _Execution:
    """The steps of one plan on their way to one stage, until every blob is staged."""

    def __init__(self, plan: Plan, stage: Stage, destination: Locator, in_flight: InFlight) -> None:
        self._plan, self._stage, self._in_flight = plan, stage, in_flight
        self._path = temporary_directory() if destination.path == STREAM else destination.path
        self._outcomes: Outcomes = {}

    def run(self) -> Outcomes:
        for position, step in enumerate(self._plan.steps):
            self._in_flight.call.check_cancelled()
            alone = (self._plan.writes == "one of unknown size" and step.unknown_size) or (
                self._plan.writes == "one after another" and step.kind == "copy"
            )
            if alone:
                self._in_flight.wait_all()
            self._begin(position, step)
            if alone:
                self._in_flight.wait_all()
        self._in_flight.wait_all()
        return self._outcomes

    def _begin(self, position: int, step: LayerStep) -> None:
        match step:
            case Skip(layer, otherwise=Adopt() | Copy()):
                self._prove_there(position, step)
            case Skip(layer, decode, _, chain, manifest=manifest):
                digest = layer.digest
                if chain is None and manifest is None and (digest is None or not self._stage.has(digest, layer.size)):
                    raise PlanStale(self._where(layer), "the destination no longer has this blob")
                if decode:
                    self._read(position, step, None)
                else:
                    self._record(outcome_of(step, None))
                    self._in_flight.finish(position, layer.size)
            case Adopt():
                self._read(position, step, None)
            case Copy(layer):
                self._read(position, step, self._stage.open_blob(layer.size, known_digest(layer)))
            case Recode():
                self._read(position, step, self._stage.open_blob(None))
            case _:
                assert_never(step)

    def _prove_there(self, position: int, step: Skip) -> None:
        """Start reading the destination's blob; where it is damaged, the plan's other step replaces it."""
        layer = step.layer
        assert layer.digest is not None, "only what has a digest is found at a destination"
        where = f"{self._plan.destination}: layer {layer.digest}"

        def fail(error: OccyError, read: int = 0) -> None:
            if not isinstance(error, _DAMAGE) or is_shortage(error):
                raise error
            log.warning("%s; to be replaced", error if error.where else error.at(where))
            self._replace(position, step, read)

        try:
            found = self._stage.find_blob(layer.digest, layer.size)
            if found is None:
                raise MissingBlob(where, layer.digest)
        except _DAMAGE as error:
            fail(error)
            return
        there = replace(step, layer=replace(layer, blob=replace(layer.blob, address=found)))
        self._read(position, there, None, where, fail)

    def _replace(self, position: int, step: Skip, read: int) -> None:
        """Bring the source's blob in place of what the destination has, of which so many bytes were read."""
        match step.otherwise:
            case Adopt():
                self._read(position, step.otherwise, None, replaces=step, proved=read)
            case Copy(layer):
                sink = self._stage.open_blob(layer.size, known_digest(layer))
                self._read(position, step.otherwise, sink, replaces=step, proved=read)

    def _read(
        self,
        position: int,
        step: LayerStep,
        sink: Sink | StreamSink | None,
        where: str = "",
        fail: Callable[[OccyError, int], None] | None = None,
        replaces: Skip | None = None,
        proved: int = 0,
    ) -> None:
        """Start the one read of a layer; its end proves the bytes, then keeps them.

        Args:
            where: what to call it; empty takes its name at the source.
            fail: is told what is wrong with it, in place of an error, and how many bytes were read to learn that.
            replaces: the step whose proof has failed, as which it counts.
            proved: bytes that the proof has read.
        """
        layer, encode = step.layer, step.encoding if step.changes_blob else None
        assert sink is None or encode or not step.decode or layer.encoding.codec in NATIVE, (
            "a pass copies only what it reads itself"
        )

        def done(proof: LayerProof) -> None:
            if sink is None and isinstance(step, Adopt):
                self._adopt(step, proof.source_digest)
            outcome = outcome_of(replaces or step, proof)
            self._record(replace(outcome, replaced=replaces is not None, size_proved=proved))

        job = LayerJob(
            _provable(layer),
            where or self._where(layer),
            read_tar=step.decode or (is_tar(layer) and layer.encoding.codec == "none"),
            scan="strict" if step.strict else "no",
            encode=encode,
            sink=sink,
            output=self._path,
        )
        self._in_flight.start(position, job, done, fail)

    def _adopt(self, step: Adopt, digest: Digest) -> None:
        layer, address = step.layer, step.layer.blob.address
        assert isinstance(address, FileRegion), "only files are adopted"
        if not self._stage.adopt(digest, layer.size, address, step.how):
            log.info("%s: the file system refuses a %s; copied", self._where(layer), step.how)
            self._stage.adopt(digest, layer.size, address, "copy")

    def _record(self, outcome: LayerOutcome) -> None:
        step = outcome.step
        self._outcomes[step.work_key] = outcome
        log.debug("%s: %s, %s", self._where(step.layer), step.kind, outcome.digest)

    def _where(self, layer: Layer) -> str:
        return f"{self._plan.source}: layer {layer.digest or layer.diff_id}"


def _provable(layer: Layer) -> Layer:
    """Return *layer* with a diff_id only where a pass can check it: elsewhere the blob's own digest vouches."""
    return layer if is_provable(layer) or layer.diff_id is None else replace(layer, diff_id=None)


def _identity(root: Published, plan: Plan) -> Digest:
    """Return what the destination knows a root by: a daemon, by its image id."""
    if isinstance(root, PublishedImage) and plan.identity == "config":
        return root.config.digest
    return root.descriptor.digest


def _first_config(publication: Publication) -> Digest | None:
    """Return the config's digest of the first image, or else artifact; None where all that was published is blobs."""
    images = list(publication.images())
    first = next((image for image in images if not image.artifact), images[0] if images else None)
    return None if first is None else first.config.digest


def _config_bytes(plan: ImagePlan, limits: Limits) -> bytes:
    if plan.image.config is not None:
        return plan.image.config.raw
    blob = plan.image.config_blob
    return read_blob(blob, f"config {blob.digest}", limits, "config")
