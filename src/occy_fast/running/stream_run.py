"""A stream: every blob is treated by its rule as it comes, and matched with the manifest at the end."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from occy_fast.engine.in_flight import InFlight
from occy_fast.engine.layer_job import LayerJob, check_claims
from occy_fast.engine.sinks import StreamSink
from occy_fast.errors import IntegrityError, LimitError, OccyError, PlanStale, TarError, Unsupported
from occy_fast.image.blob import SAVE_FIRST, Blob, StreamedBytes
from occy_fast.image.graph import images
from occy_fast.image.image import Layer
from occy_fast.log import log
from occy_fast.planning.planner import make_plan
from occy_fast.planning.steps import Skip, is_tar
from occy_fast.planning.stream_rules import Rule
from occy_fast.running.probe import probe_passed
from occy_fast.running.result import LayerOutcome, outcome_of
from occy_fast.running.steps_run import publish, run_steps, takers
from occy_fast.spec.encoding import NATIVE, Encoding
from occy_fast.transports.base import is_stream
from occy_fast.transports.locator import Locator, is_pipe
from occy_fast.transports.opening import open_destination, open_source

if TYPE_CHECKING:

    from occy_fast.context.call import Call
    from occy_fast.context.progress import Party
    from occy_fast.engine.layer_job import LayerProof, Scan
    from occy_fast.engine.sinks import Sink
    from occy_fast.image.image import Contents
    from occy_fast.planning.plan import Plan, StreamPlan
    from occy_fast.planning.steps import LayerStep
    from occy_fast.running.result import ConvertResult
    from occy_fast.running.steps_run import Outcomes
    from occy_fast.spec.limits import Limits
    from occy_fast.transports.base import Stage, StreamedBlob, StreamSource


class StreamRun:
    """One reading of an archive; what is wrong with a member is kept until something names that member.

    Attributes:
        proofs: what was found of each blob, by its name; for check_claims, once the documents are known.
        rules: what was done with it; None where nothing was to be written.
    """

    def __init__(self, source: StreamSource, in_flight: InFlight, scan: Scan, *takers: Party) -> None:
        """Read *source*, the headers of its tars as LayerJob.scan says; *takers* are waited for as well."""
        self._source, self._in_flight, self._scan = source, in_flight, scan
        self._waits_for: tuple[Party, ...] = (*(("source",) if source.is_awaited else ()), *takers)
        self.proofs: dict[str, LayerProof | OccyError] = {}
        self.rules: dict[str, Rule | None] = {}

    def read(self) -> None:
        """Read the archive to its end, and write nothing. Raises what StreamSource.blobs does."""
        for blob in self._source.blobs():
            self._in_flight.call.check_cancelled()
            self._start(blob, None, None, "")
        self._in_flight.wait_all()

    def write(self, plan: StreamPlan, stage: Stage, destination: str) -> None:
        """Write to *stage* what the rules of *plan* say; *destination* is its path, for messages.

        Raises what StreamSource.blobs does, and OutputError.
        """
        is_held = plan.held()
        for blob in self._source.blobs():
            self._in_flight.call.check_cancelled()
            rule = plan.rule_for(blob.kind)
            if blob.kind == "none" and is_held(blob.name):
                rule = Rule("none", "skip")
            streamed = plan.writes == "one after another" and rule.act == "copy"
            if streamed:                                 # nothing else is sent between its start and its end
                self._in_flight.wait_all()
            self._start(blob, rule, stage, destination)
            if streamed or (plan.writes == "one of unknown size" and rule.act == "recode"):
                self._in_flight.wait_all()               # nothing may be opened behind it before its size is known
        self._in_flight.wait_all()

    def _start(self, blob: StreamedBlob, rule: Rule | None, stage: Stage | None, destination: str) -> None:
        """Start the one read of a blob, and wait until all of it has been taken."""
        encode = None if rule is None else rule.encoding
        codec = "none" if blob.kind == "other" else blob.kind
        decoded = codec in NATIVE or rule is None or encode is not None    # a pass copies only what it reads itself
        sink: Sink | StreamSink | None = None
        if stage is not None and rule is not None and rule.act in ("copy", "recode"):
            sink = stage.open_blob(blob.size if encode is None else None)

        def done(proof: LayerProof) -> None:
            self.proofs[blob.name] = proof
            log.debug("%s: %s, %s", job.where, rule.act if rule else "read", proof.source_digest)

        def failed(error: OccyError, _: int) -> None:
            if isinstance(sink, StreamSink) or not isinstance(error, IntegrityError | LimitError):
                raise error                              # what was sent cannot be taken back
            self.proofs[blob.name] = error

        address = StreamedBytes(blob.name, blob.size, blob.head)
        job = LayerJob(
            Layer(Blob(None, blob.size, "", address), "", Encoding(codec), None),
            f"{self._source.locator}: {blob.name}",
            source=blob.buffers,
            read_tar=decoded,
            scan=self._scan if decoded else "no",
            scan_beside=stage is None,
            list_entries=stage is None and decoded,
            encode=encode,
            sink=sink,
            output=destination,
            bounded_ratio=True,
        )
        if not self.rules:
            self._in_flight.call.report.phase("layers", *self._waits_for)
        self.rules[blob.name] = rule
        self._in_flight.start(
            self._in_flight.watch(job.layer, "verify" if rule is None else rule.act), job, done, failed
        )
        self._in_flight.wait_fed()


def execute_stream(plan: StreamPlan, source: Locator, destination: Locator, call: Call) -> ConvertResult:
    """Run a plan of rules, from *source* to *destination*, which are its own.

    What came through a pipe is gone, and is not asked for again.
    """
    began = time.monotonic()

    def attempt() -> ConvertResult:
        try:
            return _execute_once(plan, source, destination, call, began)
        except _Misled as misled:
            log.warning("%s; once more, with every layer taken as it comes", misled)
            return _execute_once(replace(plan, expected_diff_ids=()), source, destination, call, began)

    return attempt() if is_pipe(source) else call.retrying(attempt)


def _execute_once(
    plan: StreamPlan, source: Locator, destination: Locator, call: Call, began: float
) -> ConvertResult:
    place = open_destination(destination, plan.goal.archive_layout, call)
    log.info("%s -> %s: by rules", plan.source, plan.destination)
    with open_source(source, call, lenient=plan.goal.target is not None) as opened, place.stage() as stage:
        if not is_stream(opened):
            raise PlanStale(plan.source, "it was a pipe, or compressed as a whole, and is a plain archive now")
        with InFlight(call) as in_flight:
            run = StreamRun(opened, in_flight, "strict" if plan.goal.strict else "no", *takers(plan))
            run.write(plan, stage, destination.path)
        contents = opened.contents(run.proofs)
        for warning in contents.warnings:                # no plan could have said it
            log.warning("%s", warning)
        final = replan(plan, contents, call.limits)
        final = replace(final, notes=tuple(dict.fromkeys((*plan.notes, *final.notes, *_surprises(plan, contents)))))
        outcomes = _match(final, run, stage)
        kept = replace(final, steps=tuple(step for step in final.steps if step.work_key not in outcomes))
        if kept.steps:
            outcomes |= run_steps(kept, stage, destination, call)
        return publish(final, stage, outcomes, call, began)


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


def _surprises(plan: StreamPlan, contents: Contents) -> list[str]:
    """Say where the archive is not what was announced: what it has counts, and has been proved."""
    found = {image.config.diff_ids for _, image in images(contents) if image.config is not None}
    if not plan.expected_diff_ids or plan.expected_diff_ids in found:    # it may have further platforms
        return []
    surprise = f"{plan.source} has other layers than were announced; those that came are taken"
    log.warning("%s", surprise)
    return [surprise]


class _Misled(Exception):
    """A layer that went by unwritten, as it was announced to be there, is needed after all."""


def _match(plan: Plan, run: StreamRun, stage: Stage) -> Outcomes:
    """Return what became of the steps whose layers were streamed; those of layers that were kept are not among them.

    Raises IntegrityError or LimitError where a layer is not what the documents say, and Unsupported where a rule did
    to it what the plan does not.
    """
    outcomes: Outcomes = {}
    for step in plan.steps:
        address = step.layer.blob.address
        if isinstance(address, StreamedBytes):
            where = f"{plan.source}: layer {step.layer.digest or step.layer.diff_id}"
            proof = _proof_of(step, run.proofs[address.place], where)
            outcomes[step.work_key] = _outcome(step, proof, run.rules[address.place], stage, where)
    return outcomes


def _proof_of(step: LayerStep, found: LayerProof | OccyError, where: str) -> LayerProof:
    """Return what was found of a step's layer, now that it is known what is claimed of it."""
    layer = step.layer
    if isinstance(found, OccyError):
        if isinstance(found, TarError) and not is_tar(layer):
            raise Unsupported(where, "read strictly as it came by, and it is no layer's tar", SAVE_FIRST)
        raise found
    check_claims(layer if is_tar(layer) else replace(layer, diff_id=None), found, where)
    return found


def _outcome(step: LayerStep, proof: LayerProof, rule: Rule | None, stage: Stage, where: str) -> LayerOutcome:
    assert rule is not None, "what is planned was written by a rule"
    if rule.act == "skip" and not isinstance(step, Skip):
        raise _Misled(f"{where} was announced to be another")
    if step.changes_blob:
        if rule.encoding != step.encoding:
            raise Unsupported(where, f"it came by as {_words(rule)}, and is to be {step.encoding}", SAVE_FIRST)
    elif isinstance(step, Skip):
        if step.chain is None and not stage.has(proof.source_digest, proof.size_in):
            raise _Misled(f"{where} is not what the destination has under that name")
    elif rule.act != "copy":
        raise Unsupported(where, f"it came by as {_words(rule)}, and is to stay as it is", SAVE_FIRST)
    return outcome_of(step, proof)


def _words(rule: Rule) -> str:
    return f"{rule.kind}, made {rule.encoding}" if rule.act == "recode" else f"{rule.kind}, {rule.act}"
