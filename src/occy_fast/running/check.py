"""Whether consumers of images will read what a locator names, and the command that puts right what they will not."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from occy_fast.context.access import USUAL_ACCESS, Access
from occy_fast.context.call import Call
from occy_fast.errors import (
    BadArchive,
    BadDigest,
    BadJSON,
    BadManifest,
    DigestMismatch,
    LimitError,
    OccyError,
    Unsupported,
    UnsupportedFormat,
    UsageError,
    resource_errors,
)
from occy_fast.image.graph import child_place, images, layers, leaves, roots, unreadable
from occy_fast.image.place import place_of
from occy_fast.image.validate import validate
from occy_fast.running.delivery import Delivery, delivery_of
from occy_fast.running.examine import examine
from occy_fast.running.fix import find_mend
from occy_fast.running.report_document import check_document
from occy_fast.running.source_traits import configs_of, loader_view_of, skippable_layers, traits_of
from occy_fast.running.unpacking import unpack_traits
from occy_fast.targets.catalog import find_target
from occy_fast.targets.config_traits import ConfigReader, knows_configs
from occy_fast.targets.judge import TargetFinding, judge
from occy_fast.targets.rules import BROKEN_IMAGE, CORRUPT_LAYER, DIFF_ID_MISMATCH, DIGEST_MISMATCH, UNREADABLE
from occy_fast.targets.traits import Trait, no_image_traits
from occy_fast.transports.opening import check_access, parse_locator
from occy_fast.words import format_count, printable

if TYPE_CHECKING:
    from occy_fast.context.progress import ProgressCallback
    from occy_fast.image.finding import Finding
    from occy_fast.image.image import Contents
    from occy_fast.image.loader_view import LoaderView
    from occy_fast.running.examine import Examination
    from occy_fast.running.fix import Mend
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.limits import Limits
    from occy_fast.targets.target import Target
    from occy_fast.transports.locator import Locator


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What check found.

    Attributes:
        targets: their names, as they were asked for.
        rows: for each of them, the range of versions it was judged as: "docker-20.10" for "docker-20.10.24".
        findings: for one target after the other.
        unknown: what is remarkable, and nobody knows whether the target reads it.
        unread: why the images were not looked into beyond what their archive shows; None if they were.
        deep: every layer was decoded and its digest taken.
        deliveries: how the image, or what mends it, comes to those targets of which there is something to say.
    """

    locator: str
    targets: tuple[str, ...]
    findings: tuple[TargetFinding, ...]
    unknown: tuple[TargetFinding, ...] = ()
    unread: OccyError | None = None
    deep: bool = False
    rows: tuple[str, ...] = ()
    deliveries: tuple[Delivery, ...] = ()

    @property
    def ok(self) -> bool:
        """Tell whether every target will read the image: no finding is an error, all of it was looked at, exit code 0.

        Warnings are no errors, nor is what nobody knows (`unknown`).
        """
        return not self.errors and self.unread is None

    @property
    def errors(self) -> tuple[TargetFinding, ...]:
        """Return the findings for which the image fails."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def exit_code(self) -> int:
        """Return 10 where the image fails at one of the targets, else the code of why it was not looked into, or 0."""
        if self.errors:
            return 10
        return self.unread.exit_code if self.unread is not None else 0

    def to_json(self) -> dict[str, Any]:
        """Return what `occy-fast check --json` prints, as plain JSON values."""
        return check_document(self)

    def __repr__(self) -> str:
        errors, others = len(self.errors), len(self.findings) - len(self.errors)
        verdict = f"{format_count(errors, 'error')}, {format_count(others, 'warning')}"
        unread = ", not looked into any further" if self.unread is not None else ""
        return f"CheckReport({printable(self.locator)} for {', '.join(self.targets)}: {verdict}{unread})"


@resource_errors()
def check(
    locator: str | os.PathLike[str],
    targets: Iterable[str | Target],
    *,
    deep: bool = False,
    limits: Limits | None = None,
    max_layer: int | None = None,
    workers: int | None = None,
    access: Access = USUAL_ACCESS,
    follow_links: Iterable[str | os.PathLike[str]] = (),
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> CheckReport:
    """Find out whether *targets* will read what *locator* names: from headers, first bytes and documents.

    Args:
        locator: text such as "docker-archive:app.tar", or a path.
        targets: names such as "docker-20.10" or "docker-20.10.24".
        deep: read every layer as well, take the digest of the tar inside, and find out whether it can be unpacked.
        limits, max_layer, workers, access, follow_links, progress, cancel: as the package describes them.
    Returns:
        A CheckReport; its `ok` says whether all targets will read it, its findings what fails, what they will say, and
        the command that mends it.
    Raises:
        UnknownTarget, UsageError, NotFound, InputError, ResourceError, Unsupported, LimitError, TransportError,
        Cancelled, and nothing that an image could be guilty of.
    """
    if isinstance(targets, str):
        raise UsageError(f"targets are several names, and '{targets}' is one", f"name ['{targets}']")
    named = (find_target(target) if isinstance(target, str) else target for target in targets)
    wanted = tuple({target.name: target for target in named}.values())
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
    seen = call.retrying(lambda: examine(where, call, deep=deep))
    judged = list(_judged(wanted, where, seen, call))
    found = [finding for findings, _ in judged for finding in findings]
    return CheckReport(
        where.text,
        tuple(target.name for target in wanted),
        tuple(finding for finding in found if finding.severity != "unknown"),
        tuple(finding for finding in found if finding.severity == "unknown"),
        seen.unread,
        seen.report is not None,
        tuple(target.row for target in wanted),
        tuple(delivery for _, delivery in judged if delivery is not None),
    )


_Judged = tuple[tuple[TargetFinding, ...], Delivery | None]


def _judged(targets: Iterable[Target], where: Locator, seen: Examination, call: Call) -> Iterator[_Judged]:
    """Yield what each of *targets* makes of what was seen, and how that comes to it, one after the other."""
    view, contents, unread, report = seen.view, seen.contents, seen.unread, seen.report
    wrong = list(_broken(where.text, contents, unread, view, call.limits))
    skippable: frozenset[Digest] = frozenset()
    if contents is not None:
        wrong += no_image_traits(contents)               # which a plan refuses by itself
        skippable = skippable_layers(contents)
        if report is not None:
            wrong += _proved(contents, report.errors, view)
            for problem in seen.unpacking:
                wrong += unpack_traits(problem)
    # What came by with nobody looking into its layers has images all the same, once somebody does.
    unseen = isinstance(unread, Unsupported) and not isinstance(unread, UnsupportedFormat)
    fixable = contents is not None or (unseen and view is not None and view.layout == "legacy")
    held = view if view is not None or contents is None else loader_view_of(contents)
    unlisted = _unlisted(contents) if contents is not None and view is not None and view.dual else frozenset()
    reader = ConfigReader()
    for target in targets:
        unseen_by = unlisted if target.support("load.oci_archive").answer != "yes" else ()
        traits = [*traits_of(held, contents, target, skippable)]
        if not _decoded(unread, target):
            traits += (trait for trait in wrong if (trait.place.image, trait.place.platform) not in unseen_by)
        form, configs = configs_of(held, contents, unread, target)
        traits += reader.traits(configs, form, target)
        mend = find_mend(where, target, view, contents, call) if fixable else None
        judged = judge(traits, target, None if mend is None else mend.command)
        if not _decoded(unread, target) and not any(finding.severity == "error" for finding in judged):
            judged += judge(_undecoded(where.text, unread, view), target)
        if any(finding.severity == "error" and finding.fix is None for finding in judged):
            judged = tuple(replace(finding, fix=None) for finding in judged)    # a part of it would put nothing right
        yield judged, _delivery(target, where, seen, mend, judged)


def _delivery(
    target: Target, where: Locator, seen: Examination, mend: Mend | None, judged: tuple[TargetFinding, ...]
) -> Delivery | None:
    """Return how what was seen comes to *target*; None as well where nothing makes of it what the target reads."""
    mended = any(finding.fix is not None for finding in judged)
    if seen.contents is None or (not mended and any(finding.severity == "error" for finding in judged)):
        return None
    directory = seen.view is not None and seen.view.layout == "layout"
    return delivery_of(target, where, mend, directory=directory, mended=mended)


def _decoded(unread: OccyError | None, target: Target) -> bool:
    """Tell whether it is for a config alone that the images cannot be read, of which *target* has its own judgement."""
    return unread is not None and unread.document is not None and knows_configs(target)


def _broken(
    locator: str, contents: Contents | None, unread: OccyError | None, view: LoaderView | None, limits: Limits
) -> Iterator[Trait]:
    """Yield what is wrong whoever reads it; of a docker-archive its view tells, in the order its loaders look."""
    listed = view is not None and view.layout in ("docker-archive", "legacy")
    if unread is not None and not listed:
        yield Trait(UNREADABLE, place_of(unread, locator), unread.describe())
    if contents is not None and not listed:
        for within, image in images(contents):
            for finding in validate(image, "", limits, within):
                if finding.severity == "error":
                    yield Trait(BROKEN_IMAGE, finding.place, finding.problem)


def _unlisted(contents: Contents) -> frozenset[tuple[int | None, str]]:
    """Return the numbers and platforms of images that only index.json names, and who reads manifest.json never sees."""
    found = set[tuple[int | None, str]]()
    for (within, root), named in zip(roots(contents), contents.images, strict=True):
        for leaf in leaves(root):
            if named.beside or (named.default is not None and leaf.digest != named.default.digest):
                place = within if leaf is root else child_place(within, leaf)
                found.add((place.image, place.platform))
    return frozenset(found)


def _undecoded(locator: str, unread: OccyError | None, view: LoaderView | None) -> Iterator[Trait]:
    """Yield what no loader decodes, where the view alone shows nothing: a document with a value of another kind."""
    of_images = view is not None and (bool(view.images) or view.layout == "legacy")
    if of_images and isinstance(unread, BadJSON | BadManifest | BadDigest | BadArchive):
        yield Trait(UNREADABLE, place_of(unread, locator), unread.describe())


def _proved(contents: Contents, found: tuple[Finding, ...], view: LoaderView | None) -> Iterator[Trait]:
    """Yield what reading every layer has shown."""
    loaded = view is not None and view.layout == "docker-archive"
    feature = "load.diff_id_mismatch" if loaded else ""
    told = [*unreadable(contents)]
    for finding in found:
        error = finding.error
        if error is None or any(error is one for one in told):
            continue
        if isinstance(error, LimitError):                # ours, and nobody knows what the rest of the layer is
            raise error
        if not isinstance(error, DigestMismatch):
            yield Trait(CORRUPT_LAYER, finding.place, error.describe())
            continue
        for place, layer in layers(contents):
            if layer.diff_id == error.expected or layer.digest == error.expected:
                number = str((place.number or 1) - 1)    # loaders count from 0
                words = (("number", number), ("expected", str(error.expected)), ("found", str(error.found)))
                rule = DIFF_ID_MISMATCH if layer.diff_id == error.expected else DIGEST_MISMATCH
                yield Trait(rule, place, error.describe(), words, feature)
