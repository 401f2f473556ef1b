"""An archive that will be written, in either layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from occy_fast.spec.digest import Digest
from occy_fast.transports.archive.docker20_stage import Docker20Stage
from occy_fast.transports.archive.stage import DockerArchiveStage
from support.opening import open_destination


def test_the_old_layout_holds_less(tmp_path: Path) -> None:
    universal = open_destination(f"docker-archive:{tmp_path}/a.tar").capabilities()
    old = open_destination(f"docker-archive:{tmp_path}/a.tar", "docker-20.10").capabilities()
    assert (universal.encodings, old.encodings) == ({"none", "gzip"}, {"none"})
    assert (universal.keeps_manifest, old.keeps_manifest) == (True, False)


@pytest.mark.parametrize("layout", ["universal", "docker-20.10"])
def test_an_archive_is_written_anew(tmp_path: Path, layout: str) -> None:
    destination = open_destination(f"docker-archive:{tmp_path}/a.tar:app:1", layout)  # type: ignore[arg-type]
    assert destination.reference == "docker.io/library/app:1"
    assert destination.present([Digest.sha256(b"a")]) == {}
    with destination.stage() as stage:
        assert isinstance(stage, DockerArchiveStage if layout == "universal" else Docker20Stage)
    assert list(tmp_path.iterdir()) == []
