"""What unpackers would refuse in an image's layers: found, and told to those who verify or check it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from occy_fast.image.finding import Finding
from occy_fast.kernels import unpack_model
from occy_fast.kernels.unpack_problems import Unpacker, UnpackKind, UnpackProblem, problem_of
from occy_fast.targets.rules import UNPACK_UNKNOWN, unpack_rule
from occy_fast.targets.traits import Trait
from occy_fast.words import printable

if TYPE_CHECKING:
    from occy_fast.image.place import Place
    from occy_fast.spec.limits import Limits

_EVERYBODY: Final = Unpacker.OVERLAY | Unpacker.SNAPSHOT | Unpacker.COPY
_WHO: Final = {
    Unpacker.OVERLAY: "Docker and podman on overlay",
    Unpacker.SNAPSHOT: "containerd",
    Unpacker.COPY: "podman on vfs",
}
_WORDS: Final = {
    UnpackKind.HARD_LINK_MISSING: "is a hard link to '{other}', which is not there, or not yet",
    UnpackKind.HARD_LINK_LOWER: "is a hard link to '{other}', which only a lower layer has",
    UnpackKind.HARD_LINK_DIRECTORY: "is a hard link to '{other}', a directory",
    UnpackKind.CHILD_OF_FILE: "is below what is no directory",
    UnpackKind.CHILD_OF_WHITEOUT: "is below what the same layer deletes",
    UnpackKind.DANGLING_PARENT: "is below a symbolic link that leads nowhere",
    UnpackKind.LINK_LOOP: "is below symbolic links that lead in a circle",
    UnpackKind.ROOT_NO_DIRECTORY: "is the root, and no directory",
    UnpackKind.WHITEOUT_OF_SAME_LAYER: "deletes what the same layer has made",
    UnpackKind.WHITEOUT_BELOW_FILE: "deletes something below what is no directory",
    UnpackKind.WHITEOUT_NAME: "deletes no name",
    UnpackKind.DUPLICATE: "is there twice",
    UnpackKind.ENTRY_TYPE: "has the type '{other}', which is unpacked by nobody",
    UnpackKind.NAME_TOO_LONG: "has a name that is too long for a filesystem",
    UnpackKind.PATH_LONG: "has a path that may be too long below the directory it is unpacked in",
    UnpackKind.EMPTY_NAME: "has no name",
    UnpackKind.EMPTY_LINK: "is a symbolic link to nothing",
    UnpackKind.XATTR_NAMESPACE: "has the extended attribute '{other}', of a namespace that Linux does not have",
    UnpackKind.XATTR_NAME: "has the extended attribute '{other}', a name that Linux does not take",
    UnpackKind.XATTR_OF_TYPE: "has the extended attribute '{other}', which only files and directories may have",
    UnpackKind.DIRECTORY_GONE: "is a directory that the same layer deletes",
}
_SOME: Final = frozenset({UnpackKind.XATTR_NAMESPACE, UnpackKind.XATTR_OF_TYPE})
"""What versions of one daemon differ about."""


@dataclass(frozen=True, slots=True)
class Unpacking:
    """What is not unpacked from a layer, or unknown: without a problem, layers with more entries than *limit*."""

    place: Place
    problem: UnpackProblem | None
    limit: int = 0


def unpack_layers(stack: Iterable[bytes | None], within: Place, limits: Limits) -> Iterator[Unpacking]:
    """Yield what is refused in the layers of one image, the lowest first; *stack* has the lists of their entries."""
    model = unpack_model.UnpackModel(limits.entry_count)
    for number, entries in enumerate(stack, 1):
        place = within.inside("layer", number)
        for found in model.apply(entries) if entries is not None else ():
            yield Unpacking(place, problem_of(found))
        if entries is None or model.exceeded:
            yield Unpacking(place, None, limits.entry_count)
            return


def unpack_finding(unpacking: Unpacking) -> Finding:
    """Return what verify tells: an error where everybody refuses it."""
    problem = unpacking.problem
    if problem is None:
        return Finding("warning", unpacking.place, _told(unpacking), rule=UNPACK_UNKNOWN.id)
    rule = unpack_rule(problem.kind.word).id
    if problem.kind in _SOME:
        return Finding("warning", unpacking.place, f"{_told(unpacking)}: some daemons refuse it", rule=rule)
    if problem.unpackers == _EVERYBODY:
        return Finding("error", unpacking.place, f"{_told(unpacking)}: no daemon unpacks it", rule=rule)
    who = " and ".join(words for one, words in _WHO.items() if one in problem.unpackers)
    return Finding("warning", unpacking.place, f"{_told(unpacking)}: refused by {who}", rule=rule)


def unpack_traits(unpacking: Unpacking) -> Iterator[Trait]:
    """Yield what targets are asked about: one trait for each way to unpack that refuses it."""
    problem, told = unpacking.problem, _told(unpacking)
    if problem is None:
        yield Trait(UNPACK_UNKNOWN, unpacking.place, told)
        return
    name = _text(problem.name).strip("/")
    other = _text(problem.other)
    code = str(problem.other[0]) if problem.kind == UnpackKind.ENTRY_TYPE and problem.other else ""
    words = (("name", name), ("link", other.strip("/")), ("key", other), ("code", code))
    ways = problem.unpackers
    if Unpacker.OVERLAY in ways and problem.kind != UnpackKind.WHITEOUT_BELOW_FILE:
        ways &= ~Unpacker.COPY                           # who has both has refused it already
    for way in _WHO:
        if way in ways:
            rule = unpack_rule(problem.kind.word)
            feature = f"unpack.{(way.name or '').lower()}.{problem.kind.word}"
            yield Trait(rule, unpacking.place, told, words, feature)


def _told(unpacking: Unpacking) -> str:
    problem = unpacking.problem
    if problem is None:
        return f"with more than {unpacking.limit:,} entries, whether it can be unpacked is unknown"
    said = _WORDS[problem.kind].replace("{other}", _text(problem.other))
    more = f", and {problem.times - 1} more like it" if problem.times > 1 else ""
    return f"'{_text(problem.name)}' {said}{more}"


def _text(name: bytes) -> str:
    return printable(name.decode("utf-8", "surrogateescape"), 200)
