"""Every error: its place in the tree, its exit code, its message, and its way through a process pool."""

from __future__ import annotations

import copy
import errno
import inspect
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from occy_fast import errors
from occy_fast.errors import OccyError
from occy_fast.files.staged import output_errors
from occy_fast.spec.digest import Digest
from occy_fast.words import without_secrets

ONE = Digest.sha256(b"one")
TWO = Digest.sha256(b"two")
SOURCES = Path(errors.__file__).parent.parent.parent

# One of each, with the parent and the exit code that STYLE §5 gives it, and what its message must hold.
SAMPLES: list[tuple[OccyError, type[Exception], int, list[str]]] = [
    (errors.OccyError("there", "broken", "mend it"), Exception, 1, ["there: ", "broken", "(mend it)"]),
    (errors.Cancelled("there"), OccyError, 130, ["cancelled"]),
    (errors.UsageError("what?", "say it"), ValueError, 2, ["what?", "(say it)"]),
    (errors.BadReference("X:", "no", "there"), errors.UsageError, 2, ["there", "'X:'", "no"]),
    (errors.AmbiguousReference("there", "two", ("a", "b"), "choose"), errors.UsageError, 2, ["two", "a, b", "choose"]),
    (errors.UnknownTarget("x", ("docker", "podman")), errors.UsageError, 2, ["'x'", "docker, podman"]),
    (errors.NotFound("there", "tag x"), LookupError, 3, ["there", "tag x"]),
    (errors.MissingFile("there", "x.tar"), FileNotFoundError, 3, ["there", "x.tar", "No such file"]),
    (errors.MissingBlob("there", ONE), errors.NotFound, 3, [str(ONE)]),
    (errors.MissingPlatform("there", "a/b", ("c/d",)), errors.NotFound, 3, ["a/b", "c/d"]),
    (errors.IntegrityError("there", "broken"), ValueError, 4, ["broken"]),
    (errors.DigestMismatch("there", ONE, TWO), errors.IntegrityError, 4, [f"expected {ONE}", f"found {TWO}"]),
    (errors.SizeMismatch("there", 1, 2), errors.IntegrityError, 4, ["expected 1", "found 2"]),
    (errors.LayerCountMismatch("there", 1, 2), errors.IntegrityError, 4, ["expected 1", "found 2"]),
    (errors.CorruptStream("there", 17, "broken"), errors.IntegrityError, 4, ["broken", "17"]),
    (errors.MediaTypeConflict("there", "a/b", "c/d"), errors.IntegrityError, 4, ["expected a/b", "found c/d"]),
    (errors.BadArchive("there", "broken"), errors.IntegrityError, 4, ["broken"]),
    (errors.BadManifest("there", "broken"), errors.IntegrityError, 4, ["broken"]),
    (errors.BadJSON("there", "broken"), errors.IntegrityError, 4, ["broken"]),
    (errors.DuplicateKey("there", "$.a", "k", "k"), errors.IntegrityError, 4, ["'k' appears twice", "$.a"]),
    (errors.DuplicateKey("there", "$.a", "k", "K"), errors.IntegrityError, 4, ["'k'", "'K'", "case"]),
    (errors.DuplicateEntry("there", b"a\xff"), errors.IntegrityError, 4, ["'a\\xff'"]),
    (errors.BadDescriptor("there", "broken"), errors.IntegrityError, 4, ["broken"]),
    (errors.BadDigest("there", "md5:0", "old"), errors.IntegrityError, 4, ["'md5:0'", "old"]),
    (errors.TarError("there", 512, "broken"), errors.IntegrityError, 4, ["broken", "512"]),
    (errors.TarHeaderError("there", 512, "broken"), errors.TarError, 4, ["512"]),
    (errors.TarChecksumError("there", 512, "broken"), errors.TarError, 4, ["512"]),
    (errors.TarPaxError("there", 512, "broken"), errors.TarError, 4, ["512"]),
    (errors.TarTruncated("there", 512, "broken"), errors.TarError, 4, ["512"]),
    (errors.TarFormatError("there", 512, "broken"), errors.TarError, 4, ["512"]),
    (errors.TarAmbiguous("there", 512, "broken"), errors.TarError, 4, ["512"]),
    (errors.PathError("there", "../x", "climbs"), OccyError, 4, ["'../x'", "climbs"]),
    (errors.UnsafePath("there", b"../x", "climbs"), errors.PathError, 4, ["'../x'"]),
    (errors.Unsupported("there", "no", "do it so"), OccyError, 5, ["no", "(do it so)"]),
    (errors.UnsupportedFormat("there", "old", "save anew"), errors.Unsupported, 5, ["old", "(save anew)"]),
    (errors.UnsupportedMediaType("there", "a/b", None), errors.Unsupported, 5, ["a/b"]),
    (errors.ForeignLayerRefused("there", ONE, ("https://x/y",)), errors.Unsupported, 5, [str(ONE), "https://x/y"]),
    (errors.LinkRefused("there", "it leads out", "../x", "allow it"), errors.Unsupported, 5, ["leads out", "../x"]),
    (errors.LimitError("there", "depth", 8, 9, ("x",)), OccyError, 6, ["depth", "8", "9"]),
    (errors.TarLimitError("there", 512, "pax", 8, 9, ("x",)), errors.TarError, 6, ["pax", "8", "9", "512"]),
    (errors.DecompressionBomb("there", "output", 8, 9, ("x",)), errors.LimitError, 6, ["output"]),
    (errors.WindowTooLarge("there", "window", 8, 9, ("x",)), errors.LimitError, 6, ["window"]),
    (errors.ManifestTooLarge("there", "size", 8, 9, ("x",)), errors.LimitError, 6, ["size"]),
    (errors.ConfigTooLarge("there", "size", 8, 9, ("x",)), errors.LimitError, 6, ["size"]),
    (errors.TransportError("source", "there", 503, "busy", True), OccyError, 7, ["source", "503", "busy"]),
    (errors.DaemonError("destination", "there", None, "gone", True), errors.TransportError, 7, ["destination", "gone"]),
    (errors.OutputError("/out", errno.ENOSPC, "write"), OccyError, 1, ["/out", "write", "No space left"]),
    (errors.PlanStale("there", "changed"), OccyError, 1, ["changed"]),
    (errors.ResourceError("there", "memory", "too much", "less"), OccyError, 1, ["not enough memory", "(less)"]),
    (errors.InputError("there", errno.EIO, "/in", "again"), OSError, 11, ["/in", "Input/output", "(again)"]),
]
OF_THE_SYSTEM = [errors.MissingFile, errors.OutputError, errors.InputError]
samples = pytest.mark.parametrize(
    ("error", "parent", "code", "words"), SAMPLES, ids=[type(error).__name__ for error, *_ in SAMPLES]
)


