"""The public functions.

All of them may be called from several threads at once: they share no state, and what they return is immutable. One call
belongs to the thread that makes it; its progress is reported on that thread, and its cancel event may be set from any.
Nothing is printed; messages go to the logger "occy_fast", whose set-up is the caller's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from occy_fast.context.access import USUAL_ACCESS, Access
from occy_fast.context.call import Call, limits_of_call
from occy_fast.errors import BadReference, UsageError, resource_errors
from occy_fast.image.image import Contents
from occy_fast.kernels.build import build_info
from occy_fast.planning.goal import Goal
from occy_fast.planning.planner import make_plan
from occy_fast.planning.stream_planner import make_rules
from occy_fast.running.check import check
from occy_fast.running.execute import execute
from occy_fast.running.inspect import inspect
from occy_fast.running.probe import probe
from occy_fast.running.recompress import recompress
from occy_fast.running.verify import verify
from occy_fast.spec.encoding import Encoding, parse_encoding
from occy_fast.spec.platform import ALL_PLATFORMS, Platform, parse_platform
from occy_fast.spec.reference import parse_reference
from occy_fast.targets.catalog import find_target
from occy_fast.transports.archive.stream import ArchiveStream
from occy_fast.transports.locator import parse_locator, working_directory
from occy_fast.transports.opening import check_access, open_destination, open_source

if TYPE_CHECKING:
    from occy_fast.context.progress import ProgressCallback
    from occy_fast.planning.goal import ArchiveLayout, Attestations, Format, Keep, Verify
    from occy_fast.planning.plan import Plan, StreamPlan
    from occy_fast.running.result import ConvertResult
    from occy_fast.spec.limits import Limits
    from occy_fast.targets.target import Target

__all__ = [
    "build_info",
    "check",
    "convert",
    "execute",
    "inspect",
    "make_goal",
    "open_image",
    "plan",
    "recompress",
    "verify",
]


@contextmanager
def open_image(
    locator: str, *, limits: Limits | None = None, access: Access = USUAL_ACCESS
) -> Iterator[Contents]:
    """Open what *locator* names and show it as plain data: documents and addresses, no layer's bytes.

    Args:
        limits: what the documents may ask for; None takes the defaults, and what OCCY_FAST_MAX_... variables set.
    Raises:
        UsageError, NotFound, InputError, ResourceError, IntegrityError, LimitError, PathError, Unsupported.
    """
    with ExitStack() as opened:
        with resource_errors():
            where = parse_locator(locator)
            check_access(access, where)
            source = opened.enter_context(open_source(where, Call.of(limits=limits, access=access)))
            contents = source.read()
        yield contents


def make_goal(
    *,
    encoding: str | Encoding | None = None,
    format: Format = "keep",
    platforms: Iterable[str | Platform] = (),
    verify: Verify = "blobs",
    link: bool = False,
    strict: bool = False,
    attestations: Attestations = "keep",
    archive_layout: ArchiveLayout = "universal",
    target: str | Target | None = None,
    tags: Iterable[str] = (),
) -> Goal:
    """Make a Goal of words: "zstd:3" or "keep", "linux/arm64", "docker-20.10". Raises UsageError, Unsupported."""
    wanted: Encoding | Keep | None = "keep"
    if encoding != "keep":
        wanted = parse_encoding(encoding) if isinstance(encoding, str) else encoding
        if isinstance(wanted, Encoding):  # Goal refuses what is none
            wanted = wanted.check_level()
    parsed, found = _parse_platforms(platforms), _find(target)
    if isinstance(tags, str):
        raise UsageError(f"tags are several, and '{tags}' is one", f"name ['{tags}']")
    names = tuple(map(_parse_tag, tags))
    return Goal(wanted, format, parsed, verify, link, strict, attestations, archive_layout, found, names)


def _parse_tag(text: str) -> str:
    name = parse_reference(text).with_default_tag()
    if name.digest is not None:
        raise BadReference(text, "a digest is no name to give")
    return name.full()


def _find(target: str | Target | None) -> Target | None:
    return find_target(target) if isinstance(target, str) else target


def _parse_platforms(platforms: Iterable[str | Platform]) -> tuple[Platform, ...]:
    if isinstance(platforms, str):
        raise UsageError(f"platforms are several, and '{platforms}' is one", f"name ['{platforms}']")
    named = tuple(platforms)
    if ALL_PLATFORMS in named:
        if len(named) > 1:
            raise UsageError(f"'{ALL_PLATFORMS}' stands beside other platforms", "leave it out, or them")
        return ()
    return tuple(parse_platform(platform) if isinstance(platform, str) else platform for platform in named)


@resource_errors()
def plan(
    source: str,
    destination: str,
    *,
    encoding: str | Encoding | None = None,
    format: Format = "keep",
    platforms: Iterable[str | Platform] = (),
    verify: Verify = "blobs",
    link: bool = False,
    strict: bool = False,
    attestations: Attestations = "keep",
    archive_layout: ArchiveLayout = "universal",
    target: str | Target | None = None,
    tags: Iterable[str] = (),
    workers: int | None = None,
    limits: Limits | None = None,
    access: Access = USUAL_ACCESS,
) -> Plan | StreamPlan:
    """Read the source's documents, ask the destination what it has, and decide; nothing is written.

    An archive from a pipe, or compressed as a whole, is not touched: for what comes by once the plan is one of rules.

    Args:
        source, destination: locators.
        encoding: "none", "gzip", "zstd", with a level as in "zstd:3" to have it made by this library's encoder; "keep"
            demands that no layer changes; None changes only what the destination cannot hold.
        format: "oci", "docker" or "keep".
        platforms: such as "linux/arm64"; none, or "all", takes all that the destination can hold.
        verify: "blobs"; "layers"; or "destination", which also reads what is there already, and replaces it if damaged.
        link: blobs may be hard links to the source's files.
        strict: refuse layers whose tars readers are known to disagree about; each is read for it.
        attestations: "keep" brings them along where the destination can hold them, "drop" leaves them out.
        archive_layout: of a docker-archive: "universal", which every consumer loads, or "docker-20.10", as Docker 1.10
            to 24 writes it: a directory for every layer, and all of them uncompressed.
        target: who is to read the result, such as "docker-20.10.24": what that is known to refuse is changed.
        tags: further names for the image, in a docker-archive or daemon.
        workers: what execute will be given, for the memory it takes.
        limits: what the documents may ask for; None takes the defaults, and what OCCY_FAST_MAX_... variables set.
        access: where a daemon listens, and how patient to be with it; execute is as patient.
    Returns:
        A Plan or StreamPlan, which may be printed, pickled and executed elsewhere: relative paths start where it was
        made.
    Raises:
        UsageError, NotFound, InputError, ResourceError, IntegrityError, Unsupported, LimitError, PathError,
        TransportError.
    """
    goal = make_goal(
        encoding=encoding,
        format=format,
        platforms=platforms,
        verify=verify,
        link=link,
        strict=strict,
        attestations=attestations,
        archive_layout=archive_layout,
        target=target,
        tags=tags,
    )
    where_from, where_to = parse_locator(source), parse_locator(destination)
    check_access(access, where_from, where_to)
    call = Call.of(limits=limits, workers=workers, access=access)

    def attempt() -> Plan | StreamPlan:
        place = open_destination(where_to, archive_layout, call)
        with open_source(where_from, call, lenient=goal.target is not None) as opened:
            if isinstance(opened, ArchiveStream):
                expected = opened.expected_diff_ids()
                view = opened.loader_view() if goal.target is not None else None
                facts = probe(Contents(source, "", ()), view, place, goal, call, expected)
                rules = make_rules(
                    source, goal, place.capabilities(), facts, destination=destination, reference=place.reference
                )
                return replace(rules, expected_diff_ids=expected)
            contents = opened.read()
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

    relative = where_from.is_relative or where_to.is_relative or access.is_relative
    return replace(call.retrying(attempt), access=access, directory=working_directory() if relative else "")


def convert(
    source: str,
    destination: str,
    *,
    encoding: str | Encoding | None = None,
    format: Format = "keep",
    platforms: Iterable[str | Platform] = (),
    verify: Verify = "blobs",
    link: bool = False,
    strict: bool = False,
    attestations: Attestations = "keep",
    archive_layout: ArchiveLayout = "universal",
    target: str | Target | None = None,
    tags: Iterable[str] = (),
    workers: int | None = None,
    access: Access = USUAL_ACCESS,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
    max_layer: int | None = None,
    limits: Limits | None = None,
) -> ConvertResult:
    """Plan and execute in one call; the arguments are theirs.

    Returns:
        A ConvertResult: digest of what was published, its layers with both digests and sizes, names, seconds.
    Raises:
        OccyError: nothing was published, and nothing is left behind.
    """
    held = limits_of_call(limits, max_layer)
    decided = plan(
        source,
        destination,
        encoding=encoding,
        format=format,
        platforms=platforms,
        verify=verify,
        link=link,
        strict=strict,
        attestations=attestations,
        archive_layout=archive_layout,
        target=target,
        tags=tags,
        workers=workers,
        limits=held,
        access=access,
    )
    return execute(decided, workers=workers, progress=progress, cancel=cancel, limits=held)
