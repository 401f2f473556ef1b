"""A socket between a client and a daemon that counts what crosses it."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from pathlib import Path
from typing import Self


class CountingProxy:
    """Passes connections on to a daemon's socket; `crossed` is the bytes in both directions."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._directory = tempfile.TemporaryDirectory(prefix="occy-", dir="/tmp")
        self.path = str(Path(self._directory.name) / "proxy.sock")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._mutex = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.crossed = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for opened in self._sockets:
            opened.close()
        self._directory.cleanup()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX)
            self._sockets += [client, daemon]
            daemon.connect(self._target)
            for source, sink in ((client, daemon), (daemon, client)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                with self._mutex:
                    self.crossed += len(piece)
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
