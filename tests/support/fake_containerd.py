"""A Docker with containerd's store in this process: blobs in a content store, and uploads that are resumed."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.fake_daemon import Exchange, FakeDaemon, FakeImage
from support.image_builders import dumps, sha256

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")


class FakeContainerd(FakeDaemon):
    """Docker 26.1 with containerd 1.7 behind it, as far as loading goes.

    Attributes:
        content: every blob, by its digest.
        unfinished: by the name of an archive's member, what came of it before an upload was cut off, and its size.
        types: the media type of every image's target, by its digest.
        broken: layers that cannot be unpacked.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.api, self.containerd = "1.45", True
        self.content: dict[str, bytes] = {}
        self.unfinished: dict[str, tuple[bytes, int]] = {}
        self.types: dict[str, str] = {}
        self.broken: set[str] = set()

    def _answer(self, asked: Exchange) -> None:
        if asked.path == "/images/json":
            told = [{"Id": digest, **self._manifests(digest, asked)} for digest in self.images]
            asked.say_json(200, told)
        else:
            super()._answer(asked)

    def _manifests(self, digest: str, asked: Exchange) -> dict[str, Any]:
        """Tell of an image's manifests as API 1.48 does."""
        if "manifests" not in asked.query or tuple(map(int, self.api.split("."))) < (1, 48):
            return {}
        found = []
        for each, document in self.manifests(digest):
            parts = [document["config"], *document["layers"]]
            available = all(part["digest"] in self.content for part in parts)
            descriptor = {"mediaType": document["mediaType"], "digest": each, "size": len(self.content[each])}
            found.append({"ID": each, "Descriptor": descriptor, "Available": available, "Kind": "image"})
        return {"Descriptor": {"mediaType": self.types[digest], "digest": digest}, "Manifests": found}

    def manifests(self, digest: str) -> Iterator[tuple[str, Any]]:
        """Walk the manifests under a digest that are there."""
        if digest in self.content:
            document = json.loads(self.content[digest])
            if "manifests" in document:
                for entry in document["manifests"]:
                    yield from self.manifests(entry["digest"])
            else:
                yield digest, document

    def _load(self, asked: Exchange) -> None:
        raw, whole = bytearray(), False
        try:
            for chunk in asked.body():
                self.received += len(chunk)
                raw += chunk
            whole = True
        except (ValueError, OSError):
            pass
        said: list[dict[str, Any]]
        try:
            said = self._import(bytes(raw))
        except _Refused as refused:
            said = [{"errorDetail": {"message": str(refused)}, "error": str(refused)}]
        if whole:
            asked.say_chunks(dumps(message) + b"\r\n" for message in said)

    def _import(self, raw: bytes) -> list[dict[str, Any]]:
        blobs: dict[str, str] = {}
        for name, size, data in _members(raw):
            if name == "oci-layout":
                continue
            if len(data) < size:
                self.unfinished.setdefault(name, (data, size))
                raise _Refused(f'failed to ingest "{name}": unexpected EOF')
            blobs[name] = self._ingest(name, data)
        if "index.json" not in blobs:
            raise _Refused("missing index.json in OCI layout 1.0.0")
        if blobs["index.json"] not in self.content:
            raise _Refused(f"content digest {blobs['index.json']}: not found")
        try:
            entries = json.loads(self.content[blobs["index.json"]]).get("manifests")
        except ValueError as error:
            raise _Refused("unexpected end of JSON input") from error
        if not entries:
            raise _Refused("image might be filtered out")
        self.loads.append(list(blobs))
        for entry in entries:
            if entry["digest"] not in self.content:
                raise _Refused(f"content digest {entry['digest']}: not found")
        return [message for entry in entries for message in self._create_from(entry)]

    def _ingest(self, name: str, data: bytes) -> str:
        begun, total = self.unfinished.get(name, (b"", len(data)))
        if total != len(data):
            problem = f"provided total differs from status: {len(data)} != {total}"
            raise _Refused(f'failed to ingest "{name}": failed to copy: {problem}: unknown')
        self.unfinished.pop(name, None)
        stored = begun + data[len(begun) :]
        self.content["sha256:" + sha256(stored)] = stored
        return "sha256:" + sha256(data)

    def _create_from(self, entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
        digest, name = entry["digest"], (entry.get("annotations") or {}).get("io.containerd.image.name")
        manifests = list(self.manifests(digest))
        config = self.content[manifests[0][1]["config"]["digest"]] if manifests else b"{}"
        self.types[digest] = entry["mediaType"]
        there = dict(self.names())
        self.images.setdefault(digest, FakeImage(config))
        if name is not None:
            self.rename(name, digest)
            lost = there.get(name.removeprefix("docker.io/").removeprefix("library/"))
            if lost not in (None, digest) and not self.images[lost].names:
                del self.images[lost]                # containerd forgets an image with its last name
        yield {"stream": f"Loaded image: {name or digest}\n"}
        for layer in (layer["digest"] for _, document in manifests for layer in document["layers"]):
            problem = f"failed to extract layer {layer}" if layer in self.broken else ""
            if layer not in self.content:
                problem = f"failed to get reader from content store: content digest {layer}: not found"
            if problem:
                yield {"stream": f"Error unpacking image {name or digest}: {problem}\n"}


class _Refused(Exception):
    """What the daemon says instead of loading."""


def _members(raw: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Yield the members of a tar that may end anywhere."""
    at = 0
    while len(header := raw[at : at + 512]) == 512 and header[0]:
        name, size = header[:100].rstrip(b"\0").decode(), int(header[124:136].rstrip(b"\0 "), 8)
        yield name, size, raw[at + 512 : at + 512 + size]
        at += 512 + (size + 511) // 512 * 512


def cut_off(store: FakeContainerd, *members: bytes) -> None:
    """Upload what is the beginning of an archive, and hang up."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(store.path)
        raw = b"".join(members)
        head = b"POST /v1.45/images/load HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"%x\r\n" % len(raw) + raw + b"\r\n")
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
