"""Count the processors this process may use: its affinity, within its cgroup's quota."""

from __future__ import annotations

import os

from occy_fast.kernels import layer_pass


def default_workers() -> int:
    """Return the processors this process may use: its affinity, within its cgroup's quota."""
    allowed = len(os.sched_getaffinity(0))
    quota = _cgroup_quota()
    if quota is not None:
        allowed = min(allowed, max(1, int(quota + 0.5)))
    return min(allowed, layer_pass.MAX_WORKERS)


def _cgroup_quota(root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> float | None:
    """Return the processors that the tightest cgroup above this process grants, None where none does."""
    try:
        lines = _text(own).splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        names = ("cpu.max",) if not controllers else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = f"{root}/{controllers}".rstrip("/")
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts) + 1):
            place = "/".join((base, *parts[:depth]))
            try:
                words = " ".join(_text(f"{place}/{name}") for name in names).split()
            except OSError:
                continue
            if len(words) == 2 and words[0] not in ("max", "-1"):
                quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
