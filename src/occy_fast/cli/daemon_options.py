"""Options that say how a daemon is reached."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from occy_fast.context.access import USUAL_ACCESS, Access

Function = TypeVar("Function", bound=Callable[..., Any])


def reaching(command: Function) -> Function:
    """Give *command* --socket, --timeout, --retries and --retry-delay, which reach it as `access`.

    Where no daemon is named, other values than the usual are refused.
    """

    @click.option(
        "--socket",
        metavar="PATH|URL",
        help="Where the daemon listens: a path, or unix://, tcp://, https://. Default: DOCKER_HOST for docker-daemon,"
        " CONTAINER_HOST for podman, else the usual places.",
    )
    @click.option(
        "--timeout",
        type=float,
        metavar="SECONDS",
        default=USUAL_ACCESS.timeout,
        show_default=True,
        help="How long a daemon may show no sign of life.",
    )
    @click.option(
        "--retries",
        type=int,
        metavar="N",
        default=USUAL_ACCESS.retries,
        show_default=True,
        help="How often to try again where a daemon fails in a way that may pass.",
    )
    @click.option(
        "--retry-delay",
        type=float,
        metavar="SECONDS",
        default=USUAL_ACCESS.retry_delay,
        show_default=True,
        help="How long to wait before that.",
    )
    @functools.wraps(command)
    def with_access(
        *args: Any, socket: str | None, timeout: float, retries: int, retry_delay: float, **options: Any
    ) -> Any:
        return command(*args, access=Access(socket, timeout, retries, retry_delay), **options)

    return with_access  # type: ignore[return-value]  # functools.wraps keeps the signature click reads
