"""An OCI layout under construction, or an addition to one."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from occy_fast.errors import (
    AmbiguousReference,
    DigestMismatch,
    ManifestTooLarge,
    MissingBlob,
    OutputError,
    PlanStale,
    SizeMismatch,
    UnsupportedFormat,
    unwritable,
)
from occy_fast.files.staged import (
    StagedDirectory,
    clean_stale,
    copy_region,
    is_temporary_name,
    keep_mode,
    link_region,
    locked,
    open_directory,
    output_errors,
    reflink_region,
    write_all,
)
from occy_fast.spec.descriptor import IMAGE_NAME, REF_NAME
from occy_fast.spec.digest import Digest
from occy_fast.spec.json import format_json
from occy_fast.spec.media_type import OCI_INDEX
from occy_fast.transports.documents import MANIFEST_LIMIT
from occy_fast.transports.layout.directory import LAYOUT_FILE, LAYOUT_LIMIT, LayoutDirectory, blob_name
from occy_fast.transports.layout.index_file import index_entries

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from occy_fast.image.blob import FileRegion
    from occy_fast.image.publication import Publication
    from occy_fast.spec.limits import Limits
    from occy_fast.spec.manifest import Index
    from occy_fast.transports.base import AdoptBy


class _FileSink:
    """One blob in a file of its own."""

    offset = 0

    def __init__(self, stage: OciLayoutStage, fd: int, name: str, size: int | None) -> None:
        self.fd = fd
        self._stage, self._name, self._size = stage, name, size

    def commit(self, digest: Digest, size: int) -> None:
        assert self._size in (None, size)
        self._stage._commit(self._name, self.fd, digest, size)
        self._close()

    def abort(self) -> None:
        if self.fd >= 0:
            self._close()
            self._stage._discard(self._name)

    def _close(self) -> None:
        os.close(self.fd)
        self.fd = -1


class OciLayoutStage:
    """Blobs gathered in a directory of the run's own, which becomes the layout or is emptied into it.

    A new layout is that directory, renamed. An existing one gets its blobs by rename, then its new index.json by
    rename, under a lock on the layout: until then nothing in it changes, and a run that dies leaves only the directory,
    which the next one removes.
    """

    concurrent_unknown = True

    def __init__(self, path: str, locator: str, limits: Limits) -> None:
        """Stage into the layout at *path*, named *locator* in messages; its documents are read within *limits*."""
        self._limits = limits
        # A symbolic link stays one, and what it points to is written, be it there or not.
        self._path, self._locator = os.path.realpath(path) if os.path.islink(path) else path, locator
        self._mutex = threading.Lock()
        self._staged: dict[Digest, int] = {}
        self._relied: dict[Digest, FileRegion] = {}
        self._sinks: dict[str, _FileSink] = {}
        self._counter = 0
        self._target: LayoutDirectory | None = None
        with ExitStack() as stack:
            parent, self._name = os.path.split(self._path)
            with output_errors(path, "open the directory of"):
                self._parent_fd = open_directory(parent or ".")
            stack.callback(os.close, self._parent_fd)
            self._target = self._open_target()
            if self._target is not None:
                stack.callback(self._target.close)
            at = self._parent_fd if self._target is None else self._target.fd
            clean_stale(at)
            self._staging = StagedDirectory(at, path)
            stack.callback(self._staging.close)
            with output_errors(path, "create"):
                os.mkdir("blobs", dir_fd=self._staging.fd)
                os.mkdir("blobs/sha256", dir_fd=self._staging.fd)
            self._cleanup = stack.pop_all()

    def _open_target(self) -> LayoutDirectory | None:
        """Open what is at the path already; None if it is to be made. Raises OutputError, UnsupportedFormat."""
        try:
            fd = open_directory(self._path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unwritable(error, self._path, "open the directory") from error
        target = LayoutDirectory(fd, os.path.realpath(self._path), self._locator, self._limits)
        try:
            with output_errors(self._path, "list"):
                entries = {name for name in os.listdir(fd) if not is_temporary_name(name)}
            if entries and "oci-layout" not in entries:
                remedy = "name a new directory, an empty one or a layout"
                raise UnsupportedFormat(self._locator, "a directory that is neither empty nor an OCI layout", remedy)
            with locked(fd, self._path):             # a file system that refuses says so before the work, not after
                pass
            if entries:
                target.check_version()
                target.read_index()                  # what cannot be added to is refused before anything is written
        except BaseException:
            target.close()
            raise
        return target

    def has(self, digest: Digest, size: int | None = None) -> bool:
        with self._mutex:
            if digest in self._staged:
                return size is None or self._staged[digest] == size
            found = None if self._target is None else self._target.find(digest)
        return found is not None and (size is None or found.size == size)

    def find_blob(self, digest: Digest, size: int) -> FileRegion | None:
        with self._mutex:
            found = None if self._target is None else self._target.find(digest)
            if found is None or found.size != size:
                return None
            self._relied[digest] = found
            return found

    def open_blob(self, size: int | None) -> _FileSink:
        with self._mutex, output_errors(self._path, "create a blob in"):
            name, fd = self._open_part()
            sink = self._sinks[name] = _FileSink(self, fd, name, size)
        return sink

    def put_bytes(self, digest: Digest, data: bytes) -> None:
        found = digest.of(data)
        if found != digest:
            raise DigestMismatch(f"{self._locator}: {blob_name(digest)}", digest, found)
        with self._mutex:
            if digest in self._staged:
                return
        sink = self.open_blob(len(data))
        try:
            with output_errors(self._path, "write to"):
                write_all(sink.fd, data, 0)
            sink.commit(digest, len(data))
        except BaseException:
            sink.abort()
            raise

    def adopt(self, digest: Digest, size: int, origin: FileRegion, how: AdoptBy) -> bool:
        with self._mutex:                            # what the layout has already may be damaged
            if self._staged.get(digest) == size:
                return True
        if how == "link":
            return self._adopt_link(digest, size, origin)
        sink = self.open_blob(size)
        try:
            with output_errors(self._path, "copy to"):
                if how == "reflink" and not reflink_region(origin, size, sink.fd):
                    sink.abort()
                    return False
                if how == "copy":
                    copy_region(origin, size, sink.fd, 0)
            sink.commit(digest, size)
        except BaseException:
            sink.abort()
            raise
        return True

    def _adopt_link(self, digest: Digest, size: int, origin: FileRegion) -> bool:
        with self._mutex, output_errors(self._path, "link into"):
            name = self._next_part()
            if not link_region(origin, size, name, self._staging.fd):
                return False
            self._place(name, digest, size)
        return True

    def publish(self, publication: Publication) -> None:
        for digest, data in publication.documents():
            self.put_bytes(digest, data)
        with self._mutex:
            assert not self._sinks, "publish with a blob still open"
            with output_errors(self._path, "remove from"):
                for digest in self._staged.keys() - publication.digests():
                    os.unlink(blob_name(digest), dir_fd=self._staging.fd)
                    del self._staged[digest]
            if self._target is None:
                self._check_blobs(publication)
                if self._publish_new(publication):
                    return
                self._target = self._open_target()
                if self._target is None:             # somebody made it and removed it again
                    raise OutputError(self._path, errno.EBUSY, "rename")
                self._cleanup.callback(self._target.close)
            with locked(self._target.fd, self._path):
                self._publish_into(self._target, publication)

    def _publish_new(self, publication: Publication) -> bool:
        """Rename the staging directory; False if another run has made a layout there meanwhile."""
        with output_errors(self._path, "write to"):
            self._write_part("oci-layout", LAYOUT_FILE)
            self._write_part("index.json", self._merged(None, publication))
        with output_errors(self._path, "fsync"):
            self._sync_staging()
        try:
            self._staging.rename(self._name)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise unwritable(error, self._path, "rename") from error
        with output_errors(self._path, "fsync"):
            os.fsync(self._parent_fd)
        return True

    def _publish_into(self, target: LayoutDirectory, publication: Publication) -> None:
        """Move the staged blobs into *target* and replace its index; the caller holds its lock."""
        self._check_blobs(publication)
        index = target.read_index()
        made: list[tuple[int, str]] = []
        try:
            with output_errors(self._path, "write to"):
                self._write_part("index.json", self._merged(index, publication))
                if target.read("oci-layout", LAYOUT_LIMIT) is None:
                    self._write_part("oci-layout", LAYOUT_FILE)
                    self._move("oci-layout", target.fd, "oci-layout", made)
            with output_errors(self._path, "rename into"):
                self._move_blobs(target, made)
            with output_errors(self._path, "fsync"):
                os.fsync(target.fd)
            with output_errors(self._path, "rename into"):
                os.rename("index.json", "index.json", src_dir_fd=self._staging.fd, dst_dir_fd=target.fd)
        except BaseException:
            if _lexists("index.json", self._staging.fd):         # else it is published, and what it names must stay
                _take_back(made)
            raise
        with output_errors(self._path, "fsync"):
            os.fsync(target.fd)

    def _merged(self, index: Index | None, publication: Publication) -> bytes:
        """Make the new index.json. Raises ManifestTooLarge for one that nobody here would read again."""
        raw = merged_index(index, publication)
        if len(raw) > MANIFEST_LIMIT:
            where, limit = f"{self._locator}: index.json", "size of a document to be written"
            raise ManifestTooLarge(where, limit, MANIFEST_LIMIT, len(raw))
        return raw

    def _check_blobs(self, publication: Publication) -> None:
        """Raise MissingBlob, SizeMismatch or PlanStale unless every layer, and what is no image, is staged or there."""
        for descriptor in publication.blobs():
            digest, size = descriptor.digest, descriptor.size
            found = self._staged.get(digest)
            if found is None:
                region = None if self._target is None else self._target.find(digest)
                if region is None:
                    raise MissingBlob(f"{self._locator}: {blob_name(digest)}", digest)
                if region != self._relied.get(digest, region):
                    raise PlanStale(f"{self._locator}: {blob_name(digest)}", "it has changed since it was proved")
                found = region.size
            if found != size:
                raise SizeMismatch(f"{self._locator}: {blob_name(digest)}", size, found)

    def _algorithms(self) -> list[str]:
        return sorted({digest.algorithm for digest in self._staged} | {"sha256"})

    def _move_blobs(self, target: LayoutDirectory, made: list[tuple[int, str]]) -> None:
        self._make_directory(target.fd, "blobs", made)
        for algorithm in self._algorithms():
            blobs = target.directory("blobs")
            assert blobs is not None
            self._make_directory(blobs, algorithm, made)
            directory = target.directory(f"blobs/{algorithm}")
            assert directory is not None
            for digest in sorted(self._staged):
                if digest.algorithm == algorithm:
                    self._move(blob_name(digest), directory, digest.hex, made)
            os.fsync(directory)
            os.fsync(blobs)

    def _make_directory(self, at: int, name: str, made: list[tuple[int, str]]) -> None:
        if not _lexists(name, at):
            made.append((at, name))                  # before the call: a signal may come right behind it
            os.mkdir(name, dir_fd=at)

    def _move(self, name: str, at: int, new_name: str, made: list[tuple[int, str]]) -> None:
        if not _lexists(new_name, at):
            made.append((at, new_name))
        else:
            self._keep_mode(name, at, new_name)
        with output_errors(f"{self._path}/{name}", "replace"):
            os.rename(name, new_name, src_dir_fd=self._staging.fd, dst_dir_fd=at)

    def _keep_mode(self, name: str, at: int, new_name: str) -> None:
        """Give a staged blob the mode of the one it replaces; a link to the source's file has the source's."""
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._staging.fd)
        try:
            # a mode that shuts this process out is damage, which whoever comes next would find again
            if os.fstat(fd).st_nlink == 1 and keep_mode(fd, new_name, at, readable=_may_read(new_name, at)):
                os.fsync(fd)
        finally:
            os.close(fd)

    def _sync_staging(self) -> None:
        for name in (*(f"blobs/{algorithm}" for algorithm in self._algorithms()), "blobs"):
            fd = open_directory(name, self._staging.fd, follow=False)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        os.fsync(self._staging.fd)

    def _next_part(self) -> str:
        self._counter += 1
        return f"part-{self._counter}"

    def _open_part(self) -> tuple[str, int]:
        name = self._next_part()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return name, os.open(name, flags, 0o666, dir_fd=self._staging.fd)

    def _write_part(self, name: str, data: bytes) -> None:
        """Write a small durable file at the top of the staging directory, for who may read what it replaces."""
        part, fd = self._open_part()
        try:
            if self._target is not None:
                keep_mode(fd, name, self._target.fd)
            write_all(fd, data, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(part, name, src_dir_fd=self._staging.fd, dst_dir_fd=self._staging.fd)

    def _place(self, part: str, digest: Digest, size: int) -> None:
        directory = f"blobs/{digest.algorithm}"
        if digest.algorithm != "sha256":
            with suppress(FileExistsError):
                os.mkdir(directory, dir_fd=self._staging.fd)
        os.rename(part, blob_name(digest), src_dir_fd=self._staging.fd, dst_dir_fd=self._staging.fd)
        self._staged[digest] = size

    def _commit(self, name: str, fd: int, digest: Digest, size: int) -> None:
        with output_errors(self._path, "fsync"):
            written = os.fstat(fd).st_size
            if written != size:
                raise SizeMismatch(f"{self._locator}: {blob_name(digest)}", size, written)
            os.fsync(fd)
        with self._mutex, output_errors(self._path, "rename into"):
            self._place(name, digest, size)
            del self._sinks[name]

    def _discard(self, name: str) -> None:
        with self._mutex:
            self._sinks.pop(name, None)
            with suppress(OSError):
                os.unlink(name, dir_fd=self._staging.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sink in list(self._sinks.values()):
            sink.abort()
        self._cleanup.close()


def merged_index(index: Index | None, publication: Publication) -> bytes:
    """Return index.json with the publication's entries added, or in the place of those of the same ref name.

    Everything else in *index* stays as it is. Raises AmbiguousReference where one of the publication's own entries
    would stand in the place of another.
    """
    new: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    document = new if index is None else index.document()
    entries = _Entries(document["manifests"] or ())  # null is how Go writes an empty list
    known: dict[str | None, str | None] = {_ref(entry): _name(entry) for entry in entries.all() if _ref(entry)}
    chosen = {root.ref for root in publication.roots}
    ours: dict[str, str] = {}
    for root in publication.roots:

        def is_taken(ref: str, names: tuple[str, ...] = root.names) -> bool:
            return ref in chosen or (ref in known and (known[ref] is None or known[ref] not in names))

        for descriptor in index_entries(root, is_taken):
            entry = descriptor.document()
            ref = _ref(entry)
            if ref is not None and ours.setdefault(ref, entry["digest"]) != entry["digest"]:
                candidates = (ours[ref], entry["digest"])
                raise AmbiguousReference("index.json", f"several images are called '{ref}'", candidates, "choose one")
            known[ref] = _name(entry)
            entries.put(entry)
    document["manifests"] = entries.all()
    return format_json(document)


class _Entries:
    """The entries of an index, found by what they are called; there may be thousands, and as many to be put."""

    def __init__(self, entries: Iterable[dict[str, Any]]) -> None:
        self._entries: list[dict[str, Any] | None] = list(entries)       # None: dropped
        self._places: dict[Hashable, list[int]] = {}
        for place, entry in enumerate(self.all()):
            self._places.setdefault(_called(entry), []).append(place)

    def all(self) -> list[dict[str, Any]]:
        return [entry for entry in self._entries if entry is not None]

    def put(self, entry: dict[str, Any]) -> None:
        """Put *entry* in the place of the first that is called the same, and drop the others; else at the end."""
        places = self._places.setdefault(_called(entry), [])
        if not places:
            places.append(len(self._entries))
            self._entries.append(entry)
        self._entries[places[0]] = entry
        for place in places[1:]:
            self._entries[place] = None
        del places[1:]


def _called(entry: dict[str, Any]) -> Hashable:
    """Return what an entry is told by: its ref name, or without one what it names, and for which platform."""
    ref = _ref(entry)
    return ref or (ref, entry["digest"], format_json(sorted((entry.get("platform") or {}).items())))


def _ref(entry: dict[str, Any]) -> str | None:
    return (entry.get("annotations") or {}).get(REF_NAME)


def _name(entry: dict[str, Any]) -> str | None:
    return (entry.get("annotations") or {}).get(IMAGE_NAME)


def _lexists(name: str, dir_fd: int) -> bool:
    try:
        os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _may_read(name: str, dir_fd: int) -> bool:
    """Tell whether this process is allowed to read a file; that the disk fails is no matter of its mode."""
    try:
        os.close(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd))
    except PermissionError:
        return False
    except OSError:
        return True
    return True


def _take_back(made: list[tuple[int, str]]) -> None:
    """Remove what this run put into a layout, last things first."""
    for at, name in reversed(made):
        with suppress(OSError):
            try:
                os.unlink(name, dir_fd=at)
            except (IsADirectoryError, PermissionError):
                os.rmdir(name, dir_fd=at)
