"""What failed in passing, tried again as often as the caller asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from occy_fast.errors import Cancelled, TransportError
from occy_fast.log import log

if TYPE_CHECKING:
    from occy_fast.context.access import Access


Answer = TypeVar("Answer")


def try_patiently(access: Access, call: Callable[[], Answer], cancel: threading.Event | None = None) -> Answer:
    """Return what *call* returns; where a registry or daemon failed in a way that may pass, call again.

    Raises what the last call raises, and Cancelled when *cancel* is set between two.
    """
    for number in range(1, access.retries + 1):
        try:
            return call()
        except TransportError as error:
            if not error.retryable:
                raise
            log.warning("%s; again in %g s (%d of %d)", error, access.retry_delay, number, access.retries)
        if cancel is None:
            time.sleep(access.retry_delay)
        elif cancel.wait(access.retry_delay):
            raise Cancelled()
    return call()
