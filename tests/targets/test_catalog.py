"""The matrix as data, and how a name finds its row."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from occy_fast.errors import UnknownTarget
from occy_fast.targets.catalog import all_targets, find_target, sources
from occy_fast.targets.target import UNKNOWN, Support

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = files("occy_fast.targets")


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("docker-20.10", "docker-20.10"),
        ("docker-20.10.24", "docker-20.10"),
        ("docker-20.10.24+dfsg1", "docker-20.10"),
        ("podman-4.3.1+ds1-8", "podman-4.3"),
        ("docker-22.6", "docker-20.10"),
        ("docker-20", "docker-20.10"),               # the range that begins in a major version
        ("docker-23", "docker-23.0"),
        ("docker-25", "docker-25-graphdriver"),
        ("docker-27", "docker-25-graphdriver"),      # none begins in it
        ("docker-23.0.0", "docker-23.0"),
        ("docker-18.06.3", "docker-1.10"),
        ("docker-19.03", "docker-18.09"),
        ("docker-25.0.5", "docker-25-graphdriver"),
        ("docker-27.1-containerd", "docker-25-containerd"),
        ("docker-29.7.2", "docker-29"),
        ("docker-29.7.2-graphdriver", "docker-29-graphdriver"),
        ("podman-4.3.1", "podman-4.3"),
        ("podman-4.9", "podman-1.6"),
        ("podman-5.7.0", "podman-5.7"),
        ("containerd-1.7.22", "containerd-1.6"),
        ("cri-o-1.30.1", "cri-o"),
        ("apptainer-1.3.6", "apptainer-1.4"),
        ("k3s", "k3s"),
    ],
)
def test_a_version_belongs_to_the_narrowest_row(name: str, row: str) -> None:
    target = find_target(name)
    assert (target.name, target.row) == (name, row)
    assert target.supports == find_target(row).supports
    assert pickle.loads(pickle.dumps(target)) == target
    assert hash(target) == hash(find_target(name))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("dokcer-20.10", "docker-20.10"), ("Podman-4.3", "podman-4.3"), ("docker-1.9", "docker-1.10"), ("k3", "k3s")],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnknownTarget) as caught:
        find_target(name)
    assert nearest in caught.value.known
    assert len(caught.value.known) <= 3


@pytest.mark.parametrize(
    "name", ["", "xyzzy", "containerd-1", "docker-" + "9" * 5000, "docker-", "docker-20.10-nothing", "docker-20.10\n"]
)
def test_what_resembles_nothing_is_answered_with_some_names(name: str) -> None:
    with pytest.raises(UnknownTarget) as caught:
        find_target(name)
    assert caught.value.known


def test_a_row_has_what_it_inherits_unless_it_says_otherwise() -> None:
    own, parent = find_target("k3s"), find_target("containerd-1.6")
    assert own.support("pull.layer_zstd_docker") == parent.support("pull.layer_zstd_docker") != UNKNOWN
    assert parent.support("load.whole_gzip").answer == "no"
    assert own.support("load.whole_gzip").answer == "yes"
    assert find_target("openshift").support("pull.zstd_chunked") == find_target("cri-o").support("pull.zstd_chunked")


def test_what_is_not_known_stays_so() -> None:
    for name in ("singularity-ce", "nomad"):
        assert not [cell for _, cell in find_target(name).supports if cell.answer != "unknown"]
    assert find_target("podman-4.9").support("load.whole_gzip").answer == "unknown"     # it differs from build to build
    assert find_target("docker-20.10").support("load.nothing_of_the_kind") == UNKNOWN


def test_every_cell_is_an_answer_with_its_source() -> None:
    known = sources()
    for target in all_targets():
        assert target.kind in ("runtime", "platform", "registry", "tool")
        for feature, cell in target.supports:
            assert isinstance(cell, Support)
            assert cell.answer in ("yes", "no", "partial", "unknown"), f"{target.name} {feature}"
            assert cell.sources, f"{target.name} {feature}"
            assert set(cell.sources) <= set(known), f"{target.name} {feature}"
            assert not cell.error or cell.answer != "yes", f"{target.name} {feature}"


def test_versions_are_told_as_people_say_them() -> None:
    assert find_target("docker-20.10").versions == "20.10 to before 23.0"
    assert find_target("podman-5.7").versions == "5.7 and later"
    assert find_target("fly").versions == ""


@pytest.mark.parametrize("name", ["loading.json", "configs.json"])
def test_groups_name_rows_that_exist(name: str) -> None:
    document = json.loads(DATA.joinpath(name).read_bytes())
    rows = {target.name for target in all_targets()}
    assert {row for group in document["groups"].values() for row in group} <= rows
    for answers in document["cells"].values():
        assert answers.keys() <= rows | document["groups"].keys()


def test_the_data_is_what_its_script_derives(shared: Path) -> None:
    """The script writes in place: run on what it has written before, it changes nothing."""
    matrix = shared / "specs" / "compat_matrix.json"
    path = ROOT / "src" / "occy_fast" / "targets" / "matrix.json"
    before = path.read_bytes()
    try:
        subprocess.run([sys.executable, str(ROOT / "tools" / "derive_targets.py"), str(matrix)], check=True)
        assert path.read_bytes() == before
    finally:
        path.write_bytes(before)


def test_every_known_cell_of_the_matrix_is_there_unless_a_run_contradicts_it(shared: Path) -> None:
    corrections = json.loads((ROOT / "tools" / "corrections.json").read_bytes())
    corrected = {(one["row"], one["feature"]): one["cell"] for one in corrections["cells"]}
    matrix = json.loads((shared / "specs" / "compat_matrix.json").read_bytes())
    assert {target.name for target in all_targets()} == set(matrix["consumers"]) | set(corrections["rows"])
    for name, row in matrix["consumers"].items():
        target = find_target(name)
        for feature, cell in row["cells"].items():
            if cell["v"] != "unknown" and (name, feature) not in corrected:
                found = target.support(feature)
                assert (found.answer, list(found.sources)) == (cell["v"], cell["src"]), f"{name} {feature}"
                assert bool(found.error) == ("error" in cell), f"{name} {feature}"
    for (name, feature), (answer, *error, origin) in corrected.items():
        found = find_target(name).support(feature)
        assert (found.answer, found.error, list(found.sources)) == (answer, "".join(error), origin.split())
    assert "".join(find_target("docker-28.0").row) == "docker-28-graphdriver"
    assert find_target("docker-28.5-containerd").row == "docker-28-containerd"
