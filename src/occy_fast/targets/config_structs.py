"""The structs that consumers decode image configs into, field by field, and where each stands in their source."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from occy_fast.image.go_decoding import GoType
from occy_fast.targets.config_values import (
    docker_port_problem,
    podman_port_problem,
    signal_problem,
    variable_problem,
)

# -------------------------------------------------------------------------------------------------- types

_TEXT: Final = GoType("text", "string")
_BOOLEAN: Final = GoType("boolean", "bool")
_INTEGER: Final = GoType("integer", "int")
_SIZE: Final = GoType("integer", "int64")
_DURATION: Final = GoType("integer", "time.Duration")
_TIME: Final = GoType("time", "time.Time")
_TIME_20: Final = replace(_TIME, any_zone=True)           # Docker 20.10.24 is built with Go 1.19
_TEXTS: Final = GoType("list", "[]string", _TEXT)
_ARGUMENTS: Final = GoType("arguments", "string")
_SET: Final = GoType("map", "map[string]struct {}", GoType("struct", "struct {}"))
_LABELS: Final = GoType("map", "map[string]string", _TEXT)
_DIGESTS: Final = GoType("list", "[]digest.Digest", GoType("text", "digest.Digest"))


def _struct(name: str, **fields: GoType) -> GoType:
    """Make a struct; `__` in a name stands for the dot in it."""
    return GoType("struct", name, fields=tuple((field.replace("__", "."), kind) for field, kind in fields.items()))


def _without(struct: GoType, *names: str) -> GoType:
    return replace(struct, fields=tuple(pair for pair in struct.fields if pair[0] not in names))


def _with(struct: GoType, **fields: GoType) -> GoType:
    """Return *struct* with *fields* in the place of those of the same names, or behind all."""
    return replace(struct, fields=tuple({**dict(struct.fields), **dict(_struct("", **fields).fields)}.items()))


# -------------------------------------------------------------------------------------------------- the OCI's
# github.com/opencontainers/image-spec, specs-go/v1/config.go, Image: v1.0.3 and v1.1.0 have the same fields

_OCI_CONFIG: Final = _struct(
    "v1.ImageConfig",
    User=_TEXT,
    ExposedPorts=_SET,
    Env=_TEXTS,
    Entrypoint=_TEXTS,
    Cmd=_TEXTS,
    Volumes=_SET,
    WorkingDir=_TEXT,
    Labels=_LABELS,
    StopSignal=_TEXT,
    ArgsEscaped=_BOOLEAN,
)
_OCI_HISTORY: Final = _struct(
    "v1.History", created=_TIME, created_by=_TEXT, author=_TEXT, comment=_TEXT, empty_layer=_BOOLEAN
)
OCI_IMAGE: Final = _struct(
    "v1.Image",
    created=_TIME,
    author=_TEXT,
    architecture=_TEXT,
    os=_TEXT,
    os__version=_TEXT,
    os__features=_TEXTS,
    variant=_TEXT,
    config=_OCI_CONFIG,
    rootfs=_struct("v1.RootFS", type=_TEXT, diff_ids=_DIGESTS),
    history=GoType("list", "[]v1.History", _OCI_HISTORY),
)
"""What containerd and the tools of containers/image decode."""

OCI_PLATFORM: Final = replace(
    _without(OCI_IMAGE, "created", "author", "config", "rootfs", "history"), name="v1.Platform"
)
"""What containerd 2 decodes of the config in a docker-archive, to know whom the image is for."""

# -------------------------------------------------------------------------------------------------- Docker's

_HEALTH_20: Final = _struct(  # github.com/docker/docker v20.10.24, api/types/container/config.go, HealthConfig
    "container.HealthConfig",
    Test=_TEXTS,
    Interval=_DURATION,
    Timeout=_DURATION,
    StartPeriod=_DURATION,
    Retries=_INTEGER,
)
_HEALTH_25: Final = replace(  # github.com/moby/docker-image-spec v1.3.1, specs-go/v1/image.go
    _with(_HEALTH_20, StartInterval=_DURATION), name="v1.HealthcheckConfig"
)
_CONFIG_20: Final = _struct(  # github.com/docker/docker v20.10.24, api/types/container/config.go, Config
    "container.Config",
    Hostname=_TEXT,
    Domainname=_TEXT,
    User=_TEXT,
    AttachStdin=_BOOLEAN,
    AttachStdout=_BOOLEAN,
    AttachStderr=_BOOLEAN,
    ExposedPorts=replace(_SET, name="nat.PortSet"),
    Tty=_BOOLEAN,
    OpenStdin=_BOOLEAN,
    StdinOnce=_BOOLEAN,
    Env=_TEXTS,
    Cmd=_ARGUMENTS,
    Healthcheck=_HEALTH_20,
    ArgsEscaped=_BOOLEAN,
    Image=_TEXT,
    Volumes=_SET,
    WorkingDir=_TEXT,
    Entrypoint=_ARGUMENTS,
    NetworkDisabled=_BOOLEAN,
    MacAddress=_TEXT,
    OnBuild=_TEXTS,
    Labels=_LABELS,
    StopSignal=_TEXT,
    StopTimeout=_INTEGER,
    Shell=_ARGUMENTS,
)
_CONFIG_25: Final = _with(_CONFIG_20, Healthcheck=_HEALTH_25)  # the same file of v25.0.0 and v26.1.5
_CONFIG_29: Final = _with(  # github.com/moby/moby, api/types/container/config.go as of Docker 29
    _without(_CONFIG_25, "MacAddress"),
    Cmd=_TEXTS,
    Entrypoint=_TEXTS,
    Shell=_TEXTS,
    ExposedPorts=replace(_SET, name="map[network.Port]struct {}", check=docker_port_problem),
)
# image/image.go of v20.10.24, History
_DOCKER_HISTORY_20: Final = replace(_with(_OCI_HISTORY, created=_TIME_20), name="image.History")


def _docker_image(config: GoType, history: GoType) -> GoType:
    """Make Docker's own struct of an image, with V1Image embedded in it."""
    return _struct(
        "image.Image",
        id=_TEXT,
        comment=_TEXT,
        created=_TIME,
        container=_TEXT,
        container_config=config,
        docker_version=_TEXT,
        author=_TEXT,
        config=config,
        architecture=_TEXT,
        variant=_TEXT,
        os=_TEXT,
        Size=_SIZE,
        parent=GoType("text", "image.ID"),
        rootfs=_struct(
            "image.RootFS", type=_TEXT, diff_ids=GoType("list", "[]layer.DiffID", GoType("text", "layer.DiffID"))
        ),
        history=GoType("list", f"[]{history.name}", history),
        os__version=_TEXT,
        os__features=_TEXTS,
    )


