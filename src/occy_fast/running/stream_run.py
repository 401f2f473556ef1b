"""An archive that comes by once: every blob treated by its rule at once, and the manifest matched at the end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from occy_fast.engine.blob_source import NATIVE
from occy_fast.engine.in_flight import Lanes
from occy_fast.errors import DigestMismatch, IntegrityError, LimitError, OccyError, SizeMismatch, TarError, Unsupported
from occy_fast.image.blob import SAVE_FIRST, Blob, PassedBytes
from occy_fast.image.image import Layer
from occy_fast.log import log
from occy_fast.planning.planner import make_plan
from occy_fast.planning.rules import Rule
from occy_fast.planning.steps import Skip, is_tar
from occy_fast.running.drain import drain_into
from occy_fast.running.probe import probe_passed
from occy_fast.running.result import LayerOutcome
from occy_fast.running.steps_run import publish, run_steps
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import Encoding
from occy_fast.streams.decode import decode_foreign
from occy_fast.streams.layer_pass import DrainSink, FeedSource, LayerPass, WorkerPool
from occy_fast.streams.tar import new_scan
from occy_fast.transports.archive.stream import ArchiveStream
from occy_fast.transports.base import StreamSink
from occy_fast.transports.locator import DAEMONS, Locator
from occy_fast.transports.opening import open_destination, open_source

if TYPE_CHECKING:
    from hashlib import _Hash

    from occy_fast.context.call import Call
    from occy_fast.image.image import Contents
    from occy_fast.planning.plan import Plan, StreamPlan
    from occy_fast.planning.steps import LayerStep
    from occy_fast.running.result import ConvertResult
    from occy_fast.running.steps_run import Outcomes
    from occy_fast.spec.limits import Limits
    from occy_fast.streams.layer_pass import PassResult
    from occy_fast.transports.archive.stream import StreamedBlob
    from occy_fast.transports.base import Sink, Stage


@dataclass(frozen=True, slots=True)
class Passed:
    """What became of one streamed blob.

    Attributes:
        rule: None where nothing was to be written.
        address: with its digests, as far as they are known.
        outcome: of the pass; None where it failed.
        error: why it failed; where there is an outcome, what is wrong with the tar.
    """

    rule: Rule | None
    address: PassedBytes
    outcome: PassResult | None = None
    error: OccyError | None = None


class Passage:
    """One pass over an archive; what is wrong with a member is kept until something names that member."""

    def __init__(
        self, source: ArchiveStream, lanes: Lanes, pool: WorkerPool, limits: Limits, scan_tar: str | None = None
    ) -> None:
        """Read *source* within *limits*, the headers of its tars as LayerPass.scan_tar says."""
        self._source, self._lanes, self._pool, self._limits, self._scan_tar = source, lanes, pool, limits, scan_tar
        self.passed: dict[str, Passed] = {}

    def run(self, plan: StreamPlan | None = None, stage: Stage | None = None, destination: str = "") -> None:
        """Let the archive come by: write to *stage*, at the path *destination*, what *plan* says, or only look.

        Raises what ArchiveStream.blobs does, and OutputError.
        """
        is_held = plan.held() if plan is not None else None
        for blob in self._source.blobs():
            self._lanes.check()
            rule = None if plan is None else plan.rule_for(blob.kind)
            if is_held is not None and blob.kind == "none" and is_held(blob.name):
                rule = Rule("none", "skip")
            writes = None if plan is None else plan.writes
            streamed = writes == "one after another" and rule is not None and rule.act == "copy"
            if streamed:                                 # nothing else is sent between its begin and its end
                self._lanes.end_all()
            self._begin(blob, rule, stage, destination)
            if streamed or (writes == "one of unknown size" and rule is not None and rule.act == "recode"):
                self._lanes.end_all()                    # nothing may be opened behind it before its size is known
        self._lanes.end_all()

    def addresses(self) -> dict[str, PassedBytes]:
        """Return what became of the members, by their names."""
        return {name: passed.address for name, passed in self.passed.items()}

    def _begin(self, blob: StreamedBlob, rule: Rule | None, stage: Stage | None, destination: str) -> None:
        """Start the one read of a blob, and wait until all of it has been taken."""
        where = f"{self._source.locator}: {blob.name}"
        address = PassedBytes(blob.name, blob.size, blob.head)
        encoding = None if rule is None else rule.encoding
        codec = "none" if blob.kind == "other" else blob.kind
        decoded = codec in NATIVE or rule is None or encoding is not None
        if not decoded:
            codec = "none"                               # a pass copies only what it reads itself
        hasher: _Hash | None = None
        stored = blob.buffers
        if codec not in NATIVE:
            hasher = hashlib.sha256()
            stored = _hashed(blob.buffers, hasher)
        buffers: Iterator[bytes | memoryview] = stored
        if codec not in NATIVE:
            buffers = decode_foreign(codec, map(bytes, stored), where, self._limits.xz_memory)
        looks = self._scan_tar is not None and decoded
        check = _TarCheck(self._scan_tar, where, self._limits) if looks and stage is None else None
        sink: Sink | StreamSink | None = None
        if stage is not None and rule is not None and rule.act in ("copy", "recode"):
            sink = stage.open_blob(blob.size if encoding is None else None)

        def drop() -> None:
            if sink is not None:
                sink.abort()

        def end(outcome: PassResult) -> None:
            digest = outcome.source_digest if hasher is None else Digest.from_hash(hasher.digest())
            if sink is not None and encoding is None:
                sink.commit(digest, blob.size)
            elif sink is not None:
                sink.commit(outcome.digest, outcome.size_out)
            found = replace(address, digest=digest, diff_id=outcome.diff_id if decoded else None)
            self.passed[blob.name] = Passed(rule, found, outcome, None if check is None else check.finish())
            log.debug("%s: %s, %s", where, rule.act if rule else "read", digest)

        def fail(error: OccyError) -> None:
            taken_back = not isinstance(sink, StreamSink)
            if not (taken_back and isinstance(error, IntegrityError | LimitError)):
                raise error
            self.passed[blob.name] = Passed(rule, replace(address, error=error), error=error)

        output = drain_into(sink, destination) if check is None else DrainSink(check.write)
        layer = Layer(Blob(None, blob.size, "", address), "", Encoding(codec), None)
        position = self._lanes.watch(layer, "verify" if rule is None else rule.act)
        try:
            run = self._pool.start(
                LayerPass(
                    source=FeedSource(buffers),
                    decode=codec if codec in NATIVE else "none",
                    encode=encoding,
                    copy_source=encoding is None and check is None,
                    sink=output,
                    scan_tar=self._scan_tar if looks and check is None else None,
                    max_tar=self._limits.layer,
                    bounded_ratio=True,
                    limits=self._limits,
                    where=where,
                )
            )
        except BaseException:
            drop()
            raise
        self._lanes.begin(position, where, run, end, drop, fail)
        self._lanes.hand_over()


class _TarCheck:
    """Looks at a tar's headers beside the pass, which an error in them would end before it knows the digests."""

    def __init__(self, mode: str | None, where: str, limits: Limits) -> None:
        """Look as LayerPass.scan_tar says."""
        self._scan = new_scan(mode == "strict", limits, keep=False)
        self._where = where
        self._error: TarError | None = None

    def write(self, data: bytes) -> None:
        """Look at the next bytes."""
        if self._error is None:
            try:
                self._scan.feed(data)
            except TarError as error:
                self._error = error.at(self._where)

    def finish(self) -> TarError | None:
        """Return what is wrong with the tar, now that all of it was seen."""
        if self._error is None:
            try:
                self._scan.finish()
            except TarError as error:
                self._error = error.at(self._where)
        return self._error


