"""What consumers say of values that they decode and then refuse: ports, signals, variables."""

from __future__ import annotations

import re
from typing import Final

_LONGEST_SHOWN: Final = 80
_LARGEST_PORT: Final = 65535
_LARGEST_SIGNAL: Final = 64
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_PROTOCOLS: Final = ("tcp", "udp", "sctp")
_SIGNALS: Final = frozenset({
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
})  # fmt: skip
"""Linux's, as containers/common's pkg/signal has them; also RTMIN+1 to +15 and RTMAX-1 to -14."""


def docker_port_problem(key: str) -> str:
    """Return what Docker 29 says of a port; it takes the empty one."""
    number = key.partition("/")[0]
    shown = _shown(number)
    if not key:
        return ""
    if not number:
        return "invalid port '': value is empty"
    if not (number.isascii() and number.isdecimal()):
        return f"invalid port '{shown}': invalid syntax"
    if len(number.lstrip("0")) > 5 or int(number.lstrip("0") or "0") > _LARGEST_PORT:
        return f"invalid port '{shown}': value out of range"
    return ""


def podman_port_problem(key: str) -> str:
    """Return what podman 5 says of a port, or range of ports, when it makes a container (pkg/specgen/generate)."""
    ports, *protocols = key.split("/")
    if len(protocols) > 1:
        return "unable to convert image EXPOSE: invalid expose format - protocol can only be specified once"
    numbers = ports.split("-", 1) if not ports.startswith("-") else [""]
    for number in numbers:
        if not number:
            return "unable to convert image EXPOSE: port numbers cannot be negative"
        if _NUMBER.fullmatch(number) is None:
            problem = f'strconv.Atoi: parsing "{_shown(number)}": invalid syntax'
            return f"unable to convert image EXPOSE: invalid port number: {problem}"
        if not 1 <= int(number) <= _LARGEST_PORT:
            return (
                "unable to convert image EXPOSE: port numbers must be between 1 and 65535 (inclusive), "
                f"got {int(number)}"
            )
    if int(numbers[-1]) < int(numbers[0]):
        return (
            "unable to convert image EXPOSE: the end port of a range must be higher than the start port - "
            f"{int(numbers[-1])} is not higher than {int(numbers[0])}"
        )
    if protocols and protocols[0] and protocols[0].lower() not in _PROTOCOLS:
        return f'unrecognized protocol "{_shown(protocols[0])}" in port mapping'
    return ""


def signal_problem(text: str) -> str:
    """Return what podman says of a StopSignal when it makes a container."""
    if not text:
        return ""
    if _NUMBER.fullmatch(text):
        if int(text) > _LARGEST_SIGNAL:
            return "running container create option: stop signal cannot be greater than 64 (SIGRTMAX): invalid argument"
        return "" if int(text) else f"invalid signal: {text}"
    name = text.upper().removeprefix("SIG")
    base, _, step = name.partition("+" if name.startswith("RTMIN") else "-")
    most = {"RTMIN": 15, "RTMAX": 14}.get(base, 0)
    if name in _SIGNALS or (step and step in map(str, range(1, most + 1))):
        return ""
    return f"invalid signal: {_shown(text)}"


def variable_problem(text: str) -> str:
    """Return what podman says of an entry of Env when it makes a container: one that names nothing."""
    if text and not text.startswith("="):
        return ""
    return f'env fields from image failed to parse: invalid variable: "{_shown(text)}"'


def _shown(text: str) -> str:
    """Return as much of a value as a message can hold."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
