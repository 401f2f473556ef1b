"""Every form of every answer, word for word: a change of words is made on purpose, and seen in the commit.

Each file beside this one holds the commands of one group and what they print.  OCCY_FAST_SNAPSHOTS=write records them
anew.  What differs from run to run stands as a word in capitals: FREE, SECONDS, RATE, ARCH; digests are numbered in the
order in which they come (DIGEST-1), as the compressed ones are made by the zlib and zstandard of the machine.
"""

from __future__ import annotations

import difflib
import gzip
import json
import os
import platform
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occy_fast.cli import main
from occy_fast.kernels import SIDE
from support.image_builders import docker_archive, make_image, oci_archive, oci_layout, sha256

HERE = Path(__file__).resolve().parent
RECORDING = os.environ.get("OCCY_FAST_SNAPSHOTS") == "write"

pytestmark = pytest.mark.skipif(SIDE != "native", reason="plans name the native encoders")

COMMANDS = ("convert", "inspect", "check", "verify", "targets", "completion")

ENDS = (
    "oci:out:app",
    "oci:full:app",
    "oci-archive:out.tar:app",
    "docker-archive:out.tar:app:1",
    "docker-archive:app.tar:app:1",
    "docker-archive:-",
)

GROUPS: dict[str, list[str]] = {
    "help": ["--help", *(f"{command} --help" for command in COMMANDS)],
    "inspect": [
        f"inspect {source}{form}"
        for source in ("app.tar", "oci:zstd", "oci:multi", "two.tar", "layout.tar", "app.tar.gz")
        for form in ("", " --json")
    ],
    "check": [
        f"check {source} {targets}{form}"
        for source in ("app.tar", "oci:zstd:app", "layout.tar", "windows.tar", "app.tar.gz")
        for targets in ("-t docker-20.10.24", "-t podman-4.3 -t containerd-1.6", "--deep -t docker-29.0")
        for form in ("", " --json")
    ],
    "verify": [
        f"verify {source}{form}"
        for source in ("app.tar", "oci:multi", "oci:torn", "oci:false", "--no-strict app.tar.gz")
        for form in ("", " --json", " --quiet")
    ],
    "targets": ["targets", "targets docker-20.10.24", "targets k3s --json"],
    "plan": [
        f"convert {source} {end} {options} --dry-run{form}"
        for source, options in (
            ("app.tar", ""),
            ("app.tar", "-c zstd"),
            ("oci:zstd:app", ""),
            ("oci:zstd:app", "--verify layers -c gzip:2"),
            ("app.tar.gz", "-c gzip"),
        )
        for end in ENDS
        for form in ("", " --json")
    ]
    + [
        f"convert {words} --dry-run{form}"
        for words in (
            "oci:multi oci:out",
            "oci:multi oci:out -p linux/arm64",
            "oci:multi docker-archive:out.tar -p linux/amd64",
            "two.tar oci:out",
            "two.tar docker-archive:out.tar",
            "oci:zstd:app docker-archive:out.tar:app:1 --target docker-20.10.24",
            "oci:zstd:app docker-archive:out.tar:app:1 --archive-layout docker-20.10",
            "oci:zstd:app oci:out:app --format docker -c gzip",
            "oci:gzip:app oci:out:app --link",
        )
        for form in ("", " --json")
    ],
    "convert": [
        f"convert {words}{form}"
        for words in (
            "app.tar oci:out-TEXT:app -c zstd",
            "app.tar oci:out-TEXT:app -c zstd",
            "oci:multi oci:all-TEXT",
            "two.tar docker-archive:two-TEXT.tar -c none",
            "app.tar.gz oci:streamed-TEXT:app -c gzip:1",
        )
        for form in ("", " --json", " --quiet")
    ],
    "errors": [
        f"{words}{form}"
        for words in (
            "convert missing.tar oci:out:app",
            "convert app.tar",
            "convert app.tar nowhere:x",
            "convert app.tar oci:out:app -c lzma",
            "convert app.tar oci:out:app -c gzip:9",
            "convert oci:multi docker-archive:out.tar:app:1",
            "convert two.tar docker-archive:out.tar:app:1",
            "convert oci:zstd:app docker-archive:out.tar:app:1 -c zstd",
            "convert oci:zstd:app docker-archive:out.tar:app:1 -c keep",
            "convert oci:torn oci:out:app",
            "convert oci:false oci:out:app --verify layers",
            "convert oci:multi oci:out -p linux/s390x",
            "convert oci:zstd:nothing oci:out:app",
            "convert app.tar file:app",
            "convert app.tar docker-archive:page.html",
            "inspect page.html",
            "inspect docker-daemon:app --socket nowhere.sock",
            "check app.tar -t docker-99",
            "check app.tar -t nobody",
            "verify nothing",
        )
        for form in ("", " --json")
    ],
}


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make one image of each shape in an empty directory, and go there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("DOCKER_HOST", "CONTAINER_HOST", "CONTAINER_REGISTRY", "GITHUB_REPOSITORY", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    docker_archive(tmp_path / "app.tar", [make_image()])
    docker_archive(tmp_path / "two.tar", [make_image("a", names=("one:1",)), make_image("b", names=("two:2",))])
    docker_archive(tmp_path / "windows.tar", [make_image(config_changes={"os": "windows", "architecture": "amd64"})])
    (tmp_path / "app.tar.gz").write_bytes(gzip.compress((tmp_path / "app.tar").read_bytes(), mtime=0))
    oci_layout(tmp_path / "zstd", [make_image(codec="zstd")], ["app"])
    oci_layout(tmp_path / "gzip", [make_image(codec="gzip")], ["app"])
    oci_layout(tmp_path / "full", [make_image(codec="zstd", size=4000), make_image("one", "x")], ["app", "other"])
    several = [make_image("a", codec="zstd"), make_image("b", codec="zstd", architecture="arm64")]
    oci_layout(tmp_path / "multi", several, ["app"], nested=True)
    oci_archive(tmp_path / "layout.tar", tmp_path / "zstd")
    torn = make_image("torn", codec="zstd")
    oci_layout(tmp_path / "torn", [torn], ["app"])
    (tmp_path / "torn" / "blobs" / "sha256" / sha256(torn.blobs[0])).write_bytes(bytes(len(torn.blobs[0])))
    other_tar = {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]}}
    oci_layout(tmp_path / "false", [make_image("false", codec="zstd", config_changes=other_tar)], ["app"])
    (tmp_path / "page.html").write_text("<!DOCTYPE html><html><body>Sign in</body></html>")
    return tmp_path


