"""Derive src/occy_fast/targets/matrix.json from a consumer × feature matrix at a path, and corrections.json."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

CORRECTIONS = Path(__file__).resolve().parent / "corrections.json"
OUTPUT = Path(__file__).resolve().parent.parent / "src" / "occy_fast" / "targets" / "matrix.json"

# The versions a row speaks for, as [first, end): exact names such as docker-20.10.24 are looked up here.  A row
# about one build alone (Debian's podman 4.3) speaks for that release.
VERSIONS = {
    "docker-1.10": ("docker", "1.10", "18.09"),
    "docker-18.09": ("docker", "18.09", "20.10"),
    "docker-20.10": ("docker", "20.10", "23.0"),
    "docker-23.0": ("docker", "23.0", "25.0"),
    "docker-25-graphdriver": ("docker", "25.0", "29.0"),
    "docker-25-containerd": ("docker", "25.0", "29.0"),
    "docker-29-graphdriver": ("docker", "29.0", ""),
    "docker-29-containerd-1.6": ("docker", "29.0", ""),
    "docker-29": ("docker", "29.0", ""),
    "containerd-1.4": ("containerd", "1.2", "1.5"),
    "containerd-1.6": ("containerd", "1.5", "2.0"),
    "containerd-2": ("containerd", "2.0", ""),
    "podman-1.6": ("podman", "1.6.4", "5.7"),
    "podman-4.3": ("podman", "4.3", "4.4"),
    "podman-5.7": ("podman", "5.7", ""),
    "skopeo-1.9": ("skopeo", "1.9", "1.10"),
    "skopeo-1.22": ("skopeo", "1.22", ""),
    "cri-o": ("cri-o", "1.18", ""),
    "distribution-2.8": ("distribution", "2.8", "2.9"),
    "apptainer-1.4": ("apptainer", "", "1.5"),
    "apptainer-1.5": ("apptainer", "1.5", ""),
    "kaniko": ("kaniko", "1.9.2", ""),
}

# Rows that hold for another one wherever that has no cell with a source; what differs between builds stays unknown.
INHERITS = {"podman-1.6": ("podman-4.3", ("load.whole_gzip",))}

# Where a cell comes from: a program that was run, a place in a source tree, or a page.
SOURCES = {
    "tested": "the consumer itself, run with an image that has the feature",
    "moby-load": "moby: image/tarexport/load.go of the release",
    "moby-zstd": "moby: commits e187eb2bb5 and 23abee412b, first in v23.0.0",
    "moby-oci": "moby: commit c4f0515837, first in v18.09.0",
    "moby-2bb8c85": "moby: commits 2bb8c85bc5 and 94726f7c73, first in v1.10.0",
    "moby-legacy-removed": "moby: daemon/internal/image/tarexport/load.go of v29.0.0",
    "c8d-zstd": "containerd: archive/compression/compression.go, v1.4.13 against v1.5.0",
    "c8d-dzstd": "containerd: pull request 9859, first in v2.0.0",
    "c8d-import": "containerd: core/images/archive/importer.go",
    "ci-zstd": "containers/image: commits f89e6fbb and 69aa1e85, first in v4.0.0",
    "ci-dzstd": "container-libs: commit 8f2cf8efa4, first in image/v5.38.0",
    "ci-tarfile": "container-libs: image/docker/internal/tarfile",
    "skopeo-1977": "skopeo: issue 1977, mended in 1.14.0",
    "podman57": "podman: go.mod of v5.6.0 and v5.7.0",
    "pgzip-bug": "containers/image 5.23 with pgzip, system calls traced",
    "crio-gomod": "cri-o: go.mod of v1.18 to v1.33",
    "lambda-82": "https://github.com/aws/aws-lambda-roadmap/issues/82",
    "lambda-layer": "https://github.com/bazel-contrib/rules_oci/issues/777",
    "ecr-formats": "https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-manifest-formats.html",
    "fargate-zstd": "https://aws.amazon.com/blogs/containers/reducing-aws-fargate-startup-times-with-zstd-compressed-container-images/",
    "ecr-2783": "https://github.com/aws/containers-roadmap/issues/2783",
    "acr-formats": "https://learn.microsoft.com/azure/container-registry/container-registry-image-formats",
    "gar-formats": "https://cloud.google.com/artifact-registry/docs/supported-formats",
    "quay-801": "https://github.com/quay/quay/pull/801",
    "harbor-17928": "https://github.com/goharbor/harbor/issues/17928",
    "artifactory-oci11": "https://jfrog.com/blog/full-conformance-to-oci-v1-1/",
    "hub-formats": "https://docs.docker.com/registry/",
    "ghcr-ref": "https://github.com/orgs/community/discussions/208532",
    "ghcr-immich": "https://github.com/imagegenius/docker-immich/pull/717",
    "tuwunel": "tuwunel: docker/bake.hcl at b36ad9cfe",
    "fly-5375": "https://community.fly.io/t/does-image-transmogrification-support-vnd-oci-image-layer-v1-tar-zstd/5375",
    "dist-282": "distribution: registry/handlers/manifests.go of v2.8.2, and docker-registry 2.8.2 itself",
    "apptainer": "apptainer: go.mod of v1.4.0 and of its main branch; umoci 0.4.7 itself",
    "kaniko-2313": "https://github.com/GoogleContainerTools/kaniko/pull/2313",
    "k3s-docs": "https://docs.k3s.io/installation/airgap",
    "fedora-zc": "https://discussion.fedoraproject.org/t/switch-fedora-container-images-to-support-zstd-chunked-format-by-default/123712",
    "apple-988": "https://github.com/apple/container/issues/988",
    "spec-1198": "https://github.com/opencontainers/image-spec/pull/1198",
    "ggcr": "go-containerregistry: pkg/v1/tarball; crane validate itself",
    "moby-layers": "moby: layer/ and distribution/ unpack every layer as a tar, and decrypt none",
    "ocicrypt": "containers/ocicrypt: decrypts where there is a key for it, in containerd by a stream processor",
    "nomad": "Nomad hands images to the Docker of its node",
}

# Whether a row reads layers that are said to be encrypted, which the matrix does not ask; rows that inherit do so here.
NEVER, WITH_A_KEY = ("no", "moby-layers"), ("partial", "ocicrypt")
ENCRYPTED = {
    "docker-1.10": NEVER,
    "docker-18.09": NEVER,
    "docker-20.10": (
        "no", "failed to register layer: Error processing tar file(exit status 1): unexpected EOF", "tested moby-layers"
    ),
    "docker-23.0": NEVER,
    "docker-25-graphdriver": NEVER,
    "docker-25-containerd": WITH_A_KEY,
    "docker-29-graphdriver": NEVER,
    "docker-29-containerd-1.6": WITH_A_KEY,
    "docker-29": WITH_A_KEY,
    "containerd-1.4": WITH_A_KEY,
    "containerd-1.6": ("partial", "failed to get stream processor for {type}", "tested ocicrypt"),
    "containerd-2": WITH_A_KEY,
    "podman-1.6": WITH_A_KEY,
    "podman-4.3": ("partial", "processing tar file(unexpected EOF): exit status 1", "tested ocicrypt"),
    "podman-5.7": WITH_A_KEY,
    "skopeo-1.9": WITH_A_KEY,
    "skopeo-1.22": WITH_A_KEY,
    "cri-o": WITH_A_KEY,
}

# What a test left in an error text, and what stands for it in every other case.
BLANKS = [
    (r'time="[^"]*" level=fatal msg="(.*)"', r"\1"),
    (r"^ \* ", ""),
    (r"Error: initializing image from source docker://\S+: ", "initializing image from source: "),
    (r"initializing image from source docker://\S+: ", "initializing image from source: "),
    (r"docker-archive:\S+\.tar: ", "docker-archive:…: "),
    (r"failed to read image \S+\.tar: ", "failed to read image: "),
    (r"Error unpacking image \S+: apply layer error for \\?\"\S+\": ", "Error unpacking image: "),
    (r"apply layer error for \"\S+\": ", ""),
    (r"\S+/tmpmounts/", "<root>/tmpmounts/"),
    (r"<data-root>", "<root>"),
    (r'"\./[0-9a-f]{64}\.json"', '"{path}"'),
    (r'"c/layer\.tar"', '"{path}"'),
    (r'media type: \\?"application/[^"\\]+\\?"', 'media type: "{type}"'),
    (r"undersized layer\[0\] content: .*", "undersized layer[0] content"),
    (r"  \(archive/tar.*\)", ""),
    (r'\\"', '"'),
]


def main(path: str) -> None:
    """Read the matrix at *path* and write what the package carries of it."""
    matrix = json.loads(Path(path).read_bytes())
    rows = {name: _row(name, row, matrix["consumers"]) for name, row in matrix["consumers"].items()}
    corrections = json.loads(CORRECTIONS.read_bytes())
    _correct(rows, corrections)
    known = {**SOURCES, **corrections["sources"]}
    used = {word for row in rows.values() for cell in row["cells"].values() for word in cell[-1].split()}
    sources = {word: known[word] for word in sorted(used)}
    document = {"schema": 1, "date": matrix["generated"], "sources": sources, "targets": rows}
    OUTPUT.write_text(_format(document), encoding="utf-8")


def _correct(rows: dict[str, Any], corrections: dict[str, Any]) -> None:
    """Add the rows that the matrix does not have, and put right the cells that a run of the consumer contradicts."""
    for name, row in corrections["rows"].items():
        assert name not in rows, f"the matrix has {name} by now"
        rows[name] = {**row, "cells": {}}
    for correction in corrections["cells"]:
        cells, feature = rows[correction["row"]]["cells"], correction["feature"]
        assert cells.get(feature) != correction["cell"], f"{correction['row']} has this answer to {feature} by now"
        cells[feature] = correction["cell"]


def _row(name: str, row: dict[str, Any], rows: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": row["name"].replace(" - ", " to "), "kind": row["kind"]}
    if name in VERSIONS:
        made["versions"] = VERSIONS[name]
    parent, unsure = INHERITS.get(name, (row.get("inherits"), ()))
    if parent in rows:
        made["inherits"] = parent
    made["cells"] = {
        feature: _cell(cell)
        for feature, cell in row["cells"].items()
        if cell["v"] != "unknown" or cell["src"] or name not in INHERITS or feature in unsure
    }
    if name in ENCRYPTED:
        made["cells"]["pull.layer_encrypted"] = list(ENCRYPTED[name])
    return made


def _cell(cell: dict[str, Any]) -> list[str]:
    """Return [value, (error,) sources]; the sources are words with spaces between."""
    value, sources = cell["v"], " ".join(cell["src"])
    return [value, _blanked(cell["error"]), sources] if "error" in cell else [value, sources]


def _blanked(error: str) -> str:
    for pattern, text in BLANKS:
        error = re.sub(pattern, text, error)
    return error


def _format(document: dict[str, Any]) -> str:
    """Return JSON with a line for each cell."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    string = r'"(?:[^"\\]|\\.)*"'
    cell = re.compile(rf"\[\s+({string}(?:,\s+{string})*)\s+\]")
    return cell.sub(lambda found: "[" + ", ".join(re.findall(string, found[1])) + "]", text) + "\n"


if __name__ == "__main__":
    main(sys.argv[1])
