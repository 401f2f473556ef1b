"""Whoever makes an image writes none of the answer's lines: its words are escaped wherever they are printed."""

from __future__ import annotations

import gzip
import io
import json
import logging
import os
import pty
import re
import shlex
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast.cli import main
from support.image_builders import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    dumps,
    make_layer,
    make_tar,
    sha256,
)
from support.piping import piped

EVIL = "a\ndigest    sha256:0\r\x1b]0;title\x07\x1b[2J\t\x00\x7f\x85\x9b1m\u2028\u2029\u202e\u2066\ufeffz"
PLAIN = "a digest    sha256:0 ]0;title [2J 1m z"
FILE = EVIL.replace("\x00", "")                      # what a file's name may have in it
REF_NAME = "org.opencontainers.image.ref.name"


def make_words(evil: bool) -> Callable[[str], str]:
    """Return what makes a word of a place: hostile, or harmless in the same place."""
    return lambda place: f"{place}{EVIL if evil else PLAIN}"


def documents(word: Callable[[str], str], *, whole: bool = True) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Make an image with a word of its maker in every place that takes one; return its blobs and its descriptor."""
    tar = make_layer("one")
    if not whole:                                    # a bad name inside, for errors
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as packed:
            for name in (word("member").replace("\0", ""), word("member").replace("\0", "")):
                packed.addfile(tarfile.TarInfo(name))
        tar = out.getvalue()
    blob = gzip.compress(tar, mtime=0)
    config = dumps(
        {
            "architecture": word("arch"),
            "os": word("os"),
            "variant": word("variant"),
            "os.version": word("version"),
            "os.features": [word("feature")],
            "author": word("author"),
            "created": "2024-01-02T03:04:05Z",
            "config": {
                "Env": [word("entry")],
                "Labels": {word("label"): word("value")},
                "Cmd": [word("cmd")],
                "User": word("user"),
                "WorkingDir": word("dir"),
            },
            "rootfs": {"type": word("type"), "diff_ids": ["sha256:" + sha256(tar)]},
            "history": [{"created_by": word("by"), "comment": word("comment"), "author": word("author")}] * 2,
        }
    )
    manifest = dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": "sha256:" + sha256(config), "size": len(config)},
            "layers": [
                {
                    "mediaType": OCI_LAYER["gzip"],
                    "digest": "sha256:" + sha256(blob),
                    "size": len(blob),
                    "annotations": {word("key"): word("value")},
                }
            ],
            "annotations": {word("key"): word("value")},
        }
    )
    entry = {"mediaType": OCI_MANIFEST, "digest": "sha256:" + sha256(manifest), "size": len(manifest)}
    return {sha256(data): data for data in (blob, config, manifest)}, entry


def layout(path: Path, evil: bool, **options: Any) -> Path:
    word = make_words(evil)
    blobs, entry = documents(word, **options)
    ref = {REF_NAME: word("ref"), "io.containerd.image.name": word("name"), word("k"): word("v")}
    platform = {"os": word("os"), "architecture": word("arch"), "variant": word("variant"), "os.version": word("n")}
    # under another name the same for a platform of its own, and an index without a name
    children = [entry | {"platform": platform}, entry]
    index = dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children, "annotations": ref})
    blobs[sha256(index)] = index
    entries = [
        entry | {"annotations": ref},
        entry | {"annotations": {**ref, REF_NAME: word("other")}, "platform": platform},
        {"mediaType": OCI_INDEX, "digest": "sha256:" + sha256(index), "size": len(index)},
    ]
    (path / "blobs" / "sha256").mkdir(parents=True)
    for name, data in blobs.items():
        (path / "blobs" / "sha256" / name).write_bytes(data)
    (path / "index.json").write_bytes(dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}))
    (path / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    return path


def archive(path: Path, evil: bool, *, tags: bool, strays: bool = False) -> Path:
    """Write a docker-archive: its members and, with *tags*, its RepoTags have words of their maker."""
    word = make_words(evil)
    blobs, _ = documents(word)
    config = next(data for data in blobs.values() if b'"rootfs"' in data)
    layer = next(data for data in blobs.values() if data[:2] == b"\x1f\x8b")
    members = [("m" + word("layer").replace("\0", "").replace("/", ""), layer), (word("c").replace("\0", ""), config)]
    names = [word("tag"), "docker.io/library/app:1"] if tags else ["app:1"]
    items = [{"Config": members[1][0], "RepoTags": names, "Layers": [members[0][0]]}]
    climbing = [("../" + word("climbing").replace("\0", ""), b"")] if strays else []
    path.write_bytes(make_tar([*members, *climbing, ("manifest.json", dumps(items))], tarfile.PAX_FORMAT))
    return path


def broken(path: Path, evil: bool) -> Path:
    """Write a layout whose layer has two members of one name."""
    return layout(path, evil, whole=False)


def url(path: Path, evil: bool) -> Path:
    """Write a layout whose layer is only to be had from a URL."""
    found = layout(path, evil)
    word = re.sub(r"\s", "", f"http://x/{EVIL if evil else PLAIN}")
    index = json.loads((found / "index.json").read_bytes())
    del index["manifests"][1:]
    blobs = found / "blobs" / "sha256"
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_bytes())
    (blobs / manifest["layers"][0]["digest"][7:]).unlink()
    manifest["layers"][0]["urls"] = [word]
    raw = dumps(manifest)
    (blobs / sha256(raw)).write_bytes(raw)
    index["manifests"][0] |= {"digest": f"sha256:{sha256(raw)}", "size": len(raw)}
    (found / "index.json").write_bytes(dumps(index))
    return found


SOURCES: dict[str, Callable[[Path, bool], str]] = {
    "layout": lambda path, evil: f"oci:{layout(path / 'in', evil)}",
    "one of a layout": lambda path, evil: f"oci:{layout(path / 'in', evil)}:@0",
    "an index": lambda path, evil: f"oci:{layout(path / 'in', evil)}:@2",
    "a bad layer": lambda path, evil: f"oci:{broken(path / 'in', evil)}:@0",
    "a layer elsewhere": lambda path, evil: f"oci:{url(path / 'in', evil)}",
    "archive": lambda path, evil: f"docker-archive:{archive(path / 'in', evil, tags=False)}",
    "tags": lambda path, evil: f"docker-archive:{archive(path / 'in', evil, tags=True)}",
    "strays": lambda path, evil: f"docker-archive:{archive(path / 'in', evil, tags=False, strays=True)}",
    "compressed": lambda path, evil: packed(archive(path / "in", evil, tags=False)),
    "no such name": lambda path, evil: f"oci:{layout(path / 'in', evil)}:none",
    "a name of its own": lambda path, evil: f"oci:{layout(path / ('in' + (FILE if evil else PLAIN)), evil)}:@0",
}


def packed(path: Path) -> str:
    path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return f"docker-archive:{path}"


COMMANDS = [
    ["inspect", "SRC"],
    ["inspect", "SRC", "--quiet"],
    ["verify", "SRC"],
    ["verify", "SRC", "--verbose"],
    ["check", "SRC", "-t", "docker-20.10", "-t", "podman-4.3", "-t", "k3s", "--deep"],
    ["check", "SRC", "-t", "docker-29"],
    ["convert", "SRC", "oci:OUT"],
    ["convert", "SRC", "oci:OUT", "--dry-run"],
    ["convert", "SRC", "oci:OUT", "-c", "zstd", "--verbose"],
    ["convert", "SRC", "oci:OUT:app", "--verify", "layers"],
    ["convert", "SRC", "oci-archive:OUT", "--platform", "linux/amd64"],
    ["convert", "SRC", "docker-archive:OUT", "--strict"],
    ["convert", "SRC", "docker-archive:OUT", "--dry-run", "--target", "docker-20.10"],
    ["convert", "SRC", "docker-archive:OUT:app:1", "--archive-layout", "docker-20.10", "--verbose"],
]


def said(tmp_path: Path, source: str, command: list[str], evil: bool, capsys: pytest.CaptureFixture[str]) -> str:
    """Run *command* on a source of words that are *evil*; return its code, and what it wrote."""
    place = tmp_path / ("evil" if evil else "plain")
    place.mkdir()
    locator = SOURCES[source](place, evil)
    code = main([word.replace("SRC", locator).replace("OUT", str(place / "out")) for word in command])
    out, err = capsys.readouterr()
    return f"exit {code}\n{out}\n-- \n{err}"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command))
@pytest.mark.parametrize("source", SOURCES)
def test_no_word_of_an_image_makes_a_line(
    tmp_path: Path, source: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    evil, plain = (said(tmp_path, source, command, each, capsys) for each in (True, False))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]", evil)
    assert evil.partition("\n")[0] == plain.partition("\n")[0]
    shape = [[re.sub(r"[^a-z].*", "", line) for line in text.split("\n")] for text in (evil, plain)]
    assert len(shape[0]) == len(shape[1])
    assert shape[0] == shape[1]


@pytest.mark.parametrize("source", ["layout", "archive", "a bad layer", "tags"])
@pytest.mark.parametrize("command", [command for command in COMMANDS if "--verbose" not in command], ids=" ".join)
def test_json_is_exact(
    tmp_path: Path, source: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    place = SOURCES[source](tmp_path, True)
    words = [word.replace("SRC", place).replace("OUT", str(tmp_path / "out")) for word in command]
    main([*(word for word in words if word != "--quiet"), "--json"])
    out, err = capsys.readouterr()
    assert not re.search(r"[^\x20-\x7e\n]", out + err)
    document = json.loads(out or err)
    if command[0] == "inspect" and source == "layout":
        assert document["images"][0]["ref"] == f"ref{EVIL}"
        assert EVIL in document["images"][0]["platform"]


def test_a_pipe_s_words_are_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = []
    for evil in (True, False):
        raw = archive(tmp_path / "in.tar", evil, tags=True).read_bytes()
        for command in (["verify"], ["check", "-t", "docker-20.10"], ["convert", "-v"]):
            with piped(tmp_path / "pipe", raw) as pipe:
                more = [f"oci:{tmp_path}/out{evil}"] if command[0] == "convert" else []
                main([command[0], f"docker-archive:{pipe}", *more, *command[1:]])
        text = "".join(capsys.readouterr())
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]", text)
        counts.append(text.count("\n"))
    assert counts[0] == counts[1]


def test_what_is_logged_is_printable_for_any_handler(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A service has a handler of its own: a member's name makes no record of it."""
    raw = archive(tmp_path / "in.tar", True, tags=False).read_bytes()
    with caplog.at_level(logging.DEBUG, "occy_fast"), piped(tmp_path / "pipe", raw) as pipe:
        occy_fast.convert(f"docker-archive:{pipe}", f"oci:{tmp_path}/out")
    messages = [record.getMessage() for record in caplog.records if record.name == "occy_fast"]
    assert any("layera\\x0adigest" in message for message in messages)
    assert not any(re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u202e]", message) for message in messages)


