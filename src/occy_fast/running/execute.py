"""The front door of running a plan: its steps, or the rules of a stream, tried again as often as it allows."""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING

from occy_fast.context.call import Call
from occy_fast.errors import (
    OutputError,
    resource_errors,
)
from occy_fast.files.space import free_space
from occy_fast.log import log
from occy_fast.planning.plan import StreamPlan
from occy_fast.running.probe import nearest_directory
from occy_fast.running.result import ConvertResult
from occy_fast.running.steps_run import publish, run_steps
from occy_fast.running.stream_run import execute_stream
from occy_fast.transports.locator import Locator, working_directory
from occy_fast.transports.opening import open_destination, parse_locator
from occy_fast.words import format_size

if TYPE_CHECKING:

    from occy_fast.context.progress import ProgressCallback
    from occy_fast.planning.plan import Plan
    from occy_fast.spec.limits import Limits


@resource_errors()
def execute(
    plan: Plan | StreamPlan,
    *,
    limits: Limits | None = None,
    max_layer: int | None = None,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> ConvertResult:
    """Run *plan*: move and prove every blob, then publish all of it in one operation, or nothing.

    Args:
        plan: as plan() made it; how daemons are reached is part of it.
        limits, max_layer, workers, progress, cancel: as the package describes them.
    Returns:
        A ConvertResult: digest of what was published, its layers with both digests and sizes, names, seconds.
    Raises:
        UsageError: so many workers, or such a limit, cannot be.
        IntegrityError: bytes are not what they claim to be.
        LimitError: a layer is larger than allowed.
        OutputError: the destination cannot be written.
        TransportError: a daemon failed, as often as the plan allows.
        PlanStale: source or destination changed since the plan was made.
        Unsupported: a plan of rules turns out to be none for what came.
        InputError, ResourceError: the source cannot be read, or memory, threads or descriptors ran out.
        Cancelled: as the caller asked.
    """
    began = time.monotonic()
    # where the plan was made, paths stay as its maker wrote them, also in messages
    directory = "" if plan.directory == working_directory() else plan.directory
    access = plan.access.within(directory)
    call = Call.of(limits=limits, max_layer=max_layer, workers=workers, access=access, cancel=cancel, progress=progress)
    destination = parse_locator(plan.destination, directory)
    if isinstance(plan, StreamPlan):
        return execute_stream(plan, parse_locator(plan.source, directory), destination, call)
    check_space(plan, destination)
    log.info("%s -> %s: %d steps", plan.source, plan.destination, len(plan.steps))

    def attempt() -> ConvertResult:
        with open_destination(destination, plan.goal.archive_layout, call).stage() as stage:
            outcomes = run_steps(plan, stage, destination, call)
            return publish(plan, stage, outcomes, call, began)

    return call.retrying(attempt)


def check_space(plan: Plan, destination: Locator) -> None:
    """Raise OutputError if what is copied as it is does not fit already; what recoding comes to is not known before."""
    directory = nearest_directory(destination)
    free = None if directory is None else free_space(directory)
    if directory is not None and free is not None and plan.copied_bytes > free:
        needed = f"hold {format_size(plan.copied_bytes)} more, with {format_size(free)} free"
        raise OutputError(directory, errno.ENOSPC, needed)
