"""The command `targets`: list the consumers of images that check and convert know, and what they read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from occy_fast.cli.options import ExampleCommand, TargetType, output_options
from occy_fast.cli.output import OutputMode, format_table, print_json, print_lines

if TYPE_CHECKING:
    from occy_fast.targets.target import Target


@click.command(
    "targets",
    cls=ExampleCommand,
    examples=[
        ("who can be named", "occy-fast targets"),
        ("what one of them reads, and what it says where it does not", "occy-fast targets docker-20.10.24"),
    ],
)
@click.argument("name", metavar="[TARGET]", required=False, type=TargetType())
@output_options
def targets(*, name: str | None, mode: OutputMode) -> int:
    """List the consumers of images that --target can name; of one that is named, all that is known.

    A name with a version is looked up in the versions that are listed: docker-20.10.24 is docker-20.10.
    """
    from occy_fast.targets.catalog import all_targets, find_target, targets_document

    known = all_targets() if name is None else (find_target(name),)
    if mode.json:
        print_json(targets_document(known))
    elif mode.quiet:
        print_lines(*(target.name for target in known))
    elif name is None:
        print_lines(*target_lines(known))
    else:
        print_lines(*support_lines(known[0]))
    return 0


def target_lines(known: tuple[Target, ...]) -> list[str]:
    """Return a line for each target."""
    rows = [(target.name, target.kind, target.versions, target.title) for target in known]
    return format_table(("target", "kind", "versions", ""), rows, "<<<<")


def support_lines(target: Target) -> list[str]:
    """Return a line for each thing that is known of one target."""
    versions = f", {target.row}: versions {target.versions}" if target.versions else ""
    rows = [(feature, known.answer, " ".join(known.sources), known.error) for feature, known in target.supports]
    title = f"{target.name}: {target.title}{versions}"
    return [title, *format_table(("feature", "reads it", "known from", "else it says"), rows, "<<<<")]
