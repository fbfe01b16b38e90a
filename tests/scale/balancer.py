"""What Cloud Run has in front of the instances: each request goes to the one that has the fewest."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from tests.soak.http_client import HttpClient
from xcapi_core.sandbox.services.ports import LOOPBACK

__all__ = ["Balancer"]

_TIMEOUT_S = 120.0


class Balancer:
    """A context manager; its loop runs in a thread. Instances come and go while requests are under way."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = HttpClient()
        self._in_flight: dict[str, int] = {}
        self._order: list[str] = []
        self._server: asyncio.Server | None = None
        self.port = 0
        self.requests = 0
        self.unanswered = 0

    def __enter__(self) -> "Balancer":
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, LOOPBACK, 0, backlog=512))
        self.port = self._server.sockets[0].getsockname()[1]
        threading.Thread(target=self._loop.run_forever, name="balancer", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._end)

    def add(self, url: str) -> None:
        """Send requests there as well."""
        self._call(lambda: self._order.append(url))

    def remove(self, url: str) -> None:
        """Send nothing there any more; what is under way goes on."""
        self._call(lambda: self._order.remove(url))

    def _call(self, what: Callable[[], None]) -> None:
        done = threading.Event()

        def call() -> None:
            what()
            done.set()

        self._loop.call_soon_threadsafe(call)
        done.wait()

    def _end(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_soon(self._loop.stop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                status, answer = await self._pass_on(await reader.readexactly(length))
                told = f"HTTP/1.1 {status} -\r\nContent-Length: {len(answer)}\r\n\r\n"
                writer.write(told.encode() + answer)
        writer.close()

    async def _pass_on(self, body: bytes) -> tuple[int, bytes]:
        """Return the instance's answer; 502 where there was none."""
        if not self._order:
            return 503, b""
        self.requests += 1
        url = min(self._order, key=lambda each: self._in_flight.get(each, 0))
        # Among equals the one that had nothing for longest.
        self._order.remove(url)
        self._order.append(url)
        self._in_flight[url] = self._in_flight.get(url, 0) + 1
        try:
            status, answer = await self._client.post(url, body, timeout_s=_TIMEOUT_S)
        finally:
            self._in_flight[url] -= 1
        self.unanswered += not status
        return status or 502, answer
