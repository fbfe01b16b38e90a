"""A push endpoint that answers as a test tells it to, and keeps what it was sent."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

__all__ = ["PushEndpoint"]


class PushEndpoint:
    """Answers each push with `answer(envelope, number)`, `number` counting pushes from 1."""

    def __init__(self, answer: Callable[[dict[str, Any], int], int] = lambda _envelope, _number: 204) -> None:
        self.envelopes: list[dict[str, Any]] = []
        self.arrivals: list[float] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                envelope = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with endpoint._lock:
                    endpoint.envelopes.append(envelope)
                    endpoint.arrivals.append(time.monotonic())
                    endpoint._at_once += 1
                    endpoint.most_at_once = max(endpoint.most_at_once, endpoint._at_once)
                    number = len(endpoint.envelopes)
                status = answer(envelope, number)
                with endpoint._lock:
                    endpoint._at_once -= 1
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, pushes: int, *, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while len(self.envelopes) < pushes:
            assert time.monotonic() < deadline, f"{len(self.envelopes)} of {pushes} pushes after {timeout_s} s"
            time.sleep(0.01)
