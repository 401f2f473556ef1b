"""`convert`, `inspect` and `verify` on real images: the answers, and nothing but the answers."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from occy_fast.cli import main
from support.image_builders import docker_archive, make_image, make_layer, oci_layout, sha256

COMMAND = [sys.executable, "-m", "occy_fast"]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture(autouse=True)
def in_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Run a command; nothing may be on stderr, which is no terminal here."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert err == ""
    return out


def document(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    return json.loads(answer(capsys, *arguments, "--json", code=code))


def published(layout: Path) -> str:
    """Return the digest that a layout's index names."""
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return str(entry["digest"])


def test_text_tells_each_layer_and_the_digest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    docker_archive(tmp_path / "app.tar", [make_image()])
    out = answer(capsys, "convert", "app.tar", "oci:out:app", "--compression", "zstd")
    lines = out.splitlines()
    assert lines[0] == "app.tar -> oci:out:app"
    assert [line.split()[:3] for line in lines[2:4]] == [["1", "recode", "none"], ["2", "recode", "none"]]
    assert f"digest    {published(tmp_path / 'out')}" in lines
    assert re.fullmatch(r"read [\d.]+ kB, wrote [\d.]+ k?B in [\d.]+ s \(.*/s\)", lines[-1])


def test_several_images_are_told_one_by_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    docker_archive(tmp_path / "app.tar", [make_image("a", names=("one:1",)), make_image("b", "c", names=("two:2",))])
    out = answer(capsys, "convert", "app.tar", "oci:out", "-c", "gzip")
    blocks = [block.splitlines() for block in out.split("\n\n")]
    assert [block[0] for block in blocks[1:-1]] == [
        "docker.io/library/one:1, linux/amd64",
        "docker.io/library/two:2, linux/amd64",
    ]
    assert [len(block) for block in blocks[1:-1]] == [4, 5]
    entries = json.loads((tmp_path / "out" / "index.json").read_text())["manifests"]
    assert [block[-1] for block in blocks[1:-1]] == [f"digest    {entry['digest']}" for entry in entries]


def test_an_index_goes_into_one_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    images = [make_image("a"), make_image("b", architecture="arm64"), make_image("c", architecture="s390x")]
    oci_layout(tmp_path / "in", images, ["app"], nested=True)
    whole = document(capsys, "convert", "oci:in", "oci-archive:out.tar", "--platform", "all", "--attestations", "drop")
    assert whole["digest"] == published(tmp_path / "in")
    found = document(capsys, "inspect", "out.tar")
    assert found["kind"] == "oci-archive"
    assert [image["platform"] for image in found["images"]] == ["linux/amd64", "linux/arm64", "linux/s390x"]
    two = ("--platform", "linux/s390x", "--platform", "linux/amd64", "--dry-run")
    plan = document(capsys, "convert", "oci-archive:out.tar:app", "oci-archive:out.tar:app", *two)
    assert [manifest["platform"] for manifest in plan["images"][0]["manifests"]] == ["linux/amd64", "linux/s390x"]
    assert plan["goal"]["attestations"] == "keep"
    assert plan["notes"] == ["out.tar is there, and is replaced", "stays behind: linux/arm64"]
    assert main(["convert", "out.tar", "oci:o", "--platform", "all", "--platform", "linux/amd64"]) == 2
    assert main(["convert", "out.tar", "oci:o", "--attestations", "dropp"]) == 2
    assert "--attestations drop" in capsys.readouterr().err


