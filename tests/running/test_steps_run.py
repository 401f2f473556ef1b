"""What the steps of a plan stage, and what is published of it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from occy_fast import api
from occy_fast.errors import Cancelled, DigestMismatch, PlanStale
from support.conversions import damage, tree_of_source
from support.image_builders import docker_archive, make_image, oci_layout, sha256
from support.leaks import nothing_left
from support.outputs import Layout, tree


def test_links_share_the_source_s_files(tmp_path: Path) -> None:
    image = make_image("one", "two", codec="gzip")
    oci_layout(tmp_path / "in", [image], ["app"])
    result = api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", format="docker", link=True)
    assert [layer.kind for layer in result.layers] == ["adopt", "adopt"]
    for blob in image.blobs:
        assert os.path.samefile(*(tmp_path / side / "blobs" / "sha256" / sha256(blob) for side in ("in", "out")))


def test_a_blob_to_be_linked_is_proved_first(tmp_path: Path) -> None:
    image = make_image("one", codec="gzip")
    oci_layout(tmp_path / "in", [image], ["app"])
    damage(tmp_path / "in" / "blobs" / "sha256" / sha256(image.blobs[0]), -20)
    with pytest.raises(DigestMismatch):
        api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", link=True)
    assert tree(tmp_path) == tree_of_source(tmp_path, "in")


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    image = make_image("one", "two", codec="gzip")
    oci_layout(tmp_path / "in", [image], ["app"])
    api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:first")
    again = api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:second", verify="layers")
    assert [layer.kind for layer in again.layers] == ["skip", "skip"]
    assert again.size_out == 0
    assert set(Layout(tmp_path / "out").entries()) == {"first", "second"}


def test_equal_layers_are_read_once(tmp_path: Path) -> None:
    image = make_image("same", "other", "same", size=70_000)
    docker_archive(tmp_path / "in.tar", [image], "C")
    plan = api.plan(f"docker-archive:{tmp_path}/in.tar", f"oci:{tmp_path}/out:app", encoding="zstd")
    assert len(plan.steps) == 2
    assert len(api.execute(plan).layers) == 3
    assert Layout(tmp_path / "out").image("app").tars == image.tars


def test_a_destination_that_changed_since_the_plan(tmp_path: Path) -> None:
    image = make_image("one", codec="gzip")
    oci_layout(tmp_path / "in", [image], ["app"])
    api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app")
    plan = api.plan(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:again")
    (tmp_path / "out" / "blobs" / "sha256" / sha256(image.blobs[0])).unlink()
    with pytest.raises(PlanStale):
        api.execute(plan)


@pytest.mark.parametrize("exception", [KeyboardInterrupt, None])
@pytest.mark.parametrize("place", ["oci:{}/out:app", "docker-archive:{}/out.tar:app:1"])
def test_stopped_on_the_way(tmp_path: Path, exception: type[BaseException] | None, place: str) -> None:
    image = make_image("one", "two", tars=[os.urandom(6_000_000), os.urandom(6_000_000)])
    oci_layout(tmp_path / "in", [image], ["app"])
    cancel = threading.Event()
    reports = []

    def watch(progress: Any) -> None:
        reports.append(progress)
        if exception:
            raise exception
        cancel.set()

    with nothing_left(), pytest.raises(exception or Cancelled):
        api.convert(
            f"oci:{tmp_path}/in:app",
            place.format(tmp_path),
            encoding="gzip:2",
            progress=watch,
            cancel=cancel,
            workers=1,
        )
    assert reports
    assert tree(tmp_path) == tree_of_source(tmp_path, "in")


def test_what_is_there_already_is_read_where_its_tar_is_to_be_verified(tmp_path: Path) -> None:
    image = make_image("one", "two", codec=["none", "gzip"])
    oci_layout(tmp_path / "in", [image], ["app"])
    api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app")
    again = api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app")
    assert ([layer.kind for layer in again.layers], again.size_in) == (["skip", "skip"], 0)
    read = api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", verify="layers")
    assert read.size_in == sum(map(len, image.blobs))
    path = tmp_path / "in" / "blobs" / "sha256" / sha256(image.blobs[0])
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DigestMismatch):
        api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", verify="layers")


def test_a_layer_that_was_recoded_for_another_tells_of_its_own_source(tmp_path: Path) -> None:
    """One tar in two encodings is recoded once, and both layers say what they were."""
    image = make_image("same", "same", codec=["none", "gzip"], size=70_000)
    oci_layout(tmp_path / "in", [image], ["app"])
    result = api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", encoding="zstd:3")
    assert [str(layer.step.layer.encoding) for layer in result.layers] == ["none", "gzip"]
    assert [layer.size_in for layer in result.layers] == [len(blob) for blob in image.blobs]
    assert result.size_in == len(image.blobs[0])
    assert len({layer.digest for layer in result.layers}) == 1
