"""Small images whose layers are hard to unpack, beside innocent neighbours: by hand, and at random by a seed."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from occy_fast.kernels import unpack_model
from occy_fast.kernels.entry_list import EntryList
from occy_fast.kernels.unpack_problems import Unpacker, UnpackKind, problem_of

FILE, HARD, SYMBOLIC, CHARACTER, BLOCK, DIRECTORY, PIPE = b"0", b"1", b"2", b"3", b"4", b"5", b"6"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a layer."""

    name: str
    type: bytes = FILE
    link: str = ""
    xattrs: tuple[str, ...] = ()
    owner: int = 0

    def member(self) -> tarfile.TarInfo:
        """Return it as a member of a tar."""
        member = tarfile.TarInfo(self.name)
        member.type, member.linkname, member.uid = self.type, self.link, self.owner
        member.mode = 0o755 if self.type == DIRECTORY else 0o644
        member.mtime = 1_700_000_000
        member.devmajor, member.devminor = 1, 3
        member.size = 1 if self.type == FILE else 0
        member.pax_headers = {f"SCHILY.xattr.{key}": "x" for key in self.xattrs}
        return member


Layer = tuple[Entry, ...]
Stack = tuple[Layer, ...]


def file(name: str, *xattrs: str, owner: int = 0) -> Entry:
    """Return a file of one byte."""
    return Entry(name, FILE, "", xattrs, owner)


def folder(name: str, *xattrs: str) -> Entry:
    """Return a directory."""
    return Entry(name, DIRECTORY, "", xattrs)


def hard(name: str, target: str) -> Entry:
    """Return a hard link."""
    return Entry(name, HARD, target)


def symbolic(name: str, target: str, *xattrs: str) -> Entry:
    """Return a symbolic link."""
    return Entry(name, SYMBOLIC, target, xattrs)


def tar_of(layer: Layer) -> bytes:
    """Return a layer's tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in layer:
            tar.addfile(entry.member(), io.BytesIO(b"x") if entry.type == FILE else None)
    return out.getvalue()


def list_of(layer: Layer) -> bytes:
    """Return the list of a layer's entries."""
    listed = EntryList(1000)
    for number, entry in enumerate(layer):
        name = entry.name.rstrip("/") + "/" if entry.type == DIRECTORY else entry.name
        records = [(b"SCHILY.xattr." + key.encode(), b"x") for key in entry.xattrs]
        listed.add(entry.type, number * 512, name.encode(), entry.link.encode(), records)
    entries = listed.entries()
    assert entries is not None
    return entries


def refused_by(
    stack: Stack, *, podman: bool = False, new: bool = False, twin: ModuleType = unpack_model
) -> Unpacker:
    """Return who refuses an image.

    Args:
        podman: count what podman alone refuses.
        new: count what Docker refuses from 25 on.
    """
    found = Unpacker(0)
    model = twin.UnpackModel(1000)
    for layer in stack:
        for problem in map(problem_of, model.apply(list_of(layer))):
            counts = {UnpackKind.XATTR_OF_TYPE: podman, UnpackKind.XATTR_NAMESPACE: new}
            if counts.get(problem.kind, True):
                found |= problem.unpackers
    return found