def test_the_samples_are_all_there_are() -> None:
    defined = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, OccyError)}
    assert {type(error) for error, *_ in SAMPLES} == defined


def test_every_error_that_is_promised_exists() -> None:
    promised = """UsageError BadReference AmbiguousReference UnknownTarget NotFound MissingBlob MissingPlatform
    IntegrityError DigestMismatch SizeMismatch LayerCountMismatch CorruptStream MediaTypeConflict BadArchive BadManifest
    BadJSON DuplicateKey DuplicateEntry BadDescriptor BadDigest TarError TarHeaderError TarChecksumError TarPaxError
    TarTruncated TarFormatError TarAmbiguous PathError UnsafePath Unsupported UnsupportedFormat
    UnsupportedMediaType ForeignLayerRefused LinkRefused LimitError TarLimitError DecompressionBomb WindowTooLarge
    ManifestTooLarge ConfigTooLarge TransportError DaemonError OutputError PlanStale
    InputError MissingFile ResourceError"""
    assert [name for name in promised.split() if not hasattr(errors, name)] == []


@samples
def test_tree_and_exit_code(error: OccyError, parent: type[Exception], code: int, words: list[str]) -> None:
    assert isinstance(error, parent)
    assert isinstance(error, OccyError)
    assert isinstance(error, OSError) == (type(error) in OF_THE_SYSTEM)
    assert error.exit_code == code