def on_terminal(words: list[str]) -> str:
    """Run a command with a terminal for its output; return what the terminal was sent."""
    leader, follower = pty.openpty()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "occy_fast", *words], stdin=follower, stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    pieces: list[bytes] = []

    def read() -> None:
        try:
            while piece := os.read(leader, 65536):
                pieces.append(piece)
        except OSError:
            pass

    reader = threading.Thread(target=read)
    reader.start()
    process.wait()
    reader.join()
    os.close(leader)
    return b"".join(pieces).decode()


@pytest.mark.parametrize("command", COMMANDS[::2], ids=" ".join)
@pytest.mark.parametrize("source", ["layout", "tags", "strays", "a name of its own"])
def test_a_terminal_gets_nothing_to_obey_but_colours(tmp_path: Path, source: str, command: list[str]) -> None:
    place = SOURCES[source](tmp_path, True)
    text = on_terminal([word.replace("SRC", place).replace("OUT", str(tmp_path / "out")) for word in command])
    assert text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert not re.search(r"\x1b\]|\x1b\[2J|[\x00-\x09\x0b\x0c\x0e-\x1a\x7f-\x9f\u2028-\u202e\u2066-\ufeff]", plain)
    assert "\ndigest    sha256:0\n" not in text.replace("\r", "")


def test_a_mend_can_be_pasted_whatever_the_path(tmp_path: Path) -> None:
    """From a path with a newline, an escape and a quote in it."""
    source = archive(tmp_path / os.fsdecode(b"in'\n\x1b[2J\xff.tar"), False, tags=False)
    source.write_bytes(gzip.compress(source.read_bytes()))
    (finding, *_) = occy_fast.check(str(source), ["podman-4.3"]).findings
    assert finding.fix is not None
    assert "$'" in finding.fix
    assert not re.search(r"[\x00-\x1f\udc80-\udcff]", finding.fix)
    wrapper = tmp_path / "bin" / "occy-fast"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m occy_fast "$@"\n')
    wrapper.chmod(0o755)
    path = os.pathsep.join(filter(None, sys.path))
    environment = os.environ | {"PYTHONPATH": path, "PATH": f"{wrapper.parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", finding.fix], env=environment, check=True, capture_output=True)
    (made,) = [found for found in tmp_path.iterdir() if found.name.endswith("-podman-4.3.tar")]
    assert not occy_fast.check(str(made), ["podman-4.3"]).errors
