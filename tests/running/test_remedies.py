"""What to do about an error that does not say it."""

from __future__ import annotations

from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import BadReference
from occy_fast.image.place import Place
from occy_fast.running.remedies import advice
from support.image_builders import docker_archive, make_image

NAME = "a name is REPOSITORY[:TAG]"
TARGET = "--target NAME puts right what names loaders refuse"


def test_a_bad_name_in_an_image_is_put_right_by_a_target(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image(names=("Upper:1",))])
    with pytest.raises(BadReference) as caught, occy_fast.open_image(archive):
        pass
    assert caught.value.place == Place("manifest.json", path="[0]")
    assert advice(caught.value).startswith(TARGET)


@pytest.mark.parametrize("destination", ["oci:out:a~b", "docker-archive:out.tar:App"])
def test_a_bad_name_in_the_request_is_not(tmp_path: Path, destination: str) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image()])
    with pytest.raises(BadReference) as caught:
        occy_fast.convert(archive, destination)
    assert advice(caught.value).startswith(NAME)
