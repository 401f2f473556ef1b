"""The public functions.

All of them may be called from several threads at once: they share no state, and what they return is immutable. One call
belongs to the thread that makes it; its progress is reported on that thread, and its cancel event may be set from any.
Nothing is printed; messages go to the logger "occy_fast", whose set-up is the caller's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from occy_fast.errors import BadReference
from occy_fast.image.image import Contents
from occy_fast.kernels.build import build_info
from occy_fast.planning.access import USUAL_ACCESS, Access
from occy_fast.planning.goal import Goal
from occy_fast.planning.planner import make_plan
from occy_fast.planning.rules import make_rules
from occy_fast.running.execute import execute
from occy_fast.running.inspect import inspect
from occy_fast.running.patience import try_patiently
from occy_fast.running.probe import probe
from occy_fast.running.recompress import recompress
from occy_fast.running.verify import verify
from occy_fast.spec.encoding import Encoding, parse_encoding
from occy_fast.spec.platform import Platform, parse_platform
from occy_fast.spec.reference import parse_reference
from occy_fast.transports.archive_stream import ArchiveStream
from occy_fast.transports.locate import check_socket, open_destination, open_source

if TYPE_CHECKING:
    from occy_fast.planning.goal import Format, Keep, Verify
    from occy_fast.planning.rules import RulePlan
    from occy_fast.planning.steps import Plan
    from occy_fast.running.outcome import Result
    from occy_fast.running.progress import ProgressCallback

__all__ = ["build_info", "convert", "execute", "inspect", "make_goal", "open_image", "plan", "recompress", "verify"]


@contextmanager
def open_image(locator: str, *, access: Access = USUAL_ACCESS) -> Iterator[Contents]:
    """Open what *locator* names and show it as plain data: documents and addresses, no layer's bytes.

    Raises:
        UsageError, NotFound, IntegrityError, LimitError, PathError, Unsupported.
    """
    with open_source(locator, access) as source:
        yield source.read()


def make_goal(
    *,
    encoding: str | Encoding | None = None,
    format: Format = "keep",
    platforms: Iterable[str | Platform] = (),
    verify: Verify = "blobs",
    link: bool = False,
    tags: Iterable[str] = (),
) -> Goal:
    """Make a Goal of words: "zstd:3" or "keep", "linux/arm64". Raises UsageError, Unsupported."""
    wanted: Encoding | Keep | None = "keep"
    if encoding != "keep":
        wanted = parse_encoding(encoding) if isinstance(encoding, str) else encoding
        if isinstance(wanted, Encoding):  # Goal refuses what is none
            wanted = wanted.check_level()
    parsed = tuple(parse_platform(text) if isinstance(text, str) else text for text in platforms)
    names = tuple(parse_reference(text).with_default_tag() for text in tags)
    for name in names:
        if name.digest is not None:
            raise BadReference(str(name), "a digest is no name to give")
    return Goal(wanted, format, parsed, verify, link, tuple(name.full() for name in names))


def plan(
    source: str,
    destination: str,
    *,
    encoding: str | Encoding | None = None,
    format: Format = "keep",
    platforms: Iterable[str | Platform] = (),
    verify: Verify = "blobs",
    link: bool = False,
    tags: Iterable[str] = (),
    workers: int | None = None,
    access: Access = USUAL_ACCESS,
) -> Plan | RulePlan:
    """Read the source's documents, ask the destination what it has, and decide; nothing is written.

    An archive from a pipe, or compressed as a whole, is not touched: for what comes by once the plan is one of rules.

    Args:
        source, destination: locators.
        encoding: "none", "gzip", "zstd", with a level as in "zstd:3" to have it made by this library's encoder; "keep"
            demands that no layer changes; None changes only what the destination cannot hold.
        format: "oci", "docker" or "keep".
        platforms: such as "linux/arm64"; none takes all that the destination can hold.
        verify: "blobs" or "layers".
        link: blobs may be hard links to the source's files.
        tags: further names for the image, in an archive or daemon.
        workers: what execute will be given, for the memory it takes.
        access: where a daemon listens, and how patient to be with it; execute is as patient.
    Returns:
        A Plan or RulePlan, which may be printed, pickled and executed elsewhere.
    Raises:
        UsageError, NotFound, IntegrityError, Unsupported, LimitError, PathError, TransportError.
    """
    goal = make_goal(encoding=encoding, format=format, platforms=platforms, verify=verify, link=link, tags=tags)

    check_socket(source, destination, access)

    def attempt() -> Plan | RulePlan:
        target = open_destination(destination, access)
        with open_source(source, access) as opened:
            if isinstance(opened, ArchiveStream):
                announced = opened.announced()
                facts = probe(Contents(source, "", ()), target, goal, workers, announced)
                rules = make_rules(
                    source, goal, target.capabilities(), facts, destination=destination, reference=target.reference
                )
                return replace(rules, announced=announced)
            contents = opened.read()
            facts = probe(contents, target, goal, workers)
            return make_plan(
                contents, goal, target.capabilities(), facts, destination=destination, reference=target.reference
            )

    return replace(try_patiently(access, attempt), access=access)


def convert(
    source: str,
    destination: str,
    *,
    encoding: str | Encoding | None = None,
    format: Format = "keep",
    platforms: Iterable[str | Platform] = (),
    verify: Verify = "blobs",
    link: bool = False,
    tags: Iterable[str] = (),
    workers: int | None = None,
    access: Access = USUAL_ACCESS,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
    max_layer: int | None = None,
) -> Result:
    """Plan and execute in one call; the arguments are theirs.

    Returns:
        A Result: digest of what was published, its layers with both digests and sizes, names, seconds.
    Raises:
        OccyError: nothing was published, and nothing is left behind.
    """
    decided = plan(
        source,
        destination,
        encoding=encoding,
        format=format,
        platforms=platforms,
        verify=verify,
        link=link,
        tags=tags,
        workers=workers,
        access=access,
    )
    return execute(decided, workers=workers, progress=progress, cancel=cancel, max_layer=max_layer)
