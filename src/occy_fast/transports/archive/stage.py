"""An archive under construction: blobs side by side in a tar, and the documents that close it."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from occy_fast.closing import Closing
from occy_fast.errors import DigestMismatch, Unsupported
from occy_fast.files.adopt import copy_region
from occy_fast.files.spool import StreamedFile
from occy_fast.files.staged import StagedFile, clean_stale, open_directory, output_errors, replaceable
from occy_fast.files.tar_writer import Region, TarOutput
from occy_fast.image.publication import PublishedImage
from occy_fast.spec.digest import Digest
from occy_fast.spec.json import format_json
from occy_fast.spec.limits import DocumentLimit, check_written
from occy_fast.spec.media_type import OCI_INDEX
from occy_fast.spec.reference import parse_reference
from occy_fast.transports.archive.standing import notes_on
from occy_fast.transports.layout.directory import LAYOUT_FILE
from occy_fast.transports.layout.index_file import index_entries
from occy_fast.transports.locator import STREAM

if TYPE_CHECKING:
    from collections.abc import Callable

    from occy_fast.image.blob import FileRegion
    from occy_fast.image.publication import Publication
    from occy_fast.planning.steps import AdoptHow


class _RegionSink:
    """One blob in its region of the archive."""

    def __init__(self, stage: ArchiveStage, fd: int, region: Region) -> None:
        self.fd, self.offset = fd, region.body
        self._stage, self._region = stage, region

    def commit(self, digest: Digest, size: int) -> None:
        self._stage.commit_blob(self._region, digest, size)

    def abort(self) -> None:
        self._stage.discard_blob(self._region)


class ArchiveStage(Closing, ABC):
    """Blobs laid side by side in a file that has no name yet; publish adds the documents and names it.

    A blob of unknown size must be the only one open; others wait for it with an error, as waiting could be for ever.

    Attributes:
        holds: what this is, for messages.
        directories: entries in front of everything.
    """

    holds: ClassVar[str]
    directories: ClassVar[tuple[str, ...]] = ("blobs/", "blobs/sha256/")

    @abstractmethod
    def closing_documents(self, publication: Publication) -> list[tuple[str, bytes]]:
        """Return the documents that close the archive, by name. Raises Unsupported, ManifestTooLarge."""

    def __init__(self, path: str, locator: str) -> None:
        self._path, self._locator = path, locator
        self._mutex = threading.Lock()
        self._staged: dict[Digest, int] = {}
        self._documents: dict[Digest, bytes] = {}
        self._open: list[Region] = []
        self._name = os.path.basename(path)
        with ExitStack() as stack:
            self._file = StreamedFile() if path == STREAM else self._open_file(stack)
            stack.callback(self._file.close)
            self._tar = TarOutput(self._file.fd)
            with output_errors(self._path, "write to"):
                for name in self.directories:
                    self._tar.append_directory(name)
            self._cleanup = stack.pop_all()

    def _open_file(self, stack: ExitStack) -> StagedFile:
        """Open the file that is to replace what is at the path; *stack* keeps its directory open."""
        if not self._name:
            raise Unsupported(self._locator, "the path names a directory", "name a file")
        notes_on(self._path, self._locator)            # what was there when the plan was made may be another by now
        self._path = replaceable(self._path, self._locator)
        parent, self._name = os.path.split(self._path)
        with output_errors(self._path, "open the directory of"):
            directory = open_directory(parent or ".")
        stack.callback(os.close, directory)
        clean_stale(directory)
        return StagedFile(directory, self._path)

    def has(self, digest: Digest, size: int | None = None) -> bool:
        with self._mutex:
            found = self._size_of(digest)
        return found is not None and (size is None or found == size)

    def find_blob(self, digest: Digest, size: int) -> FileRegion | None:  # noqa: ARG002
        return None                                  # an archive is written anew, and has nothing before

    def open_blob(self, size: int | None, digest: Digest | None = None) -> _RegionSink:  # noqa: ARG002
        with self._mutex:
            if self._tar.growing:
                raise RuntimeError("a blob of unknown size is being written to the archive")
            region = self._tar.reserve(size)
            self._open.append(region)
            return _RegionSink(self, self._file.fd, region)

    def put_bytes(self, digest: Digest, data: bytes) -> None:
        """Keep a document until publish, so that where it stands does not depend on when it came."""
        self._member_name(digest)
        found = digest.of(data)
        if found != digest:
            raise DigestMismatch(f"{self._locator}: {digest}", digest, found)
        with self._mutex:
            self._documents.setdefault(digest, data)

    def adopt(self, digest: Digest, size: int, origin: FileRegion, how: AdoptHow | Literal["copy"]) -> bool:
        if self.has(digest, size):
            return True
        if how != "copy":                            # a member never begins on a block of the file system
            return False
        sink = self.open_blob(size)
        try:
            with output_errors(self._path, "copy to"):
                copy_region(origin, size, sink.fd, sink.offset)
            sink.commit(digest, size)
        except BaseException:
            sink.abort()
            raise
        return True

    def publish(self, publication: Publication) -> None:
        last = self.closing_documents(publication)
        for digest, data in publication.documents():
            self.put_bytes(digest, data)
        with self._mutex:
            assert not self._open, "publish with a blob still open"
            publication.check_staged(self._size_of, lambda digest: f"{self._locator}: {digest}")
            with output_errors(self._path, "write to"):
                for digest in self._staged.keys() - publication.digests():
                    self._tar.drop_member(self._member_name(digest))
                    del self._staged[digest]
                self.write_members(publication)
                for name, data in last:
                    self._tar.append(name, data)
                self._tar.finish()
            self._file.publish(self._name)

    def write_members(self, publication: Publication) -> None:  # noqa: ARG002
        """Bring what was staged into its final shape, and add all that closing_documents does not. Raises OSError."""
        self._tar.close_gaps()
        for digest, data in self._documents.items():
            if digest not in self._staged:
                self._tar.append(self._member_name(digest), data)
                self._staged[digest] = len(data)

    def check_size(self, name: str, document: bytes, kind: DocumentLimit) -> None:
        """Raise ManifestTooLarge for a document that would not be read again."""
        check_written(kind, len(document), f"{self._locator}: {name}")

    def _size_of(self, digest: Digest) -> int | None:
        """Return the size of what was staged under *digest*, None where nothing was. The caller holds the lock."""
        document = self._documents.get(digest)
        return self._staged.get(digest, None if document is None else len(document))

    def _member_name(self, digest: Digest) -> str:
        if digest.algorithm != "sha256":             # its name would not fit a ustar header
            problem = f"{digest.algorithm} digests do not fit {self.holds}"
            raise Unsupported(self._locator, problem, "write an OCI layout")
        return f"blobs/sha256/{digest.hex}"

    def commit_blob(self, region: Region, digest: Digest, size: int) -> None:
        """Make *region* the blob of *digest*, as its sink has ended. Raises OutputError, Unsupported."""
        name = self._member_name(digest)
        with self._mutex, output_errors(self._path, "write to"):
            if digest in self._staged and self._tar.is_last(region):
                self._tar.drop(region)
            else:
                self._tar.keep(region, name, size)   # of two equal ones, close_gaps keeps the first
                self._staged[digest] = size
            self._open.remove(region)

    def discard_blob(self, region: Region) -> None:
        """Drop *region*, whose sink was given up."""
        with self._mutex:
            if region in self._open:
                self._open.remove(region)
                with suppress(OSError):              # what cannot be cut off now is closed by publish, or fails there
                    self._tar.drop(region)

    def close(self) -> None:
        """Remove what was not published."""
        self._cleanup.close()


class DockerArchiveStage(ArchiveStage):
    """A docker-archive under construction, in the profile that every consumer loads."""

    holds = "a docker-archive"

    def closing_documents(self, publication: Publication) -> list[tuple[str, bytes]]:
        self.check_images(publication)
        index, manifest = archive_index(publication), archive_manifest(publication, _blob_names)
        self.check_size("index.json", index, "manifest")
        self.check_size("manifest.json", manifest, "docker_manifest")
        return [("index.json", index), ("manifest.json", manifest), ("oci-layout", LAYOUT_FILE)]

    def check_images(self, publication: Publication) -> None:
        """Raise Unsupported where something is no image of one platform."""
        for root in publication.roots:
            if not isinstance(root.root, PublishedImage) or root.root.artifact:
                problem = "a docker-archive holds images of one platform each"
                raise Unsupported(self._locator, problem, "choose a platform")


def archive_index(publication: Publication) -> bytes:
    """Format index.json: an entry per name.

    containerd would make a name of a ref name that stands alone, so an image without names gets none.
    """
    entries = []
    for root in publication.roots:
        for entry in index_entries(replace(root, ref=None), None):
            assert isinstance(root.root, PublishedImage)
            platform = root.root.platform            # a config may lack what makes it one
            if entry.platform is None and platform is not None and platform.os and platform.architecture:
                entry = replace(entry, platform=platform)
            entries.append(entry.document())
    return format_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


def archive_manifest(
    publication: Publication, names_of: Callable[[PublishedImage], tuple[str, tuple[str, ...]]]
) -> bytes:
    """Format manifest.json: an item per image, its tags in familiar form, or null.

    Args:
        names_of: names an image's config and layers in the archive.
    """
    items: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for root in publication.roots:
        assert isinstance(root.root, PublishedImage)
        config, layers = names_of(root.root)
        item = items.setdefault((config, layers), {"Config": config, "RepoTags": None, "Layers": list(layers)})
        for name in root.names:
            tag = parse_reference(name).familiar()
            if tag not in (item["RepoTags"] or ()):
                item["RepoTags"] = [*(item["RepoTags"] or ()), tag]
    return format_json(list(items.values()))


def _blob_names(image: PublishedImage) -> tuple[str, tuple[str, ...]]:
    digests = (image.config.digest, *(layer.descriptor.digest for layer in image.layers))
    config, *layers = (f"blobs/sha256/{digest.hex}" for digest in digests)
    return config, tuple(layers)
