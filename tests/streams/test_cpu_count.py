"""streams.cpu_count: workers follow the affinity and the cgroup."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from occy_fast.streams.cpu_count import _cgroup_quota, default_workers

V1 = "cpu,cpuacct/x/cpu.cfs_"


def test_workers_follow_the_affinity() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert default_workers() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/a/b\n", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "50000 100000"}, 0.5),
        ("0::/\n", {}, None),
        ("5:cpu,cpuacct:/x\n1:name=systemd:/y\n", {f"{V1}quota_us": "300000", f"{V1}period_us": "100000"}, 3.0),
        ("5:cpu,cpuacct:/x\n", {f"{V1}quota_us": "-1", f"{V1}period_us": "100000"}, None),
    ],
)  # fmt: skip
def test_workers_follow_the_cgroup(tmp_path: Path, own: str, files: dict[str, str], quota: float | None) -> None:
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text + "\n")
    (tmp_path / "own").write_text(own)
    assert _cgroup_quota(str(tmp_path / "fs"), str(tmp_path / "own")) == quota
    assert _cgroup_quota(str(tmp_path / "fs"), str(tmp_path / "absent")) is None
