"""An archive that a daemon loads while it is made: no member's header goes out before its size is known."""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from occy_fast.closing import Closing
from occy_fast.errors import DaemonError, DigestMismatch, MissingBlob, PlanStale, SizeMismatch, Unsupported
from occy_fast.files.spool import temporary_directory
from occy_fast.files.staged import COPY_STEP, output_errors
from occy_fast.files.tar_writer import END_OF_ARCHIVE, padded, tar_header
from occy_fast.image.publication import PublishedImage
from occy_fast.log import log
from occy_fast.spec.config import chain_ids
from occy_fast.spec.json import format_json

if TYPE_CHECKING:
    from occy_fast.image.blob import FileRegion
    from occy_fast.image.publication import Publication
    from occy_fast.planning.steps import AdoptHow
    from occy_fast.spec.digest import Digest
    from occy_fast.transports.daemon.client import DaemonClient


_PATIENTLY, _SHORTLY = 60.0, 2.0                     # seconds for putting things back; short for a daemon that hangs


@dataclass(frozen=True, slots=True)
class _Member:
    """A blob that the daemon has been sent."""

    name: str
    size: int


class _Upload:
    """A blob of known size on its way to the daemon; nothing else is sent before it ends."""

    def __init__(self, stage: DaemonStage, size: int) -> None:
        self._stage, self._size, self._left = stage, size, size
        self._name = ""

    def write(self, piece: bytes) -> None:
        """Send the next bytes. Raises SizeMismatch for more than there may be, DaemonError."""
        if len(piece) > self._left:
            raise SizeMismatch(self._stage.locator, self._size, self._size + len(piece) - self._left)
        self._begin()
        self._stage.send(piece)
        self._left -= len(piece)

    def commit(self, digest: Digest, size: int) -> None:
        """Name what was sent. Raises SizeMismatch, DaemonError."""
        if size != self._size or self._left:
            raise SizeMismatch(self._stage.locator, self._size, size)
        self._begin()
        self._stage.send(bytes(padded(size) - size))
        self._stage.end_upload(self, digest, _Member(self._name, size))

    def abort(self) -> None:
        """Hang up: what has been sent cannot be taken back, and a tar that ends here is no image."""
        self._stage.drop_upload(self)

    def _begin(self) -> None:
        if not self._name:
            self._name = self._stage.start_member(self._size)


class _SpooledBlob:
    """A blob whose size is not known before its end: until then it is a file without a name."""

    offset = 0

    def __init__(self, stage: DaemonStage, file: BinaryIO) -> None:
        self._stage, self._file = stage, file
        self.fd = file.fileno()

    def commit(self, digest: Digest, size: int) -> None:
        """Send what was written. Raises OutputError, DaemonError."""
        self._stage.send_spooled(digest, self.fd, size)
        self._file.close()

    def abort(self) -> None:
        self._file.close()