DOCKER_IMAGE_20: Final = _with(_docker_image(_CONFIG_20, _DOCKER_HISTORY_20), created=_TIME_20)
"""github.com/docker/docker v20.10.24, image/image.go, Image: Docker before 25."""

DOCKER_IMAGE_25: Final = _docker_image(_CONFIG_25, _OCI_HISTORY)
"""The same file of v25.0.0 and v26.1.5: Docker 25 to 28, with its own store."""

DOCKER_IMAGE_29: Final = _docker_image(_CONFIG_29, _OCI_HISTORY)
"""github.com/moby/moby, daemon/internal/image/image.go as of Docker 29, with its own store."""

DOCKER_OCI_IMAGE: Final = replace(
    _with(
        OCI_IMAGE,
        config=replace(
            _with(_OCI_CONFIG, Healthcheck=_HEALTH_25, OnBuild=_TEXTS, Shell=_TEXTS), name="v1.DockerOCIImageConfig"
        ),
    ),
    name="v1.DockerOCIImage",
)
"""github.com/moby/docker-image-spec v1.3.1, specs-go/v1/image.go, DockerOCIImage: Docker with the containerd store."""

# -------------------------------------------------------------------------------------------------- containers/image
# github.com/containers/image v5.23.1 and v5.34.2, manifest/docker_schema2.go, Schema2Image

_SCHEMA2_HEALTH_5_23: Final = replace(_HEALTH_20, name="manifest.Schema2HealthConfig")
_SCHEMA2_CONFIG_5_23: Final = replace(
    _with(
        _CONFIG_20,
        ExposedPorts=replace(_SET, name="manifest.Schema2PortSet"),
        Healthcheck=_SCHEMA2_HEALTH_5_23,
    ),
    name="manifest.Schema2Config",
)


def _schema2_image(config: GoType) -> GoType:
    return replace(
        _with(
            _docker_image(config, replace(_OCI_HISTORY, name="manifest.Schema2History")),
            parent=GoType("text", "digest.Digest"),
            rootfs=_struct("manifest.Schema2RootFS", type=_TEXT, diff_ids=_DIGESTS),
        ),
        name="manifest.Schema2Image",
    )


SCHEMA2_IMAGE_4: Final = _schema2_image(_SCHEMA2_CONFIG_5_23)
"""What podman 4.3 and skopeo 1.9 decode of the config in a docker-archive."""

SCHEMA2_IMAGE_5: Final = _schema2_image(
    _with(_SCHEMA2_CONFIG_5_23, Healthcheck=_with(_SCHEMA2_HEALTH_5_23, StartInterval=_DURATION))
)
"""The same of podman 5 and skopeo 1.14 and later."""

REWRITTEN: Final = _struct("v1.Image", created=replace(_TIME, written=True))
"""What containers/image built with Go 1.20 and later writes again where an archive's config becomes an OCI one."""

# -------------------------------------------------------------------------------------------------- making a container
# github.com/containers/podman v4.3.1 and v5.4.2, pkg/specgen/generate/container.go, CompleteSpec

_PODMAN_RUN: Final = {
    "Env": GoType("list", "[]string", replace(_TEXT, name="NAME=value", check=variable_problem)),
    "StopSignal": replace(_TEXT, name="a signal of Linux", check=signal_problem),
}
PODMAN_RUN_4: Final = _struct("v1.Image", config=_struct("v1.ImageConfig", **_PODMAN_RUN))
"""What podman 4 looks into when it makes a container."""

PODMAN_RUN_5: Final = _struct(
    "v1.Image",
    config=_struct("v1.ImageConfig", **_PODMAN_RUN, ExposedPorts=replace(_SET, check=podman_port_problem)),
)
"""The same of podman 5, which parses ports."""

STRUCTS: Final = {
    "platform": OCI_PLATFORM,
    "schema2-5.23": SCHEMA2_IMAGE_4,
    "schema2-5.29": SCHEMA2_IMAGE_5,
    "docker-20.10": DOCKER_IMAGE_20,
    "docker-25": DOCKER_IMAGE_25,
    "docker-29": DOCKER_IMAGE_29,
    "oci": OCI_IMAGE,
    "docker-oci": DOCKER_OCI_IMAGE,
    "rewritten": REWRITTEN,
    "podman-4": PODMAN_RUN_4,
    "podman-5": PODMAN_RUN_5,
}
"""By the names that the table of targets has for them, in the order in which one consumer decodes several."""