class Words:
    """What stands for what changes; digests keep their identity within one file."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}

    def masked(self, text: str) -> str:
        text = re.sub(r"sha256:[0-9a-f]{64}", lambda found: self._digest(found[0][7:]), text)
        text = re.sub(r"\b[0-9a-f]{64}\b", lambda found: self._digest(found[0]), text)
        text = re.sub(r"\bsha256:([0-9a-f]{12})\b", lambda found: self._digest(found[1]), text)
        text = re.sub(r"[\d.]+ [kMGT]?B free", "FREE free", text)
        text = re.sub(r'"(bytes_free|seconds)": [\d.]+', r'"\1": NUMBER', text)
        text = re.sub(r"in [\d.]+ m?s\b", "in SECONDS", text)
        text = re.sub(r"\([\d.]+ [kMGT]?B/s\)", "(RATE)", text)
        return text.replace(f"-1, {platform.machine()}", "-1, ARCH")

    def _digest(self, found: str) -> str:
        short = found[:12]
        return self.digests.setdefault(short, f"DIGEST-{len(self.digests) + 1}")


def outputs(group: str, run: Callable[[str], tuple[int, str, str]]) -> Iterator[str]:
    """Yield the lines of a snapshot."""
    words = Words()
    for number, command in enumerate(GROUPS[group]):
        code, out, err = run(command.replace("TEXT", str(number)))
        yield f"$ occy-fast {command}\n"
        for name, text in (("", out), ("stderr: ", err)):
            if command.endswith("--json") and text.startswith("{"):
                text = json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"
            masked = words.masked(re.sub(rf"-{number}(?=[:.])", "-TEXT", text) if "TEXT" in command else text)
            yield from (f"{name}{line}\n" for line in masked.splitlines())
        yield f"[exit {code}]\n\n"


@pytest.mark.parametrize("group", GROUPS)
def test_answers_are_what_they_were(group: str, images: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def run(command: str) -> tuple[int, str, str]:
        code = main(command.split())
        return (code, *capfd.readouterr())

    found = "".join(outputs(group, run))
    snapshot = HERE / f"{group}.txt"
    if RECORDING:
        snapshot.write_text(found)
    before, after = (text.splitlines(keepends=True) for text in (snapshot.read_text(), found))
    difference = "".join(difflib.unified_diff(before, after, "as it was", "as it is", n=2))
    assert not difference, difference
