"""What the environment of one project's build says: of nanna-coder, which this command was first made for.

They are no part of what the command is for; without them, and without --repository-tag, nothing here has an effect.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

VERBOSE: Final = "CONTAINER_LOAD_VERBOSE"
"""The variable that makes its build talk: "true" is --verbose."""

DEFAULT_REGISTRY: Final = "ghcr.io"
DEFAULT_REPOSITORY: Final = "local/nanna-coder"
"""What its images are called where CONTAINER_REGISTRY and GITHUB_REPOSITORY say nothing."""


def repository_name(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return what a build on GitHub calls the image *name*: CONTAINER_REGISTRY/GITHUB_REPOSITORY/NAME.

    A fork's build has its own in the environment. The repository is in lower case, as image references are; an empty
    variable is one that is not set.
    """
    registry = environ.get("CONTAINER_REGISTRY") or DEFAULT_REGISTRY
    repository = environ.get("GITHUB_REPOSITORY") or DEFAULT_REPOSITORY
    return f"{registry}/{repository.lower()}/{name}"


def is_verbose(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the build asks for --verbose."""
    return environ.get(VERBOSE) == "true"