@pytest.mark.parametrize("kind", OF_THE_SYSTEM)
def test_an_error_of_the_system_has_what_one_looks_for(kind: type[OccyError]) -> None:
    (error,) = (sample for sample, *_ in SAMPLES if type(sample) is kind)
    for each in (error, pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert isinstance(each, OSError)
        assert each.errno in (errno.ENOENT, errno.EIO, errno.ENOSPC)
        assert each.strerror == os.strerror(each.errno)
        assert each.filename in ("x.tar", "/in", "/out")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, errors.MissingFile),
        (errno.ENOTDIR, errors.MissingFile),
        (errno.ENOMEM, errors.ResourceError),
        (errno.EIO, errors.InputError),
        (errno.EACCES, errors.InputError),
        (errno.EPERM, errors.InputError),
        (errno.EMFILE, errors.InputError),
        (errno.ENFILE, errors.InputError),
        (errno.ELOOP, errors.InputError),
        (errno.ESTALE, errors.InputError),
        (errno.EISDIR, errors.InputError),
        (errno.ETIMEDOUT, errors.InputError),
    ],
)
def test_only_what_is_not_there_is_not_found(number: int, kind: type[OccyError]) -> None:
    found = errors.unreadable(OSError(number, os.strerror(number)), "there", "x")
    assert type(found) is kind
    with pytest.raises(kind) as caught, errors.read_errors("there", "x"):
        raise OSError(number, os.strerror(number))
    assert str(caught.value) == str(found)
    assert errors.unreadable(OSError("no number"), "there").args[1] == errno.EIO
    assert not isinstance(found, errors.ResourceError) or found.remedy
    named = errors.OutputError("/out", errno.ENOSPC, "write")
    with pytest.raises(errors.OutputError) as kept, errors.read_errors("there", "x"):
        raise named
    assert kept.value is named


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, errors.OutputError),
        (errno.EACCES, errors.OutputError),
        (errno.EMFILE, errors.ResourceError),
        (errno.ENFILE, errors.ResourceError),
        (errno.ENOMEM, errors.ResourceError),
    ],
)
def test_what_ran_out_is_no_fault_of_the_destination(number: int, kind: type[OccyError]) -> None:
    found = errors.unwritable(OSError(number, os.strerror(number)), "/out", "create")
    assert type(found) is kind
    assert str(found).startswith("/out")
    if isinstance(found, errors.ResourceError):
        assert found.remedy
    assert errors.unwritable(found, "/other", "write") is found  # type: ignore[arg-type]
    with pytest.raises(kind, match="/out"), output_errors("/out", "create"):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (errors.ResourceError("", "memory"), True),
        (errors.InputError("there", errno.EMFILE), True),
        (errors.InputError("there", errno.ENFILE), True),
        (errors.InputError("there", errno.EIO), False),
        (errors.InputError("there", errno.EACCES), False),
        (errors.OutputError("/out", errno.ENOSPC, "write"), False),
        (errors.CorruptStream("", 3, "broken"), False),
    ],
)
def test_a_shortage_is_of_the_process(error: OccyError, is_one: bool) -> None:
    assert errors.is_shortage(error) == is_one


@pytest.mark.parametrize(
    ("error", "resource"),
    [
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (ImportError("x.so: failed to map segment from shared object"), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (OSError(errno.EMFILE, "Too many open files"), "open files"),
        (OSError(errno.ENFILE, "Too many open files in system"), "open files"),
        (OSError(errno.EIO, "Input/output error"), None),
        (RuntimeError("a defect"), None),
        (ImportError("no such module"), None),
        (errors.InputError("there", errno.EMFILE), None),
    ],
)
def test_what_ran_out_is_named(error: Exception, resource: str | None) -> None:
    found = errors.exhausted(error)
    assert (found.resource if found else None) == resource
    with pytest.raises(errors.ResourceError if resource else type(error)) as caught, errors.resource_errors():
        raise error
    if found:
        assert found.remedy
        assert caught.value.__cause__ is error


@samples
def test_message_names_place_and_facts(error: OccyError, parent: type[Exception], code: int, words: list[str]) -> None:
    text = str(error)
    assert [word for word in words if word not in text] == []
    assert text.startswith(error.where)
    assert re.search(r": :|None|\(\)", text) is None


@samples
def test_pickles(error: OccyError, parent: type[Exception], code: int, words: list[str]) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert again.args == error.args
    assert str(again) == str(error)
    assert again.exit_code == error.exit_code
    assert again.remedy == error.remedy
    assert {name: getattr(again, name) for name in error.fields} == dict(zip(error.fields, error.args, strict=True))


@samples
def test_args_make_it_anew(error: OccyError, parent: type[Exception], code: int, words: list[str]) -> None:
    assert str(type(error)(*error.args)) == str(error)


@samples
def test_at_names_another_place(error: OccyError, parent: type[Exception], code: int, words: list[str]) -> None:
    moved = error.at("elsewhere")
    assert type(moved) is type(error)
    if "where" in error.fields:
        assert moved.where == "elsewhere"
        assert str(moved).startswith("elsewhere")
        assert str(moved)[len("elsewhere") :] == str(error)[len("there") :]
    else:
        assert moved is error


def test_at_keeps_what_led_here() -> None:
    cause = KeyError("x")
    with pytest.raises(errors.CorruptStream) as caught:
        raise errors.CorruptStream("", 3, "broken") from cause
    moved = caught.value.at("layer 2")
    assert moved.__cause__ is cause
    assert moved.__traceback__ is caught.value.__traceback__ is not None
    assert moved.offset == 3


def test_output_error_takes_a_path_once() -> None:
    error = errors.OutputError("", errno.EIO, "write").at("/out")
    assert error.path == "/out"
    assert error.at("/other").path == "/out"


def test_fields_may_be_given_by_name() -> None:
    error = errors.Unsupported(where="there", problem="no", remedy="do it so")
    assert error.args == ("there", "no", "do it so")
    assert str(pickle.loads(pickle.dumps(error))) == "there: no (do it so)"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((), {}),
        (("there",), {}),
        (("there", "x", "y"), {}),
        (("there", "x"), {"name": "y"}),
        (("there",), {"problem": "x"}),
    ],
)
def test_a_constructor_takes_its_fields_and_nothing_else(values: tuple[str, ...], named: dict[str, str]) -> None:
    assert errors.DuplicateEntry("there", name="x").args == ("there", "x")
    with pytest.raises(TypeError, match=r"^DuplicateEntry takes where, name$"):
        errors.DuplicateEntry(*values, **named)


