"""X, answering at once or after a while: `python -m tests.benchmarks.fake_x PORT LATENCY_S`.

As little as an HTTP server can do, so that it never is the limit: the sandbox checks signatures and keeps records, and
is ten times slower. `GET` anything for what it has counted.
"""

import asyncio
import json
import os
import sys
import time
import urllib.request
from types import TracebackType
from typing import Self

import msgspec
import uvloop

from tests.benchmarks.processes import Process
from xcapi_core.sandbox.services.ports import LOOPBACK, free_port

__all__ = ["Counts", "FakeX"]


class Counts(msgspec.Struct):
    """What has been asked of X so far."""

    requests: int = 0
    events: int = 0

    def since(self, earlier: "Counts") -> "Counts":
        """Return what came in between."""
        return Counts(self.requests - earlier.requests, self.events - earlier.events)


class FakeX:
    """A context manager: X in a process of its own, on the load generator's core."""

    def __init__(self, *, latency_s: float = 0.0) -> None:
        """Only remember."""
        self._port = free_port()
        command = [sys.executable, "-m", "tests.benchmarks.fake_x", str(self._port), str(latency_s)]
        self._process = Process(command, environment=os.environ, core=-1)

    def __enter__(self) -> Self:
        self._process.__enter__().connect(self._port).close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.__exit__(kind, error, traceback)

    @property
    def url(self) -> str:
        """The base of its API."""
        return f"http://{LOOPBACK}:{self._port}"

    def quiet_counts(self, quiet_s: float) -> Counts:
        """Return what has been asked of it once it has heard nothing for so long: what a load left is over then."""
        while True:
            before = self.counts()
            time.sleep(quiet_s)
            if self.counts() == before:
                return before

    def counts(self) -> Counts:
        """Return what has been asked of it so far."""
        with urllib.request.urlopen(self.url, timeout=10) as answer:  # noqa: S310 - ours, on loopback
            return msgspec.json.decode(answer.read(), type=Counts)


class _Body(msgspec.Struct):
    conversions: list[msgspec.Raw]


class _Connection(asyncio.Protocol):
    """One connection; requests come one after the other, each with its length."""

    def __init__(self, counts: Counts, latency_s: float) -> None:
        self._counts = counts
        self._latency_s = latency_s
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a server's connection

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._received[:head_end].lower()
        place = head.find(b"content-length:")
        length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(self._received) < head_end + 4 + length:
            return
        body = bytes(self._received[head_end + 4 : head_end + 4 + length])
        del self._received[: head_end + 4 + length]
        if head.startswith(b"get"):
            self._answer(msgspec.json.encode(self._counts))
            return
        count = len(msgspec.json.decode(body, type=_Body).conversions)
        self._counts.requests += 1
        self._counts.events += count
        answer = json.dumps({"data": {"conversions_processed": count, "debug_id": "bench"}}).encode()
        if self._latency_s:
            asyncio.get_running_loop().call_later(self._latency_s, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, body: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)


async def _serve(port: int, latency_s: float) -> None:
    counts = Counts()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(counts, latency_s), LOOPBACK, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
