"""A container daemon in this process: the Engine API on a unix socket, with a graph driver's way to load."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import parse_qs, unquote, urlsplit

import zstandard

from support.image_builders import dumps, sha256

Fault = Callable[["FakeDaemon", "Exchange"], bool]
"""Looks at a request before it is answered; True where it has dealt with it."""


@dataclass
class FakeImage:
    """What the daemon keeps of an image: its config, and the names it has."""

    config: bytes
    names: set[str] = field(default_factory=set)

    @property
    def diff_ids(self) -> list[str]:
        return list(json.loads(self.config)["rootfs"]["diff_ids"])


@dataclass
class Exchange:
    """One request, and the way to answer it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    stream: BinaryIO
    sock: socket.socket
    version: str = "HTTP/1.1"

    def body(self) -> Iterator[bytes]:
        """Yield the chunks of the body."""
        while size := int(self.stream.readline(), 16):
            yield self.stream.read(size)
            self.stream.readline()
        self.stream.readline()

    def say(self, status: int, raw: bytes, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(raw)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode() + raw)

    def say_json(self, status: int, document: Any) -> None:
        self.say(status, dumps(document), Content_Type="application/json")

    def say_chunks(self, pieces: Iterator[bytes]) -> None:
        """Answer in chunks, or to whoever asks in HTTP/1.0, as a body that ends with the connection."""
        if self.version == "HTTP/1.0":
            self.sock.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            for piece in pieces:
                self.sock.sendall(piece)
            self.sock.shutdown(socket.SHUT_RDWR)
            return
        self.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            self.sock.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
        self.sock.sendall(b"0\r\n\r\n")