def archive_of(stack: Stack, name: str, path: Path) -> Path:
    """Write a docker-archive of one image."""
    layers = {hashlib.sha256(tar).hexdigest(): tar for tar in map(tar_of, stack)}
    diff_ids = [hashlib.sha256(tar_of(layer)).hexdigest() for layer in stack]
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/x"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in diff_ids]},
    }).encode()  # fmt: skip
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    listing = [{"Config": config_name, "RepoTags": [name], "Layers": [f"{one}/layer.tar" for one in diff_ids]}]
    with tarfile.open(path, "w") as tar:
        members = {f"{one}/layer.tar": data for one, data in layers.items()}
        members |= {config_name: config, "manifest.json": json.dumps(listing).encode()}
        for member_name, data in members.items():
            member = tarfile.TarInfo(member_name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


BASE: Layer = (
    folder("d"), file("d/f"), file("d/g"), folder("d/sub"), file("d/sub/h"), file("top"),
    symbolic("s", "d"), symbolic("abs", "/d"), symbolic("broken", "nowhere"), symbolic("loop", "loop"),
    symbolic("out", "../../d"),
)  # fmt: skip

BY_HAND: dict[str, Layer] = {
    "plain": (folder("e"), file("e/f"), hard("e/h", "e/f")),
    "hard-link-lower": (hard("new", "d/f"),),
    "hard-link-absolute": (hard("new", "/d/f"),),
    "hard-link-dot": (hard("new", "./d/f"),),
    "hard-link-missing": (folder("u"), hard("u/a", "u/none")),
    "hard-link-later": (hard("a", "b"), file("b")),
    "hard-link-itself": (hard("a", "a"),),
    "hard-link-itself-there": (file("a"), hard("a", "a")),
    "hard-link-itself-lower": (hard("top", "top"),),
    "hard-link-directory": (hard("new", "d"),),
    "hard-link-through-symlink": (hard("new", "s/f"),),
    "hard-link-through-absolute": (hard("new", "abs/f"),),
    "hard-link-through-loop": (hard("new", "loop/f"),),
    "hard-link-to-symlink": (hard("new", "s"),),
    "hard-link-to-broken": (hard("new", "broken"),),
    "hard-link-outside": (hard("new", "../x"),),
    "hard-link-inside-dotdot": (hard("new", "d/../top"),),
    "hard-link-through-file": (hard("new", "top/x"),),
    "hard-link-empty": (hard("new", ""),),
    "hard-link-over-directory": (hard("d", "top"),),
    "hard-link-whited": (file(".wh.top"), hard("new", "top")),
    "hard-link-whited-after": (hard("new", "top"), file(".wh.top")),
    "hard-link-whited-dir": (file("d/.wh.f"), hard("new", "d/f")),
    "hard-link-opaque": (folder("d"), file("d/.wh..wh..opq"), hard("new", "d/f")),
    "hard-link-plnk": (hard("new", ".wh..wh.plnk/1.2"),),
    "plnk": (file(".wh..wh.plnk/1.2"), hard("new", ".wh..wh.plnk/1.2")),
    "aufs": (folder(".wh..wh.plnk"), file(".wh..wh.aufs"), folder(".wh..wh.orph")),
    "root-directory": (folder("."), folder("./"), folder("/"), file("a")),
    "root-hard-link": (hard("/", "."),),
    "root-dot-hard-link": (hard(".", "d/f"),),
    "root-symlink": (symbolic("/", "d"),),
    "root-dot-symlink": (symbolic(".", "d"), file("a")),
    "root-file": (file("/"),),
    "root-dot-file": (file("."),),
    "root-of-dots": (file("d/.."),),
    "root-pipe": (Entry("./", PIPE),),
    "child-of-file": (file("top/x"),),
    "child-of-file-dir": (folder("top/x"),),
    "child-of-file-deep": (file("top/x/y"),),
    "child-of-file-same": (file("a"), file("a/b")),
    "child-of-pipe": (Entry("p", PIPE), file("p/b")),
    "child-of-symlink": (file("s/x"),),
    "child-of-absolute": (file("abs/x"),),
    "child-of-broken": (file("broken/x"),),
    "child-of-loop": (file("loop/x"),),
    "child-of-out": (file("out/x"),),
    "child-of-symlink-same": (symbolic("l", "e"), folder("e"), file("l/x")),
    "child-of-loop-same": (symbolic("l", "m"), symbolic("m", "l"), file("l/x")),
    "child-of-symlink-to-file": (symbolic("l", "top"), file("l/x")),
    "deep-child-of-symlink": (file("s/new/x"),),
    "no-parent": (file("q/w/e"),),
    "whiteout": (file("d/.wh.f"),),
    "whiteout-nothing": (file("d/.wh.none"),),
    "whiteout-nothing-parent": (file("none/.wh.none"),),
    "whiteout-of-same": (file("d/n"), file("d/.wh.n")),
    "whiteout-of-replaced": (file("d/f"), file("d/.wh.f")),
    "whiteout-before": (file("d/.wh.f"), file("d/f")),
    "whiteout-dir-of-same": (folder("e"), file("e/n"), file(".wh.e")),
    "whiteout-dir-before": (file(".wh.d"), folder("d"), file("d/x")),
    "whiteout-dir-child": (file(".wh.d"), file("d/x")),
    "whiteout-below-whiteout": (file(".wh.d"), file("d/.wh.f")),
    "whiteout-below-whiteout-deep": (file(".wh.d"), file("d/sub/.wh.h")),
    "whiteout-twice": (file("d/.wh.f"), file("d/.wh.f")),
    "whiteout-below-file": (file("top/.wh.x"),),
    "whiteout-below-file-same": (file("a"), file("a/.wh.x")),
    "whiteout-below-symlink": (file("s/.wh.f"),),
    "whiteout-below-loop": (file("loop/.wh.f"),),
    "whiteout-below-broken": (file("broken/.wh.f"),),
    "whiteout-as-directory": (folder("d/.wh.f"),),
    "whiteout-as-directory-child": (folder("d/.wh.f"), file("d/.wh.f/x")),
    "whiteout-as-symlink": (symbolic("d/.wh.f", "x"),),
    "whiteout-as-hard-link": (hard("d/.wh.f", "top"),),
    "whiteout-empty": (file("d/.wh."),),
    "whiteout-empty-root": (file(".wh."),),
    "whiteout-dot": (file("d/.wh.."),),
    "whiteout-dotdot": (file("d/.wh..."),),
    "whiteout-dotdot-root": (file(".wh..."),),
    "whiteout-whiteout": (file("d/.wh..wh.x"),),
    "opaque": (folder("d"), file("d/.wh..wh..opq"), file("d/x")),
    "opaque-last": (folder("d"), file("d/x"), file("d/.wh..wh..opq")),
    "opaque-nothing": (file("none/.wh..wh..opq"),),
    "opaque-root": (file(".wh..wh..opq"),),
    "opaque-below-file": (file("top/.wh..wh..opq"),),
    "opaque-below-whiteout": (file(".wh.d"), file("d/.wh..wh..opq")),
    "opaque-of-symlink": (file("s/.wh..wh..opq"),),
    "opaque-no-parent": (file("d/.wh..wh..opq"),),
    "file-over-directory": (file("d"),),
    "symlink-over-directory": (symbolic("d", "top"),),
    "directory-over-file": (folder("top"), file("top/x")),
    "directory-over-symlink": (folder("s"), file("s/x")),
    "file-over-directory-same": (folder("e"), file("e/x"), file("e")),
    "file-over-empty-directory-same": (folder("e"), file("e")),
    "directory-over-file-same": (file("e"), folder("e"), file("e/x")),
    "pipe-over-file": (Entry("top", PIPE),),
    "duplicate": (file("a"), file("a")),
    "devices": (Entry("c", CHARACTER), Entry("b", BLOCK), Entry("p", PIPE)),
    "contiguous": (Entry("c", b"7"),),
    "unknown-type": (Entry("c", b"Q"),),
    "volume": (Entry("c", b"V"),),
    "multi-volume": (Entry("c", b"M"),),
    "dump-directory": (Entry("c", b"D"),),
    "long-component": (file("d/" + "n" * 256),),
    "longest-component": (file("d/" + "n" * 255),),
    "long-parent": (file("n" * 256 + "/x"),),
    "long-path": (file("/".join(["n" * 200] * 21)),),
    "long-hard-link": (hard("a", "n" * 256),),
    "long-symlink": (symbolic("a", "n/" * 2060),),
    "empty-symlink": (symbolic("a", ""),),
    "parent-out": (file("../x"),),
    "parent-inside": (file("d/../x"),),
    "parent-far": (file("d/../../x"),),
    "absolute": (file("/x"),),
    "empty-name": (file(""),),
    "xattr-user": (file("a", "user.a"),),
    "xattr-trusted": (file("a", "trusted.a"),),
    "xattr-security": (file("a", "security.a"),),
    "xattr-unknown": (file("a", "com.apple.x"),),
    "xattr-bare": (file("a", "user."),),
    "xattr-system": (file("a", "system.a"),),
    "xattr-user-symlink": (symbolic("a", "x", "user.a"),),
    "xattr-user-pipe": (Entry("a", PIPE, "", ("user.a",)),),
    "xattr-user-directory": (folder("e", "user.a"),),
    "xattr-trusted-symlink": (symbolic("a", "x", "trusted.a"),),
    "xattr-overlay": (folder("e", "trusted.overlay.opaque"),),
    "xattr-long": (file("a", "user." + "n" * 251),),
    "owner-large": (file("a", owner=2**31 + 5),),
    "owner-none": (file("a", owner=2**32 - 1),),
    "owner-huge": (file("a", owner=2**33),),
}
"""A layer each that goes over BASE."""


def stacks_by_hand() -> Iterator[tuple[str, Stack]]:
    """Yield every image that is made by hand, by its name."""
    for name, layer in BY_HAND.items():
        yield name, (BASE, layer)


_NAMES = ("a", "b", "d", "e", "s", "top", "loop")


def random_stack(seed: int) -> Stack:
    """Return an image of one to three layers; about half of them cannot be unpacked by somebody."""
    chance = random.Random(seed)
    layers = [BASE]
    for _ in range(chance.randint(1, 3)):
        layers.append(tuple(_random_entry(chance) for _ in range(chance.randint(1, 5))))
    return tuple(layers)


def _random_path(chance: random.Random) -> str:
    path = "/".join(chance.choice((*_NAMES, "f", "sub", "h")) for _ in range(chance.choice((1, 1, 2, 2, 3))))
    return chance.choice(("", "", "", "", "./", "/")) + path


def _random_entry(chance: random.Random) -> Entry:
    path = _random_path(chance)
    parent, _, base = path.rpartition("/")
    kind = chance.randrange(15)                      # opaque markers are made by hand: daemons disagree about late ones
    if kind < 5:
        return file(path)
    if kind < 8:
        return folder(path)
    if kind < 10:
        return symbolic(path, chance.choice(("d", "/d", "none", "../d", "../../top", path, "e", "sub")))
    if kind < 12:
        known = ("d/f", "top", "d/sub/h", "./top", "/d/g", "s/f")
        return hard(path, chance.choice((*known, *known, _random_path(chance))))
    return file(f"{parent}{'/' if parent else ''}.wh.{base}")
