"""Pipes that hold what a test has in memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def piped(path: Path, data: bytes) -> Iterator[Path]:
    """Make a FIFO through which *data* comes once."""

    def write() -> None:
        with suppress(BrokenPipeError), open(path, "wb") as file:
            file.write(data)

    os.mkfifo(path)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield path
    finally:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as rest:
            while writer.is_alive():                 # also one that comes to open the pipe only now
                rest.read(1 << 20)
                writer.join(0.01)
        path.unlink()