class FakeDaemon:
    """Docker 20.10, as far as images go; leaving the context stops it.

    Attributes:
        api: the version it speaks.
        libpod: it says it is Podman of this version.
        containerd: it says it has containerd's store.
        faults: asked in turn before a request is answered.
        requests: method and path of what was asked.
        received: bytes of bodies.
        loads: the members of every archive that was whole.
    """

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "d.sock")
        self.api, self.libpod, self.containerd = "1.41", "", False
        self.images: dict[str, FakeImage] = {}
        self.layers: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.received = 0
        self.loads: list[list[str]] = []
        self.stopping = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in tuple(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def names(self) -> dict[str, str]:
        """Return the image id of every name, which is in familiar form."""
        return {name: image_id for image_id, image in self.images.items() for name in image.names}

    def add(self, config: bytes, tars: tuple[bytes, ...], *names: str) -> str:
        """Put an image there; return its id."""
        chain = ""
        for tar in tars:
            chain = _chain(chain, "sha256:" + sha256(tar))
            self.layers[chain] = tar
        return self._create(config, names)

    def _create(self, config: bytes, names: Any) -> str:
        image_id = "sha256:" + sha256(config)
        self.images.setdefault(image_id, FakeImage(config))
        for name in names:
            self.rename(name, image_id)
        return image_id

    def rename(self, name: str, image_id: str) -> None:
        for image in self.images.values():
            image.names.discard(_familiar(name))
        self.images[image_id].names.add(_familiar(name))

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), sock, sock.makefile("rb") as stream:
            while line := stream.readline():
                method, target, version = line.decode().split()
                headers = {}
                while (field_line := stream.readline().decode().strip()) != "":
                    name, _, value = field_line.partition(":")
                    headers[name.lower()] = value.strip()
                url = urlsplit(target)
                path = unquote(url.path)
                if path.startswith("/v1."):
                    path = "/" + path.split("/", 2)[2]
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                self.requests.append(f"{method} {path}")
                exchange = Exchange(method, path, query, headers, stream, sock, version)
                if not any(fault(self, exchange) for fault in self.faults):
                    self._answer(exchange)
        self._open.discard(sock)

    def _answer(self, asked: Exchange) -> None:
        method, path = asked.method, asked.path
        if path == "/_ping":
            libpod = {"Libpod_Api_Version": self.libpod} if self.libpod else {}
            asked.say(200, b"OK", Api_Version=self.api, **libpod)
        elif path == "/info":
            status = [["driver-type", "io.containerd.snapshotter.v1"]] if self.containerd else []
            asked.say_json(200, {"Driver": "overlay2", "DriverStatus": status, "ServerVersion": "20.10.24"})
        elif path == "/images/json":
            asked.say_json(200, [{"Id": image_id} for image_id in self.images])
        elif path == "/images/load":
            self._load(asked)
        elif path.endswith("/json"):
            found = self._find(path[len("/images/") : -len("/json")])
            if found is None:
                asked.say_json(404, {"message": "No such image"})
            else:
                image = self.images[found]
                layers = {"Type": "layers", "Layers": image.diff_ids}
                asked.say_json(200, {"Id": found, "RepoTags": sorted(image.names), "RootFS": layers})
        elif path.endswith("/get"):
            found = self._find(name := path[len("/images/") : -len("/get")])
            if found is None:
                asked.say_json(404, {"message": f"reference does not exist: {name}"})
            else:
                asked.say_chunks(pieces(self.archive(found, None if name.startswith("sha256:") else name)))
        elif path.endswith("/tag"):
            self.rename(f"{asked.query['repo']}:{asked.query['tag']}", path[len("/images/") : -len("/tag")])
            asked.say(201, b"")
        elif method == "DELETE":
            self._delete(asked, path[len("/images/") :])
        else:
            asked.say_json(404, {"message": "page not found"})

    def _find(self, name: str) -> str | None:
        return name if name in self.images else self.names().get(_familiar(name))

    def _delete(self, asked: Exchange, name: str) -> None:
        found = self._find(name)
        if found is None:
            asked.say_json(404, {"message": "No such image"})
            return
        self.images[found].names.discard(_familiar(name))
        if name == found or not self.images[found].names:
            del self.images[found]
        asked.say_json(200, [])

    def _load(self, asked: Exchange) -> None:
        """Load as tarexport of dockerd 20.10 does: the layer's file is looked for where the chain is not there."""
        raw = bytearray()
        for chunk in asked.body():
            self.received += len(chunk)
            raw += chunk
        said = []
        try:
            with tarfile.open(fileobj=io.BytesIO(bytes(raw))) as tar:
                members = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
            for item in json.loads(members["manifest.json"]):
                config = members[item["Config"]]
                chain = ""
                for diff_id, layer in zip(json.loads(config)["rootfs"]["diff_ids"], item["Layers"], strict=True):
                    chain = _chain(chain, diff_id)
                    if chain in self.layers:
                        continue
                    if layer not in members:
                        raise _Refused(f"open /tmp/docker-import-1/{layer}: no such file or directory")
                    self.layers[chain] = self._untar(members[layer])
                    if "sha256:" + sha256(self.layers[chain]) != diff_id:
                        raise _Refused(f"invalid diffID for layer: expected {diff_id}")
                self._create(config, item["RepoTags"] or ())
                said += [{"stream": f"Loaded image: {name}\n"} for name in item["RepoTags"] or ()]
            self.loads.append(list(members))
        except (tarfile.TarError, KeyError) as error:
            said = [{"errorDetail": {"message": f"unexpected EOF ({error})"}, "error": "unexpected EOF"}]
        except _Refused as refused:
            said.append({"errorDetail": {"message": str(refused)}, "error": str(refused)})
        asked.say_chunks(dumps(message) + b"\r\n" for message in said)

    def _untar(self, blob: bytes) -> bytes:
        if blob[:2] == b"\x1f\x8b":
            return zlib.decompressobj(31).decompress(blob)
        if blob[:4] == b"\x28\xb5\x2f\xfd":
            if not (self.libpod or self.api >= "1.42"):
                raise _Refused("Error processing tar file(exit status 1): archive/tar: invalid tar header")
            return zstandard.ZstdDecompressor().decompressobj().decompress(blob)
        return blob

    def archive(self, image_id: str, name: str | None) -> bytes:
        """Save an image, with a directory for each layer, documents last."""
        config = self.images[image_id].config
        chain, layers = "", []
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:

            def write(path: str, raw: bytes) -> None:
                member = tarfile.TarInfo(path)
                member.size = len(raw)
                tar.addfile(member, io.BytesIO(raw))

            write(f"{image_id[7:]}.json", config)
            diff_ids = json.loads(config)["rootfs"]["diff_ids"]
            layer = ""
            for number, diff_id in enumerate(diff_ids, 1):
                chain = _chain(chain, diff_id)
                layer = _v1_id(layer, chain, config if number == len(diff_ids) else None)
                layers.append(f"{layer}/layer.tar")
                write(f"{layer}/VERSION", b"1.0")
                write(f"{layer}/json", dumps({"id": layer}))
                write(f"{layer}/layer.tar", self.layers[chain])
            item = {"Config": f"{image_id[7:]}.json", "RepoTags": name and [_familiar(name)], "Layers": layers}
            write("manifest.json", dumps([item]))
        return out.getvalue()


