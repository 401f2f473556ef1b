"""The command `inspect`: show what is in a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from occy_fast.cli.daemon_options import reaching
from occy_fast.cli.options import LOCATOR, ExampleCommand, following_links, output_options
from occy_fast.cli.output import OutputMode, format_table, print_json, print_lines

if TYPE_CHECKING:
    from occy_fast.context.access import Access
    from occy_fast.running.inspect import InspectedManifest, InspectReport
    from occy_fast.spec.digest import Digest


@click.command(
    "inspect",
    cls=ExampleCommand,
    examples=[
        ("what is in this file", "occy-fast inspect app.tar"),
        ("one image of a layout", "occy-fast inspect oci:out:app"),
        (
            "how the layers are encoded, for a script",
            "occy-fast inspect app.tar --json | jq -r '.images[].layers[].encoding'",
        ),
    ],
)
@click.argument("source", metavar="SRC", type=LOCATOR)
@following_links
@reaching
@output_options
def inspect(*, source: str, access: Access, follow_links: tuple[str, ...], mode: OutputMode) -> int:
    """Show the images at SRC: platform, digests, and the layers with their encoding and size.

    Only headers and documents are read, so what they do not tell is unknown ("-", null in JSON): a gzip layer inside a
    docker save archive has no digest there, for one. With --quiet: the digest of each manifest.

    An archive may come from standard input: SRC is - then.
    """
    from occy_fast import api
    from occy_fast.cli.progress import Watch

    with Watch(mode, source) as watch:
        report = api.inspect(source, access=access, follow_links=follow_links, progress=watch.callback)
    if mode.json:
        print_json(report.to_json())
    elif mode.quiet:
        print_lines(*(str(image.digest or "-") for image in report.images))
    else:
        print_lines(*report_lines(report))
    return 0


def report_lines(report: InspectReport) -> list[str]:
    """Say what is there, a block per manifest."""
    lines = [f"{report.locator} ({report.kind})"]
    index: Digest | None = None
    for image in report.images:
        if image.index not in (None, index):
            lines += ["", f"index {image.index}"]
        index = image.index
        lines += ["", *_image_lines(image)]
    if not report.images:
        lines.append("no image")
    return lines + [line for text in report.warnings for line in ("", f"warning: {text}")]


def _image_lines(image: InspectedManifest) -> list[str]:
    from occy_fast.words import format_count, format_size

    names = ", ".join(image.names) or image.ref or "without a name"
    lines = [f"{names}, {image.platform or 'platform unknown'}{', artifact' if image.artifact else ''}"]
    lines.append(f"  manifest  {image.digest or '-'}  {image.media_type or ''}".rstrip())
    lines.append(f"  config    {image.config or '-'}")
    layers = image.layers
    if layers is None:
        return [*lines, "  neither image nor index" if image.present else "  not in the source"]
    lines.append(f"  {format_count(len(layers), 'layer')}, {format_size(sum(layer.size for layer in layers))}")
    rows = [
        (
            str(number),
            str(layer.encoding),
            format_size(layer.size),
            layer.digest.short if layer.digest else "-",
            layer.diff_id.short if layer.diff_id else "-",
            layer.media_type,
        )
        for number, layer in enumerate(layers, 1)
    ]
    if rows:
        table = format_table(("", "encoding", "size", "digest", "diff_id", "media type"), rows, "><><<<")
        lines += [f"  {line}" for line in table]
    return lines