def test_an_error_is_shown_as_part_of_what_it_is_imported_from() -> None:
    assert {kind.__module__ for _, kind in inspect.getmembers(errors, inspect.isclass)} == {"occy_fast.errors"}


def test_without_a_place_the_message_begins_with_the_problem() -> None:
    assert str(errors.CorruptStream("", 3, "broken")) == "broken at byte 3"
    assert str(errors.TarError("", 3, "broken")) == "broken at byte 3 of the tar"


URLS = [
    "https://user:hunter2@registry.example/v2/",
    "https://hunter2@registry.example/v2/",
    "https://bucket.example/blob?X-Amz-Signature=hunter2&x=1",
    "https://user:hunter2@bucket.example/blob?token=hunter2",
    "https://user:sl/hunter2@registry.example/v2/",
    "https://user:h@sh-hunter2@registry.example/v2/",
    "https://:hunter2@registry.example/v2/",
    "tcp://user:q?hunter2@daemon.example/",
]


@pytest.mark.parametrize("url", URLS)
def test_no_secret_of_a_url_survives(url: str) -> None:
    for error in (
        errors.TransportError("source", url, 500, f"no answer from {url}"),
        errors.ForeignLayerRefused("x", ONE, (url,)),
        errors.BadReference(url, "it is a URL"),
    ):
        for text in (str(error), repr(error), repr(vars(error)), pickle.dumps(error).decode("latin-1")):
            assert "hunter2" not in text
            assert "example/" in text


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/a/b@sha256:0",
        "https://x.example:5000/a/b@sha256:0",
        "https://[::1]:5000/a/b@sha256:0",
        "https://[::1]/a:1@sha256:0",
        "unix:///run/user@1000/docker.sock",
    ],
)
def test_a_plain_url_stays(url: str) -> None:
    assert url in str(errors.BadReference(url, "it is a URL"))


HOSTILE = ["://a:x", ":", "://", "@", "?", "://a@", "://a?", "://1:", "://@:", "a", "://x:1/", "#://", "://#?", "://[a:"]


def test_no_words_of_an_image_hold_up_its_error() -> None:
    """Half a mebibyte of each; what looks at each letter as often as there are letters is killed on the way."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n"
        "from occy_fast.words import without_secrets\n"
        "for word in sys.argv[1:]:\n"
        "    for end in ('', '@', ' @', '?', '@?'):\n"
        "        without_secrets('://' + word * ((1 << 19) // len(word)) + end)\n"
    )
    subprocess.run([sys.executable, "-c", code, *HOSTILE], check=True, env={**os.environ, "PYTHONPATH": str(SOURCES)})


@pytest.mark.parametrize("between", ["", " ", "\t", "'", '"', "/", "#", "://", "x" * 400, "://a:x" * 40])
@pytest.mark.parametrize("secret", ["u:hunter2@", "hunter2@", "u:pa/hunter2@", ":p@hunter2@"])
def test_no_secret_survives_beside_another(secret: str, between: str) -> None:
    for text in (
        f"https://{secret}a.example/x{between} https://{secret}b.example/y",
        f"{between} https://{secret}a.example/x?y=1 {between}",
        f"https://a.example/x?t=hunter2 {between} {between} https://{secret}b.example/",
        f"https://a.example/x {between}#a?b://c?hunter2",
    ):
        found = without_secrets(text)
        assert "hunter2" not in found, (text, found)
        assert len(found) < len(text)


@samples
def test_messages_are_printable(error: OccyError, parent: type[Exception], code: int, words: list[str]) -> None:
    hostile = [value + "\x1b[2J\n" if isinstance(value, str) else value for value in error.args]
    text = str(type(error)(*hostile))
    assert "\x1b" not in text
    assert "\n" not in text


def test_a_long_field_is_cut() -> None:
    assert len(str(errors.BadDigest("there", "x" * 100_000, "too long"))) < 1000