class _Refused(Exception):
    """What the daemon says instead of loading."""


def pieces(raw: bytes, size: int = 32768) -> Iterator[bytes]:
    """Cut bytes into chunks."""
    return (raw[at : at + size] for at in range(0, len(raw), size))


def _chain(chain: str, diff_id: str) -> str:
    return "sha256:" + sha256(f"{chain} {diff_id}".encode()) if chain else diff_id


def _v1_id(parent: str, chain: str, config: bytes | None) -> str:
    """Return a layer's directory; of the top one, it depends on the config."""
    texts = dict.fromkeys(("Hostname", "Domainname", "User"), "")
    flags = dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"), False)
    rest = {"Env": None, "Cmd": None, "Image": "", "Volumes": None, "WorkingDir": "", "Entrypoint": None}
    document = {
        "container_config": {**texts, **flags, **rest, "OnBuild": None, "Labels": None},
        "created": "1970-01-01T00:00:00Z",
        "layer_id": chain,
    }
    if parent:
        document["parent"] = f"sha256:{parent}"
    return sha256(dumps(document) + (config or b""))


def _familiar(name: str) -> str:
    return name.removeprefix("docker.io/").removeprefix("library/")


def hang(daemon: FakeDaemon, asked: Exchange) -> bool:
    daemon.stopping.wait(20)
    return True


def hang_up(daemon: FakeDaemon, asked: Exchange) -> bool:
    asked.sock.shutdown(socket.SHUT_RDWR)
    return True


def talk_rubbish(daemon: FakeDaemon, asked: Exchange) -> bool:
    asked.sock.sendall(b"220 mail.example.com ESMTP\r\n\r\n")
    asked.sock.shutdown(socket.SHUT_RDWR)
    return True


def answer_no_json(daemon: FakeDaemon, asked: Exchange) -> bool:
    if asked.method == "POST":
        for _ in asked.body():
            pass
    asked.say(200, b"<html>captive portal</html>", Api_Version="<br>")
    return True


def fill_up(daemon: FakeDaemon, asked: Exchange) -> bool:
    """Answer as dockerd does whose disk is full: at once, with status 200, the rest of the body unread."""
    if asked.method == "POST":
        asked.stream.read(3000)
        asked.say(200, b'{"errorDetail":{"message":"write /layer: no space left on device"},"error":"no space"}\r\n')
        asked.sock.shutdown(socket.SHUT_RDWR)
        return True
    return False


def refuse_late(daemon: FakeDaemon, asked: Exchange) -> bool:
    """Fail as dockerd does at the second image of an archive: the first is there, and has taken its names."""
    if not asked.path.endswith("/load"):
        return False
    said = []

    class Unheard:
        def __getattr__(self, name: str) -> object:
            return getattr(asked, name)

        def say_chunks(self, pieces: object) -> None:
            said.append(pieces)

    daemon._load(Unheard())
    asked.say(200, b'{"errorDetail":{"message":"no space left on device"}}')
    return True


# What it does, and what the error says of it to whoever waits 0.4 s.
FAULTS: dict[str, tuple[Fault, str]] = {
    "hangs": (hang, "no sign of life for 0.4 s"),
    "hangs up": (hang_up, "hung up"),
    "talks rubbish": (talk_rubbish, ""),
    "answers no JSON": (answer_no_json, ""),
    "has a full disk": (fill_up, "no space left on device"),
    "refuses late": (refuse_late, "no space left on device"),
}
