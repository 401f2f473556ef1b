"""The command `verify`: prove everything a source has, and tell every finding."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from occy_fast.cli.daemon_options import reaching
from occy_fast.cli.failure import error_document
from occy_fast.cli.options import LOCATOR, ExampleCommand, JobsType, voiced
from occy_fast.cli.output import Voice, print_json, print_lines
from occy_fast.cli.remedies import advice

if TYPE_CHECKING:
    from occy_fast.context.access import Access
    from occy_fast.image.validate import Finding
    from occy_fast.running.verify import VerifyReport

SCHEMA = 1


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
    "-j", "--jobs", type=JobsType(), metavar="N", help="Workers. Default: the processors this process may use."
)
@click.option(
    "--strict/--no-strict",
    default=True,
    show_default=True,
    help="Count tar entries as errors that readers are known to disagree about, not only those that Go refuses.",
)
@reaching
@voiced
def verify(*, source: str, jobs: int | None, strict: bool, access: Access, voice: Voice) -> int:
    """Read everything at SRC and prove it: blobs, sizes, diff_ids, layer counts, JSON, platforms, tar headers.

    Every finding is told, not only the first; the exit code is the worst one's. With --quiet the exit code is all.

    An archive may come from standard input: SRC is - then.
    """
    from occy_fast import api
    from occy_fast.cli.progress import Watch

    began = time.monotonic()
    with Watch(voice, source) as watch:
        report = api.verify(source, workers=jobs, strict=strict, access=access, progress=watch.callback)
    seconds = time.monotonic() - began
    if voice.json:
        print_json(report_document(report, seconds))
    elif not voice.quiet:
        print_lines(*report_lines(report, seconds))
    return report.exit_code


def report_lines(report: VerifyReport, seconds: float) -> list[str]:
    """Say what was found, a line per finding, and how much was looked at."""
    from occy_fast.words import format_count, format_rate, format_seconds, format_size

    lines = [report.locator]
    lines += [f"{finding.severity:<7}  {_text(finding)}" for finding in report.findings]
    errors = len(report.errors)
    others = len(report.findings) - errors
    verdict = format_count(errors, "error") if errors else "everything holds"
    if others:
        verdict += f", {format_count(others, 'warning')}"
    rate = f" ({format_rate(report.size, seconds)})" if report.size else ""
    seen = f"{format_count(report.images, 'image')}, {format_count(report.layers, 'layer')}, {format_size(report.size)}"
    return [*lines, f"{seen} in {format_seconds(seconds)}{rate}: {verdict}"]


def report_document(report: VerifyReport, seconds: float) -> dict[str, Any]:
    """Return the same as a JSON object; sizes are bytes."""
    return {
        "schema": SCHEMA,
        "locator": report.locator,
        "exit_code": report.exit_code,
        "images": report.images,
        "layers": report.layers,
        "bytes": report.size,
        "seconds": round(seconds, 6),
        "findings": [
            {
                "severity": finding.severity,
                "where": finding.where,
                "problem": finding.problem,
                "error": None if finding.error is None else error_document(finding.error, finding.error.exit_code),
            }
            for finding in report.findings
        ],
    }


def _text(finding: Finding) -> str:
    text = f"{finding.where}: {finding.problem}"
    if finding.error is None:
        return text
    remedy = finding.error.remedy or advice(finding.error)
    return f"{text} [{type(finding.error).__name__}]" + (f"; try: {remedy}" if remedy else "")
