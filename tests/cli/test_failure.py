"""Whatever ends a command becomes one block on stderr, and the exit code the class names."""

from __future__ import annotations

import errno
import inspect
import json

import pytest

from occy_fast import errors
from occy_fast.cli.failure import MEANINGS, error_lines, exit_code, report_failure
from occy_fast.cli.output import OutputMode
from occy_fast.cli.signals import Stopped
from occy_fast.errors import (
    BadReference,
    CorruptStream,
    DaemonError,
    DigestMismatch,
    InputError,
    LimitError,
    ManifestTooLarge,
    OccyError,
    OutputError,
    PlanStale,
    ResourceError,
    TarTruncated,
    UnknownTarget,
    Unsupported,
    unreadable,
    unwritable,
)
from occy_fast.image.place import Place
from occy_fast.running.error_document import error_document
from occy_fast.running.remedies import advice

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, OccyError) and value is not OccyError
]
SAMPLES = {"offset": 7, "errno": 28, "allowed": 4, "value": 5, "retryable": False, "status": 404}
TUPLES = {"candidates", "known", "offered", "urls", "settings"}
ADVISED = {"settings"}  # the remedy names them


def sample(kind: type[OccyError]) -> OccyError:
    """Build an error of *kind* with every field set."""
    return kind(*(SAMPLES.get(name, ("a", "b") if name in TUPLES else f"the {name}") for name in kind.fields))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_field_of_every_error_is_shown(kind: type[OccyError]) -> None:
    error = sample(kind)
    lines = error_lines(error)
    assert lines[0].startswith(f"occy-fast: {kind.__name__}: ")
    advised = ["remedy"] if advice(error) and "remedy" not in kind.fields else []
    shown = [name for name in kind.fields if name not in ADVISED]
    assert len(lines) == 1 + len([*shown, *advised])
    document = error_document(error)
    fields = ["given" if name == "name" else name for name in shown]
    assert sorted(document) == sorted(["name", "message", *fields, *advised, "exit_code"])
    assert list(document)[-1] == "exit_code"
    assert document["name"] == kind.__name__
    assert json.loads(json.dumps(document)) == document


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_exit_code_has_a_meaning(kind: type[OccyError]) -> None:
    assert kind.exit_code in MEANINGS


def test_a_mismatch_reads_as_a_block() -> None:
    assert error_lines(DigestMismatch("docker-archive:app.tar, layer 3", "sha256:aa", "sha256:bb")) == [  # type: ignore[arg-type]
        "occy-fast: DigestMismatch: the bytes are not what they claim to be",
        "  where:    docker-archive:app.tar, layer 3",
        "  expected: sha256:aa",
        "  found:    sha256:bb",
        "  try:      get it again from where it came: bytes were lost or changed on the way",
    ]


def test_what_is_not_known_has_no_line() -> None:
    assert error_lines(Unsupported("", "zstd inside schema 2")) == [
        "occy-fast: Unsupported: not supported",
        "  problem: zstd inside schema 2",
    ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (LimitError("a.tar", "words", 5, 6, ("member_count",)), "set OCCY_FAST_MAX_MEMBER_COUNT higher"),
        (LimitError("a.tar", "words", 5, 6, ("config", "layer")), "OCCY_FAST_MAX_CONFIG or OCCY_FAST_MAX_LAYER"),
        (ManifestTooLarge("oci:o: index.json", "words", 5, 6, ()), "fewer images, layers or annotations"),
        (PlanStale("a.tar", "the file is gone"), "make the plan again"),
        (TarTruncated("a.tar", 7, "it stops"), "it is cut short"),
        (BadReference("Foo:1", "capitals"), "the repository in small letters"),
        (BadReference("Foo:1", "capitals", "a.tar: manifest.json").about(Place("manifest.json")), "--target NAME"),
        (UnknownTarget("x", ("y",)), "occy-fast targets"),
        (OutputError("/none/out", 2, "open"), "mkdir -p"),
        (OutputError("/file/out", 20, "open"), "a file is in the way"),
        (InputError("a.tar", errno.EACCES), "look at who may read it"),
        (InputError("a.tar", errno.EIO), "look at the disk"),
        (InputError("a.tar", errno.EMFILE), "ulimit -n"),
        (InputError("a.tar", errno.ENFILE), "ulimit -n"),
        (unreadable(OSError(errno.ENOMEM, "Cannot allocate memory"), "a.tar"), "ulimit -v"),
        (unwritable(OSError(errno.EMFILE, "Too many open files"), "out", "create"), "ulimit -n"),
        (OutputError("/out", 28, "write"), "make room there"),
        (DaemonError("destination", "docker-daemon:a", None, "it hung up", True), "--retries N"),
    ],
)
def test_what_to_do_is_the_last_line(error: OccyError, words: str) -> None:
    last = error_lines(error)[-1]
    assert last.startswith("  try: ")
    assert words in last
    assert words in str(error_document(error)["remedy"])


def test_what_ran_out_is_no_defect(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (MemoryError(), OSError(errno.EMFILE, "Too many open files"), RuntimeError("can't start new thread")):
        assert report_failure(error, OutputMode()) == ResourceError.exit_code == 1
        text = capsys.readouterr().err
        assert text.startswith("occy-fast: ResourceError: not enough ")
        assert "try:" in text
        assert "defect" not in text


def test_what_an_error_says_itself_counts() -> None:
    assert error_lines(InputError("a", 13, "b", "c"))[-1] == "  try:   c"


def test_an_errno_is_put_into_words() -> None:
    assert "  found:     No space left on device" in error_lines(OutputError("/out", 28, "write"))


def test_a_name_cannot_drive_the_terminal() -> None:
    block = "\n".join(error_lines(CorruptStream("\x1b]0;owned\x07\nfaked line", 3, "torn \x9b2J")))
    assert not {"\x1b", "\x07", "\x9b"} & set(block)
    assert block.count("\n") == 4


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Stopped(2), 130),
        (Stopped(15), 143),
        (Stopped(1), 129),
        (KeyboardInterrupt(), 130),
        (LimitError("x", "size", 1, 2, ()), 6),
        (ValueError("x"), 1),
        (PermissionError(13, "denied", "/x"), 1),
        (MemoryError(), 1),
    ],
)
def test_exit_codes(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


def test_json_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert report_failure(Unsupported("a", "b", "c"), OutputMode(json=True)) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert json.loads(err) == {
        "error": {
            "name": "Unsupported",
            "message": "a: b (c)",
            "where": "a",
            "problem": "b",
            "remedy": "c",
            "exit_code": 5,
        }
    }


@pytest.mark.parametrize("error", [ValueError("inner"), KeyError("inner"), AssertionError("inner")])
def test_a_defect_is_short_unless_verbose(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert report_failure(error, OutputMode()) == 1
    short = capsys.readouterr().err
    with pytest.raises(type(error)) as raised:
        raise error
    assert report_failure(raised.value, OutputMode(verbose=True)) == 1
    long = capsys.readouterr().err
    assert "Traceback" not in short
    assert "--verbose" in short
    assert "Traceback" in long


def test_a_known_error_has_no_traceback_even_when_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (Unsupported("a", "b"), FileNotFoundError(2, "gone", "/x")):
        report_failure(error, OutputMode(verbose=True))
        assert "Traceback" not in capsys.readouterr().err
