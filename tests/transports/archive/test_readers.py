"""Which reader an archive is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from occy_fast.errors import (
    UnsupportedFormat,
)
from support.image_builders import (
    docker_archive,
    make_image,
    oci_archive,
    oci_layout,
)
from support.oci_archives import read
from support.opening import open_source


def test_where_both_documents_are_the_transport_says_which_is_read(tmp_path: Path) -> None:
    """docker save of 25 and later: the layout tells the ref, manifest.json the tags."""
    path = docker_archive(tmp_path / "a.tar", [make_image("a", names=("t5/app:1",))], "D")
    assert [named.ref for named in read(path).images] == ["1"]
    with open_source(str(path)) as source:
        contents = source.read()
    assert (contents.kind, [named.ref for named in contents.images]) == ("docker-archive", [None])


def test_each_transport_names_the_one_that_reads_the_file(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "o", [make_image("a")])
    packed = oci_archive(tmp_path / "oci.tar", layout)
    saved = docker_archive(tmp_path / "docker.tar", [make_image("a")])
    for locator, remedy in [
        (f"docker-archive:{packed}", f"oci-archive:{packed}"),
        (f"oci-archive:{saved}", f"docker-archive:{saved}"),
        (f"oci-archive:{layout}", f"oci:{layout}"),
        (f"oci:{packed}", f"oci-archive:{packed}"),
    ]:
        with pytest.raises(UnsupportedFormat) as caught, open_source(locator) as source:
            source.read()
        assert remedy in str(caught.value)
