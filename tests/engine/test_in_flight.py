"""Several layers at once, watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from occy_fast import api
from support.image_builders import make_image, oci_layout


def test_progress_ends_with_everything_done(tmp_path: Path) -> None:
    image = make_image("one", "two", codec="gzip", size=100_000)
    oci_layout(tmp_path / "in", [image], ["app"])
    reports: list[Any] = []
    api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", encoding="zstd", progress=reports.append)
    last = reports[-1]
    assert [layer.state for layer in last.layers] == ["done", "done"]
    assert last.source == last.total == sum(map(len, image.blobs))
