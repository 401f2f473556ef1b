"""Work done without root's leave to read and write whatever is there, as most callers do it."""

from __future__ import annotations

import ctypes
import os
import pickle
from collections.abc import Callable
from typing import Any

_VERSION = 0x20080522                                   # of capset(2): two sets of three words


def unprivileged(work: Callable[[], object]) -> Any:
    """Return what *work* returns, or raise what it raises, in a child without capabilities; both are pickled."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            _drop_capabilities()
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


def _drop_capabilities() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset((ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset")
