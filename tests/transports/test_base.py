"""A source says itself whether it is read once."""

from __future__ import annotations

import gzip
from pathlib import Path

from occy_fast.transports.base import is_stream
from support.image_builders import docker_archive, make_image
from support.opening import open_source


def test_what_is_compressed_as_a_whole_is_a_stream(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image("a")])
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(gzip.compress(archive.read_bytes()))
    with open_source(str(archive)) as file, open_source(str(packed)) as stream:
        assert (is_stream(file), is_stream(stream)) == (False, True)
