"""The parts of a locator, whichever transport reads them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from occy_fast.errors import BadReference
from occy_fast.transports.locator import Locator, check_loaded_name, check_ref, is_pipe, parse_name, parse_tag

ID = "a" * 64


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("", None),
        ("app", "docker.io/library/app:latest"),
        ("localhost/x/app:1", "localhost/x/app:1"),
        (ID, f"sha256:{ID}"),
        (f"sha256:{ID}", f"sha256:{ID}"),
        (f"app@sha256:{ID}", f"docker.io/library/app@sha256:{ID}"),
    ],
)
def test_what_a_daemon_knows_an_image_by(name: str, known: str | None) -> None:
    assert parse_name(name, "here") == known


def test_a_tag_is_a_name_with_a_tag() -> None:
    assert parse_tag("app", "here") == "docker.io/library/app:latest"
    with pytest.raises(BadReference, match="not by digest"):
        parse_tag(f"app@sha256:{ID}", "here")


@pytest.mark.parametrize(
    ("text", "reference", "fits_a_layout", "fits_a_daemon"),
    [
        ("x:out", None, True, True),
        ("x:out:v1", "v1", True, True),
        ("x:out:../x", "../x", False, True),
        (f"x:{ID}", f"sha256:{ID}", True, False),
        ("x:aaaaaaaaaaaa", "docker.io/library/aaaaaaaaaaaa:latest", True, False),
        ("x:app@1", "app@1", True, False),
    ],
)
def test_what_can_be_written_under_a_name(
    text: str, reference: str | None, fits_a_layout: bool, fits_a_daemon: bool
) -> None:
    locator = Locator(text, "x", "out", reference)
    for check, fits in ((check_ref, fits_a_layout), (check_loaded_name, fits_a_daemon)):
        if fits:
            check(locator)
        else:
            with pytest.raises(BadReference):
                check(locator)


def test_what_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"")
    found = [is_pipe(Locator("x", "", path)) for path in ("-", f"{tmp_path}/pipe", f"{tmp_path}/file", "none", "")]
    assert found == [True, True, False, False, False]


def test_what_has_no_path_is_reached_over_a_connection() -> None:
    assert Locator("x", "", "a.tar").has_path
    assert not Locator("docker-daemon:app", "docker-daemon", "", "app").has_path
