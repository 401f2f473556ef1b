"""The part of the Docker Engine API that images come and go by, as Docker and Podman speak it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from occy_fast.closing import Closing
from occy_fast.errors import AmbiguousReference, BadDigest, DaemonError, NotFound, Unsupported
from occy_fast.log import log
from occy_fast.spec.config import chain_ids
from occy_fast.spec.digest import Digest
from occy_fast.transports.daemon.http import DaemonConnection
from occy_fast.transports.locator import SHORT_ID
from occy_fast.words import printable

if TYPE_CHECKING:
    import http.client

    from occy_fast.errors import Side
    from occy_fast.transports.daemon.endpoint import Endpoint


OURS = (1, 51)
"""The newest version of the API whose answers this module knows."""

OLDEST = (1, 24)
READS_ZSTD = (1, 42)
"""Docker 23.0, the first whose `docker load` decodes zstd layers, speaks this version."""

TELLS_CONTENT = (1, 48)
"""Docker 28.0, the first that tells of every manifest whether all of its content is there, speaks this version."""

_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})")
_LONGEST_LINE = 1 << 20
_UNPACK_FAILURE = "error unpacking image"            # with the containerd store, a broken layer ends no load


@dataclass(frozen=True, slots=True)
class DaemonImage:
    """What the daemon tells of an image.

    Attributes:
        image_id: the config's digest; with the containerd store the manifest's.
        names: in familiar form.
    """

    image_id: Digest
    diff_ids: tuple[Digest, ...]
    names: tuple[str, ...]
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DaemonKind:
    """What kind of daemon answers.

    Attributes:
        api: the version both sides speak.
        podman: it is Podman behind Docker's API.
        containerd: images are in containerd's store, as blobs; else layers are unpacked by a graph driver.
        version: the daemon's own.
    """

    api: tuple[int, int]
    podman: bool
    containerd: bool
    version: str

    @property
    def name(self) -> str:
        return f"{'podman' if self.podman else 'docker'} {self.version}".rstrip()

    @property
    def has_layer_store(self) -> bool:
        """Tell whether an archive may leave out layers that are there under their chain_id."""
        return not (self.podman or self.containerd)

    @property
    def takes_oci_archives(self) -> bool:
        """Tell whether images are kept as the blobs of an OCI layout: the containerd store's way."""
        return self.containerd and not self.podman

    @property
    def tells_content(self) -> bool:
        """Tell whether the daemon says which manifests it has with all that they name."""
        return self.containerd and self.api >= TELLS_CONTENT


