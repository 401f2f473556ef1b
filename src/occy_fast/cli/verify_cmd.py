"""The command `verify`: prove everything a source has, and tell every finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from occy_fast.cli.daemon_options import reaching
from occy_fast.cli.options import LOCATOR, ExampleCommand, JobsType, following_links, output_options
from occy_fast.cli.output import OutputMode, print_json, print_lines
from occy_fast.running.remedies import advice

if TYPE_CHECKING:
    from occy_fast.context.access import Access
    from occy_fast.image.finding import Finding
    from occy_fast.running.verify import VerifyReport


@click.command(
    "verify",
    cls=ExampleCommand,
    examples=[
        ("is this archive whole, and does it say the truth", "occy-fast verify app.tar"),
        ("one image of a layout, for a script: the exit code is the answer", "occy-fast verify oci:out:app --quiet"),
        ("every finding, with its fields", "occy-fast verify oci:out --json | jq '.findings[]'"),
    ],
)
@click.argument("source", metavar="SRC", type=LOCATOR)
@click.option(
    "-j",
    "--jobs",
    "--workers",
    "workers",
    type=JobsType(),
    metavar="N",
    help="Workers. Default: the processors this process may use.",
)
@click.option(
    "--strict/--no-strict",
    default=True,
    show_default=True,
    help="Count tar entries as errors that readers are known to disagree about, not only those that Go refuses.",
)
@following_links
@reaching
@output_options
def verify(
    *,
    source: str,
    workers: int | None,
    strict: bool,
    access: Access,
    follow_links: tuple[str, ...],
    mode: OutputMode,
) -> int:
    """Read everything at SRC and prove it: blobs, sizes, diff_ids, layer counts, JSON, platforms, tar headers.

    Every finding is told, not only the first; the exit code is the worst one's. With --quiet the exit code is all.

    An archive may come from standard input: SRC is - then.
    """
    from occy_fast import api
    from occy_fast.cli.progress import Watch

    with Watch(mode, source) as watch:
        report = api.verify(
            source,
            workers=workers,
            strict=strict,
            access=access,
            follow_links=follow_links,
            progress=watch.callback,
        )
    if mode.json:
        print_json(report.to_json())
    elif not mode.quiet:
        print_lines(*report_lines(report))
    return report.exit_code


def report_lines(report: VerifyReport) -> list[str]:
    """Say what was found, a line per finding, and how much was looked at."""
    from occy_fast.words import format_count, format_rate, format_seconds, format_size

    lines = [report.locator]
    lines += [f"{finding.severity:<7}  {_text(finding)}" for finding in report.findings]
    rate = f" ({format_rate(report.size, report.seconds)})" if report.size else ""
    seen = f"{format_count(report.images, 'image')}, {format_count(report.layers, 'layer')}, {format_size(report.size)}"
    return [*lines, f"{seen} in {format_seconds(report.seconds)}{rate}: {report.verdict()}"]


def _text(finding: Finding) -> str:
    text = f"{finding.where}: {finding.problem}"
    if finding.error is None:
        return text
    remedy = finding.error.remedy or advice(finding.error)
    return f"{text} [{type(finding.error).__name__}]" + (f"; try: {remedy}" if remedy else "")
