"""The command `convert`: plan, say the plan or run it, tell what became of each layer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from occy_fast.cli.build_names import repository_name
from occy_fast.cli.daemon_options import reaching
from occy_fast.cli.options import (
    LOCATOR,
    EncodingType,
    ExampleCommand,
    JobsType,
    PlatformType,
    TargetType,
    Word,
    following_links,
    only_one,
    output_options,
)
from occy_fast.cli.output import OutputMode, format_table, print_json, print_lines, print_note
from occy_fast.errors import UsageError
from occy_fast.spec.encoding import CODECS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Unpack

    from occy_fast.context.access import Access
    from occy_fast.planning.goal_words import GoalWords
    from occy_fast.planning.plan import Plan
    from occy_fast.running.result import ConvertResult, LayerOutcome
    from occy_fast.spec.encoding import Encoding

_LEVELS = ", ".join(
    f"{codec.name} {codec.levels[0]}-{codec.levels[-1]}" for codec in CODECS.values() if codec.levels
)


@click.command(
    "convert",
    cls=ExampleCommand,
    examples=[
        (
            "a docker save archive becomes an OCI layout with zstd layers",
            "occy-fast convert docker-archive:app.tar oci:out:app --compression zstd",
        ),
        (
            "into Docker, whatever form it has; only the layers Docker lacks are sent",
            "occy-fast convert oci:out:app docker-daemon:example.com/app:1",
        ),
        (
            "in the form that one consumer reads",
            "occy-fast convert oci:out:app docker-archive:app.tar --target docker-20.10.24",
        ),
        (
            "what would be done, and why, without doing it",
            "occy-fast convert app.tar oci-archive:app.oci.tar:app --compression gzip:2 --dry-run",
        ),
        (
            "in a script: prove the tars too, keep the digest",
            "occy-fast convert oci:in:app oci:out:app --format docker --verify layers --digest-file digest --quiet",
        ),
    ],
)
@click.argument("source", metavar="SRC", type=LOCATOR)
@click.argument("destination", metavar="DST", type=LOCATOR)
@click.option(
    "-c",
    "--compression",
    "--encoding",
    "encoding",
    type=EncodingType(),
    help="What layers are to be: none, gzip, zstd, with a level as in zstd:9 made by our encoder; keep demands that"
    " none changes. Default: whatever the destination can hold stays.",
)
@click.option("-l", "--level", type=int, metavar="N", help=f"The level of --compression: {_LEVELS}.")
@click.option(
    "-f",
    "--format",
    "format",
    type=Word(["oci", "docker", "keep"]),
    default="keep",
    show_default=True,
    help="The media types of the manifests; kept, a Docker one becomes OCI where zstd is asked for.",
)
@click.option(
    "--verify",
    type=Word(["blobs", "layers", "destination"]),
    default="blobs",
    show_default=True,
    help="blobs: every byte that is moved against its digest, and the diff_id of every layer that is decoded;"
    " layers: decode the others too; destination: also read what is there already, and replace what is damaged.",
)
@click.option(
    "--strict/--no-strict",
    default=False,
    help="Refuse layers whose tars readers are known to disagree about; each is read for it, also where it is copied.",
)
@click.option("--link", is_flag=True, help="Blobs may be hard links to the source's files, and share their fate.")
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
    "-p",
    "--platform",
    "platforms",
    type=PlatformType(),
    multiple=True,
    help="Only images for os/architecture[/variant]; may be repeated. Default: all that DST can hold, as is 'all'.",
)
@click.option(
    "--attestations",
    type=Word(["keep", "drop"]),
    default="keep",
    show_default=True,
    help="What BuildKit states of an image: keep brings it along wherever DST can hold it, drop leaves it out.",
)
@click.option(
    "--archive-layout",
    type=Word(["universal", "docker-20.10"]),
    default="universal",
    show_default=True,
    help="How a docker-archive is built: universal, which every consumer loads, or docker-20.10, as Docker 1.10 to 24"
    " writes it: a directory for every layer, uncompressed.",
)
@click.option(
    "-t",
    "--target",
    type=TargetType(),
    multiple=True,
    callback=only_one,
    help="Who is to read the result, such as docker-20.10: what that would refuse is changed, and nothing else.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Print the plan, and touch nothing.")
@click.option(
    "--digest-file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the digest of what was published to FILE, once it is published.",
)
@click.option(
    "--tag",
    "tags",
    metavar="NAME[:TAG]",
    multiple=True,
    help="A further name for the image, in a docker-archive or daemon; may be repeated.",
)
@click.option(
    "--repository-tag",
    "repository_tags",
    metavar="NAME[:TAG]",
    multiple=True,
    help="The same, behind what the build's environment says: CONTAINER_REGISTRY (ghcr.io) and GITHUB_REPOSITORY.",
)
@following_links
@reaching
@output_options
def convert(
    *,
    source: str,
    destination: str,
    level: int | None,
    repository_tags: tuple[str, ...],
    workers: int | None,
    access: Access,
    follow_links: tuple[str, ...],
    dry_run: bool,
    digest_file: str | None,
    mode: OutputMode,
    **words: Unpack[GoalWords],
) -> int:
    """Bring the image at SRC to DST, in another form if asked.

    SRC and DST are docker-archive:PATH[:NAME:TAG] (what docker save writes), oci:DIR[:REF] (an OCI layout) or
    oci-archive:PATH[:REF] (a layout inside a tar); one image of several is also chosen by :@INDEX. A SRC that is a mere
    path is looked at to see which it is. The old destination stays until the new one is complete.
    docker-daemon:NAME[:TAG] and podman:NAME[:TAG] are the images of a daemon. A Docker with a graph driver is sent the
    layers it lacks; one with containerd's store, whole indexes too, and manifests as they are, whose digest is the id.

    An archive may come from standard input (docker save app | occy-fast convert - oci:out:app), and go to standard
    output as docker-archive:-, the answer then being on stderr. What comes through a pipe, or compressed as a whole, is
    read once, without a copy.
    """
    words["encoding"] = _with_level(words["encoding"], level)
    words["tags"] = (*words["tags"], *map(repository_name, repository_tags))
    if digest_file is not None:
        _check_digest_file(digest_file, source, destination, dry_run)

    from occy_fast import api
    from occy_fast.cli.progress import Watch
    from occy_fast.transports.locator import STREAM
    from occy_fast.transports.opening import parse_locator

    aside = parse_locator(destination).path == STREAM
    with Watch(mode, source, destination) as watch:  # layers of old archives are hashed for the plan
        decide = partial(api.plan, workers=workers, access=access, follow_links=follow_links, progress=watch.callback)
        plan = decide(source, destination, **words)
    if dry_run:
        if mode.json:
            print_json(plan.to_json(), aside=aside)
        else:
            print_lines(*plan.lines(), aside=aside)
        return 0
    _print_notes(plan.notes, mode)
    with Watch(mode, source, destination) as watch:
        result = api.execute(plan, workers=workers, progress=watch.callback)
    # of a stream, what is in it shows only once it has come by
    _print_notes((note for note in result.notes if note not in plan.notes), mode)
    if digest_file is not None:
        from occy_fast.cli.digest_file import write_digest_file

        write_digest_file(digest_file, result.digests)
    _print_result(result, mode, aside=aside)
    return 0


def _print_result(result: ConvertResult, mode: OutputMode, *, aside: bool) -> None:
    if mode.json:
        print_json(result.to_json(), aside=aside)
    elif mode.quiet:
        print_lines(*map(str, result.digests), aside=aside)
    else:
        print_lines(*result_lines(result.plan, result), aside=aside)


def _print_notes(notes: Iterable[str], mode: OutputMode) -> None:
    if not (mode.quiet or mode.json):
        for note in notes:
            print_note(f"note: {note}")


def _check_digest_file(path: str, source: str, destination: str, dry_run: bool) -> None:
    from occy_fast.cli.digest_file import check_digest_file

    if dry_run:
        raise UsageError("--dry-run publishes nothing whose digest --digest-file could hold", "leave one of them out")
    check_digest_file(path, source, destination)


def result_lines(plan: Plan, result: ConvertResult) -> list[str]:
    """Say what became of each layer, what was published, and how fast it went."""
    from occy_fast.planning.steps import images_of
    from occy_fast.words import format_rate, format_seconds, format_size

    lines = [f"{plan.source} -> {plan.destination}"]
    outcomes = iter(result.layers)
    single = len(plan.roots) == 1 and len(list(plan.images())) == 1
    for named, digest in zip(plan.roots, result.digests, strict=True):
        names = ", ".join(named.names) or named.ref or "without a name"
        for image in images_of(named.root):
            if not single:
                lines += ["", f"{names}, {image.image.platform or 'platform unknown'}"]
            rows = [(str(number), *_row(next(outcomes))) for number in range(1, len(image.steps) + 1)]
            if rows:
                lines += format_table(("layer", "step", "from", "size", "to", "size", "digest"), rows, "><<><><")
        if plan.identity == "manifest":
            lines.append(f"digest    {digest}")
        elif not single:
            lines.append(f"image id  {digest}")
    if single:
        lines.append(f"image id  {result.digest if plan.id_is_digest else result.config_digest}")
        if result.names:
            lines.append(f"names     {', '.join(result.names)}")
    else:
        lines.append("")
    rate = format_rate(result.size_in, result.seconds)
    sizes = f"read {format_size(result.size_in)}, wrote {format_size(result.size_out)}"
    lines.append(f"{sizes} in {format_seconds(result.seconds)} ({rate})")
    return lines


def _with_level(encoding: Encoding | str | None, level: int | None) -> Encoding | str | None:
    """Join --compression and --level into one demand."""
    from occy_fast.spec.encoding import Encoding

    if level is None:
        return encoding
    if not isinstance(encoding, Encoding):
        raise UsageError("--level is the level of a compression, and none is named", f"--compression zstd:{level}")
    if encoding.level is not None and encoding.level != level:
        raise UsageError(f"--compression {encoding} and --level {level} contradict each other", "leave one of them out")
    return Encoding(encoding.codec, level).check_level()


def _row(outcome: LayerOutcome) -> tuple[str, ...]:
    from occy_fast.words import format_size

    return (
        "replaced" if outcome.replaced else outcome.kind,
        str(outcome.step.layer.encoding),
        format_size(outcome.size_in),
        str(outcome.encoding),
        format_size(outcome.size_out),
        outcome.digest.short,
    )
