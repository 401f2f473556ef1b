"""The command `check`: tell what consumers will not read of an image, in their own words, and what mends it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from occy_fast.cli.daemon_options import reaching
from occy_fast.cli.options import LOCATOR, ExampleCommand, JobsType, TargetType, following_links, output_options
from occy_fast.cli.output import OutputMode, print_drawn, print_json, print_lines

if TYPE_CHECKING:
    from occy_fast.context.access import Access
    from occy_fast.image.place import Place
    from occy_fast.running.check import CheckReport
    from occy_fast.targets.judge import TargetFinding

_STYLES = {"error": "bold red", "warning": "yellow"}


@click.command(
    "check",
    cls=ExampleCommand,
    examples=[
        ("will docker load take this archive", "occy-fast check app.tar --target docker-20.10.24"),
        ("several at once, for a script: the exit code is the answer", "occy-fast check app.tar --target podman-4.3"),
        ("what a pipe brings", "docker save app:1 | occy-fast check - --target podman-4.3"),
        ("decode every layer too", "occy-fast check oci:out:app --target k3s --target docker-29 --deep"),
        ("what can be named", "occy-fast targets"),
    ],
)
@click.argument("source", metavar="SRC", type=LOCATOR)
@click.option(
    "-t",
    "--target",
    "targets",
    type=TargetType(),
    multiple=True,
    required=True,
    help="Who is to read it, such as docker-20.10 or docker-20.10.24; may be repeated.",
)
@click.option("--deep", is_flag=True, help="Decode every layer as well, and compare its digest with the config's.")
@click.option(
    "-j",
    "--jobs",
    "--workers",
    "workers",
    type=JobsType(),
    metavar="N",
    help="Workers for --deep. Default: every processor.",
)
@following_links
@reaching
@output_options
def check(
    *,
    source: str,
    targets: tuple[str, ...],
    deep: bool,
    workers: int | None,
    access: Access,
    follow_links: tuple[str, ...],
    mode: OutputMode,
) -> int:
    """Find out whether consumers will read the image at SRC: what fails, what they will say, what mends it.

    Archives are judged by what loads them (docker load, podman load), layouts by what pulls their manifests, with
    a note that docker load and ctr read no directory. Headers,
    first bytes and documents are read, layers only with --deep. The exit code is 10 where the image would fail at one
    of the targets; with --quiet it is all. What comes through a pipe has to come again to be mended.
    """
    from occy_fast import api
    from occy_fast.cli.progress import Watch

    with Watch(mode, source) as watch:
        checked = api.check(
            source,
            targets,
            deep=deep,
            workers=workers,
            access=access,
            follow_links=follow_links,
            progress=watch.callback,
        )
    if mode.json:
        print_json(checked.to_json())
    elif not mode.quiet:
        if sys.stdout is not None and sys.stdout.isatty():
            print_drawn(drawn_table(checked))
        else:
            print_lines(*checked_lines(checked))
    return checked.exit_code


def checked_lines(checked: CheckReport) -> list[str]:
    """Say what was found, a block for each target."""
    lines = [checked.locator]
    for target in checked.targets:
        lines.append(f"{target}{_row_of(checked, target)}: {_verdict(checked, target)}")
        for finding, places in _grouped(checked.findings, target):
            lines.append(f"  {finding.severity:<7}  {finding.rule}: {places}: {finding.problem}")
            if finding.says:
                lines.append(f"           it says: {finding.says}")
        lines += [f"  {label:<8} {text}" for label, text in _what_to_do(checked, target)]
    return lines + _remarks(checked)


def drawn_table(checked: CheckReport) -> str:
    """Draw the same for a terminal, as a table in colours."""
    import io
    import os

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from occy_fast.words import printable

    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=os.get_terminal_size(sys.stdout.fileno()).columns or 80)
    console.print(Text(printable(checked.locator)))
    for target in checked.targets:
        verdict = _verdict(checked, target)
        failed = any(finding.target == target for finding in checked.errors)
        told = (verdict, "bold red" if failed else "green")
        console.print(Text.assemble((target, "bold"), _row_of(checked, target), ": ", told))
        rows = list(_grouped(checked.findings, target))
        if rows:
            table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
            for head in ("", "rule", "place", "what", "it says"):
                table.add_column(head, overflow="fold")
            for finding, places in rows:
                cells = [finding.rule, places, finding.problem, finding.says]
                style = _STYLES[finding.severity]
                table.add_row(Text(finding.severity, style), *(Text(printable(cell)) for cell in cells))
            console.print(table)
        for label, text in _what_to_do(checked, target):     # not wrapped: it is to be copied
            told = (printable(text), "" if label == "note:" else "bold")
            console.print(Text.assemble((f"{label} ", "dim"), told), soft_wrap=True)
    for remark in _remarks(checked):
        console.print(Text(printable(remark), "dim"))
    return out.getvalue()


def _row_of(checked: CheckReport, target: str) -> str:
    """Say which range of versions speaks for a target that is none itself."""
    row = dict(zip(checked.targets, checked.rows, strict=False)).get(target, target)
    return "" if row == target else f" (as {row})"


def _verdict(checked: CheckReport, target: str) -> str:
    from occy_fast.targets.rules import BROKEN_ARCHIVE

    own = [finding for finding in checked.findings if finding.target == target]
    if any(finding.rule == BROKEN_ARCHIVE.id for finding in own):
        return "it is broken, whoever reads it"
    if any(finding.severity == "error" for finding in own):
        return "it will fail"
    if checked.unread is not None:
        return "not known, as it was not looked into"
    if own:
        return "it will not do in full"
    unknown = any(finding.target == target for finding in checked.unknown)
    return "nothing is known to be in the way" if unknown else "nothing in the way"


def _what_to_do(checked: CheckReport, target: str) -> list[tuple[str, str]]:
    """Return what is told below the findings for *target*: how it was judged, what mends it, what to run then."""
    told = list(dict.fromkeys(("mend:", f.fix) for f in checked.findings if f.target == target and f.fix is not None))
    for delivery in checked.deliveries:
        if delivery.target == target:
            told = [("note:", delivery.note)] * bool(delivery.note) + told
            told += [("convert:", delivery.convert)] if delivery.convert is not None else []
            told += [("next:", delivery.next)] if delivery.next is not None else []
    return told


def _remarks(checked: CheckReport) -> list[str]:
    from occy_fast.targets.rules import BROKEN_ARCHIVE

    lines = []
    for target in checked.targets:
        for finding, places in _grouped(checked.unknown, target):
            lines.append(f"not known: whether {target} reads it: {finding.rule}: {places}: {finding.problem}")
    if checked.unread is not None:
        lines.append(f"not looked into any further: {checked.unread}")
    elif not checked.deep and not any(finding.rule == BROKEN_ARCHIVE.id for finding in checked.findings):
        lines.append("headers and documents were read; --deep reads the layers as well")
    return lines


def _grouped(findings: tuple[TargetFinding, ...], target: str) -> list[tuple[TargetFinding, str]]:
    """Return the findings for *target* with their places, those together that differ in nothing else."""
    from occy_fast.image.place import format_places

    places: dict[tuple[str, ...], list[Place]] = {}
    first: dict[tuple[str, ...], TargetFinding] = {}
    for finding in findings:
        if finding.target == target:
            key = (finding.rule, finding.severity, finding.problem, finding.says)
            first.setdefault(key, finding)
            places.setdefault(key, []).append(finding.place)
    return [(finding, format_places(places[key])) for key, finding in first.items()]
