"""What a layout has before it is written to."""

from __future__ import annotations

from pathlib import Path

from occy_fast.spec.digest import Digest
from support.image_builders import make_image
from support.layouts import put
from support.opening import open_destination


def test_blobs_that_are_there_are_present(tmp_path: Path) -> None:
    image = make_image("a", "b")
    destination = open_destination(f"oci:{tmp_path}/o")
    digests = [Digest.sha256(blob) for blob in image.blobs]
    assert destination.present(digests) == {}
    put(tmp_path / "o", make_image("a"))
    assert destination.present(digests) == {
        digests[0]: len(image.blobs[0])
    }
    with destination.stage() as stage:
        assert stage.has(digests[0], len(image.blobs[0]))
        assert not stage.has(digests[0], 1)
        assert not stage.has(digests[1])
