"""The public functions.

All of them may be called from several threads at once: they share no state, and what they return is immutable. One call
belongs to the thread that makes it; its progress is reported on that thread, and its cancel event may be set from any.
Nothing is printed; messages go to the logger "occy_fast", whose set-up is the caller's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from occy_fast.context.access import USUAL_ACCESS, Access
from occy_fast.context.call import Call, limits_of_call
from occy_fast.errors import Unsupported, resource_errors
from occy_fast.image.graph import check_readable
from occy_fast.image.image import Contents
from occy_fast.kernels.build import build_info
from occy_fast.planning.goal_words import GoalWords, make_goal, takes_goal_words
from occy_fast.planning.planner import make_plan
from occy_fast.planning.stream_planner import make_rules
from occy_fast.running.check import check
from occy_fast.running.execute import execute
from occy_fast.running.inspect import inspect
from occy_fast.running.probe import probe
from occy_fast.running.recompress import recompress
from occy_fast.running.verify import verify
from occy_fast.transports.base import is_stream
from occy_fast.transports.locator import working_directory
from occy_fast.transports.opening import check_access, open_destination, open_source, parse_locator
from occy_fast.words import format_count

if TYPE_CHECKING:
    from os import PathLike
    from typing import Unpack

    from occy_fast.context.progress import ProgressCallback
    from occy_fast.planning.goal import Goal
    from occy_fast.planning.plan import Plan, StreamPlan
    from occy_fast.running.result import ConvertResult
    from occy_fast.spec.limits import Limits
    from occy_fast.transports.base import Source
    from occy_fast.transports.locator import Locator

__all__ = ["build_info", "check", "convert", "execute", "inspect", "open_image", "plan", "recompress", "verify"]


@contextmanager
def open_image(
    locator: str | PathLike[str],
    *,
    limits: Limits | None = None,
    max_layer: int | None = None,
    workers: int | None = None,
    access: Access = USUAL_ACCESS,
    follow_links: Iterable[str | PathLike[str]] = (),
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> Iterator[Contents]:
    """Open what *locator* names and show it as plain data: documents and addresses, no layer's bytes.

    Args:
        locator: text such as "oci:dir:app", or a path, of which the transport is detected.
        limits, max_layer, workers, access, follow_links, progress, cancel: as the package describes them; an
            archive from before Docker 1.10 names no diff_ids, and its layers are decoded for them.
    Yields:
        Contents, whose blobs can be read until the context is left.
    Raises:
        UsageError, NotFound, InputError, ResourceError, IntegrityError, LimitError, PathError, Unsupported,
        TransportError, Cancelled.
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

    def attempt() -> tuple[Source, Contents]:
        with ExitStack() as opened:
            source = opened.enter_context(open_source(where, call))
            contents = source.read()
            check_readable(contents)
            opened.pop_all()                         # kept open, as all went well
        return source, contents

    with resource_errors():
        source, contents = call.retrying(attempt)
    with closing(source):
        yield contents


@takes_goal_words
@resource_errors()
def plan(
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    limits: Limits | None = None,
    max_layer: int | None = None,
    workers: int | None = None,
    access: Access = USUAL_ACCESS,
    follow_links: Iterable[str | PathLike[str]] = (),
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
    **words: Unpack[GoalWords],
) -> Plan | StreamPlan:
    """Read the source's documents, ask the destination what it has, and decide; nothing is written.

    An archive from a pipe, or compressed as a whole, is not touched: for a stream the plan is one of rules.

    Args:
        source: a locator, or a path.
        destination: a locator; a path alone does not say what is to be written there.
        **words: what is asked, as GoalWords has it.
        limits, max_layer, workers, access, follow_links, progress, cancel: as the package describes them; execute
            is given *workers* of its own, and is as patient as *access* says.
    Returns:
        A Plan or StreamPlan, which may be printed, pickled and executed elsewhere: relative paths start where it was
        made.
    Raises:
        UsageError, NotFound, InputError, ResourceError, IntegrityError, Unsupported, LimitError, PathError,
        TransportError, Cancelled.
    """
    goal = make_goal(**words)
    where_from, where_to = parse_locator(source), parse_locator(destination)
    check_access(access, where_from, where_to)
    call = Call.of(
        limits=limits,
        max_layer=max_layer,
        workers=workers,
        access=access,
        cancel=cancel,
        progress=progress,
        follow_links=follow_links,
    )
    decided = call.retrying(lambda: _plan_once(where_from, where_to, goal, call))
    relative = where_from.is_relative or where_to.is_relative or access.is_relative
    return replace(decided, access=access, directory=working_directory() if relative else "")


def _check_in_place(contents: Contents, where_to: Locator) -> None:
    """Raise Unsupported where an archive would take its own place, and the images of it that were not asked for go."""
    if not (contents.others and os.path.isfile(contents.path)):  # in a directory, what is written joins what is there
        return
    if os.path.realpath(contents.path) == os.path.realpath(where_to.path):
        lost = format_count(contents.others, "other image")
        raise Unsupported(where_to.text, f"it is the source, and {lost} of it would be lost", "name another file")


def _plan_once(where_from: Locator, where_to: Locator, goal: Goal, call: Call) -> Plan | StreamPlan:
    place = open_destination(where_to, goal.archive_layout, call)
    source, destination = where_from.text, where_to.text
    with open_source(where_from, call, lenient=goal.target is not None) as opened:
        if is_stream(opened):
            expected = opened.expected_diff_ids()
            view = opened.loader_view() if goal.target is not None else None
            facts = probe(Contents(source, "", ()), view, place, goal, call, expected)
            rules = make_rules(
                source, goal, place.capabilities(), facts, destination=destination, reference=place.reference
            )
            return replace(rules, expected_diff_ids=expected)
        contents = opened.read()
        _check_in_place(contents, where_to)
        view = opened.loader_view() if goal.target is not None else None
        facts = probe(contents, view, place, goal, call)
        return make_plan(
            contents,
            goal,
            place.capabilities(),
            facts,
            destination=destination,
            reference=place.reference,
            limits=call.limits,
        )

@takes_goal_words
def convert(
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    limits: Limits | None = None,
    max_layer: int | None = None,
    workers: int | None = None,
    access: Access = USUAL_ACCESS,
    follow_links: Iterable[str | PathLike[str]] = (),
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
    **words: Unpack[GoalWords],
) -> ConvertResult:
    """Plan and execute in one call.

    Args:
        source: a locator, or a path.
        destination: a locator; a path alone does not say what is to be written there.
        **words: what is asked, as GoalWords has it.
        limits, max_layer, workers, access, follow_links, progress, cancel: as the package describes them.
    Returns:
        A ConvertResult: digest of what was published, its layers with both digests and sizes, names, seconds.
    Raises:
        OccyError: what plan and execute raise; nothing was published, and nothing is left behind.
    """
    held = limits_of_call(limits, max_layer)
    decided = plan(
        source,
        destination,
        limits=held,
        workers=workers,
        access=access,
        follow_links=follow_links,
        progress=progress,
        cancel=cancel,
        **words,
    )
    return execute(decided, limits=held, workers=workers, progress=progress, cancel=cancel)