class DaemonClient(Closing):
    """Asks one daemon; used by one thread at a time, and closed by leaving the context."""

    def __init__(self, endpoint: Endpoint, side: Side, where: str, timeout: float) -> None:
        """Name the daemon; the first question connects. *side* and *where* are what errors call it."""
        self.connection = DaemonConnection(endpoint, side, where, timeout)
        self._where, self._timeout = where, timeout
        self._kind: DaemonKind | None = None
        self._prefix = ""

    def another(self, patience: float | None = None) -> DaemonClient:
        """Return a client of the same daemon with a connection of its own, and *patience* seconds if that is less."""
        timeout = self._timeout if patience is None else min(self._timeout, patience)
        client = DaemonClient(self.connection.endpoint, self.connection.side, self._where, timeout)
        client._kind, client._prefix = self._kind, self._prefix
        return client

    def close(self) -> None:
        self.connection.close()

    @property
    def kind(self) -> DaemonKind:
        """Return what answers, asking at the first time only. Raises DaemonError, Unsupported."""
        if self._kind is None:
            self._kind = self._ask_kind()
        return self._kind

    def ping(self) -> None:
        """Ask for a sign of life, which a daemon gives at once whatever else it does. Raises DaemonError."""
        self.connection.request("GET", "/_ping")

    def find(self, name: str) -> DaemonImage | None:
        """Return what there is under a name or image id; None if nothing is. Raises DaemonError."""
        status, document = self._get(f"/images/{name}/json")
        if status == 404:
            return None
        self._check(status, document, f"the image {name}")
        return self._image(document)

    def resolve(self, name: str, written: str) -> str:
        """Return the id that a short one stands for, as Docker does; *name* where it is none, or an image is called so.

        Args:
            name: in full, of what was *written*: a name with a tag or a host is no id.
        Raises DaemonError, and AmbiguousReference where several images' ids begin so.
        """
        short = SHORT_ID.fullmatch(written)
        if short is None or self.find(name) is not None:
            return name
        found = sorted({str(image_id) for image_id in self.image_ids() if image_id.hex.startswith(short[1])})
        if len(found) > 1:
            raise AmbiguousReference(self._where, f"several images' ids begin with {short[1]}", tuple(found))
        return found[0] if found else name

    def image_ids(self) -> Iterator[Digest]:
        """Return the ids of all images, the newest first; those without name are among them. Raises DaemonError."""
        status, document = self._get("/images/json", all="1")
        self._check(status, document, "the list of images")
        if not isinstance(document, list):
            raise self._strange("its list of images")
        return (self._digest(_field(item, "Id")) for item in document)

    def held_chains(self, stacks: Iterable[tuple[Digest, ...]], first: Iterable[str] = ()) -> frozenset[Digest]:
        """Find which chain_ids of *stacks* of diff_ids the daemon holds, as far as images of its own show it.

        Args:
            first: names that are likely to show it.
        Raises DaemonError.
        """
        missing = {stack for stack in stacks if stack}
        held: set[Digest] = set()
        if not missing or not self.kind.has_layer_store:
            return frozenset()
        seen: set[Digest] = set()
        for image in self._all_images(first):
            if image.image_id in seen:
                continue
            seen.add(image.image_id)
            for stack in tuple(missing):
                common = _common(stack, image.diff_ids)
                held.update(chain_ids(stack)[:common])
                if common == len(stack):
                    missing.remove(stack)
            if not missing:
                break
        return frozenset(held)

    def whole_manifests(self, digests: Iterable[Digest]) -> frozenset[Digest]:
        """Find which manifests of *digests* are there with their configs and all their layers, as far as it is told.

        Raises DaemonError.
        """
        wanted = {str(digest): digest for digest in digests}
        if not wanted or not self.kind.tells_content:
            return frozenset()
        status, document = self._get("/images/json", all="1", manifests="1")
        self._check(status, document, "the list of images")
        if not isinstance(document, list):
            raise self._strange("its list of images")
        told = [each for item in document for each in _items(_field(item, "Manifests"))]
        names = (_field(_field(each, "Descriptor"), "digest") for each in told if _field(each, "Available") is True)
        return frozenset(wanted[name] for name in names if isinstance(name, str) and name in wanted)

    def tag(self, image_id: Digest, name: str) -> None:
        """Give an image a name, which another may have had. Raises DaemonError."""
        repository, _, tag = name.rpartition(":")
        self._change("POST", f"/images/{image_id}/tag", repo=repository, tag=tag)

    def remove(self, name: str) -> None:
        """Take a name away, and the image with its last name. Raises DaemonError."""
        self._change("DELETE", f"/images/{name}", force="1")

    def begin_load(self) -> None:
        """Begin an archive that the daemon loads. Raises DaemonError, Unsupported."""
        _ = self.kind
        self.connection.begin_body("POST", f"{self._prefix}/images/load", "application/x-tar", quiet="0")

    def end_load(self, *, whole: bool) -> None:
        """End the archive and read what the daemon says to it; without an error, it is loaded.

        Args:
            whole: all of it was sent; else the daemon has answered before, and its answer is the error.
        Raises DaemonError.
        """
        answer = self.connection.end_body(whole=whole)
        if answer.status != 200:
            self._refuse(answer.status, self._read_rest(answer), "the archive")
        for message in self._messages(answer):
            told = _error_of(message)
            if told is not None:
                problem = f"cannot load the archive: {told}"          # the status of what failed is 200
                raise self.connection.failure(problem, retryable=self._may_pass(told))
            if isinstance(text := message.get("stream"), str) and text.strip():
                log.info("%s: %s", self.kind.name, printable(text.strip()))
                if _UNPACK_FAILURE in text.lower():
                    problem = f"cannot load the archive: {text.strip()}"
                    raise self.connection.failure(problem, retryable=self._may_pass(text))
        if not whole:
            raise self.connection.failure("it hung up before it had the whole archive", answer.status, retryable=True)
        self.connection.close()

    def _may_pass(self, told: str) -> bool:
        """Tell whether the next load may do: what was left of one cut off can have spoiled this, and is gone now."""
        return self.kind.containerd and ("failed to ingest" in told or "not found" in told)

    def open_save(self, name: str, cancel: threading.Event | None = None) -> Iterator[memoryview]:
        """Let the daemon make an archive of an image; its bytes come as it makes them.

        Whoever has read the archive's end stops asking, as the daemon hangs up only when it has cleaned up behind it.
        Raises DaemonError, NotFound, and Cancelled once *cancel* is set.
        """
        _ = self.kind
        answer = self.connection.open("GET", f"{self._prefix}/images/{name}/get", cancel, bare=True)
        if answer.status != 200:
            if answer.status == 404:
                raise NotFound(self._where, f"image {name}")
            self._refuse(answer.status, self._read_rest(answer), f"the image {name}")
        return self.connection.buffers(answer, f"saving {name}", cancel)

    def _ask_kind(self) -> DaemonKind:
        status, headers, _ = self.connection.request("GET", "/_ping")
        if status != 200 or ("api-version" not in headers and "libpod-api-version" not in headers):
            raise self.connection.failure("what answers is no container daemon: it has no API version", status)
        found = _VERSION.fullmatch(headers.get("api-version", ""))
        if found is None:
            raise self._strange("its API version")
        theirs = int(found[1]), int(found[2])
        if theirs < OLDEST:
            spoken = f"the daemon speaks version {theirs[0]}.{theirs[1]} of the API"
            raise Unsupported(self._where, spoken, f"{OLDEST[0]}.{OLDEST[1]} is the oldest known here")
        api = min(theirs, OURS)
        self._prefix = f"/v{api[0]}.{api[1]}"
        status, document = self._get("/info")
        self._check(status, document, "what it is")
        if not isinstance(document, dict):
            raise self._strange("what it says it is")
        drivers = document.get("DriverStatus")
        kind = DaemonKind(
            api,
            "libpod-api-version" in headers,
            any("io.containerd.snapshotter" in str(pair) for pair in drivers or ()),
            str(document.get("ServerVersion") or ""),
        )
        log.info("%s: %s, API %d.%d", self.connection.endpoint, kind.name, *api)
        return kind

    def _all_images(self, first: Iterable[str]) -> Iterator[DaemonImage]:
        for name in first:
            if (image := self.find(name)) is not None:
                yield image
        for image_id in self.image_ids():
            if (image := self.find(str(image_id))) is not None:      # it may be removed meanwhile
                yield image

    def _get(self, path: str, **query: str) -> tuple[int, Any]:
        if path != "/info":
            _ = self.kind
        return self._asked("GET", path, query)

    def _change(self, method: str, path: str, **query: str) -> None:
        _ = self.kind
        status, document = self._asked(method, path, query)
        if status >= 300:
            self._refuse(status, document, path)

    def _asked(self, method: str, path: str, query: dict[str, str]) -> tuple[int, Any]:
        status, _, raw = self.connection.request(method, self._prefix + path, **query)
        try:
            return status, json.loads(raw) if raw.strip() else None
        except (ValueError, RecursionError) as error:
            raise self.connection.failure(f"{method} {path}: what it answers is no JSON", status) from error

    def _read_rest(self, answer: http.client.HTTPResponse) -> Any:
        raw = b"".join(self.connection.lines(answer, _LONGEST_LINE))
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            return raw.decode("utf-8", "replace").strip()

    def _messages(self, answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
        for line in self.connection.lines(answer, _LONGEST_LINE):
            if not line.strip():
                continue
            try:
                message = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise self.connection.failure("what it answers to the archive is no JSON", answer.status) from error
            if not isinstance(message, dict):
                raise self._strange("what it says to the archive")
            yield message

    def _check(self, status: int, document: Any, what: str) -> None:
        if status != 200:
            self._refuse(status, document, what)

    def _refuse(self, status: int, document: Any, what: str) -> None:
        raise self.connection.failure(f"refuses {what}: {_told(document)}", status, retryable=status >= 502)

    def _strange(self, what: str) -> DaemonError:
        return self.connection.failure(f"{what} cannot be understood", 200)

    def _image(self, document: Any) -> DaemonImage:
        layers = _field(_field(document, "RootFS"), "Layers") or ()
        names = _field(document, "RepoTags") or ()
        if not isinstance(layers, (list, tuple)) or not isinstance(names, (list, tuple)):
            raise self._strange("what it says of an image")
        return DaemonImage(
            self._digest(_field(document, "Id")),
            tuple(map(self._digest, layers)),
            tuple(name for name in names if isinstance(name, str)),
            document,
        )

    def _digest(self, text: Any) -> Digest:
        if not isinstance(text, str):
            raise self._strange("the id of an image")
        try:
            return Digest.parse(text if ":" in text else f"sha256:{text}")       # libpod leaves the algorithm out
        except BadDigest:
            raise self._strange("the id of an image") from None


def _field(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None


def _items(document: Any) -> list[Any]:
    return document if isinstance(document, list) else []


def _told(document: Any) -> str:
    """Return what a refusal says, of Docker's {"message"} or Podman's {"cause", "message"}."""
    told = _field(document, "message")
    return str(told or document or "it does not say why")


def _error_of(message: dict[str, Any]) -> str | None:
    """Return the error in one message of a stream whose status was 200."""
    detail = _field(message.get("errorDetail"), "message") or message.get("error")
    if detail is None and "errorDetail" in message:
        return "it does not say why"
    return None if detail is None else str(detail)


def _common(one: tuple[Digest, ...], other: tuple[Digest, ...]) -> int:
    """Count how many items two stacks share from the bottom."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
