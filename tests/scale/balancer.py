"""What Cloud Run has in front of the instances: each request goes to the one that has the fewest."""

import asyncio
from collections.abc import Callable

from tests.loopback_server import LoopbackServer
from tests.soak.http_client import HttpClient

__all__ = ["Balancer"]

_TIMEOUT_S = 120.0


class Balancer(LoopbackServer):
    """A context manager. Instances come and go while requests are under way."""

    def __init__(self) -> None:
        super().__init__()
        self._client = HttpClient()
        self._in_flight: dict[str, int] = {}
        self._order: list[str] = []
        self.requests = 0
        self.unanswered = 0

    def add(self, url: str) -> None:
        """Send requests there as well."""
        self.run(self._change(lambda: self._order.append(url)))

    def remove(self, url: str) -> None:
        """Send nothing there any more; what is under way goes on."""
        self.run(self._change(lambda: self._order.remove(url)))

    async def _change(self, what: Callable[[], None]) -> None:
        what()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            status, answer = await self._pass_on(await reader.readexactly(length))
            told = f"HTTP/1.1 {status} -\r\nContent-Length: {len(answer)}\r\n\r\n"
            writer.write(told.encode() + answer)

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
