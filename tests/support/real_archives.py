"""The archives that other tools wrote, below the directory that OCCY_FAST_SHARED names."""

from __future__ import annotations

ARCHIVES = [
    *(
        f"oracles/docker-save/{name}.tar"
        for name in (
            "docker20.10.24-dup",
            "docker20.10.24-gz",
            "docker20.10.24-multitag",
            "docker20.10.24-simple",
            "docker20.10.24-untagged",
            "docker25.0.5-graph-dup",
            "docker25.0.5-graph-multiimage",
            "docker25.0.5-graph-simple",
            "docker29.7.2-containerd-index",
            "docker29.7.2-containerd-simple",
            "docker29.7.2-containerd-zstd",
        )
    ),
    "fixtures/docker-20.10.24-save.tar",
    "fixtures/docker-26.1.5-save.tar",
    "fixtures/podman-4.3.1-docker-archive.tar",
    "fixtures/podman-4.3.1-docker-archive-multi.tar",
    "oracles/tool-archives/crane-legacy.tar",
    "oracles/tool-archives/crane-tarball.tar",
    "oracles/tool-archives/podman431-docker-dup.tar",
    "oracles/tool-archives/podman431-docker-multi.tar",
]
