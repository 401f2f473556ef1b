from __future__ import annotations

from pathlib import Path

import pytest

from occy_fast.errors import BadReference, Unsupported, UsageError
from occy_fast.transports.locator import TRANSPORTS, Locator, parse_locator
from support.opening import open_destination


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oci:dir", ("oci", "dir", None, None)),
        ("oci:/a b/c:latest", ("oci", "/a b/c", "latest", None)),
        ("oci:dir:localhost:5000/a/b:1", ("oci", "dir", "localhost:5000/a/b:1", None)),
        ("oci:dir:@3", ("oci", "dir", None, 3)),
        ("docker-archive:a.tar", ("docker-archive", "a.tar", None, None)),
        ("docker-archive:a.tar:app:1", ("docker-archive", "a.tar", "docker.io/library/app:1", None)),
        ("docker-archive:a.tar:t5/app", ("docker-archive", "a.tar", "docker.io/t5/app:latest", None)),
        ("docker-archive:a.tar:localhost:5000/x/y:3", ("docker-archive", "a.tar", "localhost:5000/x/y:3", None)),
        ("docker-archive:a.tar:@0", ("docker-archive", "a.tar", None, 0)),
        ("oci-archive:a.tar", ("oci-archive", "a.tar", None, None)),
        ("oci-archive:a.tar:localhost:5000/a/b:1", ("oci-archive", "a.tar", "localhost:5000/a/b:1", None)),
        ("oci-archive:a.tar:@2", ("oci-archive", "a.tar", None, 2)),
        ("docker-daemon:app", ("docker-daemon", "", "docker.io/library/app:latest", None)),
        ("podman:localhost/x/app:1", ("podman", "", "localhost/x/app:1", None)),
        (f"docker-daemon:sha256:{'a' * 64}", ("docker-daemon", "", f"sha256:{'a' * 64}", None)),
        ("docker-daemon:", ("docker-daemon", "", None, None)),
        ("app.tar", ("", "app.tar", None, None)),
        ("./oci:x", ("", "./oci:x", None, None)),
        ("./a:b", ("", "./a:b", None, None)),
        ("/tmp/a:b", ("", "/tmp/a:b", None, None)),
        ("Upper:x", ("", "Upper:x", None, None)),
    ],
)
def test_locators(text: str, expected: tuple[object, ...]) -> None:
    assert parse_locator(text) == Locator(text, *expected)


@pytest.mark.parametrize(
    "text",
    ["", "a\0b", "oci:", "oci::ref", "oci:dir:", "oci:dir:@", "oci:dir:@-1", "oci:dir:@01", "oci:dir:@x", "x:y:z"],
)
def test_what_is_no_locator(text: str) -> None:
    with pytest.raises(UsageError):
        parse_locator(text)


@pytest.mark.parametrize("word", ["tar", "oic", "http", "c"])
def test_unknown_words_are_told_what_there_is(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_locator(f"{word}:x")
    assert all(name in str(caught.value) for name in TRANSPORTS)
    assert word in str(caught.value)
    assert "registry" not in str(caught.value)


@pytest.mark.parametrize("text", ["docker://host/x", "ostree:x@y"])
def test_transports_to_come_are_unsupported(text: str) -> None:
    with pytest.raises(Unsupported) as caught:
        parse_locator(text)
    assert all(name in str(caught.value) for name in TRANSPORTS)


def test_a_file_whose_name_looks_like_a_transport(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        parse_locator("tar:x")
    (tmp_path / "tar:x").write_bytes(b"")
    assert parse_locator("tar:x") == Locator("tar:x", "", "tar:x")


def test_a_relative_path_starts_in_the_directory_that_is_named(tmp_path: Path) -> None:
    located = parse_locator("oci:out:app", "/there")
    assert located == Locator("oci:out:app", "oci", "/there/out", "app")
    assert not located.is_relative
    for text in ("oci:/out", "-", "docker-archive:-", "docker-daemon:app", "/in.tar"):
        assert parse_locator(text, "/there") == parse_locator(text)
        assert not parse_locator(text).is_relative
    assert parse_locator("oci:out").is_relative
    (tmp_path / "tar:x").write_bytes(b"")
    assert parse_locator("tar:x", str(tmp_path)) == Locator("tar:x", "", f"{tmp_path}/tar:x")


@pytest.mark.parametrize("text", ["docker-archive:a:UPPER:1", "docker-archive:a:a:1:2", "docker-archive:a:../x"])
def test_bad_references(text: str) -> None:
    with pytest.raises(BadReference):
        parse_locator(text)


def test_an_archive_knows_no_digests() -> None:
    with pytest.raises(BadReference, match="digest"):
        parse_locator("docker-archive:a.tar:app@sha256:" + "a" * 64)


@pytest.mark.parametrize("name", ["UPPER", f"a@sha256:{'a' * 64}", f"sha256:{'a' * 64}"])
def test_what_a_daemon_cannot_be_told_to_call_an_image(name: str) -> None:
    with pytest.raises(BadReference):
        open_destination(f"docker-daemon:{name}")


def test_a_name_has_a_tag_or_a_digest() -> None:
    with pytest.raises(BadReference):
        parse_locator(f"docker-daemon:a:1@sha256:{'a' * 64}")