def _hashed(buffers: Iterator[memoryview], hasher: _Hash) -> Iterator[memoryview]:
    for piece in buffers:
        hasher.update(piece)
        yield piece


def execute_rules(plan: StreamPlan, source: Locator, destination: Locator, call: Call) -> ConvertResult:
    """Run a plan of rules, from *source* to *destination*, which are its own.

    Only a daemon makes its archive anew when it is asked again.
    """
    began = time.monotonic()

    def attempt() -> ConvertResult:
        try:
            return _execute_once(plan, source, destination, call, began)
        except _Misled as misled:
            log.warning("%s; once more, with every layer taken as it comes", misled)
            return _execute_once(replace(plan, expected_diff_ids=()), source, destination, call, began)

    return call.retrying(attempt) if source.transport in DAEMONS else attempt()


def _execute_once(
    plan: StreamPlan, source: Locator, destination: Locator, call: Call, began: float
) -> ConvertResult:
    place = open_destination(destination, plan.goal.archive_layout, call)
    log.info("%s -> %s: by rules", plan.source, plan.destination)
    opened = open_source(source, call, lenient=plan.goal.target is not None)
    assert isinstance(opened, ArchiveStream), "rules are for what comes by once"
    with opened, place.stage() as stage:
        # the pool is left first: its threads write into what the other closes
        with Lanes(call, []) as lanes, WorkerPool(call.workers) as pool:
            passage = Passage(opened, lanes, pool, call.limits, "strict" if plan.goal.strict else None)
            passage.run(plan, stage, destination.path)
        contents = opened.contents(passage.addresses())
        final = replan(plan, contents, call.limits)
        final = replace(final, notes=tuple(dict.fromkeys((*plan.notes, *final.notes, *_surprises(plan, final)))))
        outcomes = _match(final, passage, stage)
        kept = replace(final, steps=tuple(step for step in final.steps if step.work_key not in outcomes))
        if kept.steps:
            outcomes |= run_steps(kept, stage, destination, call)
        return publish(final, stage, outcomes, call.limits, began)