def test_the_layout_of_an_archive(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    oci_layout(tmp_path / "in", [make_image(codec="gzip")], ["app"])
    arguments = ("convert", "oci:in:app", "docker-archive:out.tar:app:1", "--archive-layout", "docker-20.10")
    planned = document(capsys, *arguments, "--dry-run")
    assert planned["goal"]["archive_layout"] == "docker-20.10"
    written = document(capsys, *arguments)
    assert [layer["to"] for layer in written["layers"]] == ["none", "none"]
    assert written["notes"] == planned["notes"] != []
    with tarfile.open(tmp_path / "out.tar") as tar:
        assert sum(name.endswith("/VERSION") for name in tar.getnames()) == 2
    assert main([*arguments[:2], "oci:out", *arguments[3:]]) == 2
    assert "docker-20.10" in capsys.readouterr().err


def test_what_is_there_already_is_not_counted_as_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    image = make_image(codec="gzip")
    oci_layout(tmp_path / "in", [image], ["app"])
    first = document(capsys, "convert", "oci:in:app", "oci:out:app")
    again = document(capsys, "convert", "oci:in:app", "oci:out:app")
    assert first["bytes_read"] == sum(map(len, image.blobs))
    assert [layer["step"] for layer in again["layers"]] == ["skip", "skip"]
    assert (again["bytes_read"], again["bytes_written"]) == (0, 0)


def test_json_is_versioned_and_complete(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    image = make_image()
    docker_archive(tmp_path / "app.tar", [image])
    found = document(capsys, "convert", "app.tar", "oci:out:app", "-c", "zstd:5")
    assert found["schema"] == 1
    assert (found["source"], found["destination"]) == ("app.tar", "oci:out:app")
    assert found["digest"] == published(tmp_path / "out")
    assert found["config_digest"] == f"sha256:{sha256(image.config)}"
    assert [layer["diff_id"] for layer in found["layers"]] == image.diff_ids
    assert [(layer["step"], layer["from"], layer["to"]) for layer in found["layers"]] == [
        ("recode", "none", "zstd:5")
    ] * 2
    for layer in found["layers"]:
        blob = tmp_path / "out" / "blobs" / layer["digest"].replace(":", "/")
        assert blob.stat().st_size == layer["size_out"]
        assert "zstd:5" in layer["encoder"]


def test_strict_is_off_unless_demanded(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    hidden = make_layer("first") + make_layer("hidden")
    oci_layout(tmp_path / "in", [make_image(tars=[hidden], codec="gzip")], ["app"])
    for arguments, strict in (((), False), (("--no-strict",), False), (("--strict",), True)):
        plan = document(capsys, "convert", "oci:in:app", "oci:out:app", "--dry-run", *arguments)
        (layer,) = plan["images"][0]["manifests"][0]["layers"]
        assert (plan["goal"]["strict"], layer["strict"]) == (strict, strict)
    assert main(["convert", "oci:in:app", "oci:out:app", "--strict", "--json"]) == 4
    assert json.loads(capsys.readouterr().err)["error"]["name"] == "TarAmbiguous"
    assert not (tmp_path / "out" / "index.json").exists()
    answer(capsys, "convert", "oci:in:app", "oci:out:app")
    answer(capsys, "verify", "oci:out:app", code=4)
    answer(capsys, "verify", "oci:out:app", "--no-strict")


def test_quiet_prints_the_digest_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    docker_archive(tmp_path / "app.tar", [make_image()])
    assert answer(capsys, "convert", "app.tar", "oci:out", "-q") == f"{published(tmp_path / 'out')}\n"


def test_level_is_the_same_as_a_colon(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    docker_archive(tmp_path / "app.tar", [make_image()])
    one = answer(capsys, "convert", "app.tar", "oci:one", "-c", "gzip:2", "-q")
    two = answer(capsys, "convert", "app.tar", "oci:two", "-c", "gzip", "-l", "2", "-q", "-j", "1")
    assert one == two


def test_dry_run_prints_the_plan_and_touches_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    docker_archive(tmp_path / "app.tar", [make_image()])
    out = answer(capsys, "convert", "app.tar", "oci:out:app", "--compression", "zstd", "--dry-run")
    assert "none -> zstd:3" in out
    plan = document(capsys, "convert", "app.tar", "oci:out:app", "--compression", "zstd", "--dry-run")
    assert [layer["step"] for layer in plan["images"][0]["manifests"][0]["layers"]] == ["recode", "recode"]
    assert os.listdir(tmp_path) == ["app.tar"]


def test_a_dry_run_counts_the_memory_of_the_jobs_there_will_be(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    docker_archive(tmp_path / "app.tar", [make_image()])
    one, four = (
        document(capsys, "convert", "app.tar", "oci:out", "-c", "zstd:19", "-n", "-j", jobs)["memory_above_usual"]
        for jobs in ("1", "4")
    )
    assert four == 4 * one > 0


def test_notes_are_told_on_stderr_or_in_the_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    oci_layout(tmp_path / "in", [make_image(codec="zstd")], ["app"])
    assert main(["convert", "oci:in:app", "docker-archive:a.tar:app:1"]) == 0
    assert capsys.readouterr().err.startswith("note: ")
    assert document(capsys, "convert", "oci:in:app", "docker-archive:b.tar:app:1")["notes"]
    assert answer(capsys, "convert", "oci:in:app", "docker-archive:c.tar:app:1", "--quiet").startswith("sha256:")


def test_the_digest_file_is_written_after_publishing_only(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "app.tar", [make_image()])
    answer(capsys, "convert", "app.tar", "oci:out", "--digest-file", "digest")
    assert (tmp_path / "digest").read_text() == published(tmp_path / "out")
    archive.write_bytes(archive.read_bytes()[:2000])
    (tmp_path / "digest").unlink()
    assert main(["convert", "app.tar", "oci:other", "--digest-file", "digest"]) == 4
    assert main(["convert", "app.tar", "oci:other", "--digest-file", "missing/digest"]) == 1
    assert sorted(os.listdir(tmp_path)) == ["app.tar", "out"]


def test_a_damaged_layer_is_told_in_a_block(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "in", [make_image(codec="gzip")], ["app"])
    blob = layout / "blobs" / "sha256" / sha256(make_image(codec="gzip").blobs[0])
    raw = bytearray(blob.read_bytes())
    raw[len(raw) // 2] ^= 1
    blob.write_bytes(raw)
    assert main(["convert", "oci:in:app", "docker-archive:app.tar:app:1"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("occy-fast: ")
    assert f"sha256:{blob.name}" in err
    assert os.listdir(tmp_path) == ["in"]


def test_inspect(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    image = make_image(codec="gzip", names=("app:1", "app:2"))
    oci_layout(tmp_path / "in", [image], ["app"])
    text = answer(capsys, "inspect", "oci:in")
    assert "linux/amd64" in text
    assert text.count("gzip") >= 2
    found = document(capsys, "inspect", "oci:in:app")
    assert (found["schema"], found["kind"]) == (1, "oci")
    assert [layer["diff_id"] for layer in found["images"][0]["layers"]] == image.diff_ids
    assert answer(capsys, "inspect", "oci:in", "--quiet") == f"sha256:{sha256(image.manifest)}\n"


def test_verify_ends_with_the_worst_finding(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    good = make_image("good", codec="gzip")
    oci_layout(tmp_path / "in", [good], ["app"])
    assert "everything holds" in answer(capsys, "verify", "oci:in")
    assert answer(capsys, "verify", "oci:in", "--quiet") == ""
    assert document(capsys, "verify", "oci:in")["findings"] == []
    blob = tmp_path / "in" / "blobs" / "sha256" / sha256(good.blobs[0])
    blob.write_bytes(blob.read_bytes() + b"x")
    assert "1 error" in answer(capsys, "verify", "oci:in", code=4)
    (finding,) = document(capsys, "verify", "oci:in", code=4)["findings"]
    assert finding["severity"] == "error"
    assert finding["error"]["exit_code"] == 4


def test_a_hostile_name_reaches_the_terminal_escaped(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    image = make_image(config_changes={"architecture": "amd64\x1b[2J\u202e"})
    oci_layout(tmp_path / "in", [image], ["app"])
    main(["inspect", "oci:in"])
    main(["convert", "oci:in", "oci:out", "--dry-run"])
    out, err = capsys.readouterr()
    assert not {"\x1b", "\u202e"} & set(out + err)
    assert "\\x1b[2J" in out


def test_verbose_logs_lines_to_stderr(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    docker_archive(tmp_path / "app.tar", [make_image()])
    assert main(["convert", "app.tar", "oci:out", "--verbose"]) == 0
    out, err = capsys.readouterr()
    assert len(err.splitlines()) >= 3
    assert all(re.match(r"\d\d:\d\d:\d\d (INFO|DEBUG) ", line) for line in err.splitlines())
    assert "INFO" not in out


# ------------------------------------------------------------------------------------------------ signals and terminals


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds, ten seconds at most."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """An archive that takes seconds to recode at zstd:19."""
    image = make_image(tars=[os.urandom(512) * 20_000 + os.urandom(30_000_000)])
    return docker_archive(tmp_path / "slow.tar", [image])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_nothing_behind(slow: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    line = [*COMMAND, "convert", str(slow), "oci:out:app", "-c", "zstd:19", "--jobs", "1", "--digest-file", "digest"]
    with subprocess.Popen(line, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: len(os.listdir(tmp_path)) > 1)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (code, "", "occy-fast: interrupted\n")
    assert os.listdir(tmp_path) == ["slow.tar"]


def test_bars_are_drawn_on_a_terminal_and_the_answer_is_not(slow: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    line = [*COMMAND, "convert", str(slow), "oci:out:app", "-c", "zstd:19", "--jobs", "1"]
    with subprocess.Popen(
        line, env=ENVIRONMENT | {"TERM": "xterm", "COLUMNS": "100"}, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        drawn = bytearray()
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            drawn += piece
        assert process.stdout is not None
        out = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert b"of 1 layers" in drawn
    assert b"\x1b[?25h" in drawn[-200:], "the cursor is shown again"
    assert b"\x1b" not in out
    assert b"digest" in out


def test_a_warning_is_called_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source = oci_layout(tmp_path / "in", [make_image("a", codec="zstd")], ["app"])
    for number, (option, told) in enumerate([("", True), ("--json", False), ("--quiet", False)]):
        place = f"oci:{tmp_path}/out{number}:app"
        assert main(["convert", f"oci:{source}:app", place, "--quiet"]) == 0
        blob = tmp_path / f"out{number}" / "blobs" / "sha256" / sha256(make_image("a", codec="zstd").blobs[0])
        blob.write_bytes(bytes(blob.stat().st_size))
        capsys.readouterr()
        assert main(["convert", f"oci:{source}:app", place, "--verify", "destination", *filter(None, [option])]) == 0
        err = capsys.readouterr().err
        assert err.startswith("warning: ") is told
        assert ("to be replaced" in err) is told
