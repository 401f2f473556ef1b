"""`verify` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.commands import answer
from support.image_builders import make_image, oci_layout, sha256


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    image = make_image("a", "b")
    made = oci_layout(tmp_path / "in", [image], ["app"])
    (made / "blobs/sha256" / sha256(image.blobs[0])).unlink()
    return made


def test_nothing_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = oci_layout(tmp_path / "in", [make_image("a", "b")], ["app"])
    first, last = answer(capsys, "verify", f"oci:{made}").splitlines()
    assert first == f"oci:{made}"
    assert last.startswith("1 image, 2 layers, ")
    assert answer(capsys, "verify", f"oci:{made}", "--quiet") == ""


def test_a_line_for_each_finding_with_what_to_do(layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = answer(capsys, "verify", f"oci:{layout}", code=3).splitlines()
    (found,) = (line for line in lines if line.startswith("error"))
    assert "layer 1" in found
    assert found.endswith("[MissingBlob]; try: copy or save it again: not all of it is there")


def test_the_exit_code_is_in_the_json_too(layout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(answer(capsys, "verify", f"oci:{layout}", "--json", code=3))
    assert document["exit_code"] == 3
    assert [finding["error"]["name"] for finding in document["findings"]] == ["MissingBlob"]
