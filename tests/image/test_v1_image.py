"""The JSON of a v1 image, as Docker 20.10 reads and writes it; tests/image/test_v1.py has what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from occy_fast.errors import BadManifest
from occy_fast.image.v1_image import read_v1_image


def test_names_in_any_case_and_null_is_as_if_it_were_not_there() -> None:
    image = read_v1_image({"PARENT": "p", "Author": "me", "comment": None, "docker_version": "1.9"}, "here")
    assert (image.parent, image.author, image.comment, image.docker_version) == ("p", "me", "", "1.9")


def test_the_command_is_one_text() -> None:
    for command, text in ((["/bin/sh", "-c", "make"], "/bin/sh -c make"), ("make", "make"), (None, "")):
        assert read_v1_image({"container_config": {"Cmd": command}}, "here").created_by == text


def test_what_docker_does_not_know_is_not_written() -> None:
    members = dict(read_v1_image({"os": "linux", "author": "me", "unknown": 1}, "here").members)
    assert members["os"] == '"linux"'
    assert members["author"] == '"me"'
    assert "unknown" not in members
    assert "comment" not in members


@pytest.mark.parametrize(
    "document",
    [{"parent": 1}, {"created": "yesterday"}, {"container_config": {"Cmd": [1]}}, {"Size": 1.5}, {"config": []}],
)
def test_what_go_could_not_decode(document: dict[str, Any]) -> None:
    with pytest.raises(BadManifest, match="here"):
        read_v1_image(document, "here")