class DaemonStage(Closing):
    """Layers go to the daemon one behind the other, documents last; it loads what it has when the archive ends.

    The archive names layers by their numbers, as their digests may be known only when they have gone by. Leaving
    without publish hangs up inside the archive, of which the daemon keeps nothing.
    """

    def __init__(self, client: DaemonClient, locator: str) -> None:
        self.locator = locator
        self._client = client
        self._mutex = threading.RLock()
        self._sent: dict[Digest, _Member] = {}
        self._documents: dict[Digest, bytes] = {}
        self._upload: _Upload | None = None
        self._count = 0
        self._begun = self._given_up = False
        self._failure: DaemonError | None = None
        self.bytes_sent = 0

    def has(self, digest: Digest, size: int | None = None) -> bool:
        with self._mutex:
            member = self._sent.get(digest)
            found = member.size if member else len(self._documents[digest]) if digest in self._documents else None
        return found is not None and (size is None or found == size)

    def find_blob(self, digest: Digest, size: int) -> FileRegion | None:  # noqa: ARG002
        return None                                  # a daemon gives no blob back

    def open_blob(self, size: int | None) -> _Upload | _SpooledBlob:
        if size is None:
            with output_errors(temporary_directory(), "create a temporary file in"):
                return _SpooledBlob(self, tempfile.TemporaryFile(buffering=0, dir=temporary_directory()))
        with self._mutex:
            if self._upload is not None:
                raise RuntimeError("a blob is on its way to the daemon")
            self._upload = _Upload(self, size)
            return self._upload

    def put_bytes(self, digest: Digest, data: bytes) -> None:
        """Keep a document until publish."""
        found = digest.of(data)
        if found != digest:
            raise DigestMismatch(f"{self.locator}: {digest}", digest, found)
        with self._mutex:
            self._documents.setdefault(digest, data)

    def adopt(self, digest: Digest, size: int, origin: FileRegion, how: AdoptHow | Literal["copy"]) -> bool:
        if self.has(digest, size):
            return True
        if how != "copy":
            return False
        if origin.size != size:
            raise SizeMismatch(origin.path, size, origin.size)
        with origin.open() as region:
            self._send_file(digest, region.fd, region.offset, size)
        return True

    def publish(self, publication: Publication) -> None:
        """Send the documents and let the daemon load; a failed load leaves names and images as they were before.

        Raises MissingBlob, SizeMismatch, PlanStale for a layer the daemon was to have, DaemonError, Unsupported.
        """
        images = _images_of(publication, self.locator)
        with self._mutex:
            assert self._upload is None, "publish with a blob on its way"
            self._check_layers(images)
            before = _Before(self._client, images)
            try:
                for image, _ in images:
                    self._send_document(_config_name(image), image.config_bytes)
                self._send_document("manifest.json", self._manifest(images))
                self.send(END_OF_ARCHIVE)
                log.debug("%s: %d bytes sent", self.locator, self.bytes_sent)
                self._client.end_load(whole=True)
                before.check_loaded()
            except DaemonError as error:
                self._client.close()
                before.restore(_SHORTLY if isinstance(error.__cause__, TimeoutError) else _PATIENTLY)
                raise

    def _check_layers(self, images: list[tuple[PublishedImage, tuple[str, ...]]]) -> None:
        """Raise unless every layer was sent, or is there under its chain_id."""
        left_out: list[tuple[PublishedImage, int]] = []
        for image, _ in images:
            for at, layer in enumerate(image.layers):
                digest, size = layer.descriptor.digest, layer.descriptor.size
                member = self._sent.get(digest)
                if member is None:
                    left_out.append((image, at))
                elif member.size != size:
                    raise SizeMismatch(f"{self.locator}: {digest}", size, member.size)
        if not left_out:
            return
        if not self._client.kind.has_layer_store:
            image, at = left_out[0]
            digest = image.layers[at].descriptor.digest
            raise MissingBlob(f"{self.locator}: {digest}", digest)
        with self._client.another() as client:               # ours is in the middle of the archive
            held = client.held_chains({_diff_ids(image) for image, _ in left_out})
        for image, at in left_out:
            if chain_ids(_diff_ids(image))[at] not in held:
                diff_id = image.layers[at].diff_id
                raise PlanStale(self.locator, f"the daemon no longer has layer {diff_id}")

    def _manifest(self, images: list[tuple[PublishedImage, tuple[str, ...]]]) -> bytes:
        items: list[dict[str, Any]] = []
        for image, names in images:
            layers = []
            for chain, layer in zip(chain_ids(_diff_ids(image)), image.layers, strict=True):
                member = self._sent.get(layer.descriptor.digest)
                layers.append(member.name if member else f"present/{chain.hex}")
            item = {"Config": _config_name(image), "RepoTags": list(names) or None, "Layers": layers}
            items.append(item)
        return format_json(items)

    def _send_document(self, name: str, data: bytes) -> None:
        self._start()
        self.send(tar_header(name, len(data)) + data + bytes(padded(len(data)) - len(data)))

    def send_spooled(self, digest: Digest, fd: int, size: int) -> None:
        """Send the blob that was written to the file *fd*, if it is not sent yet. Raises OutputError, DaemonError."""
        with self._mutex:
            if digest in self._sent:
                return
            with output_errors(temporary_directory(), "read the temporary file in"):
                self._send_file(digest, fd, 0, size)

    def _send_file(self, digest: Digest, fd: int, offset: int, size: int) -> None:
        """Send a blob whose bytes are proved."""
        with self._mutex:
            assert self._upload is None, "a blob is on its way"
            name = self.start_member(size)
            done = 0
            while done < size:
                piece = os.pread(fd, min(COPY_STEP, size - done), offset + done)
                if not piece:
                    raise SizeMismatch(self.locator, size, done)
                self.send(piece)
                done += len(piece)
            self.send(bytes(padded(size) - size))
            self._sent[digest] = _Member(name, size)

    def start_member(self, size: int) -> str:
        """Send the header of a layer of *size* bytes, and return its name. Raises DaemonError."""
        self._start()
        self._count += 1
        name = f"layer-{self._count}"
        self.send(tar_header(name, size))
        return name

    def end_upload(self, upload: _Upload, digest: Digest, member: _Member) -> None:
        """Let *member*, which *upload* has sent, be the blob of *digest*."""
        with self._mutex:
            assert self._upload is upload
            self._upload = None
            self._sent.setdefault(digest, member)

    def drop_upload(self, upload: _Upload) -> None:
        """Hang up in the middle of *upload*; nothing can be sent after that."""
        with self._mutex:
            if self._upload is upload:
                self._upload = None
                self._given_up = True
                self._client.close()

    def _start(self) -> None:
        if self._given_up:
            raise RuntimeError("an archive that was given up in the middle of a blob")
        if not self._begun:
            self._begun = True
            self._client.begin_load()

    def send(self, piece: bytes) -> None:
        """Send a piece of the archive.

        Raises DaemonError, with the daemon's own words where it has said any: once, and again for what is still under
        way in a pass that was cancelled.
        """
        if self._failure is not None:
            raise self._failure
        try:
            if not self._client.connection.send(piece):
                self._client.end_load(whole=False)
        except DaemonError as error:
            self._failure = error
            raise
        self.bytes_sent += len(piece)

    def close(self) -> None:
        """Hang up; without publish, the daemon keeps nothing of what was sent."""
        self._client.close()


