"""HTTP with a daemon: one connection, whose every failure is a DaemonError."""

from __future__ import annotations

import http.client
import os
import select
import socket
import ssl
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from occy_fast.closing import Closing
from occy_fast.errors import Cancelled, DaemonError, exhausted
from occy_fast.streams.read_ahead import ReadAhead

if TYPE_CHECKING:
    from occy_fast.errors import Side
    from occy_fast.transports.daemon.endpoint import Endpoint

MOST_ANSWER = 64 << 20
"""Bytes of an answer that is read as a whole; the list of ten thousand images comes to 10 MB."""

STEP = 1 << 20
_TICK = 0.25                                         # seconds until a caller who waits is asked again
_MOMENT = 50_000                                     # microseconds until a buffer that is not full is handed on
_LAST_WORDS = 2.0                                    # seconds a daemon that has closed the way there gets to say why


class _UnixConnection(HTTPConnection):
    """A connection through a socket of the file system."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def _new_conn(self) -> socket.socket:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.settimeout(self.timeout if isinstance(self.timeout, float) else None)
            opened.connect(self._path)
        except BaseException:
            opened.close()
            raise
        return opened


class DaemonConnection(Closing):
    """One connection, used by one thread at a time; leaving the context closes it."""

    def __init__(self, endpoint: Endpoint, side: Side, where: str, timeout: float) -> None:
        """Name the daemon; it is connected by the first request. *side* and *where* are what errors call it."""
        self.endpoint, self.side = endpoint, side
        self._where = f"{where} ({endpoint})"
        self._timeout = timeout
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None

    def close(self) -> None:
        """Hang up; the daemon drops what it was doing for us."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def failure(self, problem: str, status: int | None = None, *, retryable: bool = False) -> DaemonError:
        """Make the error that says *problem* of this daemon."""
        return DaemonError(self.side, self._where, status, problem, retryable)

    def request(self, method: str, path: str, **query: str) -> tuple[int, dict[str, str], bytes]:
        """Send a request without body; return status, headers (names in lower case) and the whole answer.

        Raises DaemonError.
        """
        doing = f"{method} {path}"
        answer = self.open(method, path, None, bare=False, **query)
        deadline = time.monotonic() + self._timeout
        pieces: list[bytes] = []
        size = 0
        with self._errors(doing):
            while piece := answer.read(STEP):
                pieces.append(piece)
                size += len(piece)
                if size > MOST_ANSWER:
                    raise self.failure(f"{doing}: an answer of more than {MOST_ANSWER} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError
            if answer.length:
                raise self.failure(f"{doing}: it hung up inside its answer", answer.status, retryable=True)
        if answer.will_close:
            self.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, b"".join(pieces)

    def open(
        self, method: str, path: str, cancel: threading.Event | None = None, *, bare: bool = False, **query: str
    ) -> http.client.HTTPResponse:
        """Send a request without body, and return the answer, of which only the head has been read.

        Args:
            bare: ask in HTTP/1.0, so that the answer's body is not cut into chunks: a daemon's are of 32 KiB, and each
                costs it two writes and us three reads. Nothing then tells the body's end from a daemon that hangs up.
        Raises DaemonError, and Cancelled once *cancel* is set.
        """
        target = _target(path, query)
        with self._errors(f"{method} {path}"):
            for attempt in ("kept", "new"):
                fresh = self._connection is None
                connection = self._connected()
                if bare:
                    vars(connection).update(_http_vsn=10, _http_vsn_str="HTTP/1.0")  # http.client has no other way
                headers = {"Host": self.endpoint.host or "localhost"} if bare else {}    # a proxy may ask for it
                try:
                    connection.request(method, target, headers=headers, preload_content=False)
                    if cancel is not None:
                        self._wait(connection.sock, cancel)
                    return http.client.HTTPConnection.getresponse(connection)
                except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                    if fresh or attempt == "new":    # a connection that was kept may have been closed meanwhile
                        raise
                    self.close()
        raise AssertionError("two attempts either answer or raise")

    def begin_body(self, method: str, path: str, media_type: str, **query: str) -> None:
        """Begin a request whose body is sent in pieces. Raises DaemonError."""
        self.close()
        with self._errors(f"{method} {path}"):
            connection = self._connected()
            connection.putrequest(method, _target(path, query))
            connection.putheader("Content-Type", media_type)
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders()

    def send(self, piece: bytes | memoryview) -> bool:
        """Send a piece of the body; False where the daemon has answered, or hung up, before the end of it.

        Raises DaemonError, for a daemon that takes nothing any more.
        """
        if not piece:
            return True
        assert self._connection is not None
        sock = self._connection.sock
        with self._errors("sending"):
            # TLS sends messages of its own, so bytes that wait there need not be an answer
            if not isinstance(sock, ssl.SSLSocket) and _is_readable(sock):
                return False
            try:
                sock.sendall(b"%x\r\n" % len(piece))
                sock.sendall(piece)
                sock.sendall(b"\r\n")
            except (BrokenPipeError, ConnectionResetError):
                return False
        return True

    def end_body(self, *, whole: bool) -> http.client.HTTPResponse:
        """End the body and return the answer; with *whole* False, what the daemon said before it had all.

        Raises DaemonError.
        """
        assert self._connection is not None
        with self._errors("waiting for its answer"):
            if whole:
                with suppress(BrokenPipeError, ConnectionResetError):
                    self._connection.sock.sendall(b"0\r\n\r\n")
            else:
                self._connection.sock.settimeout(min(_LAST_WORDS, self._timeout))
            return http.client.HTTPConnection.getresponse(self._connection)

    def lines(self, answer: http.client.HTTPResponse, limit: int) -> Iterator[bytes]:
        """Yield the lines of an answer as they come, at most *limit* bytes each. Raises DaemonError."""
        with self._errors("waiting for its answer"):
            while line := answer.readline(limit + 1):
                if len(line) > limit:
                    raise self.failure(f"a line of more than {limit} bytes", answer.status)
                yield line

    def buffers(
        self, answer: http.client.HTTPResponse, doing: str, cancel: threading.Event | None = None
    ) -> Iterator[memoryview]:
        """Yield what comes, each buffer good until the next is asked for.

        The daemon's end of the socket holds little, and while nobody reads, the daemon waits: so a thread reads ahead.
        Raises DaemonError, where a body that is bare ends as well: who knows its end must stop asking there; and
        Cancelled once *cancel* is set.
        """
        sock = self._socket                              # an answer that ends the connection takes it away from there
        assert sock is not None

        def stop() -> None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

        is_bare = not answer.chunked and answer.length is None
        with self._errors(doing), closing(answer):
            read_into = _bare_body(answer, sock, self._timeout) if is_bare else _framed_body(answer)
            yield from ReadAhead(read_into, stop, STEP).buffers(None if cancel is None else cancel.is_set)
            if cancel is not None and cancel.is_set():
                raise Cancelled(self._where)
            if is_bare or answer.length:
                raise self.failure(f"{doing}: it hung up inside its answer", answer.status, retryable=True)

    def _wait(self, sock: socket.socket, cancel: threading.Event) -> None:
        """Wait until an answer begins: a daemon may work for minutes before it has a word to say."""
        deadline = time.monotonic() + self._timeout
        while not _is_readable(sock, _TICK):
            if cancel.is_set():
                raise Cancelled(self._where)
            if time.monotonic() > deadline:
                raise TimeoutError

    def _connected(self) -> HTTPConnection:
        if self._connection is None:
            connection = self._new()
            try:
                connection.connect()
            except BaseException:
                connection.close()
                raise
            self._connection, self._socket = connection, connection.sock
        return self._connection

    def _new(self) -> HTTPConnection:
        endpoint = self.endpoint
        if endpoint.path:
            return _UnixConnection(endpoint.path, self._timeout)
        if not endpoint.tls:
            return HTTPConnection(endpoint.host, endpoint.port, timeout=self._timeout)
        from urllib3.connection import HTTPSConnection

        if endpoint.certificates is not None and not os.path.isdir(endpoint.certificates):
            raise self.failure(f"its certificates are to be in '{endpoint.certificates}', which is no directory")
        files = [
            None if endpoint.certificates is None else _existing(os.path.join(endpoint.certificates, name))
            for name in ("ca.pem", "cert.pem", "key.pem")
        ]
        return HTTPSConnection(
            endpoint.host,
            endpoint.port,
            timeout=self._timeout,
            cert_reqs="CERT_REQUIRED",
            ca_certs=files[0],
            cert_file=files[1],
            key_file=files[2],
        )

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Turn whatever goes wrong while *doing* into a DaemonError; the connection is closed."""
        try:
            yield
        except (DaemonError, Cancelled):
            self.close()
            raise
        except TimeoutError as error:
            self.close()
            raise self.failure(f"{doing}: no sign of life for {self._timeout:g} s", retryable=True) from error
        except ssl.SSLError as error:
            self.close()
            raise self.failure(f"{doing}: TLS fails: {error.reason or error}") from error
        except FileNotFoundError as error:
            raise self.failure("there is no socket; is the daemon running?", retryable=True) from error
        except PermissionError as error:
            raise self.failure("this user may not use its socket") from error
        except ConnectionRefusedError as error:
            if self.endpoint.path and not stat.S_ISSOCK(os.stat(self.endpoint.path).st_mode):
                raise self.failure("a file stands there, and no socket") from error
            raise self.failure("nobody listens; is the daemon running?", retryable=True) from error
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            self.close()
            raise self.failure(f"{doing}: it hung up without an answer", retryable=True) from error
        except http.client.IncompleteRead as error:
            self.close()
            raise self.failure(f"{doing}: it hung up inside its answer", retryable=True) from error
        except (http.client.HTTPException, ValueError) as error:
            self.close()
            raise self.failure(f"{doing}: what it answers is no HTTP ({type(error).__name__})") from error
        except (HTTPError, OSError) as error:
            self.close()
            cause = error.__cause__ if isinstance(error, HTTPError) else error
            if cause is not None and (found := exhausted(cause)):    # which is no failure of the daemon's
                raise found.at(self._where) from error
            reason = getattr(error, "strerror", None) or str(error)
            raise self.failure(f"{doing}: {reason}", retryable=True) from error
        except GeneratorExit:
            self.close()
            raise


def _target(path: str, query: dict[str, str]) -> str:
    return quote(path, safe="/:@") + (f"?{urlencode(query)}" if query else "")


def _is_readable(sock: socket.socket, seconds: float = 0) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _framed_body(answer: http.client.HTTPResponse) -> Callable[[memoryview], int]:
    """Return what puts a piece of the body of *answer* into a buffer, as soon as there is one."""

    def fill(room: memoryview) -> int:
        piece = answer.read1(len(room))
        room[: len(piece)] = piece
        return len(piece)

    return fill


def _bare_body(answer: http.client.HTTPResponse, sock: socket.socket, timeout: float) -> Callable[[memoryview], int]:
    """Return what fills a buffer with the body of *answer*, past the layers that would look at each piece of it.

    The kernel waits until a buffer is full, or nothing came for a moment: what a daemon writes in pieces of 32 KiB is
    one call for a buffer of 1 MiB.
    """
    flags = 0 if isinstance(sock, ssl.SSLSocket) else socket.MSG_WAITALL     # TLS has buffers of its own
    begun = False

    def begin(room: memoryview) -> int:
        """Take what has come with the answer's first lines."""
        head = answer.fp.read(len(answer.fp.peek()))
        room[: len(head)] = head
        if flags:
            sock.settimeout(None)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, _MOMENT))
        return len(head)

    def fill(room: memoryview) -> int:
        nonlocal begun
        if not begun:
            begun = True
            return begin(room)
        deadline = time.monotonic() + timeout
        while True:
            try:
                return sock.recv_into(room, 0, flags)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError from None

    return fill


def _existing(path: str) -> str | None:
    return path if os.path.exists(path) else None
