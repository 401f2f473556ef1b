"""Several layers at once, watched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from occy_fast import api, errors
from occy_fast.context.progress import Progress
from occy_fast.engine import in_flight as module
from occy_fast.engine.in_flight import MOST, InFlight
from occy_fast.engine.layer_job import LayerJob, LayerProof
from occy_fast.image.blob import Blob, FileRegion, InlineBytes
from occy_fast.image.image import Layer
from occy_fast.spec.digest import Digest
from occy_fast.spec.encoding import Encoding
from support.image_builders import make_image, oci_layout
from support.opening import call_of

CONTENT = b"x" * 3000
GOOD = Layer(Blob(Digest.sha256(CONTENT), len(CONTENT), "", InlineBytes(CONTENT)), "", Encoding("none"), None)
WRONG = replace(GOOD, blob=replace(GOOD.blob, digest=Digest.sha256(b"another")))
GONE = replace(GOOD, blob=Blob(Digest.sha256(b"gone"), 1, "", FileRegion("/nowhere/at/all", 0, 1)))


def run(
    layers: list[Layer], *, watched: bool = True, cancel: threading.Event | None = None
) -> tuple[list[int], list[tuple[int, type[errors.OccyError]]]]:
    """Read *layers* at once; return which were proved, and of which an error was told."""
    proved: list[int] = []
    told: list[tuple[int, type[errors.OccyError]]] = []

    def start(flights: InFlight, position: int, layer: Layer) -> None:
        def done(_: LayerProof) -> None:
            proved.append(position)

        def failed(error: errors.OccyError, _: int) -> None:
            told.append((position, type(error)))

        flights.start(position, LayerJob(layer, f"layer {position}"), done, failed if watched else None)

    with InFlight(call_of(cancel=cancel), [(layer, "verify") for layer in layers]) as flights:
        for position, layer in enumerate(layers):
            start(flights, position, layer)
        flights.wait_all()
    return proved, told


def test_each_hears_of_its_own_error() -> None:
    """Starting one waits for the oldest, when there are many: what that comes to is no fault of the one that starts."""
    layers = [GOOD] * (3 * MOST)
    layers[1], layers[20], layers[40] = WRONG, GONE, WRONG
    proved, told = run(layers)
    assert told == [(1, errors.DigestMismatch), (20, errors.MissingFile), (40, errors.DigestMismatch)]
    assert proved == [number for number in range(len(layers)) if number not in (1, 20, 40)]


@pytest.mark.parametrize("bad", [WRONG, GONE])
@pytest.mark.parametrize("behind", [0, 3 * MOST])
def test_an_error_that_nobody_is_told_is_raised_as_it_is(bad: Layer, behind: int) -> None:
    with pytest.raises((errors.DigestMismatch, errors.MissingFile)):
        run([bad] + [GOOD] * behind, watched=False)


def test_an_error_is_raised_once() -> None:
    """What has ended is not waited for again: it would say that it was cancelled."""
    with InFlight(call_of()) as flights:
        flights.start(flights.watch(WRONG, "verify"), LayerJob(WRONG, "layer"), lambda _: None)
        with pytest.raises(errors.DigestMismatch):
            flights.wait_all()
        flights.wait_all()


def test_a_call_that_was_cancelled_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cancel = threading.Event()
    cancel.set()
    opened: list[object] = []
    monkeypatch.setattr(module, "StartedJob", opened.append)
    with pytest.raises(errors.Cancelled):
        run([GOOD] * 3, cancel=cancel)
    assert opened == []


def test_what_the_callers_callback_raises_is_the_callers() -> None:
    """An image is not to blame for a watcher's connection."""

    def watch(_: Progress) -> None:
        raise TimeoutError("the watcher's own")

    image = make_image("one", size=100_000)
    with pytest.raises(TimeoutError, match="the watcher's own"):
        api.recompress(image.tars[0], None, "gzip", progress=watch)


def test_what_feeds_a_layer_and_cannot_be_read_is_told_of_the_layer() -> None:
    def broken() -> Iterator[bytes]:
        yield CONTENT
        raise OSError(5, "Input/output error")

    job = LayerJob(replace(GOOD, blob=replace(GOOD.blob, digest=None)), "a pipe", source=broken())
    told: list[errors.OccyError] = []
    with InFlight(call_of()) as flights:
        flights.start(flights.watch(job.layer, "verify"), job, lambda _: None, lambda error, _: told.append(error))
        flights.wait_all()
    assert [(type(error), error.where) for error in told] == [(errors.InputError, "a pipe")]


def test_many_small_layers_are_not_reported_one_by_one(tmp_path: Path) -> None:
    """Each report has the states of all: one for each end would be quadratic."""
    image = make_image(*(f"layer {number}" for number in range(60)))
    oci_layout(tmp_path / "in", [image], ["app"])
    reports: list[Progress] = []
    api.verify(f"oci:{tmp_path}/in:app", progress=reports.append)
    assert len(reports) < 30
    assert [layer.state for layer in reports[-1].layers] == ["done"] * 60


def test_progress_ends_with_everything_done(tmp_path: Path) -> None:
    image = make_image("one", "two", codec="gzip", size=100_000)
    oci_layout(tmp_path / "in", [image], ["app"])
    reports: list[Any] = []
    api.convert(f"oci:{tmp_path}/in:app", f"oci:{tmp_path}/out:app", encoding="zstd", progress=reports.append)
    last = reports[-1]
    assert [layer.state for layer in last.layers] == ["done", "done"]
    assert last.source == last.total == sum(map(len, image.blobs))
