"""What a daemon had before an archive was loaded, to be put back where loading fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.errors import DaemonError
from occy_fast.log import log

if TYPE_CHECKING:
    from collections.abc import Iterable

    from occy_fast.spec.digest import Digest
    from occy_fast.transports.daemon.client import DaemonClient, DaemonImage


_PATIENTLY, _SHORTLY = 60.0, 2.0                     # seconds for putting things back; short for a sign of life


@dataclass(frozen=True, slots=True)
class Expected:
    """What an archive is to leave in the daemon.

    Attributes:
        image_id: what the daemon will know it by.
        names: in full form.
        diff_ids: of an image of one platform; None of an index, of which the daemon shows one platform of its choice.
    """

    image_id: Digest
    names: tuple[str, ...]
    diff_ids: tuple[Digest, ...] | None


class Before:
    """What the daemon has under the names and ids of what is *expected*, at the time this is made."""

    def __init__(self, client: DaemonClient, expected: Iterable[Expected]) -> None:
        """Ask *client*'s daemon, by a connection of its own. Raises DaemonError."""
        self._client, self._expected = client, tuple(expected)
        with client.another() as asking:
            self._names = {name: asking.find(name) for each in self._expected for name in each.names}
            found = (asking.find(str(each.image_id)) for each in self._expected)
            self._there = {known.image_id: known for known in found if known is not None}

    def find(self, image_id: Digest) -> DaemonImage | None:
        """Return what there was under the id of something expected; None where nothing was."""
        return self._there.get(image_id)

    def check_loaded(self, *, named: bool = True) -> None:
        """Raise DaemonError unless everything is there; with *named*, under every name."""
        with self._client.another() as client:
            for each in self._expected:
                for name in (each.names if named else ()) or (str(each.image_id),):
                    found = client.find(name)
                    if found is None or (each.diff_ids is not None and found.diff_ids != each.diff_ids):
                        raise client.connection.failure(f"it says nothing is wrong, and has not loaded {name}", 200)
                    if found.image_id != each.image_id:
                        problem = f"{name} should be {each.image_id} now, and is {found.image_id}"
                        raise client.connection.failure(problem, 200)

    def restore(self, error: DaemonError) -> None:
        """Give names back to the images that had them, and remove what came new; as far as the daemon still answers.

        Args:
            error: what has failed; a daemon that hung in it is not waited for again, and one whose connection was cut
                only once it shows that it is there: whoever is between may hold the next connection and never answer.
        """
        patience = _SHORTLY if isinstance(error.__cause__, TimeoutError) else _PATIENTLY
        try:
            with self._client.another(_SHORTLY) as client:
                client.ping()
            self._put_back(patience)
        except DaemonError as failure:
            log.warning("what the daemon had before could not be put back: %s", failure)

    def _put_back(self, patience: float) -> None:
        with self._client.another(patience) as client:
            for name, known in self._names.items():
                shown, now = _look(client, name)
                if known is not None and (now is None or now.image_id != known.image_id):
                    client.tag(known.image_id, name)
                elif known is None and (now is not None or not shown):
                    earlier = None if now is None else self._there.get(now.image_id)
                    if earlier is None or earlier.names:         # an image would go with its only name
                        client.remove(name)
            for each in self._expected:
                shown, now = _look(client, str(each.image_id))
                if each.image_id not in self._there and (now is not None or not shown):
                    client.remove(str(each.image_id))


def _look(client: DaemonClient, name: str) -> tuple[bool, DaemonImage | None]:
    """Return whether a daemon could show what it has under a name, and what that is; nothing where it could not.

    With an image whose config it cannot decode, Docker's containerd store lists none: that one is in everybody's way.
    Raises DaemonError where it does not answer.
    """
    try:
        return True, client.find(name)
    except DaemonError as error:
        if not error.status:
            raise
        return False, None
