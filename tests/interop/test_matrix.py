"""Whatever is written loads everywhere, under the id and name that were told, or `check` has said that it would not.

A sample in which every two of source, form and consumer meet; with OCCY_FAST_EVERY_CELL=1 (make interop FULL=1), all.
What each cell gave is written to build/interop-matrix.json.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

import occy_fast
from support.consumers import GREETING, ROOT, Client, Known, Saved
from support.interop_matrix import CONSUMERS, EVERY_CELL, FORMS, OWN, Cell, Outcome, pairwise, record

pytestmark = pytest.mark.interop

# podman raises limits to the highest there are, which root without CAP_SYS_RESOURCE may not.
PODMAN_RUN = ("--log-driver", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")


def _try(client: Client, *arguments: str) -> tuple[bool, str]:
    done = subprocess.run(
        [*client.command, *arguments], capture_output=True, text=True, env={**os.environ, **client.env}, timeout=120
    )
    return done.returncode == 0, done.stdout + done.stderr


def _differs(client: Client, cell: Cell, made: Path, name: str, told: occy_fast.ConvertResult) -> str:
    """Say in what the loaded image is not the one that was told; nothing if it is."""
    consumer, written, known = CONSUMERS[cell[2]], FORMS[cell[1]].transport, client.known(name)
    expected = str(told.digest if consumer.ids_are_manifests else told.config_digest)
    if not consumer.ids_are_manifests and told.config_digest is None:    # of an index, one of its images is loaded
        with tarfile.open(made) as tar:
            config = tar.extractfile(f"blobs/{known.image_id.replace(':', '/')}")
            if config is None or Known.of_config(config.read()) != known:
                return f"{known} is not what was written"
    elif known.diff_ids != tuple(str(layer.diff_id) for layer in told.layers)[: len(known.diff_ids)]:
        return f"its diff_ids are {known.diff_ids}"
    # From manifest.json alone, containerd's store makes a manifest of its own, whose digest nobody can tell before.
    elif (not consumer.ids_are_manifests or written == "oci-archive") and known.image_id != expected:
        return f"its id is {known.image_id}, told was {expected}"
    if cell[0] == OWN:
        options = PODMAN_RUN if consumer.transport == "podman" else ()
        said = client("run", "--rm", "--network", "none", *options, name)
        if said.strip() != GREETING:
            return f"it does not run: {said}"
    return ""


def _outcome(client: Client, cell: Cell, source: str, socket: str, directory: Path, name: str) -> Outcome:
    form, consumer = FORMS[cell[1]], CONSUMERS[cell[2]]
    made = directory / "made.tar"
    over_socket = form.transport == "daemon"
    place = f"{consumer.transport}:{name}" if over_socket else f"{form.transport}:{made}:{name}"
    access = occy_fast.Access(socket=socket) if over_socket else occy_fast.Access()
    try:
        told = occy_fast.convert(
            source, place, encoding=form.encoding, archive_layout=form.archive_layout, access=access
        )
    except occy_fast.OccyError as error:
        return Outcome(*cell, "unexplained" if over_socket else "refused", str(error))
    if not over_socket:
        checked = occy_fast.check(f"{form.transport}:{made}", [consumer.target], deep=True)
        loaded, said = _try(client, "load", "--input", str(made))
        if not loaded:
            found = [str(finding) for finding in checked.findings]
            return Outcome(*cell, "predicted" if checked.exit_code == 10 else "unexplained", f"{said} {found}")
        if checked.exit_code == 10:
            return Outcome(*cell, "unexplained", f"a false alarm: {[str(finding) for finding in checked.findings]}")
    listed, said = _try(client, "inspect", "--type", "image", name)
    if not listed:
        return Outcome(*cell, "unexplained", f"not there under its name: {said}")
    differs = _differs(client, cell, made, name, told)
    return Outcome(*cell, "unexplained" if differs else "loaded", differs)


def test_every_cell_loads_or_was_predicted(
    services: Mapping[str, str],
    saved: Saved,
    shared: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cells = EVERY_CELL if os.environ.get("OCCY_FAST_EVERY_CELL") else pairwise(EVERY_CELL)
    outcomes = []
    for number, cell in enumerate(cells):
        client: Client = request.getfixturevalue(cell[2])
        path = saved.path if cell[0] == OWN else shared / cell[0]
        transport = "oci-archive" if "oci-archive" in cell[0] else "docker-archive"
        name, directory = f"example.com/matrix/{number}:1", tmp_path / str(number)
        directory.mkdir()
        socket = services[CONSUMERS[cell[2]].socket]
        kept = client.ids()
        outcomes.append(_outcome(client, cell, f"{transport}:{path}:@0", socket, directory, name))
        for image_id in client.ids() - kept:
            _try(client, "rmi", "--force", image_id.removeprefix("sha256:"))
        assert client.ids() == kept
    sums = record(outcomes, ROOT / "build" / "interop-matrix.json")
    assert not [outcome for outcome in outcomes if outcome.verdict == "unexplained"], sums
    with capsys.disabled():
        sys.stdout.write(f"\n{sums}\n")
