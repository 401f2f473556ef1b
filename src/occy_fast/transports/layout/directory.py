"""The directory of an OCI layout, with or without its symbolic links.  (image-spec, "Image Layout")"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from occy_fast.errors import BadArchive, BadManifest, OccyError, UnsupportedFormat, unreadable
from occy_fast.files.staged import open_directory
from occy_fast.image.blob import FileRegion, identity_of
from occy_fast.image.place import Place, located
from occy_fast.spec.digest import Digest
from occy_fast.spec.json import parse_json
from occy_fast.spec.limits import Limits
from occy_fast.spec.manifest import Index
from occy_fast.words import shell_command

if TYPE_CHECKING:
    from occy_fast.transports.layout.links import Links

LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'
LAYOUT_LIMIT = 64 << 10
INDEX_FILE = Place("index", name="index.json")

_NO_LINK = "a symbolic link, and nothing is written to a layout that has one in this place"
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Opened(NamedTuple):
    """A directory of the layout: open, where it really is, and whether a link led there."""

    fd: int
    path: str
    borrowed: bool


class LayoutDirectory:
    """An existing layout, opened by its directory, with or without its symbolic links."""

    def __init__(self, fd: int, path: str, locator: str, limits: Limits, links: Links | None = None) -> None:
        """Take over *fd*; *path* is where blobs can be opened again.

        Args:
            links: what follows symbolic links; without it none is, as where something is to be written.
        """
        self.fd, self.path, self.locator, self._limits, self._links = fd, path, locator, limits, links
        self._directories: dict[str, _Opened] = {}

    def close(self) -> None:
        for opened in self._directories.values():
            os.close(opened.fd)
        self._directories.clear()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def read(self, name: str, limit: int) -> bytes | None:
        """Read a small file at the top of the layout; None if there is none.

        Raises BadArchive, LinkRefused, InputError.
        """
        where = f"{self.locator}: {name}"
        try:
            if self._links is not None and _is_link(name, self.fd):
                followed = self._links.open(os.path.join(self.path, name), where)
                if followed is None:
                    return None
                fd, _ = followed
            else:
                fd = os.open(name, _FILE, dir_fd=self.fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unsafe(error, where, name) from error
        try:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode):
                raise BadArchive(where, f"a regular file is expected, found {_kind(mode)}")
            with open(fd, "rb", closefd=False) as file:
                return file.read(limit + 1)
        except OSError as error:
            raise _unsafe(error, where, name) from error
        finally:
            os.close(fd)

    def check_version(self) -> bool:
        """Read oci-layout; False where there is none. Raises UnsupportedFormat, BadJSON, BadManifest, BadArchive."""
        where = f"{self.locator}: oci-layout"
        with located(Place("oci-layout"), where):
            raw = self.read("oci-layout", LAYOUT_LIMIT)
            if raw is not None:
                check_layout_file(raw, where, self._limits)
        return raw is not None

    def read_index(self) -> Index | None:
        """Read index.json; None if there is none."""
        where = f"{self.locator}: index.json"
        with located(INDEX_FILE, where):
            raw = self.read("index.json", self._limits.manifest)
            return None if raw is None else Index.parse(raw, where, self._limits)

    def find(self, digest: Digest) -> FileRegion | None:
        """Find a blob's file; None if it is not there. Raises BadArchive, LinkRefused, InputError."""
        where, place = f"{self.locator}: {blob_name(digest)}", Place("blob", name=blob_name(digest))
        directory = self._directory(f"blobs/{digest.algorithm}")
        if directory is None:
            return None
        path, borrowed = os.path.join(directory.path, digest.hex), directory.borrowed
        try:
            status = os.stat(digest.hex, dir_fd=directory.fd, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                if self._links is None:
                    raise BadArchive(where, _NO_LINK, self._without_links())
                followed = self._links.open(path, where)
                if followed is None:
                    return None
                fd, path = followed
                borrowed = True
                try:
                    status = os.fstat(fd)
                finally:
                    os.close(fd)
        except FileNotFoundError:
            return None
        except OccyError as error:
            raise error.about(place) from error.__cause__
        except OSError as error:
            raise _unsafe(error, where, digest.hex).about(place) from error
        if not stat.S_ISREG(status.st_mode):
            raise BadArchive(where, f"a regular file is expected, found {_kind(status.st_mode)}").about(place)
        return FileRegion(path, 0, status.st_size, identity_of(status), borrowed)

    def directory(self, name: str) -> int | None:
        """Open "blobs" or a directory in it, once; None if it is not there.

        Raises BadArchive, LinkRefused, InputError.
        """
        opened = self._directory(name)
        return None if opened is None else opened.fd

    def _directory(self, name: str) -> _Opened | None:
        if name in self._directories:
            return self._directories[name]
        parent, _, last = name.rpartition("/")
        at = self._directory(parent) if parent else _Opened(self.fd, self.path, False)
        if at is None:
            return None
        where, path = f"{self.locator}: {name}", os.path.join(at.path, last)
        try:
            if _is_link(last, at.fd):
                if self._links is None:
                    raise BadArchive(where, _NO_LINK, self._without_links())
                followed = self._links.open(path, where, directory=True)
                opened = None if followed is None else _Opened(*followed, True)
            else:
                opened = _Opened(open_directory(last, at.fd, follow=False), path, at.borrowed)
        except FileNotFoundError:
            return None
        except OccyError as error:
            raise error.about(Place("member", name=name)) from error.__cause__
        except OSError as error:
            raise _unsafe(error, where, name).about(Place("member", name=name)) from error
        if opened is not None:
            self._directories[name] = opened
        return opened

    def _without_links(self) -> str:
        copy = shell_command(["cp", "-rL", self.path, f"{self.path}-copy"])
        return f"make a layout of its files: {copy}"


def check_layout_file(raw: bytes, where: str, limits: Limits) -> None:
    """Check what oci-layout says. Raises UnsupportedFormat, BadJSON, BadManifest."""
    check_layout_size(len(raw), where)
    document = parse_json(raw, where, limits, "manifest")
    version = document.get("imageLayoutVersion") if isinstance(document, dict) else None
    if not isinstance(version, str):
        raise BadManifest(where, "imageLayoutVersion is no text")
    if version != "1.0.0":
        raise UnsupportedFormat(where, f"image layout version {version}", "version 1.0.0 is read")


def without_layout_file(locator: str, path: str = "") -> BadArchive:
    """Return the warning for a layout that has no oci-layout, as BuildKit wrote them until 2023.

    Args:
        path: the directory; empty for an archive.
    """
    problem = "it is missing, for which containerd and others refuse a layout"
    remedy = write_layout_file(path) if path else None
    return BadArchive(f"{locator}: oci-layout", problem, remedy).about(Place("oci-layout"))


def write_layout_file(path: str) -> str:
    """Return the command that puts an oci-layout into the directory *path*."""
    name = shell_command([os.path.join(path, "oci-layout")])
    return f"printf '{LAYOUT_FILE.decode()}' > {name}"


def check_layout_size(size: int, where: str) -> None:
    """Refuse what no limit would make an oci-layout file. Raises BadManifest."""
    if size > LAYOUT_LIMIT:
        problem = f"{LAYOUT_LIMIT >> 10} KiB and more, where some thirty bytes are expected"
        raise BadManifest(where, problem, f"write {LAYOUT_FILE.decode()} into it")


def algorithms_of(digests: Iterable[Digest]) -> list[str]:
    """Return the directories in "blobs" that a layout of these digests has; sha256 is always there."""
    return sorted({digest.algorithm for digest in digests} | {"sha256"})


def blob_name(digest: Digest) -> str:
    """Return where a blob is, from the top of the layout."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _is_link(name: str, at: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode)


def _kind(mode: int) -> str:
    known = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return known.get(stat.S_IFMT(mode), "a device")


def _unsafe(error: OSError, where: str, name: str) -> OccyError:
    if error.errno == errno.ELOOP:
        return BadArchive(where, _NO_LINK)
    if error.errno == errno.ENXIO:
        return BadArchive(where, "a regular file is expected, found a socket or device")
    if error.errno == errno.ENOTDIR:
        return BadArchive(where, "not a directory")
    return unreadable(error, where, name)
