"""How an image comes to a target: whether what holds it is read there, and the command that takes it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from occy_fast.words import shell_command

if TYPE_CHECKING:
    from occy_fast.running.fix import Mend
    from occy_fast.targets.target import Target
    from occy_fast.transports.locator import Locator

_LOADERS: Final = (
    ("docker-", "docker load", ("docker", "load", "-i")),
    ("podman-", "podman load", ("podman", "load", "-i")),
    ("containerd-", "ctr images import", ("ctr", "images", "import")),
    ("k3s", "k3s ctr images import", ("k3s", "ctr", "images", "import")),
)
"""By what the name of a row begins with: the command that takes a file in, as people call it and as it is run."""

_PODMAN = "podman-"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is to be known and done for an image to come to one target.

    Attributes:
        target: its name, as the caller wrote it.
        note: how the image was judged, where what holds it does not reach the target as it is; empty where it does.
        convert: the command that makes what the target does read, where no finding has the same.
        next: the command that takes in what is there then; None where the target has none of its own.
    """

    target: str
    note: str = ""
    convert: str | None = None
    next: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"target": self.target, "note": self.note or None, "convert": self.convert, "next": self.next}


def loads_files_alone(target: Target) -> bool:
    """Tell whether what is not in a registry reaches *target* as a file: docker load and ctr read no directory."""
    return target.kind != "registry" and target.row.startswith(("docker-", "containerd-", "k3s", "nomad"))


def pulls_directories(target: Target) -> bool:
    """Tell whether *target* has a command of its own for the directory of an OCI layout."""
    return target.row.startswith(_PODMAN)


def delivery_of(target: Target, where: Locator, mend: Mend | None, *, directory: bool, mended: bool) -> Delivery | None:
    """Return how the image at *where* comes to *target*; None where there is nothing to say.

    Args:
        mend: what makes of it what the target reads, where there is such a command.
        directory: it is an OCI layout, and judged by its manifests.
        mended: a finding has the mend already, and what is taken in is what it makes.
    """
    note, convert, taken = "", None, mend if mended else None
    if directory and loads_files_alone(target):
        loader = next((name for begin, name, _ in _LOADERS if target.row.startswith(begin)), "it")
        note = f"judged as pulled from a registry; {loader} reads no directory, only an archive"
        if not mended and mend is not None:
            convert, taken = mend.command, mend
    elif directory and pulls_directories(target):
        note = "judged as pulled from a registry, which is how podman pull takes in the directory of an OCI layout"
    if taken is not None:
        command = _next_command(target, taken.destination, directory=taken.directory)
    else:
        here = directory and not mended and pulls_directories(target)
        selector = f":{where.reference}" if where.reference else ""
        command = _next_command(target, f"oci:{where.path}{selector}", directory=True) if here else None
    return Delivery(target.name, note, convert, command) if note or command else None


def _next_command(target: Target, destination: str, *, directory: bool) -> str | None:
    """Return what brings *destination* to *target*: a locator where it is a directory, else a file's path."""
    if directory:
        return shell_command(["podman", "pull", destination]) if pulls_directories(target) else None
    path = f"./{destination}" if destination.startswith("-") else destination
    return next((shell_command([*words, path]) for begin, _, words in _LOADERS if target.row.startswith(begin)), None)
