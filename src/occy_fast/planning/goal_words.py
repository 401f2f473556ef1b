"""A goal in words: the keywords that plan, convert and the command take, and the Goal they come to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Final, TypedDict, TypeVar, Unpack

from occy_fast.errors import BadReference, UsageError
from occy_fast.planning.goal import ArchiveLayout, Attestations, Format, Goal, Verify
from occy_fast.spec.encoding import Encoding, parse_encoding
from occy_fast.spec.platform import ALL_PLATFORMS, Platform, parse_platform
from occy_fast.spec.reference import parse_reference
from occy_fast.targets.catalog import find_target
from occy_fast.targets.target import Target

Function = TypeVar("Function", bound=Callable[..., Any])


class GoalWords(TypedDict, total=False):
    """What is asked of a conversion; whatever is not asked stays as the source has it.

    Keys:
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
    """

    encoding: str | Encoding | None
    format: Format
    platforms: Iterable[str | Platform]
    verify: Verify
    link: bool
    strict: bool
    attestations: Attestations
    archive_layout: ArchiveLayout
    target: str | Target | None
    tags: Iterable[str]


def make_goal(**words: Unpack[GoalWords]) -> Goal:
    """Make a Goal of words: "zstd:3" or "keep", "linux/arm64", "docker-20.10". Raises UsageError, Unsupported."""
    unknown = [word for word in words if word not in GoalWords.__annotations__]
    if unknown:
        raise TypeError(f"unexpected keyword '{unknown[0]}': a goal has {', '.join(GoalWords.__annotations__)}")
    values: dict[str, Any] = dict(words)
    values |= {word: parse(values[word]) for word, parse in _PARSERS.items() if word in values}
    return Goal(**values)


def takes_goal_words(function: Function) -> Function:
    """List the words in *function*'s signature, and in its docstring where that has the line `**words: ...`.

    So a word that is added to GoalWords and to Goal is in all of them. Written by hand besides: the command's option in
    cli/convert_cmd.py, and the plan's JSON in plan_document.py.
    """
    signature = inspect.signature(function)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    defaults = Goal()
    kinds = {word: getattr(kind, "__forward_arg__", kind) for word, kind in GoalWords.__annotations__.items()}
    only = inspect.Parameter.KEYWORD_ONLY
    words = [
        inspect.Parameter(word, only, default=getattr(defaults, word), annotation=kind) for word, kind in kinds.items()
    ]
    at = next((place for place, parameter in enumerate(own) if parameter.kind is only), len(own))
    function.__signature__ = signature.replace(parameters=[*own[:at], *words, *own[at:]])  # type: ignore[attr-defined]
    if function.__doc__ and GoalWords.__doc__:               # python -OO has none
        keys = GoalWords.__doc__.partition("Keys:\n")[2].rstrip()
        lines = (keys if "**words" in line else line for line in function.__doc__.split("\n"))
        function.__doc__ = "\n".join(lines)
    return function


def _encoding(wanted: object) -> object:
    """Return a word as an Encoding that our encoder can make; what is neither, Goal refuses."""
    if isinstance(wanted, str) and wanted != "keep":
        wanted = parse_encoding(wanted)
    return wanted.check_level() if isinstance(wanted, Encoding) else wanted


def _platforms(platforms: Iterable[str | Platform]) -> tuple[Platform, ...]:
    if isinstance(platforms, str):
        raise UsageError(f"platforms are several, and '{platforms}' is one", f"name ['{platforms}']")
    named = tuple(platforms)
    if ALL_PLATFORMS in named:
        if len(named) > 1:
            raise UsageError(f"'{ALL_PLATFORMS}' stands beside other platforms", "leave it out, or them")
        return ()
    return tuple(parse_platform(platform) if isinstance(platform, str) else platform for platform in named)


def _target(target: str | Target | None) -> Target | None:
    return find_target(target) if isinstance(target, str) else target


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise UsageError(f"tags are several, and '{tags}' is one", f"name ['{tags}']")
    return tuple(map(_full_name, tags))


def _full_name(text: str) -> str:
    name = parse_reference(text).with_default_tag()
    if name.digest is not None:
        raise BadReference(text, "a digest is no name to give")
    return name.full()


_PARSERS: Final[dict[str, Callable[[Any], object]]] = {
    "encoding": _encoding,
    "platforms": _platforms,
    "target": _target,
    "tags": _tags,
}
"""What makes a value of a word; the others are values already, which Goal checks."""