def replan(plan: StreamPlan, contents: Contents, limits: Limits) -> Plan:
    """Plan what should have been done, now that the documents are known. Raises what make_plan does."""
    facts = probe_passed(contents, plan.facts, plan.goal)
    return make_plan(
        contents,
        plan.goal,
        plan.capabilities,
        replace(facts, present=plan.present),
        destination=plan.destination,
        reference=plan.reference,
        limits=limits,
    )


def _surprises(plan: StreamPlan, final: Plan) -> list[str]:
    """Say where the archive is not what was announced: what it has counts, and has been proved."""
    found = {image.image.config.diff_ids for image in final.images() if image.image.config is not None}
    if not plan.expected_diff_ids or found == {plan.expected_diff_ids}:
        return []
    surprise = f"{plan.source} has other layers than were announced; those that came are taken"
    log.warning("%s", surprise)
    return [surprise]


class _Misled(Exception):
    """A layer that went by unwritten, as it was announced to be there, is needed after all."""


def _match(plan: Plan, passage: Passage, stage: Stage) -> Outcomes:
    """Return what became of the steps whose layers have come by; those of layers that were kept are not among them.

    Raises IntegrityError or LimitError where a layer is not what the documents say, and Unsupported where a rule did
    to it what the plan does not.
    """
    outcomes: Outcomes = {}
    for step in plan.steps:
        address = step.layer.blob.address
        if isinstance(address, PassedBytes):
            where = f"{plan.source}: layer {step.layer.digest or step.layer.diff_id}"
            outcomes[step.work_key] = _outcome(step, passage.passed[address.place], stage, where)
    return outcomes


def _outcome(step: LayerStep, passed: Passed, stage: Stage, where: str) -> LayerOutcome:
    if passed.error is not None:
        if isinstance(passed.error, TarError) and not is_tar(step.layer):
            raise Unsupported(where, "read strictly as it came by, and it is no layer's tar", SAVE_FIRST)
        raise passed.error
    prove_passed(step.layer, passed.address, where)
    rule, outcome = passed.rule, passed.outcome
    assert rule is not None
    assert outcome is not None
    if rule.act == "skip" and not isinstance(step, Skip):
        raise _Misled(f"{where} was announced to be another")
    if step.is_encoded:
        if rule.encoding != step.encoding:
            raise Unsupported(where, f"it came by as {_words(rule)}, and is to be {step.encoding}", SAVE_FIRST)
        size, digest = outcome.size_out, outcome.digest
    elif isinstance(step, Skip):
        digest, size = passed.address.digest or outcome.source_digest, step.layer.size
        if step.chain is None and not stage.has(digest, size):
            raise _Misled(f"{where} is not what the destination has under that name")
    else:
        if rule.act != "copy":
            raise Unsupported(where, f"it came by as {_words(rule)}, and is to stay as it is", SAVE_FIRST)
        assert passed.address.digest is not None
        size, digest = step.layer.size, passed.address.digest
    return LayerOutcome(step, digest, step.layer.diff_id, step.layer.size, size, outcome.identity)


def prove_passed(layer: Layer, address: PassedBytes, where: str) -> None:
    """Check that a layer that has come by is what the documents say.

    Raises SizeMismatch, DigestMismatch, and Unsupported for what one look was not enough.
    """
    if layer.size != address.size:
        raise SizeMismatch(where, layer.size, address.size)
    diff_id = layer.diff_id if is_tar(layer) else None
    for place, wanted, found in (
        (where, layer.digest, address.digest),
        (f"{where}: diff_id", diff_id, address.diff_id),
    ):
        if wanted is None:
            continue
        if found is None or wanted.algorithm != found.algorithm:
            raise Unsupported(place, f"one look was not enough for {wanted}", SAVE_FIRST)
        if wanted != found:
            raise DigestMismatch(place, wanted, found)


def _words(rule: Rule) -> str:
    return f"{rule.kind}, made {rule.encoding}" if rule.act == "recode" else f"{rule.kind}, {rule.act}"
