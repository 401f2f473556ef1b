"""Where a daemon listens: what the caller says, what the environment says, or the usual places."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from occy_fast.context.access import check_no_secret
from occy_fast.errors import DaemonError, Side, Unsupported, UsageError

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://")
_VARIABLES = {"docker-daemon": "DOCKER_HOST", "podman": "CONTAINER_HOST"}
_FORMS = "the forms are unix://PATH, tcp://HOST:PORT and https://HOST:PORT"
_PLAIN_PORT, _TLS_PORT = 2375, 2376


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A unix socket at *path*, or a TCP port.

    Attributes:
        tls: speak TLS, and prove the server's certificate.
        certificates: the directory of ca.pem, cert.pem and key.pem, as Docker lays it out; None takes the system's
            authorities, and shows no certificate.
    """

    path: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False
    certificates: str | None = None

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'tcp'}://{host}:{self.port}"


def find_endpoint(
    engine: str, side: Side, socket: str | None, environ: Mapping[str, str] = os.environ
) -> Endpoint:
    """Find where *engine* listens: "docker-daemon" or "podman".

    Args:
        side: what its images are for whoever asks.
        socket: a path or URL that goes before all else.
        environ: DOCKER_HOST or CONTAINER_HOST, and what Docker's client reads for TLS: DOCKER_TLS_VERIFY and
            DOCKER_CERT_PATH.
    Raises:
        UsageError: what is named is no address.
        Unsupported: it is reached in a way that is not offered.
        DaemonError: nothing is named, and there is no socket in the usual places.
    """
    named = socket or environ.get(_VARIABLES[engine]) or None
    if named is not None:
        return parse_endpoint(named, environ)
    places = _usual_places(engine, environ)
    for path in places:
        if os.path.exists(path):
            return Endpoint(path=path)
    looked = " or ".join(places)
    problem = f"no socket at {looked}: is the daemon running? --socket or {_VARIABLES[engine]} names another"
    raise DaemonError(side, engine, None, problem)


def parse_endpoint(text: str, environ: Mapping[str, str]) -> Endpoint:
    """Parse the address of a daemon. Raises UsageError, Unsupported."""
    check_no_secret(text)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return Endpoint(path=text)
    if scheme[1] == "unix":
        path = text.removeprefix("unix://")
        if not path:
            raise UsageError(f"'{text}' names no socket", _FORMS)
        return Endpoint(path=path)
    if scheme[1] == "ssh":
        remedy = "forward its socket with ssh -L LOCAL:REMOTE, and name the local one"
        raise Unsupported(text, "daemons behind ssh are not available", remedy)
    if scheme[1] not in ("tcp", "http", "https"):
        raise UsageError(f"'{text}' is no address of a daemon", _FORMS)
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        host = port = None
    if not host or url.path.strip("/") or url.fragment:
        raise UsageError(f"'{text}' is no address of a daemon", _FORMS)
    certificates = environ.get("DOCKER_CERT_PATH") or None
    tls = scheme[1] == "https" or (scheme[1] == "tcp" and bool(environ.get("DOCKER_TLS_VERIFY") or certificates))
    if tls and certificates is None and environ.get("DOCKER_TLS_VERIFY"):
        certificates = os.path.join(environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"))
    return Endpoint(host=host, port=port or (_TLS_PORT if tls else _PLAIN_PORT), tls=tls, certificates=certificates)


def _usual_places(engine: str, environ: Mapping[str, str]) -> list[str]:
    """Return the paths of the sockets, the system's daemon before the user's own; for podman only the one that fits."""
    own = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    if engine == "podman":
        return ["/run/podman/podman.sock"] if os.getuid() == 0 else [f"{own}/podman/podman.sock"]
    home = environ.get("HOME")
    desktop = [f"{home}/.docker/run/docker.sock"] if home else []
    return ["/var/run/docker.sock", f"{own}/docker.sock", *desktop]
