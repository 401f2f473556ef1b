"""Work done in a child: without root's leave to read and write whatever is there, or with few descriptors."""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
from collections.abc import Callable
from typing import Any

_VERSION = 0x20080522                                   # of capset(2): two sets of three words


def unprivileged(work: Callable[[], object]) -> Any:
    """Return what *work* returns, or raise what it raises, in a child without capabilities; both are pickled."""

    def drop() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.capset((ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()) != 0:
            raise OSError(ctypes.get_errno(), "capset")

    return _in_child(drop, work)


def with_descriptors(spare: int, work: Callable[[], object]) -> Any:
    """Do the same in a child that may open *spare* descriptors beside those it has."""

    def limit() -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        most = max(map(int, os.listdir("/proc/self/fd")))
        while os.dup(0) < most:                      # no gap stays between those that are open
            pass
        resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0) + 1 + spare, hard))

    return _in_child(limit, work)


def _in_child(before: Callable[[], object], work: Callable[[], object]) -> Any:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            before()
            answer = pickle.dumps((True, work()))
        except BaseException as error:
            answer = pickle.dumps((False, error))
        with open(writer, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, f"the child ended with {status}"
    succeeded, found = pickle.loads(answer)
    if not succeeded:
        raise found
    return found