class _Before:
    """What the daemon had under the names and ids of a publication, to be put back if loading fails."""

    def __init__(self, client: DaemonClient, images: list[tuple[PublishedImage, tuple[str, ...]]]) -> None:
        self._client, self._images = client, images
        with client.another() as asking:
            self._names = {name: asking.find(name) for _, names in images for name in names}
            found = (asking.find(str(image.config.digest)) for image, _ in images)
            self._there = {known.image_id: known for known in found if known is not None}

    def check_loaded(self) -> None:
        """Raise DaemonError unless every image is there, under every name."""
        with self._client.another() as client:
            for image, names in self._images:
                expected, containerd = image.config.digest, client.kind.containerd
                # containerd's store knows an image by its manifest, and that is made there
                for name in names or (() if containerd else (str(expected),)):
                    found = client.find(name)
                    if found is None or found.diff_ids != _diff_ids(image):
                        raise client.connection.failure(f"it says nothing is wrong, and has not loaded {name}", 200)
                    if found.image_id != expected and not containerd:
                        problem = f"{name} should be {expected} now, and is {found.image_id}"
                        raise client.connection.failure(problem, 200)

    def restore(self, patience: float) -> None:
        """Give names back to the images that had them, and remove what came new; as far as the daemon still answers."""
        with suppress(DaemonError), self._client.another(patience) as client:
            for name, known in self._names.items():
                now = client.find(name)
                if known is not None and (now is None or now.image_id != known.image_id):
                    client.tag(known.image_id, name)
                elif known is None and now is not None:
                    earlier = self._there.get(now.image_id)
                    if earlier is None or earlier.names:         # an image would go with its only name
                        client.remove(name)
            for image, _ in self._images:
                digest = image.config.digest
                if digest not in self._there and client.find(str(digest)) is not None:
                    client.remove(str(digest))


def _images_of(publication: Publication, locator: str) -> list[tuple[PublishedImage, tuple[str, ...]]]:
    """Return each image with its names as the daemon shows them, its own repeats put together."""
    found: dict[tuple[Digest, tuple[Digest, ...]], tuple[PublishedImage, dict[str, None]]] = {}
    for root in publication.roots:
        image = root.root
        if not isinstance(image, PublishedImage) or image.artifact:
            raise Unsupported(locator, "a daemon loads images of one platform each", "choose a platform")
        key = image.config.digest, tuple(layer.descriptor.digest for layer in image.layers)
        _, names = found.setdefault(key, (image, {}))
        names.update((name, None) for name in root.names)
    return [(image, tuple(names)) for image, names in found.values()]


def _config_name(image: PublishedImage) -> str:
    return f"{image.config.digest.hex}.json"


def _diff_ids(image: PublishedImage) -> tuple[Digest, ...]:
    return tuple(layer.diff_id for layer in image.layers if layer.diff_id is not None)
