"""HTTP connections of urllib3 that another thread can end, and that are reused only where that is safe.

A thread that waits in `recv` cannot be cancelled; shutting its socket down wakes it with an error. The connection in
use is known only deep inside urllib3, so it reports itself to the attempt that its thread is making.
"""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

__all__ = ["AbortableAdapter", "Aborted", "Attempt", "attempting"]


# A connection that was idle for so long may have been closed on the way, without a word to this side.
LONGEST_IDLE_S = 30.0


class Aborted(Exception):  # noqa: N818 - a decision, not an error
    """The attempt was given up before its request was sent."""


class Attempt:
    """One request on its way; may be aborted from any thread, at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.aborted = False
        # From here on the request may have arrived, whatever comes of it.
        self.connected = False
        # The connection had carried another request before, and has given no byte of an answer to this one.
        self.reused = False
        self.answered = False
        # No connection that is kept from another request will do.
        self.wants_fresh = False

    def use(self, connected: socket.socket | None) -> None:
        """Record the socket that carries the request. Raises Aborted when it must not be sent any more."""
        with self._lock:
            if self.aborted:
                raise Aborted
            self._socket = connected
            self.connected = self.connected or connected is not None

    def begin_again(self) -> bool:
        """Tell whether a kept connection was closed before it was used, and ask for a fresh one: once.

        The other side then closed it before it read the request, as far as anybody can tell.
        """
        if self.wants_fresh or self.aborted or self.answered or not self.reused:
            return False
        self.wants_fresh, self.reused = True, False
        return True

    def release(self) -> None:
        """Forget the socket: it goes back to the pool and may carry another request next."""
        with self._lock:
            self._socket = None

    def abort(self) -> None:
        """End the request: wake the thread that waits on its socket; if it has not started, keep it from starting."""
        with self._lock:
            self.aborted = True
            if self._socket is None:
                return
            # The other side may have been faster.
            with suppress(OSError):
                # Not SSLSocket.shutdown, which takes the TLS layer away under the reading thread's feet.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_of_this_thread = threading.local()


@contextmanager
def attempting(attempt: Attempt) -> Iterator[None]:
    """Make the connections that this thread uses report to `attempt`."""
    _of_this_thread.attempt = attempt
    try:
        yield
    finally:
        _of_this_thread.attempt = None
        attempt.release()


def _current() -> Attempt | None:
    return getattr(_of_this_thread, "attempt", None)


def _report(connected: socket.socket | None) -> None:
    if attempt := _current():
        attempt.use(connected)


class _FinalResponse(http.client.HTTPResponse):
    """X's answer itself: interim answers (1xx) before it are read and dropped.

    The standard library drops 100 only. It takes a 103 for the answer, and the answer that follows for that of the next
    request on the connection.
    """

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            # Without a byte this is empty, and what is called next raises the right error.
            if self.fp.peek(1) and (attempt := _current()):  # a BufferedReader
                attempt.answered = True
            version, status, reason = super()._read_status()  # type: ignore[misc]  # the one place that knows the status
            if status >= HTTPStatus.OK or status == HTTPStatus.SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)

    def begin(self) -> None:
        super().begin()
        if self.status == HTTPStatus.SWITCHING_PROTOCOLS:
            # Whatever is spoken from here on, it is no answer to another request.
            self.will_close = True


class _Reporting:
    """Mixed into urllib3's connections: reports a fresh socket, and a reused one before it carries a request."""

    sock: socket.socket | None
    idle_since: float | None = None

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]  # the connection class that this is mixed into has it
        _report(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through untouched
        _report(self.sock)
        if attempt := _current():
            attempt.reused = self.sock is not None and self.idle_since is not None
        super().request(*args, **kwargs)  # type: ignore[misc]  # likewise


class _HttpConnection(_Reporting, HTTPConnection):
    response_class = _FinalResponse  # http.client makes it; urllib3 wraps what comes of it


class _HttpsConnection(_Reporting, HTTPSConnection):
    response_class = _FinalResponse


class _Releasing:
    """Mixed into urllib3's pools: hands out no connection that may be stale, and releases the attempt's at its return.

    From the moment at which a connection is back, it is no longer the attempt's.
    """

    def _get_conn(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - passed through
        conn = super()._get_conn(timeout)  # type: ignore[misc]  # the pool class that this is mixed into has it
        attempt = _current()
        is_old = conn.idle_since is not None and time.monotonic() - conn.idle_since >= LONGEST_IDLE_S
        if is_old or (attempt and attempt.wants_fresh):
            conn.close()  # it connects anew
        return conn

    def _put_conn(self, conn: Any) -> None:  # noqa: ANN401 - passed through
        if attempt := _current():
            attempt.release()
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)  # type: ignore[misc]  # the pool class that this is mixed into has it


class _HttpPool(_Releasing, HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(_Releasing, HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class AbortableAdapter(HTTPAdapter):
    """The adapter of requests, over connections that report to the attempt of their thread."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:  # noqa: ANN401, FBT001, FBT002 - the signature of requests
        """Build the pool manager as requests does, with our connection classes."""
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
