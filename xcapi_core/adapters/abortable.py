"""HTTP connections of urllib3 that another thread can end.

A thread that waits in `recv` cannot be cancelled; shutting its socket down wakes it with an error. The connection in
use is known only deep inside urllib3, so it reports itself to the attempt that its thread is making.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

__all__ = ["AbortableAdapter", "Aborted", "Attempt", "attempting"]


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

    def use(self, connected: socket.socket | None) -> None:
        """Take note of the socket that carries the request. Raises Aborted when it must not be sent any more."""
        with self._lock:
            if self.aborted:
                raise Aborted
            self._socket = connected
            self.connected = self.connected or connected is not None

    def release(self) -> None:
        """Forget the socket: it goes back to the pool and may carry somebody else's request next."""
        with self._lock:
            self._socket = None

    def abort(self) -> None:
        """End the request: wake whoever waits on its socket, and keep it from starting if it has not."""
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


def _report(connected: socket.socket | None) -> None:
    attempt: Attempt | None = getattr(_of_this_thread, "attempt", None)
    if attempt:
        attempt.use(connected)


class _Reporting:
    """Mixed into urllib3's connections: reports a fresh socket, and a reused one before it carries a request."""

    sock: socket.socket | None

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]  # the connection class that this is mixed into has it
        _report(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through untouched
        _report(self.sock)
        super().request(*args, **kwargs)  # type: ignore[misc]  # likewise


class _HttpConnection(_Reporting, HTTPConnection):
    pass


class _HttpsConnection(_Reporting, HTTPSConnection):
    pass


class _Releasing:
    """Mixed into urllib3's pools: from the moment at which a connection is back, it is no longer the attempt's."""

    def _put_conn(self, conn: Any) -> None:  # noqa: ANN401 - passed through untouched
        attempt: Attempt | None = getattr(_of_this_thread, "attempt", None)
        if attempt:
            attempt.release()
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
