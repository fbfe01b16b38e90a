"""The sandbox as a running server: in a thread for tests and the demo, behind `xcapi sandbox` for people."""

import asyncio
import errno
import socket
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import Scope

from xcapi_core.sandbox.app import build_app
from xcapi_core.sandbox.config import SandboxConfig
from xcapi_core.sandbox.console.feed import Feed
from xcapi_core.sandbox.engine import Engine
from xcapi_core.sandbox.fault_reader import read_faults
from xcapi_core.sandbox.http import DateHeader
from xcapi_core.sandbox.key_reader import read_keys
from xcapi_core.sandbox.recorder import RequestRecord

__all__ = ["PortTakenError", "SandboxServer"]

_START_TIMEOUT_S = 60.0


class PortTakenError(OSError):
    """Somebody else listens on the port that was asked for."""


class _Server(uvicorn.Server):
    """uvicorn, telling the application when it stops, so that nothing has to be cut off."""

    def __init__(self, stopping: asyncio.Event, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wake the requests that wait inside the application, then stop as usual."""
        self._stopping.set()
        await super().shutdown(sockets)


class SandboxServer:
    """The sandbox X Conversions API on a port of this machine.

    >>> with SandboxServer() as sandbox:
    ...     sandbox.url  # "http://127.0.0.1:40123", the value of `api_base_url`

    `port` 0 takes a free one. `console_title` says what serves the page, and `keep_entries` how many events it keeps.
    `on_request` hears of each request to the conversions endpoint, in the server's thread.
    Everything that the HTTP interface offers under /sandbox/ is also a method here, without a round trip.
    """

    def __init__(
        self,
        config: SandboxConfig | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        on_request: Callable[[RequestRecord], None] | None = None,
        clock: Callable[[], float] = time.time,
        console_title: str = "sandbox",
        keep_entries: int = 5_000,
    ) -> None:
        self.config = config or SandboxConfig()
        self.engine = Engine(self.config)
        self.feed = Feed(self.config, keep_entries=keep_entries)
        self._host = host
        self._asked_port = port
        self._socket: socket.socket | None = None
        self._port = 0
        self._thread: threading.Thread | None = None
        stopping = asyncio.Event()
        app = build_app(
            self.engine,
            drop_connection=self._drop_connection,
            stopping=stopping,
            clock=clock,
            on_request=on_request,
            feed=self.feed,
            console_title=console_title,
        )
        self._server = _Server(
            stopping,
            uvicorn.Config(
                DateHeader(app, clock),
                date_header=False,
                log_config=None,
                log_level="error",
                access_log=False,
                lifespan="off",
                server_header=False,
                # The client's address is how a connection is found that shall be dropped.
                proxy_headers=False,
                # Longer than any client keeps an idle connection, so that none is closed under a request.
                timeout_keep_alive=120,
                timeout_graceful_shutdown=1,
            ),
        )

    @property
    def port(self) -> int:
        """The port that the sandbox listens on, or has listened on; 0 before it was started."""
        return self._port

    @property
    def url(self) -> str:
        """Scheme, host and port: what a client takes for `https://ads-api.x.com`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def is_alive(self) -> bool:
        """Say whether the server still runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> Self:
        """Listen and serve in a thread; returns when requests are answered.

        Raises PortTakenError where the port is in use, OSError where the address is not this machine's.
        """
        self._socket = _listen(self._host, self._asked_port)
        self._port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="x-sandbox", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the sandbox did not start")
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        """Stop serving; requests that still wait for an injected latency are answered at once."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_START_TIMEOUT_S)
        if self._socket is not None:
            self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def inject(self, *faults: Mapping[str, object]) -> None:
        """Put faults in force, each as `POST /sandbox/faults` takes it. Raises ValueError with every problem."""
        read, problems = read_faults(list(faults))
        if problems:
            raise ValueError("; ".join(map(str, problems)))
        self.engine.faults.add(read)

    def clear_faults(self) -> None:
        """Lift every fault."""
        self.engine.faults.clear()

    def accept_keys(self, keys: Mapping[str, object]) -> None:
        """Take other keys from now on, as `PUT /sandbox/keys` does. Raises ValueError with every problem."""
        read, problems = read_keys(dict(keys), self.engine.keys)
        if problems:
            raise ValueError("; ".join(map(str, problems)))
        self.engine.keys = read

    def accepted(self, pixel_id: str | None = None) -> list[dict[str, Any]]:
        """Return every conversion that was accepted and is still remembered, oldest first."""
        return self.engine.recorder.conversions("accepted", pixel_id=pixel_id)

    def refused(self, pixel_id: str | None = None) -> list[dict[str, Any]]:
        """Return every conversion that was refused for its own sake, once for each time, oldest first."""
        return self.engine.recorder.conversions("refused", pixel_id=pixel_id)

    def requests(self, pixel_id: str | None = None) -> list[RequestRecord]:
        """Return the requests to the conversions endpoint, oldest first."""
        return self.engine.recorder.requests(pixel_id=pixel_id)

    def counts(self) -> dict[str, Any]:
        """Return exact totals: accepted, refused, duplicates, requests, early_requests, by_status."""
        return self.engine.recorder.counts()

    def reset(self) -> None:
        """Forget conversions, requests and the rate budget's spending; faults and keys stay."""
        self.engine.reset()

    async def _drop_connection(self, scope: Scope) -> None:
        """Close a request's connection without a word; ASGI itself has no way to."""
        for protocol in list(self._server.server_state.connections):
            # Every HTTP/1 protocol of uvicorn's has the two; its type says so only of some.
            if getattr(protocol, "client", None) == scope["client"]:
                protocol.transport.abort()
        # The protocol learns of it in the loop's next turns, and must before the application returns.
        await asyncio.sleep(0.01)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(error.errno, f"port {port} on {host} is taken") from error
        raise
    return listener
