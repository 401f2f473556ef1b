"""An OCI layout under construction, or an addition to one."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Literal

from occy_fast.closing import Closing
from occy_fast.errors import (
    DigestMismatch,
    OutputError,
    PlanStale,
    SizeMismatch,
    UnsupportedFormat,
    unwritable,
)
from occy_fast.files.adopt import copy_region, link_region, reflink_region
from occy_fast.files.modes import keep_mode
from occy_fast.files.staged import (
    StagedDirectory,
    clean_stale,
    is_temporary_name,
    locked,
    open_directory,
    output_errors,
    write_all,
)
from occy_fast.spec.digest import Digest
from occy_fast.spec.limits import check_written
from occy_fast.transports.layout.additions import Additions, exists_at
from occy_fast.transports.layout.directory import (
    LAYOUT_FILE,
    LAYOUT_LIMIT,
    LayoutDirectory,
    algorithms_of,
    blob_name,
    write_layout_file,
)
from occy_fast.transports.layout.foreign import is_layout
from occy_fast.transports.layout.index_file import merged_index

if TYPE_CHECKING:

    from occy_fast.image.blob import FileRegion
    from occy_fast.image.publication import Publication
    from occy_fast.planning.steps import AdoptHow
    from occy_fast.spec.limits import Limits
    from occy_fast.spec.manifest import Index


class _FileSink:
    """One blob in a file of its own."""

    offset = 0

    def __init__(self, stage: OciLayoutStage, fd: int, name: str, size: int | None) -> None:
        self.fd = fd
        self._stage, self._name, self._size = stage, name, size

    def commit(self, digest: Digest, size: int) -> None:
        assert self._size in (None, size)
        self._stage.commit_blob(self._name, self.fd, digest, size)
        self._close()

    def abort(self) -> None:
        if self.fd >= 0:
            self._close()
            self._stage.discard_blob(self._name)

    def _close(self) -> None:
        os.close(self.fd)
        self.fd = -1


class OciLayoutStage(Closing):
    """Blobs gathered in a directory of the run's own, which becomes the layout or is emptied into it.

    A new layout is that directory, renamed. An existing one gets its blobs by rename, then its new index.json by
    rename, under a lock on the layout: until then nothing in it changes, and a run that dies leaves only the directory,
    which the next one removes.
    """

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
                if is_layout(frozenset(entries)):
                    raise UnsupportedFormat(
                        self._locator, "a layout without oci-layout", write_layout_file(self._path)
                    )
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

    def open_blob(self, size: int | None, digest: Digest | None = None) -> _FileSink:  # noqa: ARG002
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

    def adopt(self, digest: Digest, size: int, origin: FileRegion, how: AdoptHow | Literal["copy"]) -> bool:
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
        additions = Additions(target, self._staging.fd, self._path)
        try:
            with output_errors(self._path, "write to"):
                self._write_part("index.json", self._merged(index, publication))
                if target.read("oci-layout", LAYOUT_LIMIT) is None:
                    self._write_part("oci-layout", LAYOUT_FILE)
                    additions.move_file("oci-layout")
            with output_errors(self._path, "rename into"):
                additions.move_blobs(self._staged.keys())
            with output_errors(self._path, "fsync"):
                os.fsync(target.fd)
            with output_errors(self._path, "rename into"):
                os.rename("index.json", "index.json", src_dir_fd=self._staging.fd, dst_dir_fd=target.fd)
        except BaseException:
            if exists_at("index.json", self._staging.fd):         # else it is published, and what it names must stay
                additions.take_back()
            raise
        with output_errors(self._path, "fsync"):
            os.fsync(target.fd)

    def _merged(self, index: Index | None, publication: Publication) -> bytes:
        """Make the new index.json. Raises ManifestTooLarge for one that nobody here would read again."""
        raw = merged_index(index, publication)
        check_written("manifest", len(raw), f"{self._locator}: index.json")
        return raw

    def _check_blobs(self, publication: Publication) -> None:
        """Raise MissingBlob, SizeMismatch or PlanStale unless every layer, and what is no image, is staged or there."""
        publication.check_staged(self._size_of, self._where)

    def _size_of(self, digest: Digest) -> int | None:
        """Return the size of a blob that is staged or there, None where it is neither.

        Raises PlanStale where it was relied upon, and is another file by now.
        """
        staged = self._staged.get(digest)
        if staged is not None or self._target is None:
            return staged
        region = self._target.find(digest)
        if region is None:
            return None
        if region != self._relied.get(digest, region):
            raise PlanStale(self._where(digest), "it has changed since it was proved")
        return region.size

    def _where(self, digest: Digest) -> str:
        return f"{self._locator}: {blob_name(digest)}"

    def _sync_staging(self) -> None:
        for name in (*(f"blobs/{algorithm}" for algorithm in algorithms_of(self._staged)), "blobs"):
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

    def commit_blob(self, name: str, fd: int, digest: Digest, size: int) -> None:
        """Make the staged file *name* the blob of *digest*, as its sink has ended. Raises OutputError, SizeMismatch."""
        with output_errors(self._path, "fsync"):
            written = os.fstat(fd).st_size
            if written != size:
                raise SizeMismatch(f"{self._locator}: {blob_name(digest)}", size, written)
            os.fsync(fd)
        with self._mutex, output_errors(self._path, "rename into"):
            self._place(name, digest, size)
            del self._sinks[name]

    def discard_blob(self, name: str) -> None:
        """Remove the staged file *name*, whose sink was given up."""
        with self._mutex:
            self._sinks.pop(name, None)
            with suppress(OSError):
                os.unlink(name, dir_fd=self._staging.fd)

    def close(self) -> None:
        """Remove what was not published."""
        for sink in list(self._sinks.values()):
            sink.abort()
        self._cleanup.close()
