"""What a call leaves behind in its process: threads and descriptors, told apart by what they are and not by how many.

Counts do not do: a thread that was joined stays in the kernel's list for a moment, so that one of an earlier test is
counted before and gone afterwards, and a test fails for it, or passes in spite of a thread that was left.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PATIENCE = 30.0         # seconds for what ends by itself


def threads() -> set[tuple[str, str]]:
    """Return the kernel's threads of this process, each as its number and when it began (proc(5), stat, field 22)."""
    found = set()
    for number in os.listdir("/proc/self/task"):
        with suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/self/task/{number}/stat") as stat:
            found.add((number, stat.read().rpartition(")")[2].split()[19]))
    return found


def descriptors() -> set[tuple[int, int, int]]:
    """Return the open descriptors of this process, each as its number and the device and inode it is of."""
    found = set()
    for number in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):                         # the listing's own
            status = os.fstat(number)
            found.add((number, status.st_dev, status.st_ino))
    return found


def told(found: set[tuple[int, int, int]]) -> list[str]:
    return [os.readlink(f"/proc/self/fd/{number}") for number, _, _ in found]


def our_threads() -> list[threading.Thread]:
    """Return the threads of Python's that the library has running."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("occy-fast")]


@contextmanager
def nothing_left(*, in_time: bool = False) -> Iterator[None]:
    """Fail when the block leaves a thread or a descriptor; `in_time` waits for those of a fake peer in this process.

    A thread that was joined may be in the kernel's list for a moment longer, which is waited for in any case.
    """
    threads_before, descriptors_before, ours_before = threads(), descriptors(), our_threads()
    yield
    assert not [thread for thread in our_threads() if thread not in ours_before]
    deadline = time.monotonic() + PATIENCE
    if not in_time:
        assert told(descriptors() - descriptors_before) == []
    while (threads() - threads_before or descriptors() - descriptors_before) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert threads() - threads_before == set()
    assert told(descriptors() - descriptors_before) == []
